"""The tables of a report, and its numbers as text."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from .counting import bounded
from .series import Results, Series, at_cut, cuts, number, series, spread
from .statistics import components

__all__ = [
    *("Row", "decimal", "digits", "importance_rows", "make_tables", "measured", "percent"),
    *("reach_lines", "search_tables"),
]

Row = dict[str, Any]
ENDS = {"": "value", "_low": "low", "_high": "high"}


def make_tables(results: Results) -> dict[str, list[Row]]:
    """The tables of the report by name, rows of plain numbers with units in the keys.

    `reach`, `working_points` (median, low and high over repeats), `trainings` (one row a training
    and working point), `spread` (between data sets and between seeds), `cutflow`, and `importance`
    of the inputs of networks.
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
        "spread": [row for one in series(results) for row in _spread(results, one)],
        "cutflow": [
            {"sample": name, **line}
            for name, sample in results["samples"].items()
            for line in sample["cutflow"]
        ],
        "importance": importance_rows(results),
    }


def importance_rows(results: Results) -> list[Row]:
    """A row for each input of each network that was interpreted, in logits."""
    return [
        {key: one[key] for key in ("method", "signal", "s_over_sqrt_b") if key in one}
        | {"feature": name, **{key: ranked[key][i] for key in ranked if key != "names"}}
        for one in results.get("interpretations", ())
        for ranked in [one["ranking"]]
        for i, name in enumerate(ranked["names"])
    ]


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


def _spread(results: Results, one: Series) -> list[Row]:
    """Rows where data sets were trained on more than once."""
    rows = []
    for key in cuts(results):
        for strength, group in one.by_strength().items():
            repeats = sorted({point["repeat"] for point in group})
            sets = [[p for p in group if p["repeat"] == repeat] for repeat in repeats]
            z = [[at_cut(p, key, "z_after") for p in trainings] for trainings in sets]
            if len(z) > 1 and min(map(len, z)) > 1:
                found = components(z)
                row = {"method": one.name, "s_over_sqrt_b": strength, "eps_b": float(key)}
                row |= {"data_sets": len(z), "trainings": len(group), "z_after_mean": found.mean}
                row |= {"z_after_between": found.between, "z_after_within": found.within}
                rows.append(row)
    return rows


def search_tables(results: Results) -> dict[str, list[Row]]:
    """The tables of a calibrated search: `null`, without a signal, `power`, and of `data`.

    A hunt adds `windows`, `hunt`, the global p-values, and `hunt_power`; methods that fit what the
    signal is made of, `known`.
    """
    null, powers, data = [], [], []
    for method, one in results["search"].items():
        data += _data_rows(method, one["data"]) if "data" in one else []
        numbers = one["null"]
        for name, found in numbers["local"].items():
            row = {"method": method, "p_value": name, "data_sets": numbers["n_sets"]}
            row |= {key: numbers[key].get(name) for key in ("closure", "bias")}
            for kind, here in (("local", found), ("calibrated", numbers["calibrated"][name])):
                row |= {f"{key}_{kind}": here[key] for key in ("ks", "ks_p", "z_max")}
            row["naive_z_median"] = numbers["naive_z"].get(name, {}).get("median")
            measure = numbers.get("argos", {}).get(name, {})
            row |= {f"argos_{key}": measure.get(key) for key in ("median", "low", "high")}
            row |= {f"auc_{key}": numbers["auc"][key] for key in ("median", "low", "high")}
            null.append(row)
        for target, by_name in one["power"].items():
            for name, found in by_name.items():
                row = {"method": method, "signal": target, "p_value": name}
                for kind, level in (("calibrated", 3), ("calibrated", 5), ("local", 5)):
                    row |= _limit(found, kind, level)
                powers.append(row | _limit(found, "uncalibrated", 5))
    hunted = _hunt_tables(results["hunt"]) if "hunt" in results else {}
    spectrum = [row for m, one in results["search"].items() for row in _mass_rows(m, one)]
    of_data = {"data": data, "data_spectrum": spectrum} if data else {}
    known = {"known": _known_rows(results["known"])} if "known" in results else {}
    return {"null": null, "power": powers} | of_data | hunted | known


def _known_rows(methods: Mapping[str, Any]) -> list[Row]:
    """A row for each known signal: its share without a signal, and with one or in data."""
    rows = []
    for method, one in methods.items():
        cases: list[tuple[str, float | None, Mapping[str, Any]]] = [("none", 0.0, one["null"])]
        for target, strengths in one["power"].items():
            cases += [(target, at["s_over_sqrt_b"], at["shares"]) for at in strengths]
        if "data" in one:
            found = one["data"]["shares"].items()
            cases.append(("data", None, {name: {"median": share} for name, share in found}))
        for signal, strength, shares in cases:
            where = {"method": method, "signal": signal, "s_over_sqrt_b": strength}
            for name, share in shares.items():
                numbers = {f"share_{key}": share.get(key) for key in ("median", "low", "high")}
                rows.append(where | {"known": name} | numbers)
    return rows


