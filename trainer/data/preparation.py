"""The data of a run: from its files, or from what an earlier run prepared from files of the same content."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

from trainer.arrays import Named
from trainer.config import ClassifierConfig, Config, Head, HeadKind, LanguageModelConfig, SequenceData
from trainer.data.cache import Cache, Facts, Make, Prepared, prepared
from trainer.data.files import digest_of_file
from trainer.data.formats import TRAINED, format_of
from trainer.data.sequences import Sequences
from trainer.data.tokenizers import version_of
from trainer.data.vocabulary import PackedText, Vocabulary
from trainer.errors import UserMistake

Loaded = tuple[tuple[Head, ...], Sequences, Sequences]
# To be raised whenever the same files and parameters would give other arrays.
_VERSION = 1


def prepare_text(config: LanguageModelConfig, cache: Cache | None) -> tuple[Vocabulary, PackedText, PackedText]:
    """Vocabulary, training and validation text. Raises UserMistake."""

    def make() -> tuple[Named, Facts]:
        from trainer.data.text import load_text

        vocabulary, train, valid = load_text(config)
        arrays = {f"{part}_{name}": getattr(text, name) for part, text in (("train", train), ("valid", valid))
                  for name in ("tokens", "offsets")}  # fmt: skip
        return arrays, {"words": list(vocabulary.words)}

    found = _kept(config, {"vocabulary_size": config.vocabulary_size}, make, cache)
    train, valid = (
        PackedText(tokens=found.arrays[f"{part}_tokens"], offsets=found.arrays[f"{part}_offsets"], digest=found.digest)
        for part in ("train", "valid")
    )
    return Vocabulary(words=tuple(found.facts["words"])), train, valid


def prepare_sequences(config: ClassifierConfig, cache: Cache | None) -> Loaded:
    """Heads, which know their classes then, training and validation sequences. Raises UserMistake."""

    def make() -> tuple[Named, Facts]:
        heads, train, valid = _load_sequences(config)
        arrays = {f"{part}_{name}": getattr(sequences, name) for part, sequences in (("train", train), ("valid", valid))
                  for name in ("values", "offsets", "labels")}  # fmt: skip
        return arrays, {"heads": [_plain(head) for head in heads]}

    more = {name: _plain(getattr(config, name)) for name in ("head", "n_in", "readout", "dtype")}
    found = _kept(config, more, make, cache)
    names = {"train": config.data.train or "", "valid": config.data.valid or config.data.train or ""}
    train, valid = (_sequences(found, part, name) for part, name in names.items())
    return tuple(_head(told) for told in found.facts["heads"]), train, valid


def _load_sequences(config: ClassifierConfig) -> Loaded:
    """A run whose data was prepared before does without these modules."""
    if format_of(config.data.train or "").is_table:
        from trainer.data.labelled import load_labelled

        return load_labelled(config)
    from trainer.data.ready_sequences import load_ready

    return load_ready(config)


def _sequences(found: Prepared, part: str, name: str) -> Sequences:
    values, offsets, labels = (found.arrays[f"{part}_{array}"] for array in ("values", "offsets", "labels"))
    return Sequences(values=values, offsets=offsets, labels=labels, name=name, digest=found.digest)


def _head(told: dict[str, Any]) -> Head:
    lists = {name: None if told[name] is None else tuple(told[name]) for name in ("columns", "classes", "thresholds")}
    return Head(name=told["name"], kind=HeadKind(told["kind"]), size=told["size"], **lists)


def _kept(config: Config, more: dict[str, Any], make: Make, cache: Cache | None) -> Prepared:
    if cache is None or any(_is_stream(path) for path in _files(config).values()):
        return prepared("", make, None)
    key = _key(config, more)

    def make_of_one_content() -> tuple[Named, Facts]:
        made = make()
        if _key(config, more) != key:
            raise UserMistake("a file of the data changed while it was read: start again when it is complete")
        return made

    return prepared(key, make_of_one_content, cache)


def _key(config: Config, more: dict[str, Any]) -> str:
    """SHA-256 of everything that the prepared arrays depend on. The names of files are not among it."""
    data = config.data
    given = {f.name: _plain(getattr(data, f.name)) for f in fields(data) if not f.metadata.get("file")}
    files = {name: _content(path) for name, path in _files(config).items()}
    # Which characters are letters, and what is their lower case, changes with Python.
    surroundings = [_VERSION, sys.version_info[:2], version_of("nltk"), version_of("gensim")]
    everything = [type(data).__name__, surroundings, given, files, _built_in(config), more]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def _files(config: Config) -> dict[str, str | None]:
    return {f.name: getattr(config.data, f.name) for f in fields(config.data) if f.metadata.get("file")}


def _is_stream(path: str | None) -> bool:
    """A pipe can be read only once: not for a digest and then again."""
    return path is not None and Path(path).exists() and not Path(path).is_file()


def _content(path: str | None) -> list[str] | str | None:
    """Of a file: how it is read, which its name says, and a digest."""
    if path is None or path == TRAINED:
        return path
    return [*PurePath(path.lower()).suffixes[-2:], digest_of_file(path)]


def _built_in(config: Config) -> str | None:
    if isinstance(config.data, SequenceData) or config.data.source is None:
        return None
    from trainer.data.text import built_in_text

    return hashlib.sha256("\n".join(built_in_text()).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Head):
        return {name: _plain(item) for name, item in asdict(value).items()}
    return [_plain(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
