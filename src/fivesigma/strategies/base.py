"""What a strategy is given and what it returns."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..augmentations import Augmented, View
from ..datasets import Dataset
from ..networks import Towered
from ..prediction import apply, slices
from ..rows import Rows
from ..schedule import History, TrainingSettings, uses_bfloat16
from ..training import Progress, silent

__all__ = [
    "Augmentation",
    "Embedding",
    "Fitted",
    "Learner",
    "Source",
    "Start",
    "Strategy",
    "Together",
]

Scores: TypeAlias = NDArray[np.float32]
Source: TypeAlias = Literal["none", "signal", "process"]
Together: TypeAlias = Literal["one", "all"]
Start: TypeAlias = Callable[[int], nn.Module]
"""The network to start from, for a seed: freshly drawn from it, or one that has learnt something
from other samples and is the same for all."""


CHUNK = 4096
"""Events that are embedded before the next are read."""
LARGEST = 2 << 30
"""Bytes of embedded events that are kept in memory; a larger table lies in a temporary file."""


@dataclass(frozen=True)
class Fitted:
    """What was learnt from each data set."""

    score: Callable[[int, Any], Scores]
    """Scores, shape (N,), of events x, shape (N, *shape), by what was learnt from data set i."""

    histories: tuple[History | None, ...]
    """What happened in the training on each data set; None where there was none."""

    networks: tuple[nn.Module, ...] = ()
    """What was trained on each data set, where that is one network with one logit."""

    shares: tuple[NDArray[np.float64], ...] = ()
    """What the signal in each data set is made of, where that is fitted: shares of the signals that
    the pretrained network knows, shape (K,), of sum 1."""


@dataclass(frozen=True)
class Augmentation:
    """What becomes of the events to train on, once they are split from those held out."""

    view: View
    """What the network sees of a cloud, and the maps before."""

    copies: int | None
    """Fixed copies beside each event; None for another augmented event in its place each epoch."""

    def of_training(self, data: Dataset, *, seed: int) -> Dataset:
        """Augmented events."""
        return data.augmented(self.view, copies=self.copies, seed=seed)

    def of_others(self, data: Dataset) -> Dataset:
        """Events as they are."""
        return data.augmented(self.view, copies=0, seed=0)

    def seen(self, x: Any) -> Augmented:
        """Events x, shape (N, 2, P, 3), as the network sees them."""
        return Augmented(x, self.view, 0, 0)


@dataclass(frozen=True)
class Learner:
    """How to learn, the same for all strategies."""

    settings: TrainingSettings
    """How to train."""

    seeds: tuple[int, ...]
    """One for each data set: of its split, of new weights and of the order of its events."""

    progress: Progress = silent
    """Told of each epoch."""

    augmentation: Augmentation | None = None
    """How events are augmented that are given as unaligned clouds; None if they are given as the
    network sees them."""

    control: Tensor | None = None
    """Logits that the pretrained network gives simulated background events of the signal region it
    did not learn from, shape (M, classes); None if there is no such network, or it has no such
    events."""


class Strategy(Protocol):
    """A way to learn from data sets labelled by region, or by truth.

    Its fields are what a study may set.
    """

    source: ClassVar[Source]
    """What the network must have learnt before: nothing, signal against background of other
    samples, or to tell the processes of other samples apart."""

    together: ClassVar[Together]
    """Whether it is given the data sets of a grid one by one, or all, since it is faster so."""

    def __call__(self, start: Start, targets: Sequence[Dataset], learner: Learner) -> Fitted:
        """Learn from each of the data sets, which may share events.

        Raises:
            ValueError: if there are too few events, or events or weights that are not finite.
            FloatingPointError: if the loss of an epoch is not finite.
        """
        ...


@dataclass(frozen=True)
class Embedded:
    """Some embedded events; they are copied when they are indexed."""

    table: Tensor
    """To choose from, shape (M, *E)."""

    index: Tensor
    """The chosen rows, shape (N,), int64."""

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: Any) -> Tensor:
        return self.table[self.index[key]]


class Embedding:
    """Embedded events of a frozen tower, each computed once, when it is first asked for."""

    def __init__(self, network: nn.Module, settings: TrainingSettings) -> None:
        if not isinstance(network, Towered):
            raise ValueError(
                f"expected a network with tower and head; got {type(network).__name__}"
            )
        self.network, self.tower, self.settings = network, network.tower, settings
        self._known: dict[int, _Table] = {}

    def of(self, x: Any) -> Embedded:
        """Embedded events x, N of shape (*E)."""
        array, index = (x.array, x.index) if isinstance(x, Rows) else (x, np.arange(len(x)))
        table = self._known.setdefault(id(array), _Table(array))
        return Embedded(table.filled(index, self._embed), torch.as_tensor(index))

    def joint(self, events: Sequence[Any]) -> tuple[Tensor, list[Tensor]]:
        """One table of embedded events, shape (M, *E), and the rows in it of each of the events."""
        found = [self.of(x) for x in events]
        if len({id(one.table) for one in found}) == 1:
            return found[0].table, [one.index for one in found]
        sizes = [len(one) for one in found]
        rows = torch.split(torch.arange(sum(sizes)), sizes)
        return torch.cat([one[:] for one in found]), list(rows)

    def _embed(self, x: Any) -> Tensor:
        e = apply(self.tower, self.network, x, precision=self.settings.precision)
        return e.to(torch.bfloat16) if uses_bfloat16(self.settings.precision) else e


class _Table:
    """Embedded events of an array; those not asked for take no memory."""

    def __init__(self, array: Any) -> None:
        self.array, self.known = array, np.zeros(array.shape[0], bool)
        self.events: Tensor | None = None

    def filled(self, index: NDArray[np.intp], embed: Callable[[Any], Tensor]) -> Tensor:
        """The table, shape (M, *E), with the rows of the index in it."""
        missing = np.unique(index[~self.known[index]])
        if self.events is not None and not len(missing):
            return self.events
        for i in slices(len(missing), CHUNK):
            e = embed(self.array[missing[i]])
            if self.events is None:
                self.events = _unwritten((len(self.known), *e.shape[1:]), e.dtype)
            self.events[torch.from_numpy(missing[i])] = e
            self.known[missing[i]] = True
        assert self.events is not None
        return self.events


def _unwritten(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A tensor of which pages that are not written take no memory, or else a file of its size."""
    n = math.prod(shape)
    if n * dtype.itemsize <= LARGEST:
        return torch.empty(shape, dtype=dtype)
    with tempfile.NamedTemporaryFile() as file:
        os.posix_fallocate(file.fileno(), 0, n * dtype.itemsize)  # a full disk is told of here
        return torch.from_file(file.name, shared=True, size=n, dtype=dtype).view(shape)
