"""Shelf of strategies, which say how to learn: one file for each, and a line here.

A strategy is given data sets and a network to start from, which may have learnt from other samples
before. It knows events by their training labels only.
"""

from __future__ import annotations

from collections.abc import Callable

from .base import Augmentation, Embedding, Fitted, Learner, Source, Start, Strategy
from .boosted import Boosted
from .direct import Direct
from .experts import Experts
from .one_expert import OneExpert
from .transfer import MetaTransfer, Transfer, ZeroShot
from .trees import Trees

__all__ = [
    "STRATEGIES",
    "Augmentation",
    "Boosted",
    "Direct",
    "Embedding",
    "Fitted",
    "Learner",
    "Source",
    "Start",
    "Strategy",
    "Trees",
    "ZeroShot",
]

STRATEGIES: dict[str, Callable[..., Strategy]] = {
    "boosted": Boosted,
    "direct": Direct,
    "experts": Experts,
    "metatransfer": MetaTransfer,
    "one_expert": OneExpert,
    "transfer": Transfer,
    "trees": Trees,
    "zero_shot": ZeroShot,
}
