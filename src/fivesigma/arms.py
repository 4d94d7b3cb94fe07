"""What the words of a study's arm stand for.

A name or a field that does not exist is an error that names the arm and the key.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_type_hints

from .augmentations import Drawing, View, combination
from .configuration import Arm, Method
from .contrast import Contrast
from .losses import CrossEntropy, Loss
from .lovasz import LovaszAsimov, LovaszSignificance
from .networks import NETWORKS
from .representations import REPRESENTATIONS, JetClouds, Representation
from .schedule import TrainingSettings
from .strategies import STRATEGIES, Augmentation, Boosted, Direct, Source, Strategy, Trees, ZeroShot

__all__ = ["LOSSES", "Built", "build", "learning"]

LOSSES: dict[str, Callable[..., Loss]] = {
    "cross_entropy": CrossEntropy,
    "asimov_significance": LovaszAsimov,
    "significance": LovaszSignificance,
}
"""Losses by the `kind` of the option `loss` of a strategy; the others are its fields."""

PARTICLES = 300
"""Constituents of a jet that are kept where they are augmented, as in the papers: one tenth of the
jets of ID10 have more than 200, and would lose 2.3 % of their momentum on average."""


KINDS: dict[Any, tuple[str, tuple[type, ...]]] = {
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    str: ("a word", (str,)),
}
"""Types of fields, how they are called, and whose values they take."""


@dataclass(frozen=True)
class Built:
    """The objects of an arm."""

    strategy: Strategy
    """How to learn."""
    stored: Representation
    """What is kept of the events on disk."""
    seen: Representation
    """What the network sees of them."""
    settings: TrainingSettings
    """How to train."""
    pretraining: TrainingSettings
    """How to learn from other samples."""
    contrast: Contrast
    """How signal region and sidebands are weighed."""
    augmentation: Augmentation | None
    """What becomes of the events to train on."""
    source: Source
    """What the network must learn from other samples before."""


def build(arm: Arm) -> Built:
    """Build what an arm names.

    Raises:
        ValueError: A name, field or value that does not exist or does not fit.
    """
    _known(arm)
    seen = _representation(arm)
    stored, augmentation = seen, None
    if arm.augmentation is not None:
        stored = JetClouds(particles=PARTICLES, alignment="none")
        augmentation = _augmentation(arm, seen)
    strategy = _strategy(arm)
    if arm.augmentation and not isinstance(strategy, Direct):
        raise ValueError(
            f"arms: {arm.name}: augmentation: expected a strategy that trains the whole network; "
            f"got {arm.strategy!r}"
        )
    if (arm.label == "sources") != isinstance(strategy, ZeroShot):
        raise ValueError(
            f"arms: {arm.name}: label: expected sources for a strategy that learns nothing of the "
            f"data, and for no other; got {arm.label!r} with {arm.strategy!r}"
        )
    if arm.contrast and arm.label != "cwola":
        raise ValueError(
            f"arms: {arm.name}: contrast: expected label cwola, as it is one of regions; got "
            f"{arm.label!r}"
        )
    if arm.pretrained and strategy.source == "none":
        raise ValueError(
            f"arms: {arm.name}: pretrained: expected a strategy that starts from a pretrained "
            f"network; got {arm.strategy!r}"
        )
    settings = _training(arm, strategy, seen.shape)
    return Built(
        strategy=strategy,
        stored=stored,
        seen=seen,
        settings=settings,
        pretraining=_settings(arm, "pretraining"),
        contrast=_made(arm, "contrast", Contrast, arm.contrast),
        augmentation=augmentation,
        source="none" if arm.pretrained else strategy.source,
    )


def learning(method: Method, shape: tuple[int, ...]) -> tuple[Strategy, TrainingSettings]:
    """How a method learns from represented events of a shape.

    Raises:
        ValueError: A name, field or value that does not exist or does not fit.
    """
    _known(method)
    strategy = _strategy(method)
    return strategy, _training(method, strategy, shape)


def _known(arm: Method) -> None:
    if arm.network not in NETWORKS:
        expected = sorted(NETWORKS)
        raise ValueError(
            f"arms: {arm.name}: network: expected one of {expected}; got {arm.network!r}"
        )
    if arm.strategy not in STRATEGIES:
        expected = sorted(STRATEGIES)
        raise ValueError(
            f"arms: {arm.name}: strategy: expected one of {expected}; got {arm.strategy!r}"
        )


def _training(arm: Method, strategy: Strategy, shape: tuple[int, ...]) -> TrainingSettings:
    """Training settings; whether a network can be made for events of a shape is tried."""
    settings = _settings(arm, "training")
    if not isinstance(strategy, Trees | Boosted):
        make = partial(NETWORKS[arm.network], shape, seed=0)
        _made(arm, "architecture", make, arm.architecture, ours=("outputs", "seed", "shape"))
    elif settings.best_by != "loss":
        raise ValueError(
            f"arms: {arm.name}: training.best_by: expected loss, by which trees are stopped; got "
            f"{settings.best_by!r}"
        )
    return settings


def _made(
    arm: Method,
    key: str,
    kind: Callable[..., Any],
    fields: dict[str, Any],
    *,
    ours: Sequence[str] = (),
) -> Any:
    """Make a thing of its fields; `ours` are those that no study decides."""
    parameters = inspect.signature(kind).parameters
    known = sorted(parameters.keys() - ours)
    unknown = sorted(fields.keys() - known)
    takes_all = inspect.Parameter.VAR_KEYWORD in {p.kind for p in parameters.values()}
    if unknown and not takes_all:  # else it says itself what it does not know
        expected = f"keys of {known}" if known else "no keys"
        raise ValueError(f"arms: {arm.name}: {key}: expected {expected}; got {unknown}")
    _see_kinds(arm, key, kind, fields)
    try:
        return kind(**fields)
    except (TypeError, ValueError) as error:
        raise ValueError(f"arms: {arm.name}: {key}: {error}") from error


def _see_kinds(arm: Method, key: str, kind: Callable[..., Any], fields: Mapping[str, Any]) -> None:
    """See that numbers, words and truth values are such where the maker's fields are."""
    maker = kind.func if isinstance(kind, partial) else kind
    hints = get_type_hints(maker.__init__ if inspect.isclass(maker) else maker)
    for name, value in fields.items():
        if (asked := hints.get(name)) not in KINDS:
            continue
        words, kinds = KINDS[asked]
        if not isinstance(value, kinds) or (isinstance(value, bool) and asked is not bool):
            raise ValueError(f"arms: {arm.name}: {key}.{name}: expected {words}; got {value!r}")


