"""The trainings of each method, as every figure and table of a report shows them."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    *("COLOURS", "FEW", "GREYS", "MARKERS", "Point", "Results", "Series", "Spread"),
    *("all_strengths", "at_cut", "by_arm", "by_target", "cuts", "look", "number", "series"),
    *("spread", "varying"),
]

Results = Mapping[str, Any]
Point = Mapping[str, Any]
Array = npt.NDArray[np.float64]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f5539", "#5b4b8a")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
GREYS = ("#222222", "#6f6f6f", "#a8a8a8")
FEW = 5


@dataclass(frozen=True)
class Spread:
    """The middle and the extent of repeated trainings, in the unit of their values."""

    median: float
    low: float  # 16 % quantile; the smallest value of fewer than FEW
    high: float  # 84 % quantile; the largest value of fewer than FEW


@dataclass(frozen=True)
class Series:
    """The trainings of one method, and how every figure draws them."""

    name: str
    points: tuple[Point, ...]  # records of `points` in results.json
    supervised: bool  # trained on the truth: a ceiling, not a search
    style: dict[str, Any]  # matplotlib: color, marker, ls

    @property
    def arm(self) -> str:
        """The name of the method in its study, the same for all signals."""
        return _arm(self.points[0])

    @property
    def target(self) -> str:
        """The name of the signal; empty where a study has one only and does not say."""
        return str(self.points[0].get("target") or "")

    @property
    def label(self) -> str:
        """The name, with the number of collapsed trainings where there are any."""
        n = sum(point["collapsed"] for point in self.runs)
        return f"{self.name} ({n} of {len(self.runs)} collapsed)" if n else self.name

    @property
    def runs(self) -> list[Point]:
        """The trainings once each: a ceiling can have the same one at every S/sqrt(B)."""
        keys = ("repeat", "seed", "auc") + ("s_over_sqrt_b",) * (not self.supervised)
        return list({tuple(point[key] for key in keys): point for point in self.points}.values())

    def by_strength(self) -> dict[float, list[Point]]:
        """The trainings at each S/sqrt(B), in ascending order."""
        strengths = sorted({float(point["s_over_sqrt_b"]) for point in self.points})
        return {x: [p for p in self.points if p["s_over_sqrt_b"] == x] for x in strengths}


def spread(values: Sequence[float]) -> Spread:
    """The median and the central 68 % of the finite values; the full range of fewer than 5."""
    x = np.array([v for v in values if np.isfinite(v)], dtype=np.float64)
    if not x.size:
        return Spread(np.nan, np.nan, np.nan)
    low, high = (0, 100) if x.size < FEW else (15.865, 84.135)
    return Spread(*np.percentile(x, (50, low, high)).tolist())


def number(value: object, *, otherwise: float = np.nan) -> float:
    """A number of results.json as a float; `otherwise` for null, NaN and infinities."""
    x = float(value) if isinstance(value, (int, float)) else np.nan
    return x if np.isfinite(x) else otherwise


def at_cut(point: Point, eps_b: str, key: str) -> float:
    """A number at the cut `eps_b` (a key of results.json); NaN if it is not there."""
    # Without eps_s and z_after a collapsed training counts as 0: dropping it would hide a failure.
    failed = point["collapsed"] and key in ("eps_s", "z_after")
    return number(point["eps_b"].get(eps_b, {}).get(key), otherwise=0.0 if failed else np.nan)


def cuts(results: Results) -> list[str]:
    """The background efficiencies of the working points (keys of results.json), loosest first."""
    return sorted({k for p in results["points"] for k in p["eps_b"]}, key=float, reverse=True)


def _arm(point: Point) -> str:
    return str(point.get("arm", point["method"]))


def series(results: Results) -> list[Series]:
    """One Series a method, weakly supervised ones first."""
    groups: dict[tuple[bool, str], list[Point]] = {}
    for point in results["points"]:
        groups.setdefault((point["label"] == "supervised", point["method"]), []).append(point)
    weak = list(dict.fromkeys(_arm(p[0]) for (ceiling, _), p in groups.items() if not ceiling))
    known = list(dict.fromkeys(_arm(p[0]) for (ceiling, _), p in groups.items() if ceiling))
    made: list[Series] = []
    for (ceiling, name), points in sorted(groups.items(), key=lambda item: item[0][0]):
        if ceiling:
            style = _ceiling(results, points[0], weak, known)
        else:
            style = look(weak.index(_arm(points[0])))
        made.append(Series(_title(name, ceiling=ceiling), tuple(points), ceiling, style))
    return made


def _title(name: str, *, ceiling: bool) -> str:
    return f"{name} (supervised)" if ceiling and "superv" not in name.lower() else name


def look(i: int) -> dict[str, Any]:
    """Colour and marker of the i-th method; no two of the first 64 have the same of both."""
    n = len(COLOURS)
    return {"color": COLOURS[i % n], "marker": MARKERS[(i + i // n) % n], "ls": "-"}


def _ceiling(
    results: Results, point: Point, weak: Sequence[str], known: Sequence[str]
) -> dict[str, Any]:
    """A ceiling has the colour of the only method on its representation, else a grey."""
    kind, dashes = point.get("representation"), {"marker": "", "ls": (0, (4, 2))}
    pairs = {_arm(q) for q in results["points"] if q.get("representation") == kind} & {*weak}
    if len(pairs) == 1:
        return look(weak.index(pairs.pop())) | dashes
    return {"color": GREYS[known.index(_arm(point)) % len(GREYS)]} | dashes


def all_strengths(shown: Sequence[Series]) -> list[float]:
    """All S/sqrt(B), in ascending order."""
    return sorted({x for one in shown for x in one.by_strength()})


def by_target(shown: Sequence[Series]) -> dict[str, list[Series]]:
    """The series of each signal."""
    targets = dict.fromkeys(one.target for one in shown)
    return {target: [one for one in shown if one.target == target] for target in targets}


def by_arm(shown: Sequence[Series]) -> list[Series]:
    """One Series a method, of all signals together, in the style of the first."""
    arms: dict[str, list[Series]] = {}
    for one in shown:
        arms.setdefault(one.arm, []).append(one)
    if all(len(group) == 1 for group in arms.values()):
        return list(shown)
    return [
        dataclasses.replace(
            group[0],
            name=_title(arm, ceiling=group[0].supervised),
            points=tuple(p for one in group for p in one.points),
        )
        for arm, group in arms.items()
    ]


def varying(points: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Parameters that differ between points, all of them numbers; those of most values first."""
    values = {
        name: {point.get(name) for point in points.values()}
        for point in points.values()
        for name in point
    }
    several = {
        name: len(found)
        for name, found in values.items()
        if len(found) > 1 and all(isinstance(x, int | float) for x in found)
    }
    return sorted(several, key=lambda name: -several[name])
