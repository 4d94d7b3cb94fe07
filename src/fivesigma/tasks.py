"""One training of a study: draw the data, train, evaluate on the held-out events.

Random numbers: repeat r of signal strength s draws the same events and starts from the same seed
in every arm, so that arms are compared in pairs; the test events of a repeat are the same for all
strengths and arms.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import __version__
from .configuration import Arm
from .datasets import Dataset, Mixture, Pool, mix, pure
from .evaluation import auc, roc, thin, working_point
from .networks import NETWORKS
from .representations import REPRESENTATIONS, Representation
from .statistics import asimov, significance_after
from .strategies import STRATEGIES
from .training import History, TrainingSettings, predict

__all__ = ["REGIONS", "Task", "check", "evaluate", "train"]

REGIONS = ("signal_region", "sideband")


@dataclass(frozen=True)
class Task:
    """One training and its evaluation."""

    arm: Arm
    """Method."""
    repeat: int
    """Which pseudo-data set."""
    strengths: tuple[float, ...]
    """Signal strengths S/sqrt(B): one for a data set with signal in it, all of the grid for a
    supervised training."""
    seed: int
    """Seed of the study."""
    n_background: int
    """Background events in the signal region."""
    held_out: tuple[int, int]
    """Test events: signal, background."""
    eps_b: tuple[float, ...]
    """Background efficiencies of the cut."""
    pools: tuple[Path, Path]
    """Folders of the represented signal and background events."""

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON of all fields."""
        made_of = dataclasses.asdict(self) | {"arm": self.arm.model_dump(), "version": __version__}
        made_of["pools"] = ["/".join(path.parts[-2:]) for path in self.pools]
        text = json.dumps(made_of, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def check(arm: Arm) -> Representation:
    """Build what an arm names.

    Raises:
        ValueError: A name or field that does not exist.
    """
    for kind, name, known in (
        ("strategy", arm.strategy, STRATEGIES),
        ("network", arm.network, NETWORKS),
    ):
        if name not in known:
            raise ValueError(
                f"arms: {arm.name}: {kind}: expected one of {sorted(known)}; got {name!r}"
            )
    settings(arm)
    fields = dict(arm.representation)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in REPRESENTATIONS:
        raise ValueError(
            f"arms: {arm.name}: representation.kind: expected one of {sorted(REPRESENTATIONS)}; "
            f"got {kind!r}"
        )
    try:
        return REPRESENTATIONS[kind](**fields)
    except (TypeError, ValueError) as error:
        raise ValueError(f"arms: {arm.name}: representation: {error}") from error


def settings(arm: Arm) -> TrainingSettings:
    """Training settings of an arm.

    Raises:
        ValueError: A setting that does not exist, or a value that does not fit.
    """
    known = [field.name for field in dataclasses.fields(TrainingSettings)]
    unknown = sorted(set(arm.training) - set(known))
    if unknown:
        raise ValueError(f"arms: {arm.name}: training: expected keys of {known}; got {unknown}")
    for name, value in arm.training.items():
        kind = type(getattr(TrainingSettings, name))
        if type(value) is not kind and (kind, type(value)) != (float, int):
            raise ValueError(
                f"arms: {arm.name}: training.{name}: expected {kind.__name__}; got {value!r}"
            )
    try:
        return TrainingSettings(**arm.training)
    except ValueError as error:
        raise ValueError(f"arms: {arm.name}: training: {error}") from error


def train(task: Task) -> dict[str, Any]:
    """Draw the data, train, evaluate on the held-out events."""
    splitting = np.random.default_rng([task.seed, task.repeat])
    drawing = np.random.default_rng([task.seed, task.repeat, round(1000 * task.strengths[0])])
    pools = [
        Pool(*(np.load(path / f"{name}.npy", mmap_mode="r") for name in REGIONS))
        for path in task.pools
    ]
    (test_s, signal), (test_b, background) = (
        pool.split(n, rng=splitting) for pool, n in zip(pools, task.held_out, strict=True)
    )
    if task.arm.label == "supervised":
        n = task.arm.supervised_events or task.n_background
        data = pure(signal, background, n, rng=drawing)
    else:
        data = mix(
            signal,
            background,
            Mixture.from_significance(task.strengths[0], task.n_background),
            rng=drawing,
        )
    seed = int(drawing.integers(2**31))
    network = NETWORKS[task.arm.network](data.x.shape[1:], seed=seed)
    strategy = STRATEGIES[task.arm.strategy]
    network, history = strategy(
        network, data, settings=settings(task.arm), seed=seed, progress=_tell(task)
    )
    scores = [predict(network, test.signal_region[:]) for test in (test_s, test_b)]
    truth = np.repeat([1, 0], [len(x) for x in scores])
    measured = evaluate(task, np.concatenate(scores), truth)
    return {
        "hash": task.hash,
        "seed": seed,
        "n_train": _counts(data),
        **measured,
        **_learning(history),
        "collapsed": measured["collapsed"] or history.collapsed,
    }


def evaluate(task: Task, scores: NDArray[Any], truth: NDArray[Any]) -> dict[str, Any]:
    """Numbers of one training; `points` has one entry per signal strength."""
    curve = roc(scores, truth)
    area, short = auc(curve), thin(curve)
    cuts = {f"{eps:g}": working_point(curve, eps) for eps in task.eps_b}
    points = []
    for strength in task.strengths:
        s, b = strength * task.n_background**0.5, task.n_background
        at_cut = {
            name: dataclasses.asdict(cut)
            | {
                "z_before": asimov(s, b),
                "z_after": significance_after(s, b, eps_s=cut.eps_s, eps_b=cut.eps_b),
            }
            for name, cut in cuts.items()
        }
        points.append(
            {"s_over_sqrt_b": strength, "n_signal": round(s), "n_background": b, "eps_b": at_cut}
        )
    return {
        "auc": area.value,
        "auc_error": area.error,
        "collapsed": curve.collapsed,
        "n_test_signal": curve.n_signal,
        "n_test_background": curve.n_background,
        "roc": {"eps_b": short.eps_b.tolist(), "eps_s": short.eps_s.tolist()},
        "points": points,
    }


def _counts(data: Dataset) -> dict[str, int]:
    inside = data.y == 1
    return {"signal_region": int(inside.sum()), "other": int((~inside).sum())}


def _learning(history: History) -> dict[str, Any]:
    return {
        "best_epoch": history.best_epoch,
        "epochs": len(history.train_loss),
        "seconds": sum(history.seconds),
        "precision": history.precision,
        "train_loss": list(history.train_loss),
        "validation_loss": list(history.validation_loss),
    }


def _tell(task: Task) -> Callable[[int, int, float, float], None]:
    def progress(epoch: int, _most: int, _loss: float, validation_loss: float) -> None:
        from distributed import get_worker

        note = (
            f"{task.arm.name}, S/sqrt(B) = {task.strengths[0]:g}, repeat {task.repeat}: "
            f"epoch {epoch}, loss {validation_loss:.4f}"
        )
        try:
            get_worker().log_event("epochs", note)
        except ValueError:  # not on a Dask worker
            return

    return progress
