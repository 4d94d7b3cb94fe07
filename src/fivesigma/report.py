"""The report of a study: a folder with results.json goes in, a report.html comes out.

Beside it: the figures as PNG and PDF in figures/, the tables as CSV and JSON in tables/, every
plotted number as a HEPData submission in hepdata/, and models of data for pyhf in workspaces/.
"""

import base64
import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from .captions import CAPTIONS
from .plots import (
    ATTRIBUTION_FIGURES,
    DATA_FIGURES,
    FIGURES,
    HUNT_FIGURES,
    KNOWN_FIGURES,
    PROJECTION_FIGURES,
    SEARCH_FIGURES,
    Figure,
)
from .pretraining_tables import pretraining_tables
from .projection_tables import projection_tables
from .series import Results, cuts, series
from .submission import submission, workspaces
from .tables import (
    Row,
    decimal,
    digits,
    make_tables,
    measured,
    percent,
    reach_lines,
    search_tables,
)
from .writing import write_bytes

STUDY_KEYS = ("name", "title", "config_hash", "created", "luminosity_fb", "samples")
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
    kind = _kind(results)
    tables = kind.tables(results)
    for name, rows in tables.items():
        _save_table(folder / "tables" / name, rows)
    for name, text in submission(tables, results).items():
        write_bytes(folder / "hepdata" / name, text.encode())
    for name, text in workspaces(results).items():
        write_bytes(folder / "workspaces" / name, text.encode())
    images = {
        name: _save_figure(name, figure(results), folder / "figures")
        for name, figure in kind.figures.items()
    }
    config = json.dumps(results.get("config", {}), indent=2, ensure_ascii=False)
    shared = {"results": results, "tables": tables, "images": images, "config": config}
    html = _environment().get_template(kind.template).render(shared | kind.more(results))
    write_bytes(folder / "report.html", html.encode())
    return folder / "report.html"


@dataclass(frozen=True)
class Kind:
    """What is in a report."""

    template: str
    """Name of the template."""
    tables: Callable[[Results], dict[str, list[Row]]]
    """The tables by name."""
    figures: Mapping[str, Callable[[Results], Figure]]
    """The figures by name."""
    more: Callable[[Results], dict[str, Any]] = lambda _: {}
    """What else the template asks for."""


def _kind(results: Results) -> Kind:
    interpreted = {
        part: figure
        for part, figure in ATTRIBUTION_FIGURES.items()
        if any(part in one for one in results.get("interpretations", ()))
    }
    if "projection" in results:
        figures = PROJECTION_FIGURES | interpreted
        return Kind("projection.html.j2", projection_tables, figures)
    if "search" in results:
        more = HUNT_FIGURES if "hunt" in results else {}
        more |= KNOWN_FIGURES if "known" in results else {}
        more |= DATA_FIGURES if any("data" in one for one in results["search"].values()) else {}
        return Kind("search.html.j2", search_tables, SEARCH_FIGURES | more)
    return Kind("report.html.j2", _study_tables, FIGURES | interpreted, _of_study)


def _study_tables(results: Results) -> dict[str, list[Row]]:
    return make_tables(results) | pretraining_tables(results)


def _of_study(results: Results) -> dict[str, Any]:
    return {
        "series": series(results),
        "reach": reach_lines(results),
        "cuts": cuts(results),
        "captions": {name: caption(results) for name, caption in CAPTIONS.items()},
    }


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
    if not {"search", "projection"} & results.keys():
        _require(results, ("points",), str(path))
    results.setdefault("points", [])
    if not isinstance(results["points"], list):
        raise ValueError(f"expected a list of trainings in {path}; got {results['points']!r:.40}")
    for i, point in enumerate(results["points"]):
        _require(point, POINT_KEYS, f"points[{i}] of {path}")
    reach = results.get("reach") or {}
    _require(reach, (), f"reach of {path}")
    trained = {point["method"] for point in results["points"]}
    if lost := [method for method in reach if method not in trained]:
        raise ValueError(f"expected points of {lost[0]!r}, which is in reach, in {path}; got none")
    _require(results["samples"], (), f"samples of {path}")
    for name, sample in results["samples"].items():
        _require(sample, SAMPLE_KEYS, f"samples.{name} of {path}")
    return dict(results)


def _require(record: object, keys: Sequence[str], place: str) -> None:
    if not isinstance(record, dict):
        raise ValueError(f"expected a mapping in {place}; got {type(record).__name__}")
    missing = [key for key in keys if key not in record]
    if missing:
        raise ValueError(f"expected the key {missing[0]!r} in {place}; got {', '.join(record)}")


def _environment() -> Environment:
    loader = PackageLoader("fivesigma")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters |= {"decimal": decimal, "digits": digits, "percent": percent}
    environment.globals |= {"measured": measured}
    return environment


def _save_figure(name: str, figure: Figure, folder: Path) -> tuple[str, float]:
    """Save a figure as PNG and PDF; returns the PNG as a data URI and the width in inches."""
    png, pdf = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=150)
    figure.set_layout_engine("none")  # keeps the layout of the PNG
    figure.savefig(pdf, format="pdf", metadata={"CreationDate": None})
    write_bytes(folder / f"{name}.png", png.getvalue())
    write_bytes(folder / f"{name}.pdf", pdf.getvalue())
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
    write_bytes(path.with_suffix(".csv"), text.getvalue().encode())
    write_bytes(path.with_suffix(".json"), json.dumps(clean, indent=1, ensure_ascii=False).encode())
