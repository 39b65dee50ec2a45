"""The data of a run as a whole: what the same content gives, and real files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.config import Config
from trainer.data.cache import Cache
from trainer.data.preparation import prepare_sequences, prepare_text
from trainer.errors import UserMistake
from trainer.models import load_model
from trainer.origin import origin
from trainer.validation import load_config

SHARED = Path("/work/shared/data")
MOOD = {"name": "mood", "kind": "softmax", "size": 2, "columns": "mood"}
TABLE = "text,mood\n" + "".join(f"it is day {n},{'good' if n % 3 else 'bad'}\n" for n in range(30))


def config(path: Path, model: str = "classifier", head: Any = (), data: Any = None, **more: Any) -> Any:
    table = {"train": str(path), **(data or {})}
    return load_config({"model": model, "data": table, **({"head": list(head)} if head else {}), **more})


def entries(folder: Path) -> int:
    return sum(len(entry.name) == 64 for entry in folder.iterdir())


def table(folder: Path, content: str = TABLE, name: str = "t.csv") -> Path:
    (folder / name).write_text(content)
    return folder / name


def test_the_name_and_age_of_a_file_do_not_matter_but_its_content_does(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 10**9)
    found = [
        prepare_sequences(config(table(tmp_path, name=name), head=[MOOD]), cache)[1] for name in ("a.csv", "b.csv")
    ]
    assert found[0].digest == found[1].digest
    assert [sequences.name for sequences in found] == [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    assert entries(tmp_path / "cache") == 1
    changed = table(tmp_path, TABLE.replace("day 7,", "night 7,"))
    assert prepare_sequences(config(changed, head=[MOOD]), cache)[1].digest != found[0].digest
    assert entries(tmp_path / "cache") == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"dtype": "float64"}, {"n_in": 7}, {"head": [{**MOOD, "classes": ["good", "bad"]}]},
        {"data": {"valid_fraction": 0.2}}, {"data": {"split_seed": 1}}, {"data": {"valid_slice": [0, 5]}},
        {"data": {"max_sequences": 9}},
    ],
)  # fmt: skip
def test_whatever_changes_the_arrays_makes_another_entry(tmp_path: Path, changed: Any) -> None:
    cache, path = Cache(tmp_path / "cache", 10**9), table(tmp_path)
    before = prepare_sequences(config(path, head=[MOOD]), cache)[1]
    prepare_sequences(config(path, head=[MOOD], epochs=3, seed=5, n_hidden=7), cache)
    assert entries(tmp_path / "cache") == 1
    settings = config(path, **{"head": [MOOD], **changed})
    after = prepare_sequences(settings, cache)[1]
    assert after.digest != before.digest
    assert after.digest == prepare_sequences(settings, None)[1].digest
    assert after.values.dtype == settings.dtype.value


def test_with_and_without_the_cache_a_run_has_the_same_data(tmp_path: Path) -> None:
    cache, settings = Cache(tmp_path / "cache", 10**9), config(table(tmp_path), head=[MOOD])
    loaded = [prepare_sequences(settings, given) for given in (None, cache, cache)]
    for heads, train, valid in loaded:
        assert heads[0].classes == ("bad", "good")
        for found, expected in ((train, loaded[0][1]), (valid, loaded[0][2])):
            assert found.digest == expected.digest
            assert (found.values == expected.values).all()
            assert (found.labels == expected.labels).all()
            assert (found.offsets == expected.offsets).all()


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import trainer.data.labelled as labelled

    path, read = table(tmp_path), labelled.read_labelled

    def read_and_grow(*given: Any) -> Any:
        found = read(*given)
        with path.open("a") as file:
            file.write("late,good\n")
        return found

    monkeypatch.setattr(labelled, "read_labelled", read_and_grow)
    cache = Cache(tmp_path / "cache", 10**9)
    with pytest.raises(UserMistake, match="a file of the data changed while it was read"):
        prepare_sequences(config(path, head=[MOOD]), cache)
    assert entries(tmp_path / "cache") == 0


def test_broken_data_is_never_kept(tmp_path: Path) -> None:
    cache, path = Cache(tmp_path / "cache", 10**9), table(tmp_path, TABLE + ",good\n")
    for _ in range(2):
        with pytest.raises(UserMistake, match=re.escape("t.csv: row 32, column text: there is no word")):
            prepare_sequences(config(path, head=[MOOD]), cache)
    assert entries(tmp_path / "cache") == 0


def test_vectors_of_another_width_than_n_in_are_refused(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("day 1 2\n")
    settings = config(table(tmp_path), head=[MOOD], n_in=3, data={"vectors": str(tmp_path / "v.txt")})
    with pytest.raises(UserMistake, match=re.escape("v.txt: found vectors of 2 numbers; allowed: 3 (n_in)")):
        prepare_sequences(settings, None)


def test_trained_vectors_belong_to_the_prepared_data(tmp_path: Path) -> None:
    pytest.importorskip("gensim")
    cache, found = Cache(tmp_path / "cache", 10**9), []
    for seed, given in ((0, None), (0, cache), (0, cache), (1, cache)):
        data = {"vectors": "word2vec", "vectors_seed": seed}
        found.append(prepare_sequences(config(table(tmp_path), head=[MOOD], n_in=6, data=data), given)[1])
    assert found[0].values.shape[1] == 6
    assert found[0].digest == found[1].digest == found[2].digest != found[3].digest
    assert entries(tmp_path / "cache") == 2


def ready(folder: Path, n_in: int = 2, labels: Any = (0, 1, 1), name: str = "x.npz") -> Path:
    arrays = {"values": np.ones((5, n_in)), "offsets": np.array([0, 1, 3, 5]), "labels": np.array(labels)}
    np.savez(folder / name, **arrays)
    return folder / name


def test_ready_arrays_are_split_and_kept_like_any_data(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 10**9)
    settings = config(ready(tmp_path), data={"train_slice": [1, 3], "valid_slice": [0, 1]})
    for _ in range(2):
        heads, train, valid = prepare_sequences(settings, cache)
        assert (heads[0].size, train.labels.tolist(), valid.labels.tolist()) == (2, [[0, 1], [0, 1]], [[1, 0]])
    wider = config(ready(tmp_path), data={"valid": str(ready(tmp_path, 3, name="y.npz"))})
    with pytest.raises(UserMistake, match=re.escape("y.npz: found 3 features a step; allowed: 2 (as in the training")):
        prepare_sequences(wider, cache)
    with pytest.raises(UserMistake, match=re.escape("x.npz: labels: row 2: found 5; allowed: a class from 0 to 1")):
        prepare_sequences(config(ready(tmp_path, labels=(0, 1, 5)), head=[{**MOOD, "columns": None}]), cache)


def test_labels_of_every_step_reach_the_run(tmp_path: Path) -> None:
    path = ready(tmp_path, labels=(0, 1, 1, 0, 1))
    _, train, valid = prepare_sequences(config(path, readout="every-step", data={"valid_slice": [0, 1]}), None)
    assert train.labels.argmax(axis=1).tolist() == [1, 1, 0, 1]
    assert valid.labels.tolist() == [[1, 0]]
    with pytest.raises(
        UserMistake, match="labels has a row for each of 5 steps; allowed: one for each sequence, or re"
    ):
        prepare_sequences(config(path), None)


def test_the_origin_of_a_checkpoint_is_the_same_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: Config = config(table(tmp_path), head=[MOOD])
    found = []
    for folder in ("off", str(tmp_path / "cache"), str(tmp_path / "cache")):
        monkeypatch.setenv("RNN_DATA_CACHE", folder)
        found.append(origin(settings, load_model(settings).data())["data"].tobytes())
    assert len(set(found)) == 1


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data is not here")
def test_real_tweets_become_three_classes() -> None:
    data = {"thresholds": [-1, 1], "train_slice": [2500, 4200], "valid_slice": [0, 2500]}
    heads, train, valid = prepare_sequences(config(SHARED / "tweets.tsv", data=data), None)
    assert (heads[0].size, train.n_sequences, valid.n_sequences) == (3, 1700, 2500)
    assert (train.labels.sum(axis=0) > 50).all()
    with pytest.raises(UserMistake, match=re.escape("[2500, 5000]; allowed: an end up to 4200, the sequences it has")):
        prepare_sequences(config(SHARED / "tweets.tsv", data={**data, "train_slice": [2500, 5000]}), None)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data is not here")
def test_real_sentences_become_eight_thousand_words() -> None:
    vocabulary, train, valid = prepare_text(config(SHARED / "sentences.txt", "language-model"), None)
    assert len(vocabulary) == 8000
    assert train.n_sentences > 8 * valid.n_sentences
    assert train.tokens.max() == 7999
