"""From the records of a calibrated search to its findings.

What is known without a signal comes first: the closure of the background, the distribution of
p-values, and what the common recipe claims. Only then is a strength of the signal looked at.

Beside the p-values stands the measure of `argos`, by which methods may be chosen. Of n of the N
events of the signal region behind a cut, where a background B is expected, it is

    A = (n / N) / sqrt(B / N) - sqrt(B / N) = (n - B) / sqrt(B N).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .argos import LEAST, argos
from .background import Estimate, closure, closures
from .calibration import Calibrated, calibrate, uniformity
from .counting import bounded
from .doctor import alike, beyond, ignorant
from .export import workspace
from .reach import Reach, reach
from .search import Closure, Cut, Interval, Outcome
from .statistics import asimov

__all__ = ["ANY", "Null", "distribution", "measures", "power", "quantiles"]

Set: TypeAlias = Mapping[str, Any]
Floats: TypeAlias = NDArray[np.float64]
ANY = "any"


@dataclass(frozen=True, eq=False)
class Null:
    """Searches in data sets without a signal, by one method and one estimate of the background.

    Raises:
        ValueError: if there are fewer than 20 of them.
    """

    records: Sequence[Set]
    """Of the data sets."""

    background: str
    """Name of the estimate."""

    taught: bool = False
    """Whether the method has learnt from other signals before."""

    def __post_init__(self) -> None:
        if len(self.records) < 20:
            raise ValueError(f"expected 20 data sets without a signal; got {len(self.records)}")

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """What was found in them."""
        return [self.outcome(record) for record in self.records]

    @cached_property
    def closure(self) -> Closure:
        """Errors of the background beyond statistics."""
        cuts = zip(*(outcome.cuts for outcome in self.outcomes), strict=True)
        intervals = zip(*(outcome.intervals for outcome in self.outcomes), strict=True)
        return Closure(
            {same[0].eps_b: closure(_n(same), [cut.background for cut in same]) for same in cuts},
            closures([(_n(same), [one.background for one in same]) for same in intervals]),
        )

    @cached_property
    def p(self) -> dict[str, Floats]:
        """Local p-values by name."""
        return _by_name([local(outcome, self.closure) for outcome in self.outcomes])

    def outcome(self, record: Set) -> Outcome:
        """What was found in a data set."""
        found = record["outcomes"][self.background]
        cuts = [
            Cut(cut["eps_b"], cut["n"], Estimate(**cut["background"]), cut["n_template"])
            for cut in found["cuts"]
        ]
        intervals = [Interval(i["n"], Estimate(**i["background"])) for i in found["intervals"]]
        return Outcome(tuple(cuts), tuple(intervals), found["collapsed"])

    def local(self, record: Set) -> dict[str, float]:
        """Local p-values of a data set by name; `any` is the smallest."""
        return local(self.outcome(record), self.closure)

    def calibrate(self, outcome: Outcome) -> dict[str, Calibrated]:
        """Calibrated p-values by name; `any` is for the smallest of all local ones."""
        found = local(outcome, self.closure)
        return {name: calibrate(p, self.p[name]) for name, p in found.items()}

    def of_data(self, record: Set) -> dict[str, Any]:
        """What data hold, calibrated; JSON types only."""
        outcome, found = self.outcome(record), record["outcomes"][self.background]
        return {
            "n_events": record["n_events"],
            "cuts": [asdict(cut) for cut in outcome.cuts],
            "collapsed": outcome.collapsed,
            "local": local(outcome, self.closure),
            "calibrated": {name: asdict(c) for name, c in self.calibrate(outcome).items()},
            "argos": measures(outcome, record["n_events"]),
            "naive_z": dict(record["naive"]),
            "doctor": found.get("doctor", []) + self._compared(record),
            "m_jj": found["m_jj"],
            "workspace": workspace(*outcome.model(self.closure), "signal_region"),
        }

    def _compared(self, record: Set) -> list[dict[str, Any]]:
        """What the doctor says of data beside the data sets that calibrate them."""
        each = [self._numbers(one) for one in self.records]
        numbers, null = self._numbers(record), _by_name(each)
        found = alike(numbers, null)
        if self.background == "template":
            for cut in self.outcome(record).cuts:
                eps = f"{cut.eps_b:g}"
                delta = self.closure.cuts[cut.eps_b]
                found.append(beyond(cut, numbers[eps], float(null[eps].mean()), closure=delta))
        return [one.record() for one in (*found, ignorant(self._areas, taught=self.taught))]

    @property
    def _areas(self) -> Floats:
        return np.array([record["auc"] for record in self.records])

    def _numbers(self, record: Set) -> dict[str, float]:
        """Events in the regions, and, of a simulated template, shares of the sidebands."""
        sidebands = record["n_sideband"]
        found = {"signal region": record["n_events"], "sidebands": sidebands}
        if self.background != "template":
            return found
        cuts = record["outcomes"][self.background]["cuts"]
        return found | {f"{cut['eps_b']:g}": cut["n_template"] / sidebands for cut in cuts}

    def crossed(self) -> dict[str, Floats]:
        """p-values of each half of the data sets, with closure and calibration of the other."""
        halves = [replace(self, records=self.records[h::2]) for h in range(2)]
        found = [
            {name: c.p for name, c in halves[1 - h].calibrate(outcome).items()}
            for h, half in enumerate(halves)
            for outcome in half.outcomes
        ]
        return _by_name(found)

    def summary(self) -> dict[str, Any]:
        """Numbers of the searches without a signal, JSON types only."""
        crossed = self.crossed()
        naive = _by_name([record["naive"] for record in self.records if record["naive"]])
        return {
            "n_sets": len(self.outcomes),
            "closure": {f"{eps:g}": delta for eps, delta in self.closure.cuts.items()},
            "bias": _bias(self.outcomes),
            "auc": quantiles(self._areas),
            "collapsed": sum(outcome.collapsed > 0 for outcome in self.outcomes),
            "local": {name: distribution(p) for name, p in self.p.items()},
            "calibrated": {name: distribution(p) for name, p in crossed.items()},
            "argos": {name: quantiles(a) for name, a in self._measures().items()},
            "naive_z": {name: quantiles(z) for name, z in naive.items()},
        }

    def _measures(self) -> dict[str, Floats]:
        pairs = zip(self.outcomes, self.records, strict=True)
        return _by_name([measures(outcome, record["n_events"]) for outcome, record in pairs])


def measures(outcome: Outcome, n_events: int) -> dict[str, float]:
    """The measure `argos` by cut; `any` is the largest where 10 events or more are expected.

    Where fewer are behind the loosest cut, that of the loosest.
    """
    found = {
        f"{cut.eps_b:g}": argos(cut.n / n_events, cut.background.value / n_events)
        for cut in outcome.cuts
    }
    many = [f"{cut.eps_b:g}" for cut in outcome.cuts if cut.background.value >= LEAST]
    return found | {ANY: max(found[name] for name in many or list(found)[:1])}


def local(outcome: Outcome, delta: Closure) -> dict[str, float]:
    """Local p-values by name, and the smallest of them."""
    found = outcome.p_values(delta)
    return found | {ANY: min(found.values())}


def power(
    records: Sequence[Set], null: Null, *, rng: np.random.Generator
) -> dict[str, dict[str, Any]]:
    """By name of the p-value: significances at each strength, and the strength for 3 and 5 sigma.

    Args:
        records: searches in data sets with a signal.
        null: the same without.
        rng: for intervals.
    """
    strengths = sorted({record["s_over_sqrt_b"] for record in records} - {0.0})
    groups = [[r for r in records if r["s_over_sqrt_b"] == s] for s in strengths]
    outcomes = [[null.outcome(r) for r in group] for group in groups]
    calibrated = [[null.calibrate(outcome) for outcome in group] for group in outcomes]
    locals_ = [[local(outcome, null.closure) for outcome in group] for group in outcomes]
    found = {}
    for name in null.p:
        z = {
            "calibrated": [[one[name].z for one in group] for group in calibrated],
            "local": [bounded([one[name] for one in group]).tolist() for group in locals_],
        }
        if name not in (ANY, "shape"):
            z["uncalibrated"] = [
                [_asimov(r["outcomes"][null.background], name) for r in group] for group in groups
            ]
        found[name] = {
            "s_over_sqrt_b": strengths,
            "origin": [sorted({one[name].origin for one in group}) for group in calibrated],
            **{f"z_{kind}": values for kind, values in z.items()},
            "reach": {kind: _reaches(strengths, values, rng) for kind, values in z.items()},
        }
    return found


def _reaches(
    strengths: Sequence[float], z: Sequence[Sequence[float]], rng: np.random.Generator
) -> dict[str, dict[str, Any]]:
    """By target: the strength at which the median significance reaches it."""
    return {
        f"{target:g}": _limits(reach(strengths, z, rng=rng, z_target=target))
        for target in (3.0, 5.0)
    }


def _asimov(found: Mapping[str, Any], name: str) -> float:
    """Significance of the true signal behind a cut, on the true background."""
    i = [f"{cut['eps_b']:g}" for cut in found["cuts"]].index(name)
    S, n = found["n_signal"][i], found["cuts"][i]["n"]
    return float(asimov(float(S), max(n - S, 1.0)))


def _n(same: Sequence[Cut] | Sequence[Interval]) -> Floats:
    return np.array([one.n for one in same], dtype=np.float64)


def _bias(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Sum of what was observed over sum of what was expected, less 1."""
    return {
        f"{cut.eps_b:g}": sum(o.cuts[i].n for o in outcomes)
        / sum(o.cuts[i].background.value for o in outcomes)
        - 1
        for i, cut in enumerate(outcomes[0].cuts)
    }


def _by_name(rows: Sequence[Mapping[str, float]]) -> dict[str, Floats]:
    return {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}


def distribution(p: Floats) -> dict[str, Any]:
    """p-values of data sets without a signal, and how uniform they are; JSON types only."""
    test = uniformity(p)
    return {"p": p.tolist(), "ks": test.statistic, "ks_p": test.p, "z_max": test.z_max}


def quantiles(z: Floats) -> dict[str, float]:
    """Median, central 68 % and largest of some numbers."""
    low, median, high = np.quantile(z, [0.15865, 0.5, 0.84135])
    return {"median": float(median), "low": float(low), "high": float(high), "max": float(z.max())}


def _limits(found: Reach) -> dict[str, Any]:
    numbers = {"value": found.value, "low": found.low, "high": found.high}
    return {k: x if math.isfinite(x) else None for k, x in numbers.items()} | {"limit": found.limit}
