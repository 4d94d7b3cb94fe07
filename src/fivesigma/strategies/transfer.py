r"""Transfer learning: what other signals have in common, learnt with labels, helps without them.

A network $f \circ e$ of tower and head is trained to tell other signals from background, with
labels. The tower $e$ is then frozen, and a head is trained on the target by CWoLa,

$$ \theta^* = \arg \min_\theta \sum_i w_i \, \ell \big( f_\theta(e(x_i)), y_i \big)
   + \lambda \, |\theta - \theta_0|^2 . $$

The papers draw a new head ($\lambda = 0$). Better starts are values of the same strategy: the head
that was pretrained (`head = "source"`), held near its start by `anchor` ($\lambda > 0$) of the
training settings, or first a new last layer alone and then the whole head
(`schedule = "probe first"`). In the papers the norm at the input is trained as well; here it
belongs to the tower, so that a tower is evaluated once for all data sets.

References:
    Improving the performance of weak supervision searches using transfer and meta-learning
    (Beauchesne, Chen, Chiang, 2023) https://arxiv.org/abs/2312.06152

    Fine-tuning can distort pretrained features and underperform out-of-distribution
    (Kumar, Raghunathan, Jones, Ma, Liang, 2022) https://arxiv.org/abs/2202.10054

    Explicit inductive bias for transfer learning with convolutional networks
    (Li, Grandvalet, Davoine, 2018) https://arxiv.org/abs/1802.01483
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .base import CHUNK, Embedding, Fitted, Learner, Source, Start, Together
from .metatransfer import MetaSettings
from ..datasets import Dataset
from ..heads import Chosen, fit_heads
from ..losses import CrossEntropy
from ..networks import Towered
from ..networks.cnn import draw
from ..prediction import predict, slices
from ..schedule import History
from ..training import checked

__all__ = ["MetaTransfer", "Transfer", "ZeroShot", "pretrained"]

TOGETHER = 16
"""Heads in one batch: more of them gain nothing, and need memory."""


@dataclass(frozen=True)
class Transfer:
    """Keep the tower of a pretrained network, and train its head on the target.

    Raises:
        ValueError: if a value is not known.
    """

    source: ClassVar[Source] = "signal"
    together: ClassVar[Together] = "all"

    head: Literal["new", "source"] = "new"
    """Where the head starts: drawn anew, as in the papers, or as it was pretrained."""

    schedule: Literal["whole", "probe first"] = "whole"
    """Whether the whole head is trained, or first a new last layer and then the whole."""

    def __post_init__(self) -> None:
        if self.head not in ("new", "source"):
            raise ValueError(f"expected head 'new' or 'source'; got {self.head!r}")
        if self.schedule not in ("whole", "probe first"):
            raise ValueError(f"expected schedule 'whole' or 'probe first'; got {self.schedule!r}")

    def __call__(self, start: Start, targets: Sequence[Dataset], learner: Learner) -> Fitted:
        """See `Strategy`; `start` gives the pretrained network, whatever the seed."""
        network = pretrained(start)
        embedding = Embedding(network, learner.settings)
        table, rows = embedding.joint([target.x for target in targets])
        if not _finite(table, np.unique(torch.cat(rows).numpy())):
            raise ValueError("expected finite events to train on; got NaN or infinity")
        fitted: list[tuple[nn.Module, History]] = []
        for i in range(0, len(targets), TOGETHER):
            seeds = learner.seeds[i : i + TOGETHER]
            heads = [
                copy.deepcopy(network.head) if self.head == "source" else network.new_head(seed)
                for seed in seeds
            ]
            data = [
                _split(target, row, learner, seed=seed)
                for target, row, seed in zip(
                    targets[i : i + TOGETHER], rows[i : i + TOGETHER], seeds, strict=True
                )
            ]
            fitted += self._fit(heads, table, data, learner, seeds)
        trained, histories = zip(*fitted, strict=True)
        precision = learner.settings.precision
        score = lambda i, x: predict(trained[i], embedding.of(x), precision=precision)  # noqa: E731
        return Fitted(score, histories)

    def _fit(
        self,
        heads: Sequence[nn.Module],
        table: Tensor,
        data: Sequence[tuple[Chosen, Chosen]],
        learner: Learner,
        seeds: Sequence[int],
    ) -> list[tuple[nn.Module, History]]:
        train, validation = zip(*data, strict=True)
        fit = partial(
            fit_heads,
            embedding=table,
            train=train,
            validation=validation,
            loss=CrossEntropy(),
            settings=learner.settings,
            seeds=seeds,
        )
        if self.schedule == "probe first":
            for head, seed in zip(heads, seeds, strict=True):
                _only_a_new_last_layer(head, seed)
            heads = [head.requires_grad_() for head, _ in fit(heads)]
        return fit(heads, progress=learner.progress)


@dataclass(frozen=True)
class MetaTransfer(Transfer):
    """Transfer of a network whose tower was scaled and shifted to make many tasks easy to learn.

    Raises:
        ValueError: if a value is not known.
    """

    meta: MetaSettings = field(default_factory=MetaSettings)
    """How; a mapping of its fields will do."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.meta, Mapping):
            object.__setattr__(self, "meta", MetaSettings(**self.meta))
        if not isinstance(self.meta, MetaSettings):
            raise ValueError(f"expected meta, a mapping of settings; got {self.meta!r}")


@dataclass(frozen=True)
class ZeroShot:
    """The pretrained network as it is: what every fine-tuning has to beat."""

    source: ClassVar[Source] = "signal"
    together: ClassVar[Together] = "all"

    def __call__(self, start: Start, targets: Sequence[Dataset], learner: Learner) -> Fitted:
        """See `Strategy`; the targets are not looked at."""
        network, precision = pretrained(start), learner.settings.precision
        embedding = Embedding(network, learner.settings)
        score = lambda _, x: predict(network.head, embedding.of(x), precision=precision)  # noqa: E731
        return Fitted(score, (None,) * len(targets))


def pretrained(start: Start) -> Any:
    """The pretrained network, which is the same for all seeds.

    Raises:
        ValueError: if it is not one of tower and head.
    """
    network = start(0)
    if not isinstance(network, Towered):
        raise ValueError(f"expected a network of tower and head; got {type(network).__name__}")
    return network


def _split(target: Dataset, row: Tensor, learner: Learner, *, seed: int) -> tuple[Chosen, Chosen]:
    """Events to train on and to validate on: the split of `Direct` with the same seed."""
    numbered = replace(target, x=np.arange(len(target), dtype=np.float32))
    rng = np.random.default_rng(seed)
    parts = numbered.split(1 - learner.settings.validation_fraction, rng=rng)
    chosen = []
    for part, name in zip(parts, ("to train on", "to validate on"), strict=True):
        events = checked(part, at_least=2, name=name)
        y, weight = torch.from_numpy(events.y), torch.from_numpy(events.weight)
        chosen.append(Chosen(row[np.asarray(events.x, dtype=np.intp)], y, weight))
    train, validation = chosen
    return train, validation


def _finite(table: Tensor, rows: NDArray[np.intp]) -> bool:
    parts = (torch.from_numpy(rows[i]) for i in slices(len(rows), CHUNK))
    return all(table[part].isfinite().all() for part in parts)


def _only_a_new_last_layer(head: nn.Module, seed: int) -> None:
    *_, last = (layer for layer in head.modules() if isinstance(layer, nn.Linear))
    head.requires_grad_(requires_grad=False)
    last.requires_grad_()
    draw(last, torch.Generator().manual_seed(seed))
