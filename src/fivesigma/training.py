r"""The one loop: Adam on shuffled batches, stopped by the loss on held-out events.

For the batches $b$ of an epoch, shuffled anew in each,

$$ \theta \leftarrow \text{Adam} \left( \theta, \nabla_\theta L_b \right) , \qquad
   L_b = \sum_{s \subset b} \frac{\sum_{i \in s} w_i}{\sum_{i \in b} w_i} \, L_s , $$

until the validation loss has not fallen for `patience` epochs; the weights of its lowest value are
returned. A batch may go through the network in slices $s$: the sum of their gradients is the
gradient of the batch, and arrays that stay in the cache are faster by more than half. Networks
that allow it say so by being `Sliceable`.

On a processor with bfloat16 arithmetic matrix products and convolutions are done in it. Weights,
their gradients and sums over batches, the norm at the input and the loss are float32 everywhere.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .datasets import Dataset
from .losses import Loss

__all__ = ["History", "Progress", "Sliceable", "TrainingSettings", "fit", "predict"]

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
Progress: TypeAlias = Callable[[int, int, float, float], None]
Batch: TypeAlias = tuple[Tensor, Tensor, Tensor]


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


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; the defaults are those of the papers.

    Raises:
        ValueError: if a value is out of range.
    """

    learning_rate: float = 1e-4
    """Step size of Adam, dimensionless."""

    batch_size: int = 512
    """Largest number of events in a step; the batches of an epoch are of equal size."""

    max_epochs: int = 500
    """Largest number of epochs."""

    patience: int = 10
    """Epochs without a lower validation loss after which training stops."""

    min_delta: float = 0.0
    """The fall of the validation loss that counts as lower [nat]."""

    validation_fraction: float = 0.2
    """Fraction of events that are held out from training, where a strategy splits."""

    precision: Precision = "auto"
    """Arithmetic of matrix products; "auto" is bfloat16 where the processor has it."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_epochs", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1; got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"expected a positive learning_rate; got {self.learning_rate}")
        if not self.min_delta >= 0:
            raise ValueError(f"expected min_delta of at least 0; got {self.min_delta}")
        if not 0 < self.validation_fraction < 1:
            raise ValueError(
                f"expected validation_fraction within (0, 1); got {self.validation_fraction}"
            )
        _resolve(self.precision)


@dataclass(frozen=True)
class History:
    """What happened in a training."""

    train_loss: tuple[float, ...]
    """Loss of each epoch, averaged over its steps [nat]."""

    validation_loss: tuple[float, ...]
    """Loss of the held-out events after each epoch [nat]."""

    best_epoch: int
    """Index of the lowest validation loss, whose weights were returned."""

    seconds: tuple[float, ...]
    """Time of each epoch with its validation [s]."""

    precision: Literal["float32", "bfloat16"]
    """Arithmetic that was used."""

    collapsed: bool
    """Whether all held-out events have the same score: the network has learnt nothing."""


def silent(epoch: int, max_epochs: int, train_loss: float, validation_loss: float) -> None:
    """Progress that reports nothing."""


def fit(
    network: nn.Module,
    train: Dataset,
    *,
    validation: Dataset,
    loss: Loss,
    settings: TrainingSettings,
    seed: int,
    progress: Progress = silent,
) -> tuple[nn.Module, History]:
    """Train a copy of a network; the given one is left as it is.
    """
