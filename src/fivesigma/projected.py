"""From the records of a projection to results.json."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from .projection import Projection
from .projection_coverage import told_of_absence
from .projection_reach import reaches, records_of, told
from .results import heading, write
from .studies import Projected
from .yields import Slice, Yields, correlation, weigh

__all__ = ["assemble_projection", "cutflow", "save_projection"]

Records: TypeAlias = Sequence[Mapping[str, Any]]
DECIMALS = 4
FEW_EVENTS = 1.5
"""Z of a perfect score over that of a method, below which simulated events limit the method."""


def save_projection(made: Projected, out: Path) -> Path:
    """Write config.yaml and results.json into the folder of a projection; returns the latter."""
    return write(made.projection, assemble_projection(made), out)


def assemble_projection(made: Projected) -> dict[str, Any]:
    """All numbers of a projection, JSON types only; cross sections in fb."""
    prepared, projection = made.prepared, made.projection
    methods = _methods(made)
    found = reaches(made)
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
            "reach": found,
            "correlations": _correlations(events),
            "published": _published(projection),
            "absent": list(prepared.absent),
            "gaps": {name: [list(ends) for ends in found] for name, found in prepared.gaps.items()},
            "spread": projection.spread,
        },
        "trainings": [_training(record) for record in made.records],
        "interpretations": [
            {"method": r["task"].arm.name, "signal": r["task"].point} | r["interpretation"]
            for r in made.records
            if "interpretation" in r
        ],
        "summary": _summary(made, methods, found),
    }


def _methods(made: Projected) -> dict[str, dict[str, Any]]:
    """By method and point: mean and standard deviation over repeats of every number."""
    return {
        arm.name: {
            point: _averaged(records)
            for point in made.prepared.points
            if (records := records_of(made, arm.name, point))
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

    What is generated has the cross section of the simulation, behind limits on the phase space and
    vetoes; what is selected may have one that the study gives.
    """
    prepared = made.prepared

    def simulated(point: str, process: str) -> Sequence[Slice]:
        return prepared.simulated[prepared.group(point, process)]

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
                "n_generated": sum(one.n_generated for one in simulated(point, name)),
                "generated_fb": sum(one.cross_section_fb for one in simulated(point, name)),
                "selected_fb": float(events.cross_section_fb[k]),
                "selected_error_fb": float(events.cross_section_error_fb[k]),
                "expected": float(value[k]),
                "expected_error": float(error[k]),
            }
            for k, name in enumerate(events.names)
        }
    return found


def _cutflows(made: Projected) -> dict[str, list[dict[str, Any]]]:
    """By process, the signal at each point: cross sections of all of it, and behind each cut.

    The simulation's, not scaled to those that a study gives, which are in a row of their own.
    """
    totals, given = made.projection.totals, made.projection.selected_fb
    found = {}
    for name, slices in made.prepared.simulated.items():
        rows = cutflow(slices)
        for row in rows[:-1]:
            row["behind_veto"] = name in made.prepared.vetoed
        if totals:
            rows.insert(0, _stated(f"total: {totals.source}", totals.fb.get(slices[0].name)))
        if given:
            rows.append(_stated("selected, as given", given.get(slices[0].name)))
        found[name] = rows
    return found


def _stated(row: str, cross_section_fb: float | None) -> dict[str, Any]:
    """A row of what is not simulated."""
    value = {"cross_section_fb": cross_section_fb, "cross_section_error_fb": None}
    return {"cut": row, **value, "behind_veto": False}


def cutflow(slices: Sequence[Slice]) -> list[dict[str, Any]]:
    r"""Cross section of a process that each cut leaves, and its statistical error [fb].

    $$ \sigma_k = \sum_s \sigma_s \frac{n_{sk}}{N_s} , $$

    where cut k leaves n of the N events of slice s. Events count as independent, even showers of
    the same hard event. The first row is what is generated, behind limits on the phase space and
    vetoes; no other row but the last, of all cuts, is tighter than these for sure.
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
        {
            "cut": "generated" if k == 0 else row.cut,
            "cross_section_fb": float(x),
            "cross_section_error_fb": float(e),
            "behind_veto": False,
        }
        for k, (row, x, e) in enumerate(zip(slices[0].cutflow, value, total, strict=True))
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


def _summary(
    made: Projected,
    methods: Mapping[str, Mapping[str, Any]],
    found: Mapping[str, Sequence[Mapping[str, Any]]],
) -> list[str]:
    """What the projection shows, in a few sentences."""
    sentences = [f"{arm}: 5 sigma {told(row)}." for arm, rows in found.items() for row in rows]
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
        *_limited(methods),
        *told_of_absence(made.prepared.absent, made.prepared.gaps),
        f"{len(made.records)} trainings, {collapsed} of them collapsed; significances are medians "
        f"at {made.prepared.luminosity_fb:g} /fb with the background known exactly.",
    ]


def _limited(methods: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where the rule for thresholds, and not the method, decides on Z."""
    z = {
        f"{arm} at {point}": one["numbers"]
        for arm, by_point in methods.items()
        for point, one in by_point.items()
    }
    few = [
        which
        for which, numbers in z.items()
        if 0 < numbers["z_perfect"]["mean"] < FEW_EVENTS * numbers["z"]["mean"]
    ]
    if not few:
        return []
    return [
        f"Limited by simulated events: {', '.join(few)}, where a score with all of the signal at 1 "
        f"would have less than {FEW_EVENTS:g} times the Z, by the same rule for the threshold."
    ]


def _number(entry: Mapping[str, float | None]) -> str:
    return f"{entry['mean']:.2f}" + (f" ± {entry['std']:.2f}" if entry["std"] is not None else "")
