r"""From the records of a projection to results.json.

With the significances $Z_a$ and $Z_b$ at neighbouring values $a < b$ of a parameter of the signal,
those between are interpolated linearly in the logarithm, and the reach is where it crosses 5,

$$ r = a + (b - a) \, \frac{\ln Z_a - \ln 5}{\ln Z_a - \ln Z_b} , \qquad Z_a \ge 5 > Z_b . $$
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from .projection import Projection
from .results import heading, write
from .series import spread, varying
from .studies import Projected
from .yields import Slice, Yields, correlation, weigh

__all__ = ["assemble_projection", "crossing", "cutflow", "save_projection"]

Records: TypeAlias = Sequence[Mapping[str, Any]]
DISCOVERY = 5.0
LEAST_Z = 1e-3
DECIMALS = 4


def save_projection(made: Projected, out: Path) -> Path:
    """Write config.yaml and results.json into the folder of a projection; returns the latter."""
    return write(made.projection, assemble_projection(made), out)


def assemble_projection(made: Projected) -> dict[str, Any]:
    """All numbers of a projection, JSON types only; cross sections in fb."""
    prepared, projection = made.prepared, made.projection
    methods = _methods(made)
    reaches = _reaches(made)
    events = weigh(prepared.slices(next(iter(prepared.points))), luminosity_fb=1.0)
    return heading(projection, prepared.luminosity_fb) | {
        "samples": {name: sample.summary() for name, sample in prepared.samples.items()},
        "failures": list(made.failures),
        "projection": {
            "points": prepared.points,
            "processes": _processes(made),
            "cutflows": _cutflows(made),
            "features": list(prepared.features),
            "methods": methods,
            "reach": reaches,
            "correlations": _correlations(events),
            "published": _published(projection),
        },
        "trainings": [_training(record) for record in made.records],
        "interpretations": [
            {"method": r["task"].arm.name, "signal": r["task"].point} | r["interpretation"]
            for r in made.records
            if "interpretation" in r
        ],
        "summary": _summary(made, methods, reaches),
    }


def _records(made: Projected, arm: str, point: str) -> Records:
    return [r for r in made.records if (r["task"].arm.name, r["task"].point) == (arm, point)]


def _methods(made: Projected) -> dict[str, dict[str, Any]]:
    """By method and point: mean and standard deviation over repeats of every number."""
    return {
        arm.name: {
            point: _averaged(records)
            for point in made.prepared.points
            if (records := _records(made, arm.name, point))
        }
        for arm in made.projection.arms
    }


def _averaged(records: Records) -> dict[str, Any]:
    first = records[0]
    return {
        "repeats": len(records),
        "collapsed": sum(record["collapsed"] for record in records),
        "numbers": _each(records, ["numbers"], first["numbers"]),
        "threshold": _mean([record["threshold"] for record in records]),
        "yields": {
            process: _each(records, ["yields", process], row)
            for process, row in first["yields"].items()
        },
        "n_train": {k: _mean([r["n_train"][k] for r in records]) for k in first["n_train"]},
        "curves": {"threshold": first["curves"]["threshold"]}
        | {name: _curve(records, name) for name in ("n_s", "n_b", "z")},
    }


def _each(
    records: Records, path: Sequence[str], names: Mapping[str, Any]
) -> dict[str, dict[str, float | None]]:
    rows = []
    for record in records:
        row: Any = record
        for key in path:
            row = row[key]
        rows.append(row)
    return {name: _mean([row[name] for row in rows]) for name in names}


def _mean(values: Sequence[float]) -> dict[str, float | None]:
    """Mean, and standard deviation between repeats, if there are some."""
    several = len(values) > 1
    std = float(np.std(values, ddof=1)) if several else None
    return {"mean": float(np.mean(values)), "std": std}


def _curve(records: Records, name: str) -> dict[str, list[float]]:
    curves = np.array([record["curves"][name] for record in records])
    std = curves.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros(curves.shape[1])
    return {"mean": curves.mean(axis=0).tolist(), "std": std.tolist()}


def _processes(made: Projected) -> dict[str, dict[str, dict[str, float]]]:
    """By point and process: simulated events, their effective number, cross sections, yield.

    What is generated has the cross section behind limits on the phase space and vetoes.
    """
    found = {}
    for point in made.prepared.points:
        slices = made.prepared.slices(point)
        events = weigh(slices, luminosity_fb=made.prepared.luminosity_fb)
        value, error = events.expected()
        n = np.bincount(events.process, minlength=len(events.names))
        found[point] = {
            name: {
                "n_selected": int(n[k]),
                "n_effective": float((value[k] / error[k]) ** 2),
                "n_generated": sum(one.n_generated for one in slices if one.name == name),
                "generated_fb": sum(one.cross_section_fb for one in slices if one.name == name),
                "selected_fb": float(events.cross_section_fb[k]),
                "selected_error_fb": float(events.cross_section_error_fb[k]),
                "expected": float(value[k]),
                "expected_error": float(error[k]),
            }
            for k, name in enumerate(events.names)
        }
    return found


def _cutflows(made: Projected) -> dict[str, list[dict[str, Any]]]:
    """By process, the signal at each point: cross section behind each cut."""
    groups = {
        "signal" if len(made.prepared.points) == 1 else f"signal, {point}": [one]
        for point, one in made.prepared.signals.items()
    }
    for one in made.prepared.backgrounds:
        groups.setdefault(one.name, []).append(one)
    return {name: cutflow(slices) for name, slices in groups.items()}


def cutflow(slices: Sequence[Slice]) -> list[dict[str, Any]]:
    r"""Cross section of a process that each cut leaves, and its statistical error [fb].

    $$ \sigma_k = \sum_s \sigma_s \frac{n_{sk}}{N_s} , $$

    where cut k leaves n of the N events of slice s. Events count as independent, even showers of
    the same hard event.
    """
    sigma = np.array([[one.cross_section_fb] for one in slices])
    error = np.array([[one.cross_section_error_fb] for one in slices])
    share, spread = (
        np.array([[getattr(row, name) for row in one.cutflow] for one in slices])
        for name in ("efficiency", "error")
    )
    value = (sigma * share).sum(axis=0)
    total = np.sqrt(((sigma * spread) ** 2 + (error * share) ** 2).sum(axis=0))
    return [
        {"cut": row.cut, "cross_section_fb": float(x), "cross_section_error_fb": float(e)}
        for row, x, e in zip(slices[0].cutflow, value, total, strict=True)
    ]


def _correlations(events: Yields) -> dict[str, list[list[float]]]:
    kinds = {"signal": events.signal, "background": ~events.signal}
    parts = {name: events.subset(mine) for name, mine in kinds.items()}
    return {
        name: correlation(part.x, part.weight).round(DECIMALS).tolist()
        for name, part in parts.items()
    }


def _published(projection: Projection) -> list[dict[str, Any]]:
    """What others had with as many events to train on."""
    return [
        table.model_dump(mode="json")
        for table in projection.published
        if table.train_share == projection.train_share
    ]


def _training(record: Mapping[str, Any]) -> dict[str, Any]:
    task = record["task"]
    head = {"method": task.arm.name, "point": task.point, "repeat": task.repeat}
    return head | {k: v for k, v in record.items() if k not in ("task", "curves", "interpretation")}


def _reaches(made: Projected) -> dict[str, list[dict[str, Any]]]:
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
            {"parameter": scanned, "fixed": dict(zip(others, fixed, strict=True))} | found
            for fixed, group in groups.items()
            if len(group) > 1 and (found := _reach(made, arm.name, group, scanned))
        ]
        for arm in made.projection.arms
    }


def _reach(made: Projected, arm: str, names: Sequence[str], scanned: str) -> dict[str, Any] | None:
    """Of the mean significance, with the spread over repeats; none where one has failed."""
    x = [float(made.prepared.points[name][scanned]) for name in names]
    found = [{r["task"].repeat: r["numbers"]["z"] for r in _records(made, arm, n)} for n in names]
    repeats = sorted(set.intersection(*(set(by_repeat) for by_repeat in found)))
    if not repeats:
        return None
    z = np.array([[by_repeat[r] for by_repeat in found] for r in repeats])
    value = crossing(x, z.mean(axis=0))
    row: dict[str, Any] = {"grid": [x[0], x[-1]], "value": value if math.isfinite(value) else None}
    row["status"] = "measured" if math.isfinite(value) else "below grid"
    row["status"] = "above grid" if value == math.inf else row["status"]
    each = [crossing(x, one) for one in z]
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


def _summary(
    made: Projected,
    methods: Mapping[str, Mapping[str, Any]],
    reaches: Mapping[str, Sequence[Mapping[str, Any]]],
) -> list[str]:
    """What the projection shows, in a few sentences."""
    sentences = [f"{arm}: 5 sigma {_words(row)}." for arm, rows in reaches.items() for row in rows]
    for point in made.prepared.points:
        z = {
            arm: by_point[point]["numbers"]
            for arm, by_point in methods.items()
            if point in by_point
        }
        if z:
            best = max(z, key=lambda arm: z[arm]["z"]["mean"])
            sentences.append(
                f"{point}: Z = {_number(z[best]['z'])} with {best}, the highest of {len(z)}, from "
                f"{_number(z[best]['z_before'])} before a cut on the score."
            )
    collapsed = sum(record["collapsed"] for record in made.records)
    return [
        *sentences,
        f"{len(made.records)} trainings, {collapsed} of them collapsed; significances are medians "
        f"at {made.prepared.luminosity_fb:g} /fb with the background known exactly.",
    ]


def _words(row: Mapping[str, Any]) -> str:
    fixed = "".join(f", {name} = {value:g}" for name, value in row["fixed"].items())
    low, high = row["grid"]
    name = row["parameter"]
    if row["status"] != "measured":
        which = "all" if row["status"] == "above grid" else "no"
        return f"at {which} {name} from {low:g} to {high:g}{fixed}"
    interval = f" ({row['low']:.4g} to {row['high']:.4g})" if "low" in row else ""
    return f"up to {name} = {row['value']:.4g}{interval}{fixed}"


def _number(entry: Mapping[str, float | None]) -> str:
    return f"{entry['mean']:.2f}" + (f" ± {entry['std']:.2f}" if entry["std"] is not None else "")
