"""The numbers of a report for other programs: HEPData tables and pyhf workspaces."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from .export import Column, Table, hepdata
from .series import Results
from .tables import Row

__all__ = ["plotted", "submission", "workspaces"]

AXES = (
    *("method", "signal", "sample", "process", "cut", "p_value", "data_set", "s_over_sqrt_b"),
    *("eps_b", "repeat", "restart", "seed", "epoch", "point", "low_gev", "high_gev"),
    *("network", "file", "task", "threshold", "feature", "other_feature", "parameter"),
    *("jet", "eta", "phi"),
)

ENDS = (("", "mean"), ("_std", "std"))


def submission(tables: Mapping[str, Sequence[Row]], results: Results) -> dict[str, str]:
    """Files of a HEPData submission, by name: each table of a report, and `plotted`."""
    rows = {name: list(table) for name, table in {**tables, **plotted(results)}.items() if table}
    about = f"{results['title']} (configuration {results['config_hash']})"
    return hepdata({name: _table(name, table) for name, table in rows.items()}, comment=about)


def plotted(results: Results) -> dict[str, list[Row]]:
    """Numbers that figures show and tables do not, as rows.

    `mass spectrum`; of each training `learning`, its losses, and `roc`; of a search `null sets`,
    the p-values of each data set without a signal, and `power sets`, the significances with one; of
    a projection `thresholds`, what is above each, and `correlations` of the features; of networks
    `attribution maps`, of each pixel [logit].
    """
    rows: dict[str, list[Row]] = {"mass spectrum": _spectrum(results.get("m_jj") or {})}
    trainings = [
        ({key: point[key] for key in ("method", "s_over_sqrt_b", "repeat", "seed")}, point)
        for point in results["points"]
    ]
    rows["roc"] = [
        head | {"point": i, "eps_b": b, "eps_s": s}
        for head, point in trainings
        for i, (b, s) in enumerate(zip(*_roc(point), strict=True))
    ]
    rows["learning"] = [
        head | {"epoch": 1 + i, "train_loss": losses[0], "validation_loss": losses[1]}
        for head, point in trainings
        for i, losses in enumerate(
            zip_longest(point.get("train_loss") or (), point.get("validation_loss") or ())
        )
    ]
    found = results.get("search") or {}
    rows["null sets"] = [
        {"method": method, "p_value": name, "data_set": i, "p_local": p, "p_calibrated": q}
        for method, one in found.items()
        for name, here in one["null"]["local"].items()
        for i, (p, q) in enumerate(
            zip(here["p"], one["null"]["calibrated"][name]["p"], strict=True)
        )
    ]
    rows["power sets"] = [
        {"method": method, "signal": signal, "p_value": name, "s_over_sqrt_b": strength}
        | {"data_set": i, "z_local": z, "z_calibrated": z_calibrated}
        for method, one in found.items()
        for signal, by_name in one["power"].items()
        for name, here in by_name.items()
        for strength, *of_sets in zip(
            here["s_over_sqrt_b"], here["z_local"], here["z_calibrated"], strict=True
        )
        for i, (z, z_calibrated) in enumerate(zip(*of_sets, strict=True))
    ]
    rows["attribution maps"] = _maps(results)
    return rows | _projected(results)


def _maps(results: Results) -> list[Row]:
    """Of the first jet of signal, and so on, pixel by pixel."""
    rows: list[Row] = []
    for one in results.get("interpretations", ()):
        head = {key: one[key] for key in ("method", "s_over_sqrt_b") if key in one}
        for process in ("signal", "background") if "maps" in one else ():
            values, w = np.array(one["maps"][process]), one["maps"]["half_width"]
            centres = (2 * np.arange(values.shape[1]) + 1) * w / values.shape[1] - w
            rows += [
                head
                | {"process": process, "jet": 1 + j, "eta": centres[i], "phi": centres[k]}
                | {"attribution": value}
                for (j, i, k), value in np.ndenumerate(values)
            ]
    return rows


def _projected(results: Results) -> dict[str, list[Row]]:
    projected = results.get("projection") or {}
    curves = [
        ({"method": method, "signal": point}, found["curves"])
        for method, by_point in projected.get("methods", {}).items()
        for point, found in by_point.items()
    ]
    thresholds = [
        head
        | {"threshold": t}
        | {f"{key}{end}": curve[key][kind][i] for key in ("n_s", "n_b", "z") for end, kind in ENDS}
        for head, curve in curves
        for i, t in enumerate(curve["threshold"])
    ]
    correlations = [
        {"process": process, "feature": names[i], "other_feature": names[j], "correlation": row[j]}
        for process, matrix in projected.get("correlations", {}).items()
        for names in [projected["features"]]
        for i, row in enumerate(matrix)
        for j in range(i)
    ]
    learning = [
        {"method": one["method"], "signal": one["point"], "repeat": one["repeat"]}
        | {"epoch": 1 + i, "train_loss": losses[0], "validation_loss": losses[1]}
        for one in results.get("trainings", ())
        for i, losses in enumerate(
            zip_longest(one.get("train_loss") or (), one.get("validation_loss") or ())
        )
    ]
    found = {"thresholds": thresholds, "correlations": correlations, "learning": learning}
    return {name: rows for name, rows in found.items() if rows}


def workspaces(results: Results) -> dict[str, str]:
    """Pyhf workspaces of the whole score in data, as JSON, by file name; none without data."""
    return {
        f"{re.sub(r'[^a-z0-9]+', '_', method.lower()).strip('_')}.json": json.dumps(
            one["data"]["workspace"], indent=1
        )
        for method, one in (results.get("search") or {}).items()
        if "workspace" in one.get("data", {})
    }


def _spectrum(m: Mapping[str, Any]) -> list[Row]:
    return [
        {"process": process, "low_gev": low, "high_gev": high, "events": n * scale}
        for process in ("signal", "background")
        if process in m
        for scale in [m.get(f"{process}_scale") or 1.0]
        for low, high, n in zip(m["edges_gev"], m["edges_gev"][1:], m[process], strict=False)
    ]


def _roc(point: Mapping[str, Any]) -> tuple[Sequence[float], Sequence[float]]:
    roc = point.get("roc") or {}
    return roc.get("eps_b", ()), roc.get("eps_s", ())


def _table(name: str, rows: list[Row]) -> Table:
    columns = dict.fromkeys(key for row in rows for key in row)
    axes = [key for key in columns if key in AXES]
    return Table(
        independent=[Column(key) for key in axes],
        dependent=[Column(key) for key in columns if key not in axes],
        rows=[{key: _cell(row.get(key)) for key in columns} for row in rows],
        description=name.replace("_", " "),
    )


def _cell(value: Any) -> Any:
    """A number or word; what is not finite is missing."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, bool):
        return int(plain)
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain
