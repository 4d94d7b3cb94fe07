r"""The one loop: Adam on shuffled batches, stopped by the loss on held-out events.

For the batches $b$ of an epoch, shuffled anew in each,

$$ \theta \leftarrow \text{Adam} \left( \theta, \nabla_\theta L_b \right) , \qquad
   L_b = \sum_{s \subset b} \frac{\sum_{i \in s} w_i}{\sum_{i \in b} w_i} \, L_s , $$

until the validation loss has not fallen for `patience` epochs; the weights of its lowest value are
returned. A batch may go through the network in slices $s$: the sum of their gradients is the
gradient of the batch, and arrays that stay in the cache are faster by more than half. Networks
that allow it say so by being `Sliceable`.

On a processor with bfloat16 arithmetic matrix products and convolutions are done in it. Weights,
sums over slices, the norm at the input and the loss are float32 everywhere.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .datasets import Dataset
from .losses import Loss
from .networks import Sliceable

__all__ = ["History", "Progress", "TrainingSettings", "fit", "predict", "silent", "step"]

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
Progress: TypeAlias = Callable[[int, int, float, float], None]
Batch: TypeAlias = tuple[Tensor, Tensor, Tensor]

SLICE_SIZE = 1024


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
        expectations = {
            "learning_rate": ("positive", 0 < self.learning_rate < math.inf),
            "batch_size": ("at least 1", self.batch_size >= 1),
            "max_epochs": ("at least 1", self.max_epochs >= 1),
            "patience": ("at least 1", self.patience >= 1),
            "min_delta": ("at least 0", self.min_delta >= 0),
            "validation_fraction": ("within (0, 1)", 0 < self.validation_fraction < 1),
            "precision": (f"one of {get_args(Precision)}", self.precision in get_args(Precision)),
        }
        for name, (expected, fulfilled) in expectations.items():
            if not fulfilled:
                raise ValueError(f"expected {name} {expected}; got {getattr(self, name)!r}")


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
    """Whether all held-out events have one logit within 1e-4: the network has learnt nothing."""


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

    Events of weight zero are removed before anything is computed. The result is the same for the
    same seed on one machine with one number of threads.

    Args:
        network: maps events, shape (n, *shape), to logits, shape (n,).
        train: events to train on, x of shape (N, *shape).
        validation: events that decide when to stop; only their labels y are looked at.
        loss: weighted mean over events of a function of logit and label.
        settings: how to train.
        seed: seed of the order of the events and of random layers.
        progress: called after each epoch with (epoch, max_epochs, training loss,
            validation loss), epochs counted from 1.

    Returns:
        The network with the weights of the lowest validation loss, in evaluation mode; the history.

    Raises:
        ValueError: if there are fewer than two events to train on or none to validate, if an event
            is not finite, or if a weight is negative or not finite.
        FloatingPointError: if the loss of an epoch is not finite.
    """
    train_events = _tensors(train, at_least=2, name="to train on")
    x, y, weight = _tensors(validation, at_least=1, name="to validate on")
    _raise_mmap_threshold()
    network = copy.deepcopy(network)
    weights = [theta for theta in network.parameters() if theta.requires_grad]
    optimizer = torch.optim.Adam(weights, lr=settings.learning_rate)
    trace = _Trace(settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        while not trace.stopped:
            start = time.perf_counter()
            L = [
                step(network, optimizer, batch, loss=loss, precision=settings.precision)
                for batch in _batches(train_events, settings.batch_size)
            ]
            z = _logits(network, x, precision=settings.precision)
            losses = sum(L) / len(L), loss(z, y, weight).item()
            trace.record(network, losses, seconds=time.perf_counter() - start)
            progress(len(trace.losses), settings.max_epochs, *losses)
    network.load_state_dict(trace.best)
    z = _logits(network, x, precision=settings.precision)
    return network.eval(), _history(trace, collapsed=bool(z.max() - z.min() < 1e-4))


def predict(
    network: nn.Module, x: NDArray[np.float32], *, precision: Precision = "auto"
) -> NDArray[np.float32]:
    """Scores sigmoid(logit) of events x, shape (N, *shape), each by itself.

    Returns:
        Shape (N,), float32, within [0, 1].
    """
    _raise_mmap_threshold()
    z = _logits(network, _tensor(x), precision=precision)
    return np.asarray(torch.sigmoid(z).numpy(), dtype=np.float32)


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
    for x_s, y_s, w_s in zip(*(torch.split(a, n) for a in (x, y, weight)), strict=True):
        with _autocast(precision):
            z_s = logits(x_s)
        L_s = w_s.sum() / weight.sum() * loss(z_s.float(), y_s, w_s)
        L_s.backward()
        L += L_s.item()
    optimizer.step()
    return L


def _logits(network: nn.Module, x: Tensor, *, precision: Precision) -> Tensor:
    n = network.slice_size if isinstance(network, Sliceable) else SLICE_SIZE
    was_training = network.training
    network.eval()
    with torch.inference_mode(), _autocast(precision):
        z = [network(x[i : i + n]).float() for i in range(0, len(x), n)]
    network.train(was_training)
    return torch.cat([torch.empty(0), *z])


def _batches(events: Batch, batch_size: int) -> Iterator[Batch]:
    n = len(events[0])
    for index in torch.randperm(n).tensor_split(math.ceil(n / batch_size)):
        x, y, weight = (a[index] for a in events)
        yield x, y, weight


def _history(trace: _Trace, *, collapsed: bool) -> History:
    train_loss, validation_loss = zip(*trace.losses, strict=True)
    return History(
        train_loss=train_loss,
        validation_loss=validation_loss,
        best_epoch=trace.best_epoch,
        seconds=tuple(trace.seconds),
        precision="bfloat16" if _uses_bfloat16(trace.settings.precision) else "float32",
        collapsed=collapsed,
    )


def _tensors(data: Dataset, *, at_least: int, name: str) -> Batch:
    x, y, weight = map(_tensor, (data.x, data.y, data.weight))
    if not (weight >= 0).all():
        raise ValueError(f"expected weights of at least 0 {name}; got {weight.min().item()}")
    if not all(a.isfinite().all() for a in (x, y, weight)):
        raise ValueError(f"expected finite events and weights {name}; got NaN or infinity")
    if not weight.all():
        x, y, weight = (a[weight > 0] for a in (x, y, weight))
    if len(x) < at_least:
        raise ValueError(f"expected at least {at_least} events {name}; got {len(x)}")
    return x, y, weight


def _tensor(a: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.require(a, np.float32, ["C", "W"]))


class _Trace:
    """Losses so far, the best weights, and whether to stop."""

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings
        self.losses: list[tuple[float, float]] = []
        self.seconds: list[float] = []
        self.best_epoch = 0
        self.best: dict[str, Tensor] = {}

    @property
    def stopped(self) -> bool:
        epoch, settings = len(self.losses), self.settings
        return epoch >= settings.max_epochs or epoch - self.best_epoch > settings.patience

    def record(self, network: nn.Module, losses: tuple[float, float], *, seconds: float) -> None:
        epoch = len(self.losses)
        if not all(map(math.isfinite, losses)):
            raise FloatingPointError(
                f"expected finite losses; got {losses} (training, validation) in epoch "
                f"{epoch + 1} with learning rate {self.settings.learning_rate:g}"
            )
        if not epoch or losses[1] < self.losses[self.best_epoch][1] - self.settings.min_delta:
            self.best_epoch = epoch
            self.best = {name: value.clone() for name, value in network.state_dict().items()}
        self.losses.append(losses)
        self.seconds.append(seconds)


def _uses_bfloat16(precision: Precision) -> bool:
    has_bfloat16 = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return precision == "bfloat16" or (precision == "auto" and has_bfloat16)


def _autocast(precision: Precision) -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=_uses_bfloat16(precision))


def _raise_mmap_threshold() -> None:
    # glibc returns each larger block to the kernel when it is freed, and getting it back costs as
    # much as the arithmetic, until a block just below 32 MB, its highest threshold, was freed once.
    torch.empty(31 << 20, dtype=torch.uint8)
