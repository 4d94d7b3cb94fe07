"""What a strategy is given and what it returns."""

from __future__ import annotations

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
from ..prediction import apply
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


@dataclass(frozen=True)
class Fitted:
    """What was learnt from each data set."""

    score: Callable[[int, Any], Scores]
    """Scores, shape (N,), of events x, shape (N, *shape), by what was learnt from data set i."""

    histories: tuple[History | None, ...]
    """What happened in the training on each data set; None where there was none."""

    networks: tuple[nn.Module, ...] = ()
    """What was trained on each data set, where that is one network with one logit."""


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


class Embedding:
    """Embedded events of a frozen tower, each computed once however often it is asked for."""

    def __init__(self, network: nn.Module, settings: TrainingSettings) -> None:
        if not isinstance(network, Towered):
            raise ValueError(
                f"expected a network with tower and head; got {type(network).__name__}"
            )
        self.network, self.tower, self.settings = network, network.tower, settings
        self._known: dict[int, tuple[Any, Tensor]] = {}

    def of(self, x: Any) -> Tensor:
        """Embedded events x, shape (N, *E)."""
        table, index = self._place(x)
        return table[index]

    def joint(self, events: Sequence[Any]) -> tuple[Tensor, list[Tensor]]:
        """One table of embedded events, shape (M, *E), and the rows in it of each of the events."""
        places = [self._place(x) for x in events]
        tables = list({id(table): table for table, _ in places}.values())
        starts = np.cumsum([0, *map(len, tables)])
        start = {id(table): int(s) for table, s in zip(tables, starts[:-1], strict=True)}
        whole = tables[0] if len(tables) == 1 else torch.cat(tables)
        return whole, [index + start[id(table)] for table, index in places]

    def _place(self, x: Any) -> tuple[Tensor, Tensor]:
        array, index = (x.array, x.index) if isinstance(x, Rows) else (x, np.arange(len(x)))
        if id(array) not in self._known:
            e = apply(self.tower, self.network, array, precision=self.settings.precision)
            half = uses_bfloat16(self.settings.precision)
            self._known[id(array)] = array, e.to(torch.bfloat16) if half else e
        return self._known[id(array)][1], torch.as_tensor(index)
