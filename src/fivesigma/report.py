"""The report of a study: a folder with results.json goes in, a report.html comes out.

Beside it: the figures as PNG and PDF in figures/, the tables as CSV and JSON in tables/.
"""

import base64
import csv
import io
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from .plots import FIGURES
from .series import Results, Series, at_cut, cuts, number, series, spread

Row = dict[str, Any]
STRENGTH = "S/\u2060√B"  # does not break at the end of a line
STUDY_KEYS = ("name", "title", "config_hash", "created", "luminosity_fb", "samples", "points")
POINT_KEYS = ("method", "label", "s_over_sqrt_b", "repeat", "seed", "auc", "collapsed", "eps_b")
SAMPLE_KEYS = ("hash", "process", "seed", "cross_section_fb", "n_generated", "n_kept", "cutflow")


def write_report(folder: Path) -> Path:
    """Write report.html, figures/ and tables/ into the folder of a study.

    Args:
        folder: Where results.json is.

    Returns:
        The path of report.html: one file that needs no other.

    Raises:
        ValueError: There is no results.json, or it does not hold the results of a study.
    """
    results = load_results(folder)
    tables = make_tables(results)
    for name, rows in tables.items():
        _save_table(folder / "tables" / name, rows)
    images = {name: _save_figure(name, results, folder / "figures") for name in FIGURES}
    template = _environment().get_template("report.html.j2")
    html = template.render(
        results=results,
        series=series(results),
        reach=_reach_lines(results),
        tables=tables,
        cuts=cuts(results),
        images=images,
        captions={name: caption(results) for name, caption in CAPTIONS.items()},
        config=json.dumps(results.get("config", {}), indent=2, ensure_ascii=False),
    )
    _write(folder / "report.html", html.encode())
    return folder / "report.html"


def load_results(folder: Path) -> Results:
    """The content of results.json in a folder.

    Raises:
        ValueError: The file is missing, is no JSON, or lacks a key that every report needs.
    """
    path = Path(folder) / "results.json"
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"expected the results of a study; got no readable {path}") from error
    except ValueError as error:
        raise ValueError(f"expected JSON in {path}; got {error}") from error
    _require(results, STUDY_KEYS, str(path))
    if not isinstance(results["points"], list):
        raise ValueError(f"expected a list of trainings in {path}; got {results['points']!r:.40}")
    for i, point in enumerate(results["points"]):
        _require(point, POINT_KEYS, f"points[{i}] of {path}")
    for name, sample in results["samples"].items():
        _require(sample, SAMPLE_KEYS, f"samples.{name} of {path}")
    return dict(results)


def _require(record: object, keys: Sequence[str], place: str) -> None:
    if not isinstance(record, dict):
        raise ValueError(f"expected a mapping in {place}; got {type(record).__name__}")
    missing = [key for key in keys if key not in record]
    if missing:
        raise ValueError(f"expected the key {missing[0]!r} in {place}; got {', '.join(record)}")


def make_tables(results: Results) -> dict[str, list[Row]]:
    """The tables of the report by name, rows of plain numbers with units in the keys.

    `reach`, `working_points` (median, low and high over repeats), `trainings` (one row a training
    and working point) and `cutflow`.
    """
    return {
        "reach": [
            {"method": method, "eps_b": float(key), **entry}
            for method, row in (results.get("reach") or {}).items()
            for key, entry in row.items()
        ],
        "working_points": [row for one in series(results) for row in _working_points(results, one)],
        "trainings": [
            {k: v for k, v in point.items() if not isinstance(v, (dict, list))}
            | {"eps_b_measured": cut.get("eps_b"), **cut, "eps_b": float(key)}
            for point in results["points"]
            for key, cut in point["eps_b"].items()
        ],
        "cutflow": [
            {"sample": name, **line}
            for name, sample in results["samples"].items()
            for line in sample["cutflow"]
        ],
    }


def _working_points(results: Results, one: Series) -> list[Row]:
    rows = []
    for key in cuts(results):
        for strength, group in one.by_strength().items():
            row = {"method": one.name, "s_over_sqrt_b": strength, "eps_b": float(key)}
            row |= {"trainings": len(group), "collapsed": sum(p["collapsed"] for p in group)}
            values = {name: [at_cut(p, key, name) for p in group] for name in ("eps_s", "z_after")}
            for name, x in (("auc", [number(p["auc"]) for p in group]), *values.items()):
                s = spread(x)
                row |= {f"{name}_median": s.median, f"{name}_low": s.low, f"{name}_high": s.high}
            for name in ("z_before", "n_background_behind"):
                row[name] = spread([at_cut(p, key, name) for p in group]).median
            rows.append(row)
    return rows


def _reach_lines(results: Results) -> list[Row]:
    """The reach of every method as text, and the published one."""
    ceilings = {p["method"] for p in results["points"] if p["label"] == "supervised"}
    rows, published = dict(results.get("reach") or {}), results.get("reference") or {}
    if published.get("reach"):
        ceilings.add(published["label"])
        values = published["reach"].items()
        rows[published["label"]] = {k: {"value": x, "status": "measured"} for k, x in values}
    return [
        {
            "method": method,
            "muted": method in ceilings,
            "cells": {key: _reach_cell(results, method, entry) for key, entry in row.items()},
            "best": min(row, key=lambda key: _order(row[key])),
        }
        for method, row in rows.items()
        if row
    ]


