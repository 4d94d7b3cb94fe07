"""The events of a meta-training: split once, the same for all tasks, and drawn anew in each epoch.

Tasks may share events, as they do when each is one signal against the same background. An event is
known by the row that it has in its array, so that one which is for evaluation in some task is
learnt in none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..datasets import Dataset
from ..rows import Rows

__all__ = ["Episodes"]

Index: TypeAlias = NDArray[np.intp]

PARTS = 5
"""Support and query, these once more, and evaluation."""


class Episodes:
    """Draws of events of many tasks, signal and as many background events in each part.

    Args:
        tasks: signal (y = 1) and background (y = 0) of each.
        events: events of a label in a part.
        rng: of the split and of all draws.

    Raises:
        ValueError: if a task has fewer events of a label, of positive weight, than five parts.
    """

    def __init__(self, tasks: Sequence[Dataset], events: int, rng: np.random.Generator) -> None:
        self.events, self.rng = events, rng
        rows, labels = _rows(tasks), [_labels(task) for task in tasks]
        order = rng.permutation(1 + max(row.max(initial=0) for row in rows))
        self._evaluate = [
            [index[np.argsort(order[row[index]])][: len(index) // PARTS] for index in both]
            for row, both in zip(rows, labels, strict=True)
        ]
        held_out = [row[np.concatenate(i)] for row, i in zip(rows, self._evaluate, strict=True)]
        self._learn = [
            [index[~np.isin(row[index], np.concatenate(held_out))] for index in both]
            for row, both in zip(rows, labels, strict=True)
        ]
        for k, (both, learn) in enumerate(zip(labels, self._learn, strict=True)):
            n, got = PARTS * events, min(map(len, both))
            if got < n or min(map(len, learn)) < (PARTS - 1) * events:
                expected = f"expected {n} events of labels 0 and 1 each"
                raise ValueError(f"{expected}; got {got} in task {k}")

    def draw(self, k: int) -> list[Index]:
        """Support and query, these once more, and evaluation: disjoint, of 2 x events each."""
        n, rng, parts = self.events, self.rng, PARTS - 1
        learn = [rng.choice(i, parts * n, replace=False).reshape(parts, n) for i in self._learn[k]]
        evaluate = [rng.choice(i, n, replace=False) for i in self._evaluate[k]]
        return [*np.concatenate(learn, axis=1), np.concatenate(evaluate)]


def _labels(task: Dataset) -> list[Index]:
    """The events of signal and of background that have weight."""
    return [np.flatnonzero((task.y == label) & (task.weight > 0)) for label in (1, 0)]


def _rows(tasks: Sequence[Dataset]) -> list[Index]:
    """Numbers of the events of each task, the same for the same row of the same array."""
    first: dict[int, int] = {}
    rows, n = [], 0
    for task in tasks:
        x = task.x
        array, index = (x.array, x.index) if isinstance(x, Rows) else (x, np.arange(len(x)))
        if id(array) not in first:
            first[id(array)] = n
            n += array.shape[0]
        rows.append(first[id(array)] + index)
    return rows
