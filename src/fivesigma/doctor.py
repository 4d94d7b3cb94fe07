r"""What can be wrong with a search, looked for in its own events.

* Models that give one score to all events; cuts with too few events behind them.
* Events that are there twice: in different folds they are trained on and scored at once.
* Data that are not like the simulated data sets that they are calibrated with: in their number, or
  in the share of the sidebands behind a cut that is taken from simulated events.
* An excess that is there because the simulation is wrong: if it is as wrong in the signal region as
  in the sidebands, of which a share $s$ passes a cut instead of $s_0$, then $B s / s_0$ events are
  to be expected, and what is beyond them is not its fault. The sidebands may hold signal as well.
* A score that knows the mass. In the sidebands, where there is no signal, it shows as an area under
  the ROC curve of upper against lower other than 1/2, as an efficiency of the cut that is not flat,
  and as a distance correlation with the mass,

$$ dCor^2 = \frac{\langle A_{ij} B_{ij} \rangle}{\sqrt{\langle A_{ij}^2 \rangle
   \langle B_{ij}^2 \rangle}} , \qquad A_{ij} = a_{ij} - \bar a_{i \cdot} - \bar a_{\cdot j} +
   \bar a_{\cdot \cdot} , \quad a_{ij} = |s_i - s_j| , $$

  and B likewise of the masses, which is 0 if and only if they are independent.

References:
    Measuring and testing dependence by correlation of distances
    (Szekely, Rizzo, Bakirov, 2007) https://arxiv.org/abs/0803.4101
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from .counting import bounded, poisson_p
from .evaluation import auc, roc
from .search import Cut, Events

__all__ = ["Finding", "alike", "beyond", "distance_correlation", "examine", "ignorant"]

Floats: TypeAlias = NDArray[np.float64]
Verdict: TypeAlias = Literal["fine", "look", "fault"]

MOST = 1000  # events in a distance correlation
BINS = 6
FEW = 10.0
FAR, OTHER = 5.0, 0.2


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    check: str
    """What was looked at."""

    value: float
    """What was found."""

    verdict: Verdict
    """Whether it can stay."""

    words: str
    """What it means."""

    def record(self) -> dict[str, Any]:
        """Its fields, JSON types only: a value that is not finite is None."""
        return asdict(self) | {"value": self.value if math.isfinite(self.value) else None}


def examine(
    events: Events,
    kinematics: NDArray[Any],
    *,
    eps_b: Sequence[float],
    rng: np.random.Generator,
) -> list[Finding]:
    """Look for what makes a significance wrong.

    Args:
        events: scores, masses and regions of N events.
        kinematics: numbers that tell events apart, shape (N, C).
        eps_b: background efficiencies of the cuts.
        rng: for permutations.
    """
    return [
        _collapsed(events),
        _twice(events, kinematics),
        *[_behind(events, eps) for eps in sorted(eps_b, reverse=True)],
        _between_sidebands(events),
        _flat(events, max(eps_b)),
        _independent(events, rng),
    ]


def alike(data: Mapping[str, float], null: Mapping[str, Floats]) -> list[Finding]:
    """Whether data are like the data sets without a signal that calibrate them.

    Args:
        data: of the data, `signal region` and `sidebands`, events, and by the name of a cut the
            share of the sidebands that passes.
        null: the same of T data sets, each of shape (T,).
    """
    found = []
    for name, value in data.items():
        mean, spread = null[name].mean(), max(null[name].std(), 1e-9)
        far = (value - mean) / spread
        if name in ("signal region", "sidebands"):
            wrong = abs(far) > FAR and abs(value - mean) > OTHER * mean
            words = f"{value:g} events in the {name}, {mean:.0f} in data sets without a signal"
            found.append(Finding(f"events, {name}", value, "fault" if wrong else "fine", words))
        else:
            verdict: Verdict = "fault" if abs(far) > FAR else _verdict(abs(far))
            words = (
                f"{100 * value:.3g} % of the sidebands are behind the cut at {name} of simulated "
                f"events, {100 * mean:.3g} +- {100 * spread:.2g} % in data sets without a signal"
            )
            found.append(Finding(f"simulation behind {name}", value, verdict, words))
    return found


def beyond(cut: Cut, share: float, usual: float, *, closure: float = 0.0) -> Finding:
    """Whether an excess is larger than what the sidebands have behind the same cut.

    Args:
        cut: what is behind it, on a background B from simulated events.
        share: s, of the sidebands behind it.
        usual: s_0, the same in data sets without a signal, on average.
        closure: relative error of the background.
    """
    eps, ratio = f"{cut.eps_b:g}", share / usual if usual else math.nan
    check = f"excess beyond the sidebands {eps}"
    if not ratio > 0:
        words = f"no events of the sidebands are behind the cut at {eps}"
        return Finding(check, math.nan, "look", words)
    B, sigma = cut.background.value * ratio, cut.background.error * ratio
    sigma = math.hypot(sigma, B / math.sqrt(cut.n_template))
    z = float(bounded(poisson_p(cut.n, B, sigma, closure=closure, tail="mid")))
    more = (1 - 1 / ratio) * math.sqrt(cut.n_template * ratio) > 3  # than usual, in sigma
    explained = more and z < 3 < bounded(cut.p(closure))
    words = (
        f"{cut.n} events of the signal region are behind the cut at {eps}; if a simulation that is "
        f"as wrong there makes what is in the sidebands, {B:.3g} +- {sigma:.2g} are expected, "
        f"{z:.1f} sigma"
    )
    words += ": the excess may be that of the simulation" if explained else ""
    return Finding(check, z, "look" if explained else "fine", words)


def ignorant(areas: Floats, *, taught: bool = False) -> Finding:
    """Whether a score learnt without a signal knows signal from background.

    Args:
        areas: areas under the ROC curve, shape (T,).
        taught: whether the method has learnt from other signals before, and may know this one.
    """
    low, median, high = np.quantile(areas, [0.15865, 0.5, 0.84135])
    reason = "what is known of others" if taught else "what differs between the regions"
    words = (
        f"learnt without a signal, the score ranks it with an area of {median:.3f} (68 % within "
        f"{low:.3f} and {high:.3f}): that is {reason}"
    )
    verdict: Verdict = "fine" if taught or low <= 0.5 <= high else "look"
    return Finding("area without a signal", median, verdict, words)


def distance_correlation(x: Floats, y: Floats) -> float:
    """DCor of two numbers of n events, each of shape (n,), within [0, 1]."""
    A, B = (_centred(v) for v in (x, y))
    scale = math.sqrt((A * A).mean() * (B * B).mean())
    return math.sqrt(max(0.0, (A * B).mean()) / scale) if scale else 0.0


def _centred(x: Floats) -> Floats:
    a = np.abs(x[:, None] - x)
    A: Floats = a - a.mean(axis=0) - a.mean(axis=1, keepdims=True) + a.mean()
    return A


def _collapsed(events: Events) -> Finding:
    n, k = sum(events.scored.collapsed), len(events.scored.collapsed)
    words = f"{n} of {k} folds have models with a constant score"
    return Finding("collapsed folds", n, "fault" if n else "fine", words)


def _twice(events: Events, kinematics: NDArray[Any]) -> Finding:
    _, inverse, counts = np.unique(kinematics, axis=0, return_inverse=True, return_counts=True)
    copies = counts[inverse.ravel()] > 1
    n = int(copies.sum())
    rows, folds = inverse.ravel()[copies], events.scored.fold[copies]
    several = np.bincount(np.unique(np.stack([rows, folds]), axis=1)[0], minlength=len(counts)) > 1
    across = int(several[rows].sum())
    words = f"{n} events are there more than once, {across} of them in another fold as well"
    return Finding("duplicate events", n, "fault" if n else "fine", words)


def _behind(events: Events, eps: float) -> Finding:
    n = int((events.passing(eps) & ~events.inside).sum())
    words = f"{n} events outside the signal region are behind the cut at {100 * eps:g} %"
    return Finding(f"events behind {eps:g}", n, "fine" if n >= FEW else "look", words)


def _between_sidebands(events: Events) -> Finding:
    upper = events.mass[~events.inside] > events.mass[events.inside].mean()
    if not 0 < upper.sum() < len(upper):
        return Finding("area between sidebands", math.nan, "look", "there is only one sideband")
    area = auc(roc(events.scored.score[~events.inside], upper.astype(int)))
    far = abs(area.value - 0.5) / max(area.error, 1e-9)
    words = f"upper against lower sideband: {area.value:.3f} +- {area.error:.3f}, at best 0.5"
    return Finding("area between sidebands", area.value, _verdict(far), words)


def _flat(events: Events, eps: float) -> Finding:
    mass, passed = events.mass[~events.inside], events.passing(eps)[~events.inside]
    edges = np.quantile(mass, np.linspace(0, 1, BINS + 1)[1:-1])
    which = np.searchsorted(edges, mass)
    n, k = (np.bincount(which, weights=w, minlength=BINS) for w in (None, passed))
    n, k, share = n[n > 0], k[n > 0], k.sum() / n.sum()
    words = f"efficiency at {100 * eps:g} % in {len(n)} bins of the mass: "
    if not 0 < share < 1 or len(n) < 2:
        words += f"{100 * share:g} % of all"
        return Finding("flat efficiency", math.nan, "look", words)
    T = float(((k - n * share) ** 2 / (n * share * (1 - share))).sum())
    p = float(chi2.sf(T, len(n) - 1))
    words += f"chi2 = {T:.1f}, p = {p:.2g}"
    return Finding("flat efficiency", T, "fine" if p > 0.01 else "look", words)


def _independent(events: Events, rng: np.random.Generator, permutations: int = 100) -> Finding:
    outside = np.flatnonzero(~events.inside)
    chosen = rng.permutation(outside)[:MOST]
    s, m = events.scored.score[chosen], events.mass[chosen]
    value = distance_correlation(s, m)
    null = np.array([distance_correlation(rng.permutation(s), m) for _ in range(permutations)])
    far = (value - null.mean()) / max(null.std(), 1e-9)
    words = f"distance correlation {value:.3f}, of shuffled scores {null.mean():.3f}"
    return Finding("distance correlation", value, _verdict(far), words)


def _verdict(standard_deviations: float) -> Verdict:
    """Of a number and what it should be."""
    return "fine" if standard_deviations < 3 else "look"
