"""Shelf of networks: one file for each, and a line here.

A network maps events, shape (N, *shape), to logits, shape (N,), float32. A constructor takes the
shape of an event and, by keyword, the seed of the initial weights.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from .cnn import CNN

__all__ = ["NETWORKS"]

NETWORKS: dict[str, Callable[..., nn.Module]] = {"cnn": CNN}
