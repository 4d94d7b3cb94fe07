r"""A search in one data set: counts behind cuts on out-of-fold scores, and their p-values.

At each background efficiency $\epsilon$ the $n$ events of the signal region that pass are set
against the background $B \pm \sigma_B$ that the sidebands or simulated events predict, with a
closure error $\delta$,

$$ p = P \Big( N \geq n \,\Big|\, B, \; \sigma^2 = \sigma_B^2 + (\delta B)^2 \Big) . $$

The whole score is used at once by a likelihood over the intervals $j$ between the cuts, with the
signal of a classifier whose efficiencies follow $\epsilon_S = \epsilon^\gamma$ and the covariance
$\Delta$ of the closure,

$$ \nu_j = B_j + \mu \, (\epsilon_j^\gamma - \epsilon_{j+1}^\gamma) , \qquad
   C_{ij} = \sigma_j^2 \delta_{ij} + \Delta_{ij} B_i B_j , \qquad
   Z = \text{sign}(\hat\mu) \sqrt{2 \ln \frac{L(\hat\mu)}{L(0)}} . $$

The recipe that is common in the literature is there to be compared with: a model is trained on all
events, cuts them at the nominal $\epsilon$ of a simulated background, and expects $\epsilon N$.

References:
    Look everywhere effects in anomaly detection (Dierkes et al., 2025)
    https://arxiv.org/abs/2512.13787
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .background import Estimate, Spectrum, from_spectrum, from_template, interpolated
from .counting import bounded, observed_discovery, p_value, poisson_p
from .folds import Scored, threshold
from .likelihood import Model, fit

__all__ = ["Closure", "Cut", "Events", "Interval", "Outcome", "naive", "search"]

Floats: TypeAlias = NDArray[np.float64]
GAMMA = 0.2


@dataclass(frozen=True)
class Cut:
    """What is behind a cut on the score."""

    eps_b: float
    """Nominal background efficiency."""

    n: int
    """Events of the signal region that pass."""

    background: Estimate
    """Background expected among them."""

    n_template: int
    """Events outside the signal region that pass."""

    def p(self, closure: float = 0.0) -> float:
        """p-value (mid-p) of the excess, with a relative closure error of the background."""
        B, sigma = self.background.value, self.background.error
        return float(poisson_p(self.n, B, sigma, closure=closure, tail="mid"))


@dataclass(frozen=True)
class Interval:
    """What is between a cut and the next tighter one."""

    n: int
    """Events of the signal region."""

    background: Estimate
    """Background expected among them."""


@dataclass(frozen=True, eq=False)
class Closure:
    """What estimates of the background miss beyond statistics, measured without a signal."""

    cuts: Mapping[float, float]
    """By eps_b: relative error of the background behind a cut."""

    intervals: Floats
    """Covariance of the relative errors of the intervals, shape (J, J)."""


@dataclass(frozen=True)
class Outcome:
    """What a search found in a data set, before it is calibrated."""

    cuts: tuple[Cut, ...]
    """From the loosest to the tightest."""

    intervals: tuple[Interval, ...]
    """Between them, in the same order."""

    collapsed: int
    """Folds with a constant score."""

    def p_values(self, closure: Closure | None = None) -> dict[str, float]:
        """Local p-values by name: those of the cuts, and `shape` of the whole score.

        Raises:
            ValueError: if the fit of the likelihood does not converge.
        """
        delta = closure.cuts if closure else {}
        found = {f"{cut.eps_b:g}": cut.p(delta.get(cut.eps_b, 0.0)) for cut in self.cuts}
        return found | {"shape": self._shape(closure)}

    def model(self, closure: Closure | None = None) -> tuple[Model, Floats]:
        """The likelihood of the whole score, and the counts of its intervals."""
        steps = np.array([*(cut.eps_b for cut in self.cuts), 0.0])
        n = np.array([interval.n for interval in self.intervals], dtype=np.float64)
        estimates = [interval.background for interval in self.intervals]
        B, sigma = (np.array([getattr(e, name) for e in estimates]) for name in ("value", "error"))
        C = np.diag(sigma**2) + (0 if closure is None else closure.intervals * np.outer(B, B))
        return Model(-np.diff(steps**GAMMA), B, C), n

    def _shape(self, closure: Closure | None) -> float:
        model, n = self.model(closure)
        best, null = fit(model, n), fit(model, n, 0.0)
        z = (np.sign(best.mu) * np.sqrt(np.maximum(null.deviance - best.deviance, 0)))[0]
        if not np.isfinite(z):
            raise ValueError(
                f"expected a likelihood fit that converges; got counts {n} on {model.background}"
            )
        return float(p_value(z))


@dataclass(frozen=True, eq=False)
class Events:
    """What is known of N events to search in."""

    scored: Scored
    """Out-of-fold scores."""

    mass: Floats
    """Resonance mass, shape (N,) [GeV]."""

    inside: NDArray[np.bool_]
    """Whether an event is in the signal region, shape (N,)."""

    template: Floats | None = None
    """Scores of T simulated background events of the signal region by the models of each of the k
    folds, shape (k, T), where they are used."""

    degree: int = 1
    """Of the polynomial that interpolates efficiencies."""

    spectrum: Spectrum | None = None
    """Where the spectrum of the events that pass is fitted, if that gives their background."""

    def cuts(self, eps: float) -> Floats:
        """The cut of each fold, shape (k,); an event passes whose score is at least as high.

        It is that of a fraction eps of the simulated background, or of the events of the fold
        outside the signal region.

        Raises:
            ValueError: if too few of them are left.
        """
        if self.template is not None:
            return np.array([threshold(template, eps) for template in self.template])
        fold, score = self.scored.fold, self.scored.score
        folds = range(int(fold.max()) + 1)
        return np.array([threshold(score[(fold == f) & ~self.inside], eps) for f in folds])

    def passing(self, eps: float) -> NDArray[np.bool_]:
        """Events that pass the cut of their fold, shape (N,)."""
        passed: NDArray[np.bool_] = self.scored.score >= self.cuts(eps)[self.scored.fold]
        return passed

    def between(self, loose: Floats, tight: Floats) -> NDArray[np.bool_]:
        """Events that pass the loose cuts and not the tight ones, shape (N,)."""
        fold, score = self.scored.fold, self.scored.score
        inside: NDArray[np.bool_] = (score >= loose[fold]) & (score < tight[fold])
        return inside

    def background(self, loose: Floats, tight: Floats) -> Estimate:
        """Background in the signal region that passes the loose cuts and not the tight ones.

        Raises:
            ValueError: if a region has no events, or too few pass for a fit.
        """
        if self.template is None:
            passed = self.between(loose, tight)
            if self.spectrum is not None:
                return from_spectrum(self.mass[passed & ~self.inside], self.spectrum)
            return interpolated(self.mass, passed, self.inside, degree=self.degree)
        n = int((self.inside & self.between(-np.full(len(loose), np.inf), loose)).sum())
        below = self.template < loose[:, None]
        return from_template(n, ~below & (self.template < tight[:, None]), below)


def search(events: Events, *, eps_b: Sequence[float]) -> Outcome:
    """Search one data set.

    Args:
        events: scores, masses and regions.
        eps_b: background efficiencies of the cuts.

    Raises:
        ValueError: if a region has no events, or the background behind a cut or between two cannot
            be fitted; it says which.
    """
    ordered = sorted(eps_b, reverse=True)
    cuts = [events.cuts(eps) for eps in ordered]
    never = np.full(len(cuts[0]), np.inf)
    names = [f"{100 * eps:g} %" for eps in ordered]
    between = [f"between the cuts at {a} and {b}" for a, b in pairwise(names)]

    def inside(loose: Floats, tight: Floats) -> int:
        return int((events.between(loose, tight) & events.inside).sum())

    return Outcome(
        cuts=tuple(
            Cut(
                eps_b=eps,
                n=inside(cut, never),
                background=_background(events, (cut, never), f"behind the cut at {name}"),
                n_template=int((events.between(cut, never) & ~events.inside).sum()),
            )
            for eps, cut, name in zip(ordered, cuts, names, strict=True)
        ),
        intervals=tuple(
            Interval(inside(*pair), _background(events, pair, where))
            for pair, where in zip(
                pairwise([*cuts, never]), [*between, f"behind the cut at {names[-1]}"], strict=True
            )
        ),
        collapsed=sum(events.scored.collapsed),
    )


def _background(events: Events, pair: tuple[Floats, Floats], where: str) -> Estimate:
    try:
        return events.background(*pair)
    except ValueError as error:
        advice = "; looser cuts leave more events, and an interpolation needs fewer than a spectrum"
        text = f"background {where}: {error}" + (advice if events.spectrum is not None else "")
        raise ValueError(text) from error


def naive(
    scores: NDArray[Any], simulated: NDArray[Any], *, eps_b: Sequence[float]
) -> dict[str, float]:
    """Significance by the common recipe: a model's scores of its own training events.

    Args:
        scores: scores of the events of the signal region, shape (N,).
        simulated: scores of simulated background in the signal region, shape (T,).
        eps_b: nominal background efficiencies.

    Returns:
        Z of n events on eps N, taken as known, by eps; negative for a deficit.
    """
    found = {}
    for eps in eps_b:
        n, B = int((scores > np.quantile(simulated, 1 - eps)).sum()), eps * len(scores)
        z = observed_discovery(n, B) if n > B else bounded(poisson_p(n, B, tail="mid"))
        found[f"{eps:g}"] = float(z)
    return found
