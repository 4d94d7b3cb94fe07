"""The tables of a report of a projection."""

from collections.abc import Mapping
from typing import Any

from .series import Results
from .tables import Row, importance_rows

__all__ = ["COLUMNS", "projection_tables"]

COLUMNS = ("z_max", "z_0.3", "z_0.5", "z_0.8", "z_0.95", "area", "r_10")
"""Numbers that losses are compared by, in the order of the columns."""
FIRST = ("z", "z_error", "z_perfect", "z_before", "n_s", "n_b")


def projection_tables(results: Results) -> dict[str, list[Row]]:
    """The tables of the report by name, rows of plain numbers with units in the keys.

    `methods` (mean and standard deviation over repeats), `published`, `yields` by process before
    and behind the threshold, `processes`, `reach`, `trainings` (one row a repeat), `cutflow` in
    events by sample, `process_cutflow` in fb, and `importance` of the inputs of networks.
    """
    projected = results["projection"]
    found = [
        (method, point, one)
        for method, by_point in projected["methods"].items()
        for point, one in by_point.items()
    ]
    return {
        "methods": [_method(method, point, one) for method, point, one in found],
        "published": [row for table in projected["published"] for row in _published(table)],
        "yields": [
            {"method": method, "signal": point, "process": process, **_flat(row)}
            for method, point, one in found
            for process, row in one["yields"].items()
        ],
        "processes": [
            {"signal": point, "process": process, **row}
            for point, rows in projected["processes"].items()
            for process, row in rows.items()
        ],
        "reach": [
            _reach(method, row) for method, rows in projected["reach"].items() for row in rows
        ],
        "trainings": [_training(one) for one in results["trainings"]],
        "cutflow": [
            {"sample": name, **line}
            for name, sample in results["samples"].items()
            for line in sample["cutflow"]
        ],
        "process_cutflow": [
            {"process": name, **line}
            for name, lines in projected["cutflows"].items()
            for line in lines
        ],
        "importance": importance_rows(results),
    }


def _method(method: str, point: str, one: Mapping[str, Any]) -> Row:
    row = {"method": method, "signal": point, "repeats": one["repeats"]}
    row |= {"collapsed": one["collapsed"], **_flat({"threshold_chosen": one["threshold"]})}
    numbers = one["numbers"]
    return row | _flat({name: numbers[name] for name in (*FIRST, *COLUMNS, "auc")})


def _published(table: Mapping[str, Any]) -> list[Row]:
    rows = []
    for method, numbers in table["numbers"].items():
        row: Row = {"method": method, "source": table["source"]}
        for name in COLUMNS:
            row[name], row[f"{name}_std"] = numbers.get(name, (None, None))
        rows.append(row)
    return rows


def _flat(numbers: Mapping[str, Mapping[str, Any]]) -> Row:
    """A column for each mean, and one for each standard deviation."""
    flat: Row = {}
    for name, entry in numbers.items():
        flat |= {name: entry["mean"], f"{name}_std": entry["std"]}
    return flat


def _reach(method: str, row: Mapping[str, Any]) -> Row:
    ends = {key: row.get(key) for key in ("value", "low", "high", "status")}
    out = {key: ", ".join(row[key]) for key in ("missing", "no_signal")}
    return {"method": method, "parameter": row["parameter"], **row["fixed"], **ends, **out}


def _training(one: Mapping[str, Any]) -> Row:
    plain = {k: v for k, v in one.items() if not isinstance(v, dict | list)}
    plain = {("signal" if k == "point" else k): v for k, v in plain.items()}
    plain["threshold_chosen"] = plain.pop("threshold")
    return plain | dict(one["numbers"])
