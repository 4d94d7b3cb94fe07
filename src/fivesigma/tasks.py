"""One task of a study: draw the data, learn, evaluate on the held-out events.

Random numbers: repeat r of signal strength s draws the same events and starts from the same seed
in every arm, so that arms are compared in pairs; the test events of a repeat are the same for all
strengths and arms.
"""

import dataclasses
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import __version__
from .arms import Built, build
from .configuration import Arm
from .datasets import Dataset
from .digest import DIGITS, digest
from .evaluation import accuracy
from .interpretation import interpret
from .measurement import evaluate
from .mixtures import Counts, Mixture, Pool, mix, pure
from .networks import NETWORKS
from .rows import Blocks, Rows
from .schedule import History
from .sources import AGAIN, SIGNAL_REGION, Source, load_control, load_network, opened, pretrain
from .strategies import Learner, Start, Strategy
from .training import Progress

__all__ = [
    *("REGIONS", "Pretraining", "Ready", "Task", "Training"),
    *("blocks", "learning", "tell"),
]

REGIONS = (SIGNAL_REGION, "sideband")


@dataclass(frozen=True)
class Training:
    """One data set."""

    repeat: int
    """Which pseudo-data set."""
    strengths: tuple[float, ...]
    """Signal strengths S/sqrt(B): one for a data set with signal in it, all of the grid where what
    is learnt does not depend on it."""
    restart: int | None = None
    """Which further training on the same data, from another seed; None for the first."""


@dataclass(frozen=True, eq=False)
class Ready:
    """Data sets, and what learns from them."""

    strategy: Strategy
    """How to learn."""
    start: Start
    """The network to start from."""
    data: tuple[Dataset, ...]
    """One for each training."""
    learner: Learner
    """How to learn, with a seed for each."""
    tests: dict[int, tuple[Any, Any]]
    """By repeat: test events of signal and of background, in the signal region."""

    def seen(self, x: Any) -> Any:
        """Events as the network sees them."""
        return self.learner.augmentation.seen(x) if self.learner.augmentation else x


