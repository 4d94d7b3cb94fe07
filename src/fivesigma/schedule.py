r"""How long to train: settings, the losses of each epoch, and the weights of the best one.

Training stops after `patience` epochs without a validation loss lower than the lowest $L^*$ so far
by at least $\delta$,

$$ L_e < L^* - \delta \quad \Rightarrow \quad L^* = L_e , \qquad
   e - e^* > \text{patience} \quad \Rightarrow \quad \text{stop} , $$

and the weights of epoch $e^*$ are kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

__all__ = ["History", "Precision", "Trace", "TrainingSettings", "uses_bfloat16"]

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]


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

    anchor: float = 0.0
    """Strength of an L2 pull towards the initial weights, which adds anchor |theta - theta_0|^2 to
    the loss [nat]; for a network that has learnt something before."""

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
            "anchor": ("at least 0 and finite", 0 <= self.anchor < math.inf),
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

    def summary(self) -> dict[str, Any]:
        """What a record says of the training, JSON types only; times in s, losses in nat."""
        return {
            "best_epoch": self.best_epoch,
            "epochs": len(self.train_loss),
            "seconds": sum(self.seconds),
            "precision": self.precision,
            "train_loss": list(self.train_loss),
            "validation_loss": list(self.validation_loss),
        }


class Trace:
    """Losses so far, the best weights, and whether to stop."""

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings
        self.losses: list[tuple[float, float]] = []
        self.seconds: list[float] = []
        self.best_epoch = 0
        self.best: dict[str, Tensor] = {}

    @property
    def stopped(self) -> bool:
        """Whether the losses have not fallen for long enough, or there were enough epochs."""
        epoch, settings = len(self.losses), self.settings
        return epoch >= settings.max_epochs or epoch - self.best_epoch > settings.patience

    def record(
        self, weights: Mapping[str, Tensor], losses: tuple[float, float], *, seconds: float
    ) -> None:
        """Add an epoch: (training loss, validation loss), and keep the weights if it is the best.

        Raises:
            FloatingPointError: if a loss is not finite.
        """
        epoch = len(self.losses)
        if not all(map(math.isfinite, losses)):
            raise FloatingPointError(
                f"expected finite losses; got {losses} (training, validation) in epoch "
                f"{epoch + 1} with learning rate {self.settings.learning_rate:g}"
            )
        if not epoch or losses[1] < self.losses[self.best_epoch][1] - self.settings.min_delta:
            self.best_epoch = epoch
            self.best = {name: value.detach().clone() for name, value in weights.items()}
        self.losses.append(losses)
        self.seconds.append(seconds)

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
        )


def uses_bfloat16(precision: Precision) -> bool:
    """Whether matrix products are done in bfloat16 on this processor."""
    has_bfloat16 = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return precision == "bfloat16" or (precision == "auto" and has_bfloat16)
