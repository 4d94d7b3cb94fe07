"""Rows of arrays that may be on disk: events are chosen by number and read when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Blocks", "Rows", "joined"]

FloatArray: TypeAlias = NDArray[np.float32]
Index: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Arrays laid end to end without copying them: they may be on disk.

    Raises:
        ValueError: if their events have different shapes.
    """

    parts: tuple[FloatArray, ...]
    """Arrays of shape (M_k, *shape)."""

    def __post_init__(self) -> None:
        shapes = {part.shape[1:] for part in self.parts}
        if len(shapes) != 1:
            raise ValueError(f"expected signal and background events of one shape; got {shapes}")

    @property
    def shape(self) -> tuple[int, ...]:
        """(sum of M_k, *shape)."""
        return (sum(map(len, self.parts)), *self.parts[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> FloatArray:
        index = np.arange(len(self))[index] if isinstance(index, slice) else np.asarray(index)
        starts = np.cumsum([0, *map(len, self.parts)])
        block = np.searchsorted(starts, index, side="right") - 1
        events = np.empty((len(index), *self.shape[1:]), np.float32)
        for k in np.unique(block):
            events[block == k] = self.parts[k][index[block == k] - starts[k]]
        return events

    def rows(self) -> list[Rows]:
        """The rows of each part, as rows of the whole."""
        starts = np.cumsum([0, *map(len, self.parts)])
        return [Rows(self, np.arange(a, b)) for a, b in pairwise(starts)]


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of an array that may be on disk; they are read when they are indexed."""

    array: FloatArray | Blocks
    """The events to choose from, shape (M, *shape)."""

    index: Index
    """The chosen rows, shape (N,)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, *shape)."""
        return (len(self.index), *self.array.shape[1:])

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: Any) -> FloatArray:
        return np.asarray(self.array[self.index[key]], dtype=np.float32)

    def select(self, index: Any) -> Rows:
        """The rows at positions `index`, shape (n,), still unread."""
        return Rows(self.array, self.index[index])


def joined(blocks: Sequence[Rows]) -> FloatArray | Rows:
    """The rows of all blocks, one after the other: still unread if all are of one array.

    Raises:
        ValueError: if their events have different shapes.
    """
    if all(block.array is blocks[0].array for block in blocks):
        return Rows(blocks[0].array, np.concatenate([block.index for block in blocks]))
    parts = Blocks(tuple(block[:] for block in blocks)).parts
    return np.concatenate(parts)
