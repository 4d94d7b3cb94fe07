"""Shelf of strategies, which say how to train: one file for each, and a line here.

A strategy is given the events to learn from and, if it uses them, other samples to start from. It
knows events by their training labels only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import nn

from .direct import direct
from ..datasets import Dataset
from ..training import History, Progress, TrainingSettings

__all__ = ["STRATEGIES", "Strategy"]


class Strategy(Protocol):
    """A way to train a network."""

    def __call__(
        self,
        network: nn.Module,
        target: Dataset,
        sources: Sequence[Dataset] = (),
        *,
        settings: TrainingSettings,
        seed: int,
        progress: Progress,
    ) -> tuple[nn.Module, History]:
        """Train a copy of `network` for the events of `target`."""
        ...


STRATEGIES: dict[str, Strategy] = {"direct": direct}
