r"""The one loop: Adam on shuffled batches, stopped by what it does on held-out events.

For the batches $b$ of an epoch, shuffled anew in each,

$$ \theta \leftarrow \text{Adam} \left( \theta, \nabla_\theta L_b \right) , \qquad
   L_b = \sum_{s \subset b} \frac{\sum_{i \in s} w_i}{\sum_{i \in b} w_i} \, L_s
         + \lambda \, |\theta - \theta_0|^2 , $$

until the validation loss has not fallen for `patience` epochs; the weights of its lowest value are
returned, or those of the largest measure (see `schedule`). A batch may go through the network in
slices $s$: the sum of their gradients is the gradient of the batch, and arrays that stay in the
cache are faster by more than half. Networks that allow it say so by being `Sliceable`; a
`Batchwise` loss is of the logits of all slices.

With a `weight_decay` $w$ the weights also shrink, by $\eta w \theta$ a step at the learning rate
$\eta$: beside the loss, whose gradient Adam would rescale.

On a processor with bfloat16 arithmetic matrix products and convolutions are done in it. Weights,
sums over slices, the norm at the input and the loss are float32 everywhere.

References:
    Decoupled Weight Decay Regularization (Loshchilov, Hutter, 2017)
    https://arxiv.org/abs/1711.05101
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from .augmentations import Augmented
from .datasets import Dataset
from .losses import Batchwise, Loss
from .networks import Sliceable
from .prediction import (
    SLICE_SIZE,
    autocast,
    logits,
    predict,
    raise_mmap_threshold,
    slices,
    tensor,
)
from .schedule import History, Precision, Trace, TrainingSettings

__all__ = [
    "Course",
    "History",
    "Progress",
    "TrainingSettings",
    "fit",
    "loop",
    "optimiser",
    "predict",
    "silent",
    "step",
]

Progress: TypeAlias = Callable[[int, int, float, float], None]
Batch: TypeAlias = tuple[Tensor, Tensor, Tensor]


class Course(Protocol):
    """What the loop trains: one network, or many at once."""

    @property
    def network(self) -> nn.Module:
        """Maps the events of a batch to logits."""
        ...

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Of its weights."""
        ...

    @property
    def loss(self) -> Loss:
        """Of logits, labels and weights."""
        ...

    @property
    def settings(self) -> TrainingSettings:
        """How to train."""
        ...

    @property
    def stopped(self) -> bool:
        """Whether there is nothing left to train."""
        ...

    def batches(self) -> Iterable[Batch]:
        """The shuffled batches (x, y, weight) of the next epoch."""
        ...

    def record(self, L: list[float], *, start: float) -> tuple[int, float, float]:
        """Validate after an epoch with the batch losses L that began at `start` [s].

        Returns:
            (epoch counted from 1, training loss, validation loss).
        """
        ...


def loop(course: Course, *, progress: Progress) -> None:
    """Train until the course stops."""
    while not course.stopped:
        start = time.perf_counter()
        precision = course.settings.precision
        L = [
            step(course.network, course.optimizer, batch, loss=course.loss, precision=precision)
            for batch in course.batches()
        ]
        epoch, *losses = course.record(L, start=start)
        progress(epoch, course.settings.max_epochs, *losses)


def step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    *,
    loss: Loss,
    precision: Precision = "auto",
) -> float:
    """One step of the optimiser on a batch (x, y, weight); returns the loss of the batch."""
    network.train()
    optimizer.zero_grad()
    x, y, weight = batch
    logits: Callable[[Tensor], Tensor] = network
    n = len(x)
    if isinstance(network, Sliceable):
        x, n, logits = network.standardise(x), network.slice_size, network.logits
    L = 0.0
    if isinstance(loss, Batchwise):
        with autocast(precision):
            z = torch.cat([logits(x_s) for x_s in torch.split(x, n)])
        L_b = loss(z.float(), y, weight)
        torch.autograd.backward(L_b)
        L = L_b.item()
    else:
        for x_s, y_s, w_s in zip(*(torch.split(a, n) for a in (x, y, weight)), strict=True):
            with autocast(precision):
                z_s = logits(x_s)
            L_s = w_s.sum() / weight.sum() * loss(z_s.float(), y_s, w_s)
            L_s.backward()
            L += L_s.item()
    optimizer.step()
    return L


def silent(epoch: int, max_epochs: int, train_loss: float, validation_loss: float) -> None:
    """Progress that reports nothing."""


