"""The report of a study: a folder with results.json goes in, a self-contained report.html comes out.

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

from .plots import FIGURES, Results, Series, at_cut, cuts, number, series, spread

Row = dict[str, Any]
STUDY_KEYS = ("name", "title", "config_hash", "created", "luminosity_fb", "points", "reach")
POINT_KEYS = ("method", "label", "s_over_sqrt_b", "repeat", "seed", "auc", "collapsed", "eps_b")


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
        _write(folder / "tables" / f"{name}.csv", _as_csv(rows))
        _write(folder / "tables" / f"{name}.json", _as_json(rows))
    images = {name: _save_figure(name, results, folder / "figures") for name in FIGURES}
    html = (
        _environment()
        .get_template("report.html.j2")
        .render(
            results=results,
            series=series(results),
            reach=_reach_lines(results),
            tables=tables,
            cuts=cuts(results),
            images=images,
            captions={name: caption(results) for name, caption in CAPTIONS.items()},
            config=json.dumps(results.get("config", {}), indent=2, ensure_ascii=False),
        )
    )
    path = folder / "report.html"
    _write(path, html.encode())
    return path


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
            for method, row in results["reach"].items()
            for key, entry in row.items()
        ],
        "working_points": [row for one in series(results) for row in _working_points(results, one)],
        "trainings": [
            {k: v for k, v in point.items() if not isinstance(v, (dict, list))}
            | {"eps_b": float(key)}
            | {k: v for k, v in cut.items() if k != "eps_b"}
            | {"eps_b_measured": cut.get("eps_b")}
            for point in results["points"]
            for key, cut in point["eps_b"].items()
        ],
        "cutflow": [
            {"sample": name, **line}
            for name, sample in results.get("samples", {}).items()
            for line in sample.get("cutflow", [])
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
    lines = [
        {
            "method": method,
            "ceiling": method in ceilings,
            "cells": {key: _reach_cell(results, method, entry) for key, entry in row.items()},
        }
        for method, row in results["reach"].items()
    ]
    published = results.get("reference") or {}
    cells = {key: (f"{x:.2f}", "") for key, x in published.get("reach", {}).items()}
    if cells:
        lines.append({"method": published["label"], "ceiling": True, "cells": cells})
    return lines


def _reach_cell(results: Results, method: str, entry: Mapping[str, Any]) -> tuple[str, str]:
    """The reach and its interval as text; a bound beyond the grid shows the end of the grid."""
    grid = [p["s_over_sqrt_b"] for p in results["points"] if p["method"] == method] or [math.nan]
    under, over = f"< {min(grid):g}", f"> {max(grid):g}"
    if entry["status"] != "measured":
        return under if entry["status"] == "below grid" else over, entry["status"]
    low, high = entry.get("low"), entry.get("high")
    bounds = (under if low is None else f"{low:.2f}", over if high is None else f"{high:.2f}")
    return _decimal(entry["value"]), f"{bounds[0]} to {bounds[1]}"


def _percent(x: float | str) -> str:
    return f"{100 * float(x):g} %"


def _decimal(x: object, digits: int = 2) -> str:
    value = number(x)
    return "–" if math.isnan(value) else f"{value:,.{digits}f}"


def _measured(value: float, error: float) -> str:
    """A value with its error, both to two digits of the error."""
    if not number(error) > 0:
        return f"{value:g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:,.{digits}f} ± {error:,.{digits}f}"


def _each(results: Results, text: Callable[[Series], str]) -> str:
    return "; ".join(f"{one.name}: {text(one)}" for one in series(results)) or "no trainings"


def _significance_caption(results: Results) -> str:
    lines = [
        f"{line['method']}: "
        + ", ".join(f"{value} at {_percent(k)}" for k, (value, _) in line["cells"].items())
        for line in _reach_lines(results)
    ]
    return (
        "Significance after a cut at each background efficiency ε_B, against S/√B before it; both "
        "axes in square roots. The median crosses 5σ at S/√B of – "
        f"{'; '.join(lines) or 'no trainings'}."
    )


def _auc_caption(results: Results) -> str:
    def span(one: Series) -> str:
        groups = one.by_strength()
        first, last = (groups[x] for x in (min(groups), max(groups)))
        medians = [_decimal(spread([number(p["auc"]) for p in g]).median, 3) for g in (first, last)]
        return f"{medians[0]} at S/√B = {min(groups):g}" + (
            f" and {medians[1]} at {max(groups):g}" if len(groups) > 1 else ""
        )

    return f"Area under the ROC curve, signal against background. Median – {_each(results, span)}."


def _roc_caption(results: Results) -> str:
    keys = cuts(results)
    key = keys[len(keys) // 2] if keys else "nan"

    def efficiency(one: Series) -> str:
        strength, group = list(one.by_strength().items())[-1]
        median = spread([at_cut(p, key, "eps_s") for p in group]).median
        return f"{_decimal(median, 3)} (S/√B = {strength:g})"

    return (
        "Signal efficiency and gain in significance against background efficiency, from where ten "
        f"background test events are left. Median ε_S at ε_B = {_percent(key)}, for the most "
        f"signal – {_each(results, efficiency)}."
    )


def _learning_caption(results: Results) -> str:
    def best(one: Series) -> str:
        return _decimal(spread([number(p.get("best_epoch")) for p in one.points]).median, 0)

    return (
        "Loss by epoch, one pair of lines a training. Median of the best epoch – "
        f"{_each(results, best)}."
    )


def _mass_caption(results: Results) -> str:
    spans = results.get("regions", {}).get("signal_region", [])
    region = " and ".join(f"{low:g}–{high:g} GeV" for low, high in spans)
    return (
        "Dijet mass of the selected events; bands are statistical. "
        f"{_decimal(results.get('n_background_signal_region'), 0)} background events are expected "
        f"in the signal region, {region}, at {results['luminosity_fb']:g} fb⁻¹."
    )


def _image_caption(results: Results) -> str:
    kinds = list((results.get("average_images") or {}).items())
    if not kinds:
        return "The study made no images."
    kind, images = kinds[0]
    core = {}
    for process in ("signal", "background"):
        image = np.array(images[process][0], dtype=float)
        x = (np.arange(len(image)) + 0.5) * 2 / len(image) - 1
        total = float(image.sum()) or math.nan
        core[process] = float(image[np.hypot(x[:, None], x) < 0.2].sum()) / total
    return (
        f"Mean jet images about the jet axis. Within 0.2 of the axis of the leading jet lie "
        f"{100 * core['signal']:.0f} % of the {kind} intensity for signal and "
        f"{100 * core['background']:.0f} % for background."
    )


CAPTIONS: dict[str, Callable[[Results], str]] = {
    "significance": _significance_caption,
    "auc": _auc_caption,
    "roc_curves": _roc_caption,
    "learning_curves": _learning_caption,
    "mass_spectrum": _mass_caption,
    "average_images": _image_caption,
}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("fivesigma"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"decimal": _decimal, "percent": _percent}
    environment.globals |= {"measured": _measured}
    return environment


def _save_figure(name: str, results: Results, folder: Path) -> str:
    """Save a figure as PNG and PDF; returns the PNG as a data URI."""
    figure = FIGURES[name](results)
    png, pdf = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=150)
    figure.savefig(pdf, format="pdf", metadata={"CreationDate": None})
    _write(folder / f"{name}.png", png.getvalue())
    _write(folder / f"{name}.pdf", pdf.getvalue())
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _as_json(rows: Sequence[Row]) -> bytes:
    clean = [{key: _finite(value) for key, value in row.items()} for row in rows]
    return (json.dumps(clean, indent=1, ensure_ascii=False) + "\n").encode()


def _as_csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO(newline="")
    columns = dict.fromkeys(key for row in rows for key in row)
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _finite(value) for key, value in row.items()} for row in rows)
    return text.getvalue().encode()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)
