r"""Results in the formats of other programs: HistFactory workspaces for pyhf, tables for HEPData.

A workspace has one channel with the bins of a model; its expected counts and constraints are

$$ \nu_i = \mu s_i + b_i + \sum_j \theta_j L_{ij} , \qquad \theta_j \sim N(0, 1) , \qquad
   L L^T = C , $$

the sample `signal` under the normalisation factor `mu`, and `background` with one `histosys` of
templates $b \pm L_j$ per principal axis, which pyhf interpolates linearly since they are
symmetric. This is the likelihood of `fivesigma.likelihood`, except that pyhf does not hold
$b + L \theta \geq 0$, and holds $|\theta_j| \leq 5$ instead.

References:
    HistFactory: a tool for creating statistical models for use with RooFit and RooStats (Cranmer,
    Lewis, Moneta, Shibata, Verkerke, 2012) https://cds.cern.ch/record/1456844

    pyhf: pure-Python implementation of HistFactory statistical models (Heinrich, Feickert, Stark,
    Cranmer, 2021) https://doi.org/10.21105/joss.02823

    HEPData: a repository for high energy physics data (Maguire, Heinrich, Watt, 2017)
    https://arxiv.org/abs/1704.05473; format: https://hepdata-submission.readthedocs.io
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import yaml
from numpy.typing import ArrayLike

from .likelihood import Model, fit

__all__ = ["Column", "Table", "hepdata", "workspace"]

Cell: TypeAlias = int | float | str

_MISSING = "-"  # as HEPData writes a value that is not there
FORMAT: dict[str, Any] = {
    "Dumper": getattr(yaml, "CSafeDumper", yaml.SafeDumper),  # in C it is several times faster
    "sort_keys": False,
    "allow_unicode": True,
}


@dataclass(frozen=True)
class Column:
    """One variable of a table."""

    name: str
    """Key in the rows, and header of the column."""

    units: str = ""
    """Units as printed, e.g. `GeV`; empty: dimensionless."""

    error: str | tuple[str, str] | None = None
    """Key of a symmetric error, or keys of the downward and the upward one, all >= 0. A row whose
    error is NaN or None is without."""

    edges: tuple[str, str] | None = None
    """Keys of the lower and upper edge of a bin, for an independent variable; its rows need no
    value then."""

    qualifiers: Mapping[str, float | str] = field(default_factory=dict)
    """What holds for the whole column of a dependent variable, e.g. `{"SQRT(S) [GeV]": 13000}`."""


@dataclass(frozen=True)
class Table:
    """Rows of numbers, as in one figure."""

    independent: Sequence[Column]
    """Variables along the axes."""

    dependent: Sequence[Column]
    """Variables that depend on them; at least one."""

    rows: Sequence[Mapping[str, Any]]
    """One mapping of names to numbers or words per point; NaN or None is a missing value."""

    description: str
    """Caption."""

    keywords: Mapping[str, Sequence[str | float]] = field(default_factory=dict)
    """Of HEPData: `reactions`, `observables`, `cmenergies` [GeV] and `phrases`."""


def workspace(model: Model, data: ArrayLike, name: str) -> dict[str, Any]:
    """HistFactory workspace of a model and its data, as JSON, checked by `pyhf.Workspace`.

    Args:
        model: K bins; one bin is a counting experiment.
        data: observed events, shape (K,).
        name: name of the channel and of the measurement.

    Returns:
        plain lists, numbers and words; `json.dump` writes it. Its strength `mu` starts at the
        fitted one and ranges from 0 to at least twice the largest that any fit could give.

    Raises:
        ValueError: if the data are not K finite numbers >= 0.
    """
    n, s, b = np.asarray(data, dtype=np.float64), model.signal, model.background
    if n.shape != s.shape or not np.all(np.isfinite(n) & (n >= 0)):
        raise ValueError(f"expected {len(s)} finite counts >= 0; got {n}")
    shifts = [
        {
            "name": f"{name}_shift_{j}",
            "type": "histosys",
            "data": {"hi_data": (b + L).tolist(), "lo_data": (b - L).tolist()},
        }
        for j, L in enumerate(model.shifts.T)
    ]
    strength = {"name": "mu", "type": "normfactor", "data": None}
    samples = [
        {"name": "signal", "data": s.tolist(), "modifiers": [strength]},
        {"name": "background", "data": b.tolist(), "modifiers": shifts},
    ]
    highest = 2 * float((n.sum() + b.sum() + 10) / s.sum())
    fitted = float(np.clip(fit(model, n).mu[0], 1e-3 * highest, highest))
    parameters = [{"name": "mu", "inits": [fitted], "bounds": [[0.0, highest]]}]
    result = {
        "channels": [{"name": name, "samples": samples}],
        "observations": [{"name": name, "data": n.tolist()}],
        "measurements": [{"name": name, "config": {"poi": "mu", "parameters": parameters}}],
        "version": "1.0.0",
    }
    _validate(result)
    return result


def hepdata(tables: Mapping[str, Table], *, comment: str = "") -> dict[str, str]:
    """Tables as a HEPData submission.

    Args:
        tables: table of each name; a name has at most 64 characters.
        comment: about the whole submission.

    Returns:
        text of `submission.yaml` and of one file per table, by file name.

    Raises:
        ValueError: if a name is too long or not unique as a file name, a table is empty, a row has
            not the keys of its columns, or a number is infinite or an error negative.
    """
    documents: list[dict[str, Any]] = [{"comment": comment}] if comment else []
    files: dict[str, str] = {}
    for name, table in tables.items():
        file = re.sub(r"\W+", "_", name.lower()).strip("_") + ".yaml"
        if not 0 < len(name) <= 64 or file in {".yaml", "submission.yaml", *files}:
            raise ValueError(f"expected distinct names of tables, 1 to 64 characters; got {name!r}")
        keywords = [{"name": key, "values": list(v)} for key, v in table.keywords.items()]
        head = {"name": name, "description": table.description, "keywords": keywords}
        documents.append({**head, "data_file": file})
        files[file] = yaml.dump(_content(name, table), **FORMAT)
    submission = yaml.dump_all(documents, explicit_start=True, **FORMAT)
    return {"submission.yaml": submission, **files}


def _content(name: str, table: Table) -> dict[str, Any]:
    if not (table.rows and table.dependent):
        raise ValueError(f"expected rows and dependent variables; got table {name!r} without")
    return {
        "independent_variables": [
            {"header": _header(c), "values": [_point(row, c) for row in table.rows]}
            for c in table.independent
        ],
        "dependent_variables": [
            {
                "header": _header(c),
                "qualifiers": [{"name": k, "value": _plain(v)} for k, v in c.qualifiers.items()],
                "values": [_measured(row, c) for row in table.rows],
            }
            for c in table.dependent
        ],
    }


def _header(column: Column) -> dict[str, str]:
    return {"name": column.name} | ({"units": column.units} if column.units else {})


def _point(row: Mapping[str, Any], column: Column) -> dict[str, Cell]:
    """An independent variable: a bin, or a value, or both."""
    if column.edges is None:
        return {"value": _cell(row, column.name)}
    value = {"value": _cell(row, column.name)} if column.name in row else {}
    low, high = (_number(row, key) for key in column.edges)
    return value | {"low": low, "high": high}


def _measured(row: Mapping[str, Any], column: Column) -> dict[str, Any]:
    """A dependent variable with its error."""
    value: dict[str, Any] = {"value": _cell(row, column.name)}
    if column.error is None or value["value"] == _MISSING:
        return value
    keys = (column.error,) if isinstance(column.error, str) else column.error
    if _MISSING in (_cell(row, key) for key in keys):
        return value
    errors = [_number(row, key) for key in keys]
    if min(errors) < 0:
        raise ValueError(f"expected errors >= 0 of {column.name!r}; got {errors}")
    if len(errors) == 1:
        return value | {"errors": [{"symerror": errors[0]}]}
    return value | {"errors": [{"asymerror": {"minus": -errors[0], "plus": errors[1]}}]}


def _number(row: Mapping[str, Any], key: str) -> float:
    value = _cell(row, key)
    if isinstance(value, str):
        raise ValueError(f"expected a number of {key!r}; got {value!r}")
    return value


def _cell(row: Mapping[str, Any], key: str) -> Cell:
    if key not in row:
        raise ValueError(f"expected {key!r} in every row; got {sorted(row)}")
    return _plain(row[key])


def _plain(value: Any) -> Cell:
    """A number or word that YAML knows; missing ones are a dash."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or (isinstance(plain, float) and math.isnan(plain)):
        return _MISSING
    if isinstance(plain, bool) or not isinstance(plain, int | float | str):
        raise ValueError(f"expected numbers and words; got {value!r}")
    if isinstance(plain, float) and math.isinf(plain):
        raise ValueError(f"expected finite numbers, NaN or words; got {plain}")
    return plain


def _validate(specification: dict[str, Any]) -> None:
    import pyhf

    with warnings.catch_warnings():
        # pyhf 0.7.6 uses a class that jsonschema 4.18 began to replace.
        warnings.filterwarnings("ignore", "jsonschema.RefResolver", DeprecationWarning)
        pyhf.Workspace(specification).model()
