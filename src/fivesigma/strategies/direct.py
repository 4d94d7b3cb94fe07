r"""Direct training: minimise a loss of the target's labels.

By default it is the cross entropy,

$$ \theta^* = \arg \min_\theta - \sum_i w_i
   \left[ y_i \log \sigma(z_\theta(x_i)) + (1 - y_i) \log \sigma(-z_\theta(x_i)) \right] . $$

With the labels of `pure` samples this is supervised training, with those of `mix` it is CWoLa.

References:
    Classification without labels: learning from mixed samples in high energy physics
    (Metodiev, Nachman, Thaler, 2017) https://arxiv.org/abs/1708.02949
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from torch import nn

from .base import Fitted, Learner, Source, Start, Together
from ..datasets import Dataset
from ..losses import CrossEntropy, Loss
from ..networks import Ensemble
from ..prediction import predict
from ..schedule import History
from ..training import checked, fit

__all__ = ["Direct"]


@dataclass(frozen=True)
class Direct:
    """Train networks on each target alone.

    A target is split by event: a fraction `settings.validation_fraction` is held out to decide
    when to stop. Then the events to train on are augmented, if they are; those held out are not.
    Several members are several such trainings, of which the first is that of one alone; their
    history is that of the first, and they count as collapsed if one of them has.

    Raises:
        ValueError: if a value is out of range.
    """

    source: ClassVar[Source] = "none"
    together: ClassVar[Together] = "one"

    loss: Loss = field(default_factory=CrossEntropy)
    """Of logits, labels and weights."""

    members: int = 1
    """Networks whose scores are averaged, each with other initial weights and another split."""

    def __post_init__(self) -> None:
        if not callable(self.loss):
            raise ValueError(f"expected loss to be a loss; got {self.loss!r}")
        if isinstance(self.members, bool) or not isinstance(self.members, int) or self.members < 1:
            raise ValueError(f"expected a number of members of at least 1; got {self.members!r}")

    def __call__(self, start: Start, targets: Sequence[Dataset], learner: Learner) -> Fitted:
        """See `Strategy`."""
        fitted = [
            self._fit(start, target, learner, seed)
            for target, seed in zip(targets, learner.seeds, strict=True)
        ]
        networks, histories = zip(*fitted, strict=True)
        seen = learner.augmentation.seen if learner.augmentation else lambda x: x
        precision = learner.settings.precision
        score = lambda i, x: predict(networks[i], seen(x), precision=precision)  # noqa: E731
        return Fitted(score, histories, networks)

    def _fit(
        self, start: Start, target: Dataset, learner: Learner, seed: int
    ) -> tuple[nn.Module, History]:
        others = np.random.SeedSequence(seed).generate_state(self.members - 1)
        fitted = [
            _fit(start(s), target, learner, loss=self.loss, seed=s)
            for s in (seed, *map(int, others))
        ]
        networks, histories = zip(*fitted, strict=True)
        if self.members == 1:
            return fitted[0]
        collapsed = any(history.collapsed for history in histories)
        return Ensemble(networks).eval(), replace(histories[0], collapsed=collapsed)


def _fit(
    network: nn.Module, target: Dataset, learner: Learner, *, loss: Loss, seed: int
) -> tuple[nn.Module, History]:
    rng = np.random.default_rng(seed)
    train, validation = target.split(1 - learner.settings.validation_fraction, rng=rng)
    if augmentation := learner.augmentation:
        train = augmentation.of_training(checked(train, at_least=2, name="to train on"), seed=seed)
        held_out = checked(validation, at_least=1, name="to validate on")
        validation = augmentation.of_others(held_out)
    return fit(
        network,
        train,
        validation,
        loss=loss,
        settings=learner.settings,
        seed=seed,
        progress=learner.progress,
    )
