"""From the records of a study to results.json.

It holds every number that a report prints, traceable to configuration, samples and seeds.
"""

import datetime as dt
import json
import math
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import yaml

from . import __version__
from .arms import build
from .configuration import Study
from .digest import digest
from .events import generator_version
from .projection import Projection
from .reach import Reach, reach, reach_of_cuts
from .representations import JetImages
from .sample import Sample
from .searched import searched
from .sources import opened
from .studies import Run
from .tasks import REGIONS, Task
from .writing import write_bytes, write_json

__all__ = ["assemble", "heading", "name_in", "save", "write"]

AVERAGED = 4000
BIN_GEV = 100.0
NOT_OF_POINTS = ("points", "interpretation")


def save(run: Run, out: Path) -> Path:
    """Write config.yaml and results.json into the folder of a study; returns the latter."""
    return write(run.study, assemble(run), out)


def write(study: Study | Projection, results: dict[str, Any], out: Path) -> Path:
    """Write config.yaml and results.json; returns the latter."""
    text = yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False)
    write_bytes(out / "config.yaml", text.encode())
    path = out / "results.json"
    write_json(path, results)
    return path


def name_in(folder: Path) -> str | None:
    """The name of the study whose results are in a folder; None if none can be read."""
    for file, read in (("results.json", json.loads), ("config.yaml", yaml.safe_load)):
        with suppress(OSError, ValueError, TypeError, LookupError, yaml.YAMLError):
            name = read((folder / file).read_text())["name"]
            if isinstance(name, str):
                return name
    return None


def assemble(run: Run) -> dict[str, Any]:
    """All numbers of a study, JSON types only; momenta in GeV, cross sections in fb."""
    if run.study.search:
        return _about(run) | searched(run)
    points = _points(run)
    reaches = _reach(points, run.study)
    return _about(run) | {
        "average_images": _average_images(run),
        "points": points,
        "interpretations": _interpretations(run),
        "reach": reaches,
        "published": [numbers.model_dump(exclude_none=True) for numbers in run.study.published],
        "summary": _summary(run.study, points, reaches),
    }


def _about(run: Run) -> dict[str, Any]:
    """What was done with what."""
    study, benchmark = run.study, run.samples.benchmark
    return heading(study, run.samples.luminosity_fb(study)) | {
        "n_background_signal_region": run.samples.n_background(study),
        "regions": {
            region.name: [list(window) for window in region.windows]
            for region in benchmark.selection.regions
            if region.name in REGIONS
        },
        "samples": {name: sample.summary() for name, sample in _samples(run).items()},
        "m_jj": _spectrum(run),
        "pretraining": list(run.pretraining),
        "failures": list(run.failures),
    }


def heading(study: Study | Projection, luminosity_fb: float) -> dict[str, Any]:
    """What was asked for, and what the numbers depend on."""
    config = study.model_dump(mode="json")
    packages = ("numpy", "torch", "awkward", "fastjet")
    return {
        "name": study.name,
        "title": study.title,
        "benchmark": study.benchmark,
        "config": config,
        "config_hash": digest(config),
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "versions": {
            "fivesigma": __version__,
            "generator": generator_version(),
            **{p: version(p) for p in packages},
        },
        "luminosity_fb": luminosity_fb,
    }


def _samples(run: Run) -> dict[str, Sample]:
    """By the name in a report: that of the first target is "signal"."""
    samples = run.samples
    first, *others = samples.targets.values()
    named = dict(zip(list(samples.targets)[1:], others, strict=True))
    data = {"data": samples.observed} if samples.observed else {}
    return {"signal": first, **named, "background": samples.background, **data}


def _method(task: Task, run: Run) -> str:
    return task.arm.name if len(run.samples.targets) == 1 else f"{task.arm.name}, {task.target}"


def _points(run: Run) -> list[dict[str, Any]]:
    points = []
    for record in run.records:
        task = record["task"]
        head = {
            "method": _method(task, run),
            "arm": task.arm.name,
            "target": task.target,
            "label": task.arm.label,
            "representation": build(task.arm).seen.name,
        }
        for training in record["trainings"]:
            shared = {k: v for k, v in training.items() if k not in NOT_OF_POINTS}
            shared["hash"] = f"{record['hash']}-{training['repeat']}-{training['seed']}"
            points += [head | shared | point for point in training["points"]]
    return points


def _interpretations(run: Run) -> list[dict[str, Any]]:
    """What the networks look at that were trained on the first data set."""
    return [
        {"method": _method(record["task"], run), "s_over_sqrt_b": max(strengths)}
        | training["interpretation"]
        for record in run.records
        for training in record["trainings"]
        if "interpretation" in training
        for strengths in [[point["s_over_sqrt_b"] for point in training["points"]]]
    ]


