r"""How long to train: settings, the losses of each epoch, and the weights of the best one.

Training stops after `patience` epochs without a validation loss lower than the lowest $L^*$ so far
by at least $\delta$,

$$ L_e < L^* - \delta \quad \Rightarrow \quad L^* = L_e , \qquad
   e - e^* > \text{patience} \quad \Rightarrow \quad \text{stop} , $$

and the weights of epoch $e^*$ are kept. Instead of $L_e$ it may be $-A_e$ that decides, the measure
of `argos`: the loss is an average over all events, most of which are background wherever one cuts,
while $A$ is of the events behind a cut, where a signal shows.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from .argos import largest

__all__ = [
    "BestBy",
    "HeldOut",
    "History",
    "Precision",
    "Trace",
    "TrainingSettings",
    "gains_from_bfloat16",
    "uses_bfloat16",
]

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
BestBy: TypeAlias = Literal["loss", "argos"]
HeldOut: TypeAlias = tuple[Tensor, Tensor, Tensor]


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
    """Epochs without a better one after which training stops."""

    min_delta: float = 0.0
    """The fall of the validation loss [nat], or the rise of the measure, that counts as better."""

    validation_fraction: float = 0.2
    """Fraction of events that are held out from training, where a strategy splits."""

    anchor: float = 0.0
    """Strength of an L2 pull towards the initial weights, which adds anchor |theta - theta_0|^2 to
    the loss [nat]; for a network that has learnt something before."""

    weight_decay: float = 0.0
    """Share of itself, times the learning rate, that each weight loses in a step beside that of
    Adam, dimensionless; with it Adam is AdamW."""

    precision: Precision = "auto"
    """Arithmetic of matrix products; "auto" is bfloat16 where the processor has it."""

    best_by: BestBy = "loss"
    """What is best of the held-out events: the lowest loss, or the largest measure `argos` of the
    events labelled 1 against the others, at fixed efficiencies of 0.2 to 0.001 of the others that
    leave at least 10 of them; 50 or more have to be held out."""

    def __post_init__(self) -> None:
        expectations = {
            "learning_rate": ("positive", 0 < self.learning_rate < math.inf),
            "batch_size": ("at least 1", self.batch_size >= 1),
            "max_epochs": ("at least 1", self.max_epochs >= 1),
            "patience": ("at least 1", self.patience >= 1),
            "min_delta": ("at least 0", self.min_delta >= 0),
            "validation_fraction": ("within (0, 1)", 0 < self.validation_fraction < 1),
            "anchor": ("at least 0 and finite", 0 <= self.anchor < math.inf),
            "weight_decay": ("at least 0 and finite", 0 <= self.weight_decay < math.inf),
            "precision": (f"one of {get_args(Precision)}", self.precision in get_args(Precision)),
            "best_by": (f"one of {get_args(BestBy)}", self.best_by in get_args(BestBy)),
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
    """Index of the best epoch, whose weights were returned."""

    seconds: tuple[float, ...]
    """Time of each epoch with its validation [s]."""

    precision: Literal["float32", "bfloat16"]
    """Arithmetic that was used."""

    collapsed: bool
    """Whether all held-out events have one logit within 1e-4: the network has learnt nothing."""

    argos: tuple[float, ...] = ()
    """The measure of the held-out events after each epoch, where it says which is best."""

    def summary(self) -> dict[str, Any]:
        """What a record says of the training, JSON types only; times in s, losses in nat."""
        return {
            "best_epoch": self.best_epoch,
            "epochs": len(self.train_loss),
            "seconds": sum(self.seconds),
            "precision": self.precision,
            "train_loss": list(self.train_loss),
            "validation_loss": list(self.validation_loss),
            **({"argos": list(self.argos)} if self.argos else {}),
        }


class Trace:
    """Losses so far, the best weights, and whether to stop."""

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings
        self.losses: list[tuple[float, float]] = []
        self.measures: list[float] = []
        self.seconds: list[float] = []
        self.best_epoch = 0
        self.best: dict[str, Tensor] = {}

    @property
    def stopped(self) -> bool:
        """Whether no epoch was better for long enough, or there were enough of them."""
        epoch, settings = len(self.losses), self.settings
        return epoch >= settings.max_epochs or epoch - self.best_epoch > settings.patience

    def record(
        self,
        weights: Mapping[str, Tensor],
        losses: tuple[float, float],
        *,
        seconds: float,
        held_out: HeldOut | None = None,
    ) -> None:
        """Add an epoch, and keep the weights if it is the best.

        Args:
            weights: of the network after it.
            losses: (training loss, validation loss) [nat].
            seconds: time that it took [s].
            held_out: logits, labels and weights of the held-out events, each of shape (N,); needed
                where the loss does not say which epoch is best.

        Raises:
            FloatingPointError: if a loss is not finite.
            ValueError: if there are too few held-out events for the measure.
        """
        epoch = len(self.losses)
        if not all(map(math.isfinite, losses)):
            raise FloatingPointError(
                f"expected finite losses; got {losses} (training, validation) in epoch "
                f"{epoch + 1} with learning rate {self.settings.learning_rate:g}"
            )
        self.losses.append(losses)
        self.seconds.append(seconds)
        if self.settings.best_by == "argos":
            self.measures.append(_argos(held_out))
        if not epoch or self._cost(epoch) < self._cost(self.best_epoch) - self.settings.min_delta:
            self.best_epoch = epoch
            self.best = {name: value.detach().clone() for name, value in weights.items()}

    def _cost(self, epoch: int) -> float:
        """What is lowest in the best epoch."""
        return -self.measures[epoch] if self.measures else self.losses[epoch][1]

    def history(self, *, collapsed: bool) -> History:
        """What happened; whether the training collapsed is for the caller to say."""
        train_loss, validation_loss = zip(*self.losses, strict=True)
        return History(
            train_loss=train_loss,
            validation_loss=validation_loss,
            best_epoch=self.best_epoch,
            seconds=tuple(self.seconds),
            precision="bfloat16" if uses_bfloat16(self.settings.precision) else "float32",
            collapsed=collapsed,
            argos=tuple(self.measures),
        )


def _argos(held_out: HeldOut | None) -> float:
    if held_out is None or held_out[0].ndim != 1:
        raise ValueError(
            "expected one logit of each held-out event to choose the best epoch by argos; got "
            f"{'none' if held_out is None else f'shape {tuple(held_out[0].shape)}'}"
        )
    return largest(*(a.numpy() for a in held_out))


def uses_bfloat16(precision: Precision) -> bool:
    """Whether matrix products are done in bfloat16 on this processor."""
    return precision == "bfloat16" or (precision == "auto" and gains_from_bfloat16())


@functools.cache
def gains_from_bfloat16() -> bool:
    """Whether products in bfloat16 are faster than in float32 on this processor.

    With tiles (AMX) they are. Vector units for them are as fast as those for float32 on processors
    by Intel, so that conversions make the sum slower, and twice as fast on others.
    """
    if torch.cpu._is_amx_tile_supported():
        return True
    cpuinfo = Path("/proc/cpuinfo")
    intel = cpuinfo.is_file() and "GenuineIntel" in cpuinfo.read_text()
    return bool(torch.cpu._is_avx512_bf16_supported()) and not intel