def fit(
    network: nn.Module,
    train: Dataset,
    validation: Dataset,
    *,
    loss: Loss,
    settings: TrainingSettings,
    seed: int,
    progress: Progress = silent,
) -> tuple[nn.Module, History]:
    """Train a copy of a network; the given one and torch's generator are left as they are.

    Events of weight zero are removed first. The result is the same for the same seed on one machine
    with one number of threads; two trainings at once belong in processes: a generator is shared.

    Args:
        network: maps events, shape (n, *shape), to logits, shape (n,) or (n, classes).
        train: events to train on, x of shape (N, *shape); augmented ones are drawn batch by batch.
        validation: events that decide when to stop; only their labels y are looked at.
        loss: weighted mean over events of a function of logit and label, or `Batchwise`.
        settings: how to train.
        seed: seed of the order of the events and of random layers.
        progress: called after each epoch with (epoch, max_epochs, training loss,
            validation loss), epochs counted from 1.

    Returns:
        The network with the weights of the best epoch, in evaluation mode; the history.

    Raises:
        ValueError: if there are fewer than two events to train on or none to validate, if an event
            is not finite, or if a weight is negative or not finite.
        FloatingPointError: if the loss of an epoch is not finite.
    """
    raise_mmap_threshold()
    course = _Single(copy.deepcopy(network), train, validation, loss=loss, settings=settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        loop(course, progress=progress)
    return course.best()


def optimiser(
    weights: Sequence[nn.Parameter], starts: Sequence[Tensor], settings: TrainingSettings
) -> torch.optim.Optimizer:
    """Adam of the weights theta, or AdamW, which also has them decay.

    Once a step the gradient of anchor |theta - theta_0|^2 is added to theirs.

    Args:
        weights: theta.
        starts: theta_0 of each.
        settings: how to train.
    """
    lr, decay = settings.learning_rate, settings.weight_decay
    adam: torch.optim.Optimizer = torch.optim.Adam(weights, lr=lr)
    if decay:
        adam = torch.optim.AdamW(weights, lr=lr, weight_decay=decay)

    def pull(*_: object) -> None:
        for theta, theta_0 in zip(weights, starts, strict=True):
            if theta.grad is not None:
                theta.grad.add_(theta.detach() - theta_0, alpha=2 * settings.anchor)

    if settings.anchor:
        adam.register_step_pre_hook(pull)
    return adam


class _Single:
    """One network on one data set."""

    def __init__(
        self,
        network: nn.Module,
        train: Dataset,
        validation: Dataset,
        *,
        loss: Loss,
        settings: TrainingSettings,
    ) -> None:
        self.network, self.loss, self.settings = network, loss, settings
        self.train = checked(train, at_least=2, name="to train on")
        held_out = checked(validation, at_least=1, name="to validate on")
        x = held_out.x  # read slice by slice in each epoch, but made once
        made = x[np.arange(len(x))] if isinstance(x, Augmented) else x
        self.held_out = made, tensor(held_out.y), tensor(held_out.weight)
        weights = [theta for theta in network.parameters() if theta.requires_grad]
        starts = [theta.detach().clone() for theta in weights]
        self.optimizer = optimiser(weights, starts, settings)
        self.trace = Trace(settings)

    @property
    def stopped(self) -> bool:
        return self.trace.stopped

    def batches(self) -> Iterator[Batch]:
        train = self.train.at_epoch(len(self.trace.losses))
        n = len(train)
        for index in torch.randperm(n).tensor_split(math.ceil(n / self.settings.batch_size)):
            i = index.numpy()
            yield tensor(train.x[i]), tensor(train.y[i]), tensor(train.weight[i])

    def record(self, L: list[float], *, start: float) -> tuple[int, float, float]:
        x, y, weight = self.held_out
        z = logits(self.network, x, precision=self.settings.precision)
        losses = sum(L) / len(L), self.loss(z, y, weight).item()
        seconds = time.perf_counter() - start
        self.trace.record(
            self.network.state_dict(), losses, seconds=seconds, held_out=(z, y, weight)
        )
        return len(self.trace.losses), *losses

    def best(self) -> tuple[nn.Module, History]:
        self.network.load_state_dict(self.trace.best)
        z = logits(self.network, self.held_out[0], precision=self.settings.precision)
        collapsed = bool((z.amax(dim=0) - z.amin(dim=0)).max() < 1e-4)
        return self.network.eval(), self.trace.history(collapsed=collapsed)


def checked(data: Dataset, *, at_least: int, name: str) -> Dataset:
    """The events of weight above zero.

    Raises:
        ValueError: if they are too few, or an event or weight is not finite or negative.
    """
    if not (data.weight >= 0).all():
        raise ValueError(f"expected weights of at least 0 {name}; got {data.weight.min()}")
    events = data.x.x if isinstance(data.x, Augmented) else data.x
    if not all(map(_finite, (events, data.y, data.weight))):
        raise ValueError(f"expected finite events and weights {name}; got NaN or infinity")
    if not data.weight.all():
        data = data.subset(data.weight > 0)
    if len(data) < at_least:
        raise ValueError(f"expected at least {at_least} events {name}; got {len(data)}")
    return data


def _finite(x: Any) -> bool:
    return all(np.isfinite(x[i]).all() for i in slices(len(x), SLICE_SIZE))
