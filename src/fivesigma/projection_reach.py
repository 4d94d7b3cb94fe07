r"""Up to which value of a parameter of the signal a projection has five sigma.

With the significances $Z_a$ and $Z_b$ at neighbouring values $a < b$ of the parameter, those
between are interpolated linearly in the logarithm, and the reach is where it crosses 5,

$$ r = a + (b - a) \, \frac{\ln Z_a - \ln 5}{\ln Z_a - \ln Z_b} , \qquad Z_a \ge 5 > Z_b . $$

Points without a result are left out: their neighbours are next to each other then.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from .series import spread, varying
from .studies import Projected
from .thresholds import LEAST

__all__ = ["crossing", "reaches", "records_of", "told"]

Records: TypeAlias = Sequence[Mapping[str, Any]]
DISCOVERY = 5.0
LEAST_Z = 1e-3


def records_of(made: Projected, arm: str, point: str) -> Records:
    """The records of a method at a point, one for each repeat that is done."""
    return [r for r in made.records if (r["task"].arm.name, r["task"].point) == (arm, point)]


def reaches(made: Projected) -> dict[str, list[dict[str, Any]]]:
    """By method: the value of the scanned parameter up to which Z is 5, for values of others."""
    points = made.prepared.points
    names = varying(points)
    if not names:
        return {}
    scanned, *others = names
    groups: dict[tuple[Any, ...], list[str]] = {}
    for name, point in sorted(points.items(), key=lambda item: float(item[1][scanned])):
        groups.setdefault(tuple(point[k] for k in others), []).append(name)
    return {
        arm.name: [
            {"parameter": scanned, "fixed": dict(zip(others, fixed, strict=True))}
            | _reach(made, arm.name, group, scanned)
            for fixed, group in groups.items()
            if len(group) > 1
        ]
        for arm in made.projection.arms
    }


def _reach(made: Projected, arm: str, names: Sequence[str], scanned: str) -> dict[str, Any]:
    """Of the mean significance, with the spread over the repeats that all points have."""
    z = {
        name: {r["task"].repeat: r["numbers"]["z"] for r in records}
        for name in names
        if (records := records_of(made, arm, name))
    }
    row: dict[str, Any] = {
        "missing": [name for name in names if name not in z],
        "no_signal": [name for name, found in z.items() if not any(found.values())],
    }
    if len(z) < 2:
        return row | {"grid": None, "value": None, "status": "too few points"}
    x = [float(made.prepared.points[name][scanned]) for name in z]
    value = crossing(x, [float(np.mean([*found.values()])) for found in z.values()])
    status = "measured" if math.isfinite(value) else "below grid"
    row |= {"grid": [x[0], x[-1]], "value": value if math.isfinite(value) else None}
    row["status"] = "above grid" if value == math.inf else status
    repeats = sorted(set.intersection(*(set(found) for found in z.values())))
    each = [crossing(x, [found[r] for found in z.values()]) for r in repeats]
    if len(each) > 1 and all(map(math.isfinite, each)):
        interval = spread(each)
        row |= {"low": interval.low, "high": interval.high}
    return row


def crossing(x: Sequence[float], z: Sequence[float] | np.ndarray) -> float:
    """Where Z first falls below 5, of an increasing x; infinite beyond the grid on either side."""
    log = np.log(np.maximum(np.asarray(z, dtype=np.float64), LEAST_Z) / DISCOVERY)
    below = np.flatnonzero(log < 0)
    if not len(below):
        return math.inf
    if below[0] == 0:
        return -math.inf
    a, b = below[0] - 1, below[0]
    return float(x[a] + (x[b] - x[a]) * log[a] / (log[a] - log[b]))


def told(row: Mapping[str, Any]) -> str:
    """A row of `reaches` in words, with what it is not made of."""
    fixed = "".join(f", {name} = {value:g}" for name, value in row["fixed"].items())
    return _where(row) + fixed + _without(row)


def _where(row: Mapping[str, Any]) -> str:
    name = row["parameter"]
    if row["status"] == "too few points":
        return f"at an unknown {name}, as fewer than two points have results"
    low, high = row["grid"]
    if row["status"] != "measured":
        which = "all" if row["status"] == "above grid" else "no"
        return f"at {which} {name} from {low:g} to {high:g}"
    interval = f" ({row['low']:.4g} to {row['high']:.4g})" if "low" in row else ""
    return f"up to {name} = {row['value']:.4g}{interval}"


def _without(row: Mapping[str, Any]) -> str:
    words = ""
    if row["missing"]:
        words += f"; without {', '.join(row['missing'])}, of which there is no result"
    if row["no_signal"]:
        words += (
            f"; fewer than {LEAST} events of signal, so Z = 0, at {', '.join(row['no_signal'])}"
        )
    return words