@dataclass(frozen=True)
class Task:
    """Data sets to learn from by one method, and their evaluation."""

    arm: Arm
    """Method."""
    target: str
    """Name of the signal."""
    trainings: tuple[Training, ...]
    """Data sets: one, or all of a grid if they are learnt together."""
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
    dijet: tuple[Path, Path] | None = None
    """Folders of their dijet kinematics, where they are needed."""
    source: Path | None = None
    """File of the pretrained network, where there is one."""

    @property
    def hash(self) -> str:
        """Digest of all fields."""
        made_of = dataclasses.asdict(self) | {"arm": self.arm.model_dump(), "version": __version__}
        for name in ("pools", "dijet"):
            paths = getattr(self, name) or ()
            made_of[name] = ["/".join(path.parts[-2:]) for path in paths]
        if self.arm.pretrained and self.source:
            made_of["source"] = hashlib.sha256(self.source.read_bytes()).hexdigest()[:DIGITS]
        else:
            made_of["source"] = self.source and self.source.stem
        return digest(made_of)

    @property
    def title(self) -> str:
        """What it is, for people."""
        first, n = self.trainings[0], len(self.trainings)
        if n > 1:
            return f"{self.arm.name}, {self.target}, {n} data sets"
        where = f"S/sqrt(B) = {first.strengths[0]:g}, repeat {first.repeat}"
        again = f", restart {first.restart}" if first.restart else ""
        return f"{self.arm.name}, {self.target}, {where}{again}"

    def run(self) -> dict[str, Any]:
        """The record of the task."""
        ready = self.prepare()
        data, seeds = ready.data, ready.learner.seeds
        fitted = ready.strategy(ready.start, data, ready.learner)
        trainings = []
        for i, training in enumerate(self.trainings):
            scores, truth = _joined(*(fitted.score(i, x) for x in ready.tests[training.repeat]))
            measured = self._evaluate(training, scores, truth)
            history = fitted.histories[i]
            if history:
                seen = fitted.score(i, data[i].x)
                measured |= {
                    "accuracy": accuracy(seen, data[i].y),
                    "true_accuracy": accuracy(scores, truth),
                }
            collapsed = measured["collapsed"] or bool(history and history.collapsed)
            if self.arm.interpret and training.repeat == 0 and not training.restart:
                measured["interpretation"] = interpret(
                    fitted.networks[i],
                    (ready.seen(ready.tests[0][0]), ready.seen(ready.tests[0][1])),
                    build(self.arm).seen,
                    rng=np.random.default_rng(self.seed),
                    **self.arm.interpret.model_dump(),
                )
            what: dict[str, Any] = {"repeat": training.repeat, "restart": training.restart or 0}
            what |= {"seed": seeds[i], "n_train": _counts(data[i])}
            trainings.append(what | measured | learning(history) | {"collapsed": collapsed})
        return {"hash": self.hash, "trainings": trainings}

    def prepare(self, counts: Counts = "fixed") -> "Ready":
        """Draw the data sets, and build what learns from them."""
        built = build(self.arm)
        events = blocks(*self.pools)
        splits = {t.repeat: self._split(events, t.repeat) for t in self.trainings}
        knows = built.strategy.source == "process"
        drawn = [self._draw(built, splits[t.repeat][1], t, counts) for t in self.trainings]
        data, seeds = zip(*drawn, strict=True)
        return Ready(
            strategy=built.strategy,
            start=self._start(built),
            data=data,
            learner=Learner(
                settings=built.settings,
                seeds=seeds,
                progress=tell(self.title),
                augmentation=built.augmentation,
                control=load_control(self.source) if knows and self.source else None,
            ),
            tests={
                repeat: (signal.signal_region, background.signal_region)
                for repeat, ((signal, background), _) in splits.items()
            },
        )

    def kinematics(self, events: Any) -> NDArray[np.float32]:
        """Dijet kinematics of events that were drawn, shape (N, 5).

        Raises:
            ValueError: if they are not of the represented events.
        """
        assert self.dijet is not None
        assert isinstance(events, Rows)
        dijet = blocks(*self.dijet)
        if len(dijet) != len(events.array):
            got = f"{len(dijet)} and {len(events.array)}"
            raise ValueError(f"expected kinematics of the represented events; got {got}")
        return dijet[events.index]

    def _split(self, events: Blocks, repeat: int) -> tuple[list[Pool], list[Pool]]:
        """Pools of (test, rest), each of signal and background."""
        rows = events.rows()
        rng = np.random.default_rng([self.seed, repeat])
        pools = [
            Pool(rows[2 * k], rows[2 * k + 1]).split(n, rng=rng)
            for k, n in enumerate(self.held_out)
        ]
        tests, rests = zip(*pools, strict=True)
        return list(tests), list(rests)

    def _draw(
        self, built: Built, pools: list[Pool], training: Training, counts: Counts
    ) -> tuple[Dataset, int]:
        """The data set of a training, and its seed."""
        strength, B = training.strengths[0], self.n_background
        signal, background = pools
        rng = np.random.default_rng([self.seed, training.repeat, round(1000 * strength)])
        if self.arm.label == "supervised":
            data = pure(signal, background, self.arm.supervised_events or B, rng=rng)
        else:
            mixture = Mixture.from_significance(strength, B)
            data = mix(signal, background, mixture, rng=rng, counts=counts)
        seed = int(rng.integers(2**31, size=1 + (training.restart or 0))[-1])
        if self.arm.contrast:
            data = built.contrast(data, self.kinematics(data.x))
        return data, seed

    def _start(self, built: Built) -> Start:
        if self.source is not None:
            hint = "" if self.arm.pretrained else AGAIN
            network = load_network(self.source, built.seen.shape, hint=hint)
            return lambda seed: network
        make = partial(NETWORKS[self.arm.network], built.seen.shape, **self.arm.architecture)
        return lambda seed: make(seed=seed)

    def _evaluate(
        self, training: Training, scores: NDArray[Any], truth: NDArray[Any]
    ) -> dict[str, Any]:
        return evaluate(
            scores,
            truth,
            n_background=self.n_background,
            strengths=training.strengths,
            eps_b=self.eps_b,
        )


@dataclass(frozen=True)
class Pretraining:
    """A network to pretrain."""

    source: Source
    """What to learn from, and how."""
    path: Path
    """File of the network."""
    title: str
    """What it is, for people."""

    @property
    def hash(self) -> str:
        """That of the source."""
        return self.source.hash

    def base(self) -> "Pretraining":
        """What a meta-training starts from."""
        source = self.source.base
        title = self.title.replace(", meta-trained", ", to be meta-trained")
        return Pretraining(source, self.path.with_name(f"{source.hash}.pt"), title)

    def run(self) -> dict[str, Any]:
        """The record of the training."""
        return pretrain(self.source, self.path, progress=tell(self.title))


def _joined(
    signal: NDArray[Any], background: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Scores of the test events, and their truth."""
    return np.concatenate([signal, background]), np.repeat([1, 0], [len(signal), len(background)])


def blocks(*folders: Path) -> Blocks:
    """Represented events of both regions of each folder, end to end, still on disk."""
    paths = [folder / f"{region}.npy" for folder in folders for region in REGIONS]
    return Blocks(tuple(map(opened, paths)))


def _counts(data: Dataset) -> dict[str, int]:
    n = int((data.y == 1).sum())
    return {"signal_region": n, "other": len(data) - n}


def learning(history: History | None) -> dict[str, Any]:
    """What a record says of a training, or of none."""
    return history.summary() if history else {"best_epoch": None, "epochs": 0, "seconds": 0.0}


def tell(title: str) -> Progress:
    """Progress that a Dask worker hands on, under the title of its task."""

    def progress(epoch: int, _most: int, _loss: float, validation_loss: float) -> None:
        from distributed import get_worker

        with suppress(ValueError):  # not on a Dask worker
            get_worker().log_event("epochs", f"{title}: epoch {epoch}, loss {validation_loss:.4f}")

    return progress
