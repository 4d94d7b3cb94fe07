"""What is asked of the networks and events that a study learns from before it looks at the data."""

import math
from collections.abc import Collection, Mapping

from .arms import build
from .configuration import Arm, Study
from .sample import Sample
from .sources import SIGNAL_REGION, learnt, load_control, load_network
from .strategies.episodes import PARTS
from .strategies.one_expert import OneExpert, see_control
from .strategies.transfer import MetaTransfer

__all__ = ["check_pretrained", "enough_to_meta_train"]


def check_pretrained(study: Study, targets: Collection[str]) -> None:
    """Refuse a file of a network that does not fit its arm, or knows what is searched for.

    Args:
        study: whose arms may name files.
        targets: names of the signals that are searched for.

    Raises:
        ValueError: A file that is not whole, or of a network that learnt something else, or one
            without the background events that a strategy asks for.
    """
    for arm in study.arms:
        try:
            _check(arm, targets)
        except ValueError as error:
            raise ValueError(f"arms: {arm.name}: pretrained: {error}") from error
        _see_control(arm, study)


def _see_control(arm: Arm, study: Study) -> None:
    """See that a strategy that asks for background of the signal region has some from sources."""
    if arm.pretrained or not isinstance(build(arm).strategy, OneExpert) or study.sources is None:
        return
    if SIGNAL_REGION not in (regions := study.sources.regions):
        raise ValueError(
            f"sources.regions: expected {SIGNAL_REGION} among them, as {arm.name} asks for "
            f"background there; got {', '.join(regions)}"
        )


def _check(arm: Arm, targets: Collection[str]) -> None:
    if arm.pretrained is None:
        return
    built, path = build(arm), arm.pretrained
    load_network(path, built.seen.shape)
    was = learnt(path)
    for words, key, expected in (
        ("of representation", "representation", built.seen.name),
        ("that learns", "learns", built.strategy.source),
    ):
        if (got := was[key]) != expected:
            raise ValueError(f"expected a network {words} {expected!r}; got {got!r} in {path}")
    if isinstance(built.strategy, OneExpert):
        see_control(load_control(path), place=f" in {path}")
    if known := [name for name in was["names"] if name in targets]:
        raise ValueError(
            f"expected a network that has not learnt from the targets; got one that has from "
            f"{', '.join(known)} in {path}"
        )


def enough_to_meta_train(
    study: Study, signals: Mapping[str, Sample], background: Sample | None
) -> None:
    """Ask for as many events of each source as a meta-training needs.

    Args:
        study: whose arms may meta-train.
        signals: samples to learn from, by the name of their parameter point.
        background: background events to learn from.

    Raises:
        ValueError: Too few of a sample; what makes them is said.
    """
    if study.sources is None or background is None:
        return
    strategies = [build(arm).strategy for arm in study.arms if not arm.pretrained]
    metas = [strategy.meta for strategy in strategies if isinstance(strategy, MetaTransfer)]
    needed = max((math.ceil(PARTS * meta.events / meta.reserved) for meta in metas), default=0)
    regions = study.sources.regions
    every = [("sources.events", name, sample) for name, sample in signals.items()]
    for key, name, sample in [*every, ("sources.background.events", "background", background)]:
        if (got := sum(map(sample.passed, regions))) < needed:
            enough = 1000 * math.ceil(1.05e-3 * needed / max(got, 1) * sample.n_generated)
            raise ValueError(
                f"{key}: expected {needed} events of {name} in {' and '.join(regions)} to pretrain "
                f"and to meta-train; got {got} from {sample.n_generated} generated; about "
                f"--set {key}={enough} makes as many"
            )