def _order(entry: Mapping[str, Any]) -> tuple[int, float]:
    rank = {"below grid": 0, "measured": 1}.get(entry["status"], 2)
    return rank, number(entry["value"], otherwise=0)


def _reach_cell(results: Results, method: str, entry: Mapping[str, Any]) -> tuple[str, str]:
    """The reach and its interval as text; a bound beyond the grid shows the end of the grid."""
    grid = [p["s_over_sqrt_b"] for p in results["points"] if p["method"] == method] or [math.nan]
    under, over = f"< {min(grid):g}", f"> {max(grid):g}"
    if entry["status"] != "measured":
        return under if entry["status"] == "below grid" else over, entry["status"]
    if "low" not in entry:
        return _decimal(entry["value"]), ""
    low = under if entry["low"] is None else _decimal(entry["low"])
    high = over if entry["high"] is None else _decimal(entry["high"])
    return _decimal(entry["value"]), f"{low} – {high}"


def _percent(x: float | str) -> str:
    return f"{100 * float(x):g}\u00a0%"


def _decimal(x: object, digits: int = 2) -> str:
    value = number(x)
    return "–" if math.isnan(value) else f"{value:,.{digits}f}"


def _measured(value: float, error: float | None) -> str:
    """A value with its error, both to two digits of the error."""
    if error is None or not error > 0:
        return f"{value:g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:,.{digits}f} ± {error:,.{digits}f}"


def _each(results: Results, text: Callable[[Series], str]) -> str:
    return "; ".join(f"{one.name} {text(one)}" for one in series(results)) or "no trainings"


def _significance_caption(results: Results) -> str:
    best = [
        f"{line['method']} {line['cells'][line['best']][0]} (cut at {_percent(line['best'])})"
        for line in _reach_lines(results)
    ]
    return f"The smallest {STRENGTH} with a median of 5σ: {'; '.join(best) or 'no trainings'}."


def _auc_caption(results: Results) -> str:
    def ends(one: Series) -> str:
        groups = list(one.by_strength().values())
        medians = [spread([number(p["auc"]) for p in groups[i]]).median for i in (0, -1)]
        return f"{_decimal(medians[0], 3)} to {_decimal(medians[1], 3)}"

    return f"Median from the smallest to the largest {STRENGTH}: {_each(results, ends)}."


def _roc_caption(results: Results) -> str:
    key = ([*cuts(results)[1:], *cuts(results)] or ["0.01"])[0]

    def efficiency(one: Series) -> str:
        group = list(one.by_strength().values())[-1]
        return _decimal(spread([at_cut(p, key, "eps_s") for p in group]).median, 3)

    share = f"Median signal efficiency at {_percent(key)} background efficiency"
    return f"{share} for the largest {STRENGTH}: {_each(results, efficiency)}."


def _learning_caption(results: Results) -> str:
    def best(one: Series) -> str:
        return _decimal(spread([number(p.get("best_epoch")) for p in one.runs]).median, 0)

    return f"Median of the best epoch: {_each(results, best)}."


def _mass_caption(results: Results) -> str:
    spans = results.get("regions", {}).get("signal_region", [])
    region = " and ".join(f"{low:g} to {high:g} GeV" for low, high in spans)
    n = _decimal(results.get("n_background_signal_region"), 0)
    return f"The signal region, {region}, expects {n} background events."


def _image_caption(results: Results) -> str:
    shares = []
    for kind, images in (results.get("average_images") or {}).items():
        for process in ("signal", "background"):
            image = np.array(images[process][0], dtype=float)
            x = (np.arange(len(image)) + 0.5) * 2 / len(image) - 1
            core = image[np.hypot(x[:, None], x) < 0.2].sum() / (image.sum() or math.nan)
            shares.append(f"{_percent(round(core, 2))} ({process}, {kind})")
    text = "Share of the intensity of the leading jet within 0.2 of its axis"
    return f"{text}: {', '.join(shares) or 'no images'}."


CAPTIONS: dict[str, Callable[[Results], str]] = {
    "significance": _significance_caption,
    "auc": _auc_caption,
    "roc_curves": _roc_caption,
    "learning_curves": _learning_caption,
    "mass_spectrum": _mass_caption,
    "average_images": _image_caption,
}


def _environment() -> Environment:
    loader = PackageLoader("fivesigma")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters |= {"decimal": _decimal, "percent": _percent}
    environment.globals |= {"measured": _measured}
    return environment


def _save_figure(name: str, results: Results, folder: Path) -> tuple[str, float]:
    """Save a figure as PNG and PDF; returns the PNG as a data URI and the width in inches."""
    figure = FIGURES[name](results)
    png, pdf = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=150)
    figure.set_layout_engine("none")  # keeps the layout of the PNG
    figure.savefig(pdf, format="pdf", metadata={"CreationDate": None})
    _write(folder / f"{name}.png", png.getvalue())
    _write(folder / f"{name}.pdf", pdf.getvalue())
    uri = "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
    return uri, figure.get_figwidth()


def _save_table(path: Path, rows: Sequence[Row]) -> None:
    def finite(v: object) -> object:
        return None if isinstance(v, float) and not math.isfinite(v) else v

    clean = [{k: finite(v) for k, v in row.items()} for row in rows]
    text = io.StringIO(newline="")
    columns = dict.fromkeys(k for row in rows for k in row)
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(clean)
    _write(path.with_suffix(".csv"), text.getvalue().encode())
    _write(path.with_suffix(".json"), json.dumps(clean, indent=1, ensure_ascii=False).encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)