def _mass_rows(method: str, one: Mapping[str, Any]) -> list[Row]:
    """A row for each interval of the mass of the data: events before and behind each cut."""
    if "data" not in one:
        return []
    edges, counts = one["data"]["m_jj"]["edges_gev"], one["data"]["m_jj"]["counts"]
    return [
        {"method": method, "low_gev": low, "high_gev": high}
        | {f"events_{name}": n[i] for name, n in counts.items()}
        for i, (low, high) in enumerate(pairwise(edges))
    ]


def _data_rows(method: str, found: Mapping[str, Any]) -> list[Row]:
    cuts = {f"{cut['eps_b']:g}": cut for cut in found["cuts"]}
    rows = []
    for name, calibrated in found["calibrated"].items():
        background = cuts.get(name, {}).get("background", {})
        row = {"method": method, "p_value": name, "observed": cuts.get(name, {}).get("n")}
        row |= {"expected": background.get("value"), "expected_error": background.get("error")}
        row |= {"z_local": float(bounded(found["local"][name]))}
        row |= {"z_calibrated": calibrated["z"], "p_calibrated": calibrated["p"]}
        row |= {"origin": calibrated["origin"], "argos": found.get("argos", {}).get(name)}
        row["naive_z"] = found["naive_z"].get(name)
        rows.append(row)
    return rows


def _hunt_tables(hunts: Mapping[str, Any]) -> dict[str, list[Row]]:
    windows, globals_, powers = [], [], []
    for method, one in hunts.items():
        null, data = one["null"], one.get("data")
        row = {"method": method, "windows": len(null["windows"]), "data_sets": null["n_sets"]}
        row |= {f"{key}_null": null["global"][key] for key in ("ks_p", "z_max")}
        globals_.append(row | (_global(data) if data else {}))
        for i, window in enumerate(null["windows"]):
            edges = {k: x for k, x in window.items() if k.endswith("_gev")}
            row = {"method": method, **edges, "ks_p_null": window["local"]["ks_p"]}
            row |= {f"z_null_{key}": x for key, x in window["z_local"].items()}
            if data:
                here = data["windows"][i]
                row |= {"p_local": here["p_local"], "z_local": float(bounded(here["p_local"]))}
                row |= {"p_calibrated": here["p"], "z_calibrated": here["z"]}
                row |= {"origin": here["origin"]}
            windows.append(row)
        for target, found in one["power"].items():
            for i, strength in enumerate(found["s_over_sqrt_b"]):
                z, centre = spread(found["z_global"][i]), spread(found["centre_gev"][i])
                row = {"method": method, "signal": target, "s_over_sqrt_b": strength}
                row |= {"z_global": z.median, "z_global_low": z.low, "z_global_high": z.high}
                row |= {"centre_gev": centre.median, "origin": ", ".join(found["origin"][i])}
                powers.append(row)
    found = {"windows": windows, "hunt": globals_, "hunt_power": powers}
    return {name: _filled(rows) for name, rows in found.items()}


def _filled(rows: list[Row]) -> list[Row]:
    """Rows with the columns of all: not every method has been run on the data."""
    columns = dict.fromkeys(key for row in rows for key in row)
    return [dict(columns) | row for row in rows]


def _global(data: Mapping[str, Any]) -> Row:
    best, crossing = data["best"], data["up_crossings"]
    return {
        "centre_gev": best["centre_gev"],
        "z_local": float(bounded(best["p_local"])),
        **{f"{key}_global": data["global"][key] for key in ("p", "z")},
        "origin": data["global"]["origin"],
        "p_data_sets": data["data_sets"]["p"],
        "p_up_crossings": crossing["p"],
        "up_crossings": crossing["mean"],
        "level": crossing["level"],
        "obstacle": crossing["obstacle"],
    }


def _limit(found: Mapping[str, Any], kind: str, level: int) -> Row:
    entry = found["reach"].get(kind, {}).get(str(level), {})
    row = {f"{kind}_{level}{tail}": entry.get(key) for tail, key in ENDS.items()}
    return row | {f"{kind}_{level}_limit": entry.get("limit")}


def reach_lines(results: Results) -> list[Row]:
    """The reach of every method as text, and the published one."""
    ceilings = {p["method"] for p in results["points"] if p["label"] == "supervised"}
    rows = dict(results.get("reach") or {})
    for published in results.get("published") or []:
        ceilings.add(published["label"])
        values = published.get("reach", {}).items()
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
        return decimal(entry["value"]), ""
    low = under if entry["low"] is None else decimal(entry["low"])
    high = over if entry["high"] is None else decimal(entry["high"])
    return decimal(entry["value"]), f"{low} – {high}"


def percent(x: float | str) -> str:
    """A fraction in percent."""
    return f"{100 * float(x):g}\u00a0%"


def decimal(x: object, digits: int = 2) -> str:
    """A number with a number of digits; a dash for none."""
    value = number(x)
    return "–" if math.isnan(value) else f"{value:,.{digits}f}"


def digits(x: object) -> str:
    """A number of any size with two digits; a dash for none."""
    value = number(x)
    return "–" if math.isnan(value) else f"{value:.2g}"


def measured(value: float, error: float | None) -> str:
    """A value with its error, both to two digits of the error."""
    if error is None or not error > 0:
        return f"{value:g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:,.{digits}f} ± {error:,.{digits}f}"
