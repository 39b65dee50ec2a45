"""Where each weight matrix lies in one flat buffer, as kernels want it, and the way to plain matrices and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trainer.arrays import Floats

ALIGNMENT_BYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A matrix (rows, columns), stored as panels of shape (rows, width) one after another; what is over is zero.

    One panel as wide as the matrix or a little wider is the ordinary row-major form with a pitch.
    """

    name: str
    rows: int
    columns: int
    width: int
    joined: bool = False  # begins right behind the part before, so that both are one matrix to a kernel

    @property
    def n_panels(self) -> int:
        return -(-self.columns // self.width)

    @property
    def size(self) -> int:
        return self.n_panels * self.rows * self.width


class Layout:
    """A number of parts one after another, each at an aligned place."""

    def __init__(self, parts: tuple[Part, ...], dtype: str) -> None:
        self.parts, self.dtype = parts, np.dtype(dtype)
        step = ALIGNMENT_BYTES // self.dtype.itemsize
        self.offsets: dict[str, int] = {}
        self.size = 0
        for part in parts:
            if not part.joined:
                self.size = -(-self.size // step) * step
            self.offsets[part.name] = self.size
            self.size += part.size
        self.size = -(-self.size // step) * step

    def zeros(self, n: int | None = None) -> Floats:
        """An aligned buffer (size) of zeros, or n of them: (n, size)."""
        shape = (self.size,) if n is None else (n, self.size)
        n_bytes = int(np.prod(shape)) * self.dtype.itemsize
        memory = np.zeros(n_bytes + ALIGNMENT_BYTES, np.uint8)
        first = -memory.ctypes.data % ALIGNMENT_BYTES
        aligned: Floats = memory[first : first + n_bytes].view(self.dtype).reshape(shape)
        return aligned

    def panels(self, flat: Floats, name: str) -> Floats:
        """The part as it lies in the buffer: a view (n_panels, rows, width)."""
        part = self._part(name)
        first = self.offsets[name]
        return flat[first : first + part.size].reshape(part.n_panels, part.rows, part.width)

    def matrix(self, flat: Floats, name: str) -> Floats:
        """A part of one panel, with its pitch: a view (rows, width)."""
        panel: Floats
        (panel,) = self.panels(flat, name)
        return panel

    def pack(self, named: Mapping[str, Floats]) -> Floats:
        """A new buffer with these matrices (rows, columns)."""
        flat = self.zeros()
        for part in self.parts:
            self._put(flat, part, named[part.name])
        return flat

    def unpack(self, flat: Floats) -> dict[str, Floats]:
        """Copies of the matrices (rows, columns) by name."""
        return {part.name: self._get(flat, part) for part in self.parts}

    def _put(self, flat: Floats, part: Part, matrix: Floats) -> None:
        for panel, first in zip(self.panels(flat, part.name), range(0, part.columns, part.width), strict=True):
            piece = matrix[:, first : first + part.width]
            panel[:, : piece.shape[1]] = piece

    def _get(self, flat: Floats, part: Part) -> Floats:
        side_by_side = np.concatenate(list(self.panels(flat, part.name)), axis=1)
        return np.ascontiguousarray(side_by_side[:, : part.columns])

    def _part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)
