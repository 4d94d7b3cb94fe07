"""Shelf of networks: one file for each, and a line here.

A network maps events, shape (N, *shape), to logits, shape (N,), float32. A constructor takes the
shape of an event and, by keyword, the seed of the initial weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from .cnn import CNN

__all__ = ["NETWORKS", "Sliceable"]


@runtime_checkable
class Sliceable(Protocol):
    """A network that couples the events of a batch only in `standardise`."""

    slice_size: int
    """Number of events that are best computed together."""

    def standardise(self, x: Tensor) -> Tensor:
        """Standardised events of a whole batch, shape (N, *shape), without parameters."""
        ...

    def logits(self, z: Tensor) -> Tensor:
        """Logits of standardised events, each for itself, shape (N,)."""
        ...


NETWORKS: dict[str, Callable[..., nn.Module]] = {"cnn": CNN}