def _strategy(arm: Method) -> Strategy:
    options = dict(arm.options)
    if isinstance(loss := options.get("loss"), dict):
        options["loss"] = _of_kind(arm, "options.loss", LOSSES, loss)
    made: Strategy = _made(arm, "options", STRATEGIES[arm.strategy], options)
    if arm.interpret and not isinstance(made, Direct):
        raise ValueError(
            f"arms: {arm.name}: interpret: expected a strategy that trains the whole network; "
            f"got {arm.strategy!r}"
        )
    return made


def _representation(arm: Arm) -> Representation:
    made: Representation = _of_kind(arm, "representation", REPRESENTATIONS, arm.representation)
    return made


def _of_kind(
    arm: Method, key: str, kinds: Mapping[str, Callable[..., Any]], said: dict[str, Any]
) -> Any:
    """What a mapping of `kind` and fields stands for."""
    fields = dict(said)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(
            f"arms: {arm.name}: {key}.kind: expected one of {sorted(kinds)}; got {kind!r}"
        )
    return _made(arm, key, kinds[kind], fields)


def _augmentation(arm: Arm, seen: Representation) -> Augmentation:
    assert arm.augmentation is not None
    if not isinstance(seen, Drawing):
        raise ValueError(
            f"arms: {arm.name}: augmentation: expected a representation that is drawn from "
            f"constituents; got {seen.name!r}"
        )
    maps = _made(arm, "augmentation", combination, {"specs": arm.augmentation.maps})
    view = _made(arm, "augmentation", View, {"representation": seen, "augmentations": maps})
    return Augmentation(view, arm.augmentation.copies)


def _settings(arm: Method, key: str) -> TrainingSettings:
    """Training settings of an arm.

    Raises:
        ValueError: A setting that does not exist, or a value that does not fit.
    """
    settings: TrainingSettings = _made(arm, key, TrainingSettings, getattr(arm, key))
    return settings
