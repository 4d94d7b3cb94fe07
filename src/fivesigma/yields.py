r"""Weighted events: how many of each process are expected at a luminosity, with errors.

A process is simulated in slices of its phase space that do not overlap. An event of a slice $s$ of
cross section $\sigma_s$, of which $N_s$ events were generated, stands for

$$ w_i = p_i \, \frac{\sigma_s L}{N_s} $$

events at the luminosity $L$, whether or not others pass the selection, with the probability $p_i$
of the tags that it was selected by, or 1 if these were drawn (see `tags`). Events that share a hard
event $h$, because it was showered more than once, are not independent: a sum of weights has the
statistical error

$$ \sigma^2 = \sum_h \Big( \sum_{i \in h} w_i \Big)^2 . $$

A hard event is a whole for splits, too: a network that has seen one of its showers knows something
of the others. Of a part that has the share $f$ of the hard events of a process, the weights are
$w / f$, so that they are events at the full luminosity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .digest import digest
from .events import Process
from .rows import Blocks, Rows
from .sample import Sample
from .selection import PROBABILITY, CutflowRow
from .writing import written

__all__ = ["Slice", "Yields", "correlation", "cross_section", "expected", "numbers", "weigh"]

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
CHUNK = 20_000
ORIGIN = "hard_event"
"""Column of a sample with the number of the hard event, where events may share one."""
PROBABILITIES = "probability.npy"


def cross_section(sample: Sample, process: Process) -> tuple[float, float]:
    """Cross section of a sample before the selection, and its statistical error [fb].

    That of the generator, with its vetoes, times the K factor of the process.

    Raises:
        ValueError: if it has no physical meaning, or is not positive.
    """
    value, error = sample.cross_section_fb
    if process.cross_section != "physical":
        raise ValueError(f"expected a physical cross section of {process.name}; got an arbitrary")
    if not value > 0:
        raise ValueError(f"expected a cross section of {process.name} above 0 fb; got {value:g}")
    k = 1.0 if process.k_factor is None else process.k_factor
    return k * value, k * error


@dataclass(frozen=True)
class Slice:
    """Selected events of a part of the phase space of a process."""

    name: str
    """Name of the process."""
    folder: Path
    """Where its arrays are, as `numbers` writes them."""
    cross_section_fb: float
    """Before the selection [fb]."""
    cross_section_error_fb: float
    """Its statistical error [fb]."""
    n_generated: int
    """Events before the selection."""
    cutflow: tuple[CutflowRow, ...] = ()
    """Of these events, cut by cut."""


def numbers(sample: Sample, names: Sequence[str]) -> Path:
    """Named numbers of the events of a sample, as arrays on disk beside it.

    Returns:
        Folder with x.npy, float32 (N, F), and origin.npy, int64 (N,): hard events, from 0; where
        tags weigh events with probability.npy, float32 (N,).

    Raises:
        ValueError: if a number is not finite.
    """
    made_of = {"names": list(names), "shards": [path.name for path in sample.shards]}
    folder = sample.folder / f"numbers-{digest(made_of)}"
    if (folder / "x.npy").exists():
        return folder
    more = [name for name in (ORIGIN, PROBABILITY) if name in sample.columns]
    parts, others = [], []
    for events in sample.batches(columns=[*names, *more]):
        parts.append(np.stack([np.asarray(events[name], np.float32) for name in names], axis=1))
        others.append({name: np.asarray(events[name]) for name in more})
    x = np.concatenate(parts)
    _usable(x, names)
    known = {name: np.concatenate([one[name] for one in others]) for name in more}
    hard = np.unique(known.get(ORIGIN, np.arange(len(x))), return_inverse=True)[1]
    _write(folder / "origin.npy", hard)
    if PROBABILITY in known:
        _write(folder / PROBABILITIES, known[PROBABILITY])
    _write(folder / "x.npy", x)
    return folder


def _usable(x: NDArray[np.float32], names: Sequence[str]) -> None:
    bad = ~np.isfinite(x)
    if bad.any():
        worst = int(bad.sum(axis=0).argmax())
        n = int(bad[:, worst].sum())
        raise ValueError(f"expected finite {names[worst]}; got {n} of {len(x)} events that are not")


def _write(path: Path, array: NDArray[Any]) -> None:
    with written(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)


@dataclass(frozen=True, eq=False)
class Yields:
    """Events of K processes, the signal first."""

    x: NDArray[np.float32] | Rows
    """Features, shape (N, F), in their units; rows are read when they are indexed."""
    process: Integers
    """Number of the process, 0 for the signal, shape (N,)."""
    weight: Floats
    """Events expected at the luminosity that it stands for, shape (N,)."""
    origin: Integers
    """Number of the hard event, shape (N,); no two processes share one."""
    names: tuple[str, ...]
    """Of the processes, K of them."""
    cross_section_fb: Floats
    """After the selection [fb], shape (K,)."""
    cross_section_error_fb: Floats
    """Their statistical errors [fb], shape (K,)."""

    def __len__(self) -> int:
        return len(self.x)

    @property
    def signal(self) -> NDArray[np.bool_]:
        """Whether an event is of the signal, shape (N,)."""
        return np.asarray(self.process == 0)

    def subset(self, chosen: NDArray[Any]) -> Yields:
        """The events that an index or mask picks, with their weights as they are."""
        fields = ("process", "weight", "origin")
        x = self.x.select(chosen) if isinstance(self.x, Rows) else self.x[chosen]
        return replace(self, x=x, **{name: getattr(self, name)[chosen] for name in fields})

    def split(self, shares: Sequence[float], *, rng: np.random.Generator) -> tuple[Yields, ...]:
        """Parts of the hard events of each process, in proportion to the shares.

        Each part stands for the full luminosity.

        Raises:
            ValueError: if a process has too few hard events for a part.
        """
        ends = np.cumsum(shares) / np.sum(shares)
        part, scale = np.empty(len(self), np.int64), np.empty(len(self))
        for k, name in enumerate(self.names):
            mine = self.process == k
            hard, inverse = np.unique(self.origin[mine], return_inverse=True)
            edges = np.round(ends * len(hard)).astype(int)
            sizes = np.diff(edges, prepend=0)
            if not (sizes > 0).all():
                raise ValueError(f"expected events of {name} in each part; got {len(hard)} in all")
            of_hard = np.empty(len(hard), np.int64)
            of_hard[rng.permutation(len(hard))] = np.repeat(np.arange(len(sizes)), sizes)
            part[mine] = of_hard[inverse]
            scale[mine] = (len(hard) / sizes)[part[mine]]
        scaled = replace(self, weight=self.weight * scale)
        return tuple(scaled.subset(part == i) for i in range(len(ends)))

    def thinned(self, *, signal: float, background: float, rng: np.random.Generator) -> Yields:
        """A share of the hard events of the signal and of each background, for the same luminosity.

        Raises:
            ValueError: if no event of a process is left.
        """
        kept, scale = np.zeros(len(self), bool), np.ones(len(self))
        for k, name in enumerate(self.names):
            mine = self.process == k
            hard = rng.permutation(np.unique(self.origin[mine]))
            n = round((background if k else signal) * len(hard))
            if not n:
                raise ValueError(f"expected events of {name} to train on; got {n} of {len(hard)}")
            kept |= mine & np.isin(self.origin, hard[:n])
            scale[mine] = len(hard) / n
        return replace(self, weight=self.weight * scale).subset(kept)

    def expected(self, chosen: NDArray[np.bool_] | None = None) -> tuple[Floats, Floats]:
        """Events expected of each process and their errors, shape (K,); of those chosen, or all."""
        some = self if chosen is None else self.subset(chosen)
        return expected(some.process, some.weight, some.origin, n_processes=len(self.names))


def expected(
    process: Integers, weight: Floats, origin: Integers, *, n_processes: int
) -> tuple[Floats, Floats]:
    """Sums of weights by process, and their statistical errors, each of shape (K,)."""
    value: Floats = np.bincount(process, weight, n_processes).astype(np.float64)
    hard, first, inverse = np.unique(origin, return_index=True, return_inverse=True)
    sums = np.bincount(inverse, weight, len(hard))
    variance = np.bincount(process[first], sums**2, n_processes)
    return value, np.sqrt(variance)


def weigh(slices: Sequence[Slice], *, luminosity_fb: float) -> Yields:
    """Weighted events of all slices, the processes in the order in which they first appear.

    Raises:
        ValueError: if no event of a process passes the selection.
    """
    names = tuple(dict.fromkeys(one.name for one in slices))
    x = [np.load(one.folder / "x.npy", mmap_mode="r") for one in slices]
    origins = [np.load(one.folder / "origin.npy") for one in slices]
    sizes = [len(part) for part in x]
    starts = np.cumsum([0, *(int(origin.max(initial=0)) + 1 for origin in origins)])[:-1]
    p = [_probabilities(one.folder, n) for one, n in zip(slices, sizes, strict=True)]
    w = np.array([one.cross_section_fb / one.n_generated for one in slices])
    relative = np.array([one.cross_section_error_fb / one.cross_section_fb for one in slices])
    number = np.repeat([names.index(one.name) for one in slices], sizes)
    origin = np.concatenate([o + start for o, start in zip(origins, starts, strict=True)])
    if empty := set(range(len(names))) - set(number.tolist()):
        raise ValueError(f"{names[min(empty)]}: expected events that pass the selection; got none")
    per_event = np.repeat(w, sizes) * np.concatenate(p)
    sigma, error = expected(number, per_event, origin, n_processes=len(names))
    # the error of a slice, since its cross section is measured, too
    scale = relative * w * [part.sum() for part in p]
    measured = np.bincount([names.index(one.name) for one in slices], scale**2, len(names))
    return Yields(
        x=Rows(Blocks(tuple(x)), np.arange(len(number))),
        process=number,
        weight=luminosity_fb * per_event,
        origin=origin,
        names=names,
        cross_section_fb=sigma,
        cross_section_error_fb=np.sqrt(error**2 + measured),
    )


def _probabilities(folder: Path, n: int) -> Floats:
    """Those of the tags of n events."""
    path = folder / PROBABILITIES
    return np.load(path).astype(np.float64) if path.exists() else np.ones(n)


def correlation(x: NDArray[np.float32] | Rows, weight: Floats) -> Floats:
    """Pearson's correlations of the F features of weighted events, shape (F, F).

    A feature that is the same in all events has none with others.
    """
    share = weight / weight.sum()
    chunks = [slice(i, i + CHUNK) for i in range(0, len(x), CHUNK)]
    mean = sum(share[c] @ x[c].astype(np.float64) for c in chunks)
    F = x.shape[1]
    covariance = np.zeros((F, F))
    for c in chunks:
        d = x[c] - mean
        covariance += (share[c, None] * d).T @ d
    sigma = np.sqrt(np.diag(covariance))
    scale = np.outer(sigma, sigma)
    found = np.divide(covariance, scale, out=np.zeros((F, F)), where=scale > 0)
    np.fill_diagonal(found, 1.0)
    return np.asarray(np.clip(found, -1, 1))
