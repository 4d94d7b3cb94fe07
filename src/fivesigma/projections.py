"""One task of a projection: split the weighted events, learn, choose a threshold, measure.

The events of each process are split by hard event into those to train on, those to choose the
threshold on and those to measure on. Of the weighted events behind the threshold, the significance
is that of a counting search with a background known exactly.

Random numbers: repeat r has the same split and seed in every arm, so that arms are compared in
pairs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import __version__
from .arms import learning as how
from .datasets import Dataset
from .digest import digest
from .evaluation import weighted_auc
from .interpretation import interpret
from .losses import Batchwise, ProcessWeights
from .lovasz import Lovasz
from .networks import NETWORKS
from .projection import ProjectionArm, SplitShares, TrainShare
from .statistics import asimov
from .strategies import Boosted, Direct, Fitted, Learner, Start, Strategy
from .tasks import learning, tell
from .thresholds import SPREAD, ThresholdScan, effective, scan
from .yields import Slice, Yields, weigh

__all__ = ["ProjectionTask", "measured", "of_the_whole", "training_weights"]

Floats: TypeAlias = NDArray[np.float64]
SHOWN = 200
"""Thresholds of the curves in a record."""
AB_PER_FB = 1000.0
DIGITS = 6


@dataclass(frozen=True)
class ProjectionTask:
    """One training, and what a search with it would see."""

    arm: ProjectionArm
    """Method."""
    point: str
    """Name of the signal."""
    repeat: int
    """Which split."""
    seed: int
    """Seed of the projection."""
    luminosity_fb: float
    """Integrated luminosity [1/fb]."""
    slices: tuple[Slice, ...]
    """Events of the signal, and of the backgrounds."""
    shares: SplitShares
    """How they are split."""
    train_share: TrainShare
    """How much of the events to train on is used."""
    spread: float = SPREAD
    """Largest relative error of the background behind a threshold that may be chosen."""
    features: tuple[str, ...] = ()
    """Names of what is seen of an event."""

    @property
    def hash(self) -> str:
        """Digest of all fields."""
        made_of = {
            "arm": self.arm.model_dump(),
            "shares": self.shares.model_dump(),
            "train_share": self.train_share.model_dump(),
            "slices": [
                dataclasses.asdict(one) | {"folder": "/".join(one.folder.parts[-2:])}
                for one in self.slices
            ],
            "version": __version__,
        }
        others = ("point", "repeat", "seed", "luminosity_fb", "spread")
        return digest(made_of | {name: getattr(self, name) for name in others})

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"{self.arm.name}, {self.point}, repeat {self.repeat}"

    def run(self) -> dict[str, Any]:
        """The record of the task.

        Raises:
            ValueError: if a process has too few events, a weight is not positive, or at no
                threshold the background is known well enough.
        """
        rng = np.random.default_rng([self.seed, self.repeat])
        events = weigh(self.slices, luminosity_fb=self.luminosity_fb)
        shares = (self.shares.train, self.shares.validation, self.shares.test)
        train, validation, test = events.split(shares, rng=rng)
        train = train.thinned(**self.train_share.model_dump(), rng=rng)
        seed = int(rng.integers(2**31))
        fitted = self.learn(train, seed)
        history = fitted.histories[0]
        more = {}
        if self.arm.interpret and self.repeat == 0:
            more["interpretation"] = self._interpret(fitted, test)
        return {
            "hash": self.hash,
            "seed": seed,
            "n_train": _counts(train),
            "n_test": _counts(test),
            "collapsed": bool(history and history.collapsed),
            **measured(events, validation, test, fitted, spread=self.spread),
            **learning(history),
            **more,
        }

    def _interpret(self, fitted: Fitted, test: Yields) -> dict[str, Any]:
        assert self.arm.interpret is not None
        signal, background = test.subset(test.signal), test.subset(~test.signal)
        return interpret(
            fitted.networks[0],
            (signal.x, background.x),
            self.features,
            rng=np.random.default_rng(self.seed),
            weights=(signal.weight, background.weight),
            **self.arm.interpret.model_dump(),
        )

    def learn(self, train: Yields, seed: int) -> Fitted:
        """Train on weighted events; as many as are expected where a significance is the loss."""
        strategy, settings = how(self.arm, train.x.shape[1:])
        assert isinstance(strategy, Direct | Boosted)
        learner = Learner(settings, (seed,), progress=tell(self.title))
        weight = training_weights(self.arm, train)
        whole = self.arm.weights == "expected" and isinstance(strategy.loss, Batchwise)
        if not whole:
            weight = weight / weight.mean()
        elif isinstance(strategy.loss, Lovasz):
            loss = of_the_whole(strategy.loss, train, weight)
            strategy = dataclasses.replace(strategy, loss=loss)
        repeated = len(np.unique(train.origin)) < len(train)
        origin = train.origin if repeated else None
        data = Dataset(train.x, train.signal, train.signal, weight, origin)
        return _fitted(strategy, self._start(train), data, learner)

    def _start(self, train: Yields) -> Start:
        make = partial(NETWORKS[self.arm.network], train.x.shape[1:], **self.arm.architecture)
        return lambda seed: make(seed=seed)


def _fitted(strategy: Strategy, start: Start, data: Dataset, learner: Learner) -> Fitted:
    return strategy(start, [data], learner)


def of_the_whole(loss: Lovasz, train: Yields, weight: Floats) -> Lovasz:
    """The loss, by which each batch stands for all events, unless it says for how many."""
    n_s, n_b = (float(weight[k].sum()) for k in (train.signal, ~train.signal))
    return dataclasses.replace(
        loss,
        n_s=n_s if loss.n_s is None else loss.n_s,
        n_b=n_b if loss.n_b is None else loss.n_b,
    )


def training_weights(arm: ProjectionArm, train: Yields) -> Floats:
    """Weights of the events to train on, shape (N,), in any unit, or in events expected.

    Raises:
        ValueError: if a weight is not positive and finite.
    """
    if arm.weights == "expected":
        return train.weight
    equal = {"size": 0.0, "cross_section": 0.0}
    rule = ProcessWeights(**(equal if arm.weights == "equal" else arm.weights.model_dump()))
    k = train.process
    mean = np.bincount(k, train.weight) / np.bincount(k)
    signal = np.arange(len(train.names)) == 0
    return rule(k, AB_PER_FB * train.cross_section_fb, signal=signal) * train.weight / mean[k]


def measured(
    events: Yields, validation: Yields, test: Yields, fitted: Fitted, *, spread: float = SPREAD
) -> dict[str, Any]:
    """What is behind the threshold that the validation events say, by the test events.

    `z_perfect` is what the same rule leaves of a score that has all of the signal at 1, and the
    background where it is. Z counts as 0 where too little signal is expected, even without a cut.
    """
    said, score = (fitted.score(0, part.x) for part in (validation, test))
    chosen, here = _scanned(validation, said), _scanned(test, score)
    i = chosen.stable(spread=spread)
    perfect = [np.where(part.signal, 1.0, p) for part, p in ((validation, said), (test, score))]
    there = _scanned(test, perfect[1])
    best = _scanned(validation, perfect[0]).stable(spread=spread)
    some = float(not chosen.hopeless)
    threshold = float(here.threshold[i])
    before = events.expected()
    return {
        "threshold": threshold,
        "numbers": {
            "z": some * float(here.z[i]),
            "z_error": some * float(here.z_error[i]),
            "n_s": float(here.signal[i]),
            "n_s_error": float(here.signal_error[i]),
            "n_b": float(here.background[i]),
            "n_b_error": float(here.background_error[i]),
            "z_validation": some * float(chosen.z[i]),
            "z_perfect": some * float(there.z[best]),
            "z_before": asimov(float(before[0][0]), float(before[0][1:].sum())),
            **_flatness(here),
            "auc": weighted_auc(score, test.signal, test.weight),
        },
        "yields": _by_process(test.names, before, test.expected(score >= threshold)),
        "curves": _curves(here),
    }


def _by_process(
    names: Sequence[str], before: tuple[Floats, Floats], after: tuple[Floats, Floats]
) -> dict[str, dict[str, float]]:
    """Events expected before the threshold, and behind it, with errors and effective number."""
    columns = {
        "before": before[0],
        "before_error": before[1],
        "after": after[0],
        "after_error": after[1],
        "effective_after": effective(*after),
    }
    return {
        name: {key: float(column[k]) for key, column in columns.items()}
        for k, name in enumerate(names)
    }


def _scanned(part: Yields, score: NDArray[Any]) -> ThresholdScan:
    return scan(score, part.signal, part.weight, origin=part.origin)


def _flatness(found: ThresholdScan) -> dict[str, float]:
    flat = found.flatness()
    at = {f"z_{t:g}": z for t, z in flat.at.items()}
    return {"z_max": flat.z_max, **at, "area": flat.area, "r_10": flat.r_10}


def _curves(found: ThresholdScan) -> dict[str, list[float]]:
    """What is left above at most `SHOWN` of the thresholds."""
    shown = np.unique(np.linspace(0, len(found.threshold) - 1, SHOWN).round().astype(int))
    curves = {
        "threshold": found.threshold,
        "n_s": found.signal,
        "n_b": found.background,
        "z": found.counted,
    }
    return {name: [_rounded(x) for x in curve[shown]] for name, curve in curves.items()}


def _rounded(x: float) -> float:
    return float(f"{x:.{DIGITS}g}")


def _counts(part: Yields) -> dict[str, int]:
    counts = np.bincount(part.process, minlength=len(part.names))
    return dict(zip(part.names, counts.tolist(), strict=True))
