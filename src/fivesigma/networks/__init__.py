"""Shelf of networks: one file for each, and a line here.

A network maps events, shape (N, *shape), to logits, shape (N,), float32: a tower embeds them, and a
head makes the logits. A constructor takes the shape of an event and, by keyword, the seed of the
initial weights and the number of outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from .cloud import CloudNet
from .cnn import CNN
from .ensemble import Ensemble
from .jetwise import Jetwise
from .mixed import MixedNet
from .mlp import MLP

__all__ = ["NETWORKS", "Ensemble", "Sliceable", "Towered"]


@runtime_checkable
class Towered(Protocol):
    """A network of two parts, of which the first can be kept and the second replaced."""

    head: nn.Module
    """Maps embedded events, shape (N, *E), to logits, shape (N,) or (N, outputs)."""

    def tower(self, x: Tensor) -> Tensor:
        """Embedded events, shape (N, *E), of events, shape (N, *shape)."""
        ...

    def new_head(self, seed: int) -> nn.Module:
        """A head for the same tower, with weights of its own."""
        ...


@runtime_checkable
class Sliceable(Protocol):
    """A network that couples the events of a batch only in `standardise`, or within a slice."""

    @property
    def slice_size(self) -> int:
        """Number of events that are best computed together: all, where layers couple them."""
        ...

    def standardise(self, x: Tensor) -> Tensor:
        """Standardised events of a whole batch, shape (N, *shape), without parameters."""
        ...

    def logits(self, z: Tensor) -> Tensor:
        """Logits of standardised events, shape (N,), each for itself but within a slice."""
        ...


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "cloud": CloudNet,
    "cnn": CNN,
    "jetwise": Jetwise,
    "mixed": MixedNet,
    "mlp": MLP,
}
