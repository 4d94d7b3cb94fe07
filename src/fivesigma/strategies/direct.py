r"""Direct training: minimise the cross entropy of the target's labels.

$$ \theta^* = \arg \min_\theta - \sum_i w_i
   \left[ y_i \log \sigma(z_\theta(x_i)) + (1 - y_i) \log \sigma(-z_\theta(x_i)) \right] . $$

With the labels of `pure` samples this is supervised training, with those of `mix` it is CWoLa.

References:
    Classification without labels: learning from mixed samples in high energy physics
    (Metodiev, Nachman, Thaler, 2017) https://arxiv.org/abs/1708.02949
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from ..datasets import Dataset
from ..losses import CrossEntropy
from ..training import History, Progress, TrainingSettings, fit, silent

__all__ = ["direct"]


def direct(
    network: nn.Module,
    target: Dataset,
    sources: Sequence[Dataset] = (),
    *,
    settings: TrainingSettings,
    seed: int,
    progress: Progress = silent,
) -> tuple[nn.Module, History]:
    """Train a copy of a network on the target alone.

    The target is split by event: a fraction `settings.validation_fraction` is held out to decide
    when to stop.

    Args:
        network: maps events, shape (n, *shape), to logits, shape (n,).
        target: labelled events, x of shape (N, *shape).
        sources: not used.
        settings: how to train.
        seed: seed of the split and of the training.
        progress: called after each epoch, see `fit`.

    Returns:
        The network with the weights of the lowest validation loss; the history.

    Raises:
        ValueError: if there are too few events, or events or weights that are not finite.
        FloatingPointError: if the loss of an epoch is not finite.
    """
    rng = np.random.default_rng(seed)
    train, validation = target.split(1 - settings.validation_fraction, rng=rng)
    return fit(
        network,
        train,
        validation,
        loss=CrossEntropy(),
        settings=settings,
        seed=seed,
        progress=progress,
    )