def _reach(points: list[dict[str, Any]], study: Study) -> dict[str, dict[str, dict[str, Any]]]:
    rng = np.random.default_rng(study.seed)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for method in dict.fromkeys(point["method"] for point in points):
        own = [p for p in points if p["method"] == method]
        grid = sorted({p["s_over_sqrt_b"] for p in own})
        found[method] = {}
        repeats = [[p for p in own if p["s_over_sqrt_b"] == s] for s in grid]
        for eps in (f"{e:g}" for e in study.grid.eps_b):
            cuts = [[p["eps_b"][eps] for p in at] for at in repeats]
            if own[0]["label"] == "cwola":
                r = _interpolated(grid, cuts, rng)
            else:  # the same trainings at all strengths
                passed = ([cut[name] for cut in cuts[0]] for name in ("eps_s", "eps_b"))
                r = reach_of_cuts(own[0]["n_background"], *passed, rng=rng)
            status = {"none": "measured", "lower": "above grid", "upper": "below grid"}[r.limit]
            numbers = {"value": r.value}
            if min(map(len, cuts)) > 1:
                numbers |= {"low": r.low, "high": r.high}
            found[method][eps] = {k: x if math.isfinite(x) else None for k, x in numbers.items()}
            found[method][eps] |= {"status": status}
    return found


def _interpolated(
    grid: list[float], cuts: list[list[dict[str, Any]]], rng: np.random.Generator
) -> Reach:
    """The reach of trainings on data of each strength, which know something at 0 as well."""
    z = [[cut["z_after"] for cut in at] for at in cuts]
    if grid[0] > 0 or len(grid) == 1:
        return reach(grid, z, rng=rng)
    at_zero = [cut["eps_s"] / cut["eps_b"] ** 0.5 for cut in cuts[0]]
    return reach(grid[1:], z[1:], at_zero=at_zero, rng=rng)


def _spectrum(run: Run) -> dict[str, Any]:
    """Counts of m_jj, with scales to the luminosity and to the largest S of the grid."""
    windows = [w for region in run.samples.benchmark.selection.regions for w in region.windows]
    low, high = (
        min(w[0] for w in windows) - BIN_GEV,
        max(w[1] for w in windows) + 4 * BIN_GEV,
    )
    edges = np.arange(low, high + BIN_GEV / 2, BIN_GEV)
    samples = {role: _samples(run)[role] for role in ("signal", "background")}
    counts = {role: _counts(sample, edges) for role, sample in samples.items()}
    b = run.samples.n_background(run.study)
    expected = {"signal": max(run.study.grid.s_over_sqrt_b) * b**0.5, "background": b}
    scales = {
        f"{role}_scale": expected[role] / max(samples[role].passed(REGIONS[0]), 1)
        for role in counts
    }
    return {"edges_gev": edges.tolist(), **{r: c.tolist() for r, c in counts.items()}, **scales}


def _counts(sample: Sample, edges: np.ndarray) -> np.ndarray:
    total = np.zeros(len(edges) - 1, dtype=int)
    for events in sample.batches(columns=["m_jj"]):
        total += np.histogram(ak.to_numpy(events.m_jj), edges)[0]
    return total


def _average_images(run: Run) -> dict[str, dict[str, Any]]:
    averages: dict[str, dict[str, Any]] = {}
    for record in run.records:
        task = record["task"]
        stored = build(task.arm).stored
        kind = task.arm.representation.get("intensity", stored.name)
        if not isinstance(stored, JetImages) or kind in averages:
            continue
        averages[kind] = {
            role: opened(folder / f"{REGIONS[0]}.npy")[:AVERAGED].mean(0).tolist()
            for role, folder in zip(("signal", "background"), task.pools, strict=True)
        }
    return averages


def _summary(
    study: Study, points: list[dict[str, Any]], reaches: dict[str, dict[str, dict[str, Any]]]
) -> list[str]:
    """What the study shows, in a few sentences."""
    sentences = [_sentence(method, row, study) for method, row in reaches.items()]
    trainings = len({point["hash"] for point in points})
    collapsed = len({point["hash"] for point in points if point["collapsed"]})
    sentences.append(
        f"{trainings} trainings against {points[0]['n_background']} background events, "
        f"{collapsed} of them collapsed; the significances are not calibrated."
    )
    return sentences


def _sentence(arm: str, row: dict[str, dict[str, Any]], study: Study) -> str:
    eps, best = min(row.items(), key=lambda item: item[1]["value"] or math.inf)
    if best["status"] == "measured":
        interval = "one data set, no interval"
        if "low" in best:
            low, high = (
                "off the grid" if x is None else f"{x:.2f}" for x in (best["low"], best["high"])
            )
            interval = f"68 % interval {low} to {high}"
        return (
            f"{arm}: 5 sigma from S/sqrt(B) = {best['value']:.2f} on ({interval}), "
            f"cutting at eps_b = {100 * float(eps):g} %."
        )
    grid = study.grid.s_over_sqrt_b
    side = "above" if best["status"] == "above grid" else "at or below the first point of"
    return f"{arm}: 5 sigma {side} the grid of S/sqrt(B) from {min(grid):g} to {max(grid):g}."
