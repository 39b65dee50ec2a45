"""Arrays that need no preparation (.npz), and what they must look like. Rows and columns are counted from 0."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Ints, Named
from trainer.data.damage import DAMAGE
from trainer.data.files import shortened, unreadable
from trainer.data.sequences import Sequences
from trainer.data.vocabulary import MARKS, PackedText, Vocabulary
from trainer.errors import UserMistake


def load_npz(path: str, dtype: str = "float64") -> Sequences:
    """values (rows, n_in), offsets (sequences+1) and labels, one for each sequence or step. Raises UserMistake."""
    arrays = _arrays(path, ("values", "offsets", "labels"))
    return checked(path, arrays["values"], arrays["offsets"], arrays["labels"], dtype)


def load_tokens(path: str, vocabulary_size: int) -> tuple[PackedText, Vocabulary]:
    """tokens (n_tokens) and offsets (sentences+1), and words (n_words) if there are any. Raises UserMistake.

    Each sentence is predicted from its second token on; 0, 1 and 2 are sentence start, sentence end, unknown word.
    """
    arrays = _arrays(path, ("tokens", "offsets"), ("words",))
    tokens, offsets = arrays["tokens"], arrays["offsets"]
    if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
        found = f"shape {tokens.shape} and type {tokens.dtype}"
        raise UserMistake(f"{path}: tokens has {found}; allowed: whole numbers in one dimension")
    _check_offsets(path, offsets, len(tokens), of="tokens", least=2)
    words = _words(path, arrays.get("words"), vocabulary_size)
    bad = (tokens < 0) | (tokens >= len(words))
    if bad.any():
        at = int(np.argmax(bad))
        reason = "the words it has" if "words" in arrays else "vocabulary_size"
        found = f"row {at} (sentence {np.searchsorted(offsets, at, side='right') - 1}): found {tokens[at]}"
        raise UserMistake(f"{path}: tokens: {found}; allowed: from 0 to {len(words) - 1} ({reason})")
    packed = PackedText(tokens=tokens.astype(np.int32), offsets=offsets.astype(np.int64))
    return packed, Vocabulary(words=words)


def checked(
    path: str, values: NDArray[Any], offsets: NDArray[Any], labels: NDArray[Any], dtype: str = "float64"
) -> Sequences:
    """Sequences of which every row has been looked at. Raises UserMistake naming the first bad row and column."""
    if values.ndim != 2 or values.shape[1] == 0:
        raise UserMistake(f"{path}: values has shape {values.shape}; allowed: (rows, features)")
    _check_offsets(path, offsets, len(values), of="values", least=1)
    n = len(offsets) - 1
    if labels.ndim not in (1, 2) or len(labels) not in (n, len(values)):
        allowed = f"one row for each of {n} sequences or of {len(values)} steps"
        raise UserMistake(f"{path}: labels has shape {labels.shape}; allowed: {allowed}")
    return Sequences(
        values=_finite(path, "values", values, dtype),
        offsets=offsets.astype(np.int64),
        labels=_finite(path, "labels", labels, dtype),
        name=path,
    )


def _arrays(path: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Named:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if missing := [name for name in required if name not in archive.files]:
                found = shortened(archive.files) or "nothing"
                raise UserMistake(f"{path}: the array {missing[0]} is missing; found {found}")
            found_arrays = {name: archive[name] for name in (*required, *optional) if name in archive.files}
    except OSError as problem:
        raise unreadable(path, problem) from None
    except DAMAGE:
        raise UserMistake(f"{path}: this is not a .npz file of plain arrays") from None
    for name, array in found_arrays.items():
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__  # NumPy hands out foreign bytes
        if not isinstance(kind, np.dtype) or (name in required and kind.kind not in "biuf"):
            raise UserMistake(f"{path}: {name} is of type {kind}; allowed: numbers")
    return found_arrays


def _words(path: str, words: NDArray[Any] | None, vocabulary_size: int) -> tuple[str, ...]:
    if words is None:
        return (*MARKS, *(f"#{number}" for number in range(len(MARKS), vocabulary_size)))
    if words.ndim != 1 or words.dtype.kind != "U" or not len(MARKS) < len(words) <= vocabulary_size:
        found = f"shape {words.shape} and type {words.dtype}"
        allowed = f"{len(MARKS) + 1} to {vocabulary_size} (vocabulary_size) texts in one dimension"
        raise UserMistake(f"{path}: words has {found}; allowed: {allowed}")
    return tuple(words.tolist())


def _check_offsets(path: str, offsets: NDArray[Any], n_rows: int, *, of: str, least: int) -> None:
    if offsets.ndim != 1 or len(offsets) < 2 or offsets.dtype.kind not in "iu":
        found = f"shape {offsets.shape} and type {offsets.dtype}"
        raise UserMistake(f"{path}: offsets has {found}; allowed: at least two integers in one dimension")
    if offsets[0] != 0 or offsets[-1] != n_rows:
        found = f"from {offsets[0]} to {offsets[-1]}"
        raise UserMistake(f"{path}: offsets go {found}; allowed: from 0 to {n_rows}, the rows of {of}")
    ends: Ints = offsets.astype(np.int64)
    lengths = np.diff(ends)
    if (lengths < least).any():
        row = int(np.argmax(lengths < least))
        length = int(lengths[row])
        found = "empty" if length == 0 else "of negative length" if length < 0 else f"of length {length}"
        raise UserMistake(f"{path}: offsets: sequence {row} is {found}; allowed: at least {_rows(least)}")


def _rows(n: int) -> str:
    return "one row" if n == 1 else f"{n} rows"


def _finite(path: str, name: str, array: NDArray[Any], dtype: str) -> NDArray[np.floating[Any]]:
    """The array in the precision of the run. Raises UserMistake for what it cannot hold."""
    with np.errstate(over="ignore"):
        converted: NDArray[np.floating[Any]] = np.ascontiguousarray(array, dtype=dtype)
    fine = np.isfinite(converted)
    if not fine.all():
        index = np.unravel_index(int(np.argmin(fine)), array.shape)
        place = f"row {index[0]}" + (f", column {index[1]}" if len(index) > 1 else "")
        allowed = "a finite number" if not np.isfinite(array[index]) else f"a number that {dtype} can hold"
        raise UserMistake(f"{path}: {name}: {place}: found {array[index]}; allowed: {allowed}")
    return converted
