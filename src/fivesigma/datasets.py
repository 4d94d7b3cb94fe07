"""Labelled events: split first, then weighed, augmented, or trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .augmentations import Augmented, View
from .rows import Rows

__all__ = ["Dataset"]

FloatArray: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled events, ready to train on.

    Raises:
        ValueError: if the four arrays differ in length.
    """

    x: FloatArray | Rows | Augmented
    """Represented events, shape (N, *shape), float32, units of the representation. Rows and
    augmented events are read or made when they are indexed."""

    y: NDArray[Any]
    """Training label, shape (N,), float32: 1 or 0; of a data set with more processes, their
    number."""

    truth: NDArray[Any]
    """1 for signal events, 0 for background, shape (N,), int8. Only for evaluation."""

    weight: NDArray[Any]
    """Event weight in the loss, shape (N,), float32, dimensionless."""

    origin: NDArray[Any] | None = None
    """Number of the hard event of each, shape (N,), where some are showers of the same."""

    def __post_init__(self) -> None:
        for name, dtype in (("x", "f4"), ("y", "f4"), ("truth", "i1"), ("weight", "f4")):
            value = getattr(self, name)
            if not isinstance(value, Rows | Augmented):
                object.__setattr__(self, name, np.asarray(value, dtype=dtype))
        n = len(self.x)
        if not (self.y.shape == self.truth.shape == self.weight.shape == (n,)):
            raise ValueError(
                f"expected y, truth and weight of shape ({n},), as x has {n} events; "
                f"got {self.y.shape}, {self.truth.shape} and {self.weight.shape}"
            )

    def __len__(self) -> int:
        return len(self.x)

    def subset(self, index: NDArray[Any] | slice) -> Dataset:
        """The events that `index` picks: integers or booleans, shape (n,), or a slice.

        Raises:
            TypeError: if the events are augmented: split first, then augment.
        """
        if isinstance(self.x, Augmented):
            raise TypeError("expected events to split before they are augmented")
        x = self.x.select(index) if isinstance(self.x, Rows) else self.x[index]
        origin = None if self.origin is None else self.origin[index]
        return Dataset(x, self.y[index], self.truth[index], self.weight[index], origin)

    def split(self, fraction: float, *, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
        """Split by event at random; the first part has round(fraction N) of the N events.

        Split before anything is fitted or augmented, so that no event is on both sides. Where some
        are showers of the same hard event, N counts hard events, and none of them is.

        Raises:
            ValueError: if `fraction` is not within [0, 1].
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f"expected a fraction within [0, 1]; got {fraction}")
        if self.origin is not None:
            hard, inverse = np.unique(self.origin, return_inverse=True)
            first = rng.permutation(len(hard))[: round(fraction * len(hard))]
            mine = np.isin(inverse, first)
            return self.subset(mine), self.subset(~mine)
        order = rng.permutation(len(self))
        n = round(fraction * len(self))
        return self.subset(order[:n]), self.subset(order[n:])

    def augmented(self, view: View, *, copies: int | None, seed: int) -> Dataset:
        """The events as augmented clouds: `copies` fixed ones beside each, or anew in each epoch.

        Args:
            view: what the network sees of a cloud.
            copies: copies of each event; None for one augmented event in place of each, another
                one in each epoch.
            seed: seed of the augmentation.
        """
        times = 1 if copies is None else copies + 1
        y, truth, weight = (np.tile(a, times) for a in (self.y, self.truth, self.weight))
        return Dataset(Augmented(self.x, view, copies, seed), y, truth, weight)

    def at_epoch(self, epoch: int) -> Dataset:
        """The events as they are in an epoch, counted from 0: another draw of the augmentation."""
        x = self.x.at_epoch(epoch) if isinstance(self.x, Augmented) else self.x
        return replace(self, x=x)
