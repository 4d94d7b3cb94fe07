"""Study files and values on the command line.

A key that is misspelt, missing or out of range is an error that names the key.
"""

import re
from collections.abc import Sequence
from copy import copy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from .configuration import (
    Arm,
    Augmenting,
    Grid,
    Held,
    Observed,
    Published,
    SampleRequest,
    Search,
    Sources,
    Study,
    Windows,
)
from .projection import (
    Projection,
    ProjectionArm,
    PublishedTable,
    SplitShares,
    Totals,
    TrainShare,
    Weights,
)

__all__ = ["load", "parse"]

MODELS: tuple[type[BaseModel], ...] = (
    *(SampleRequest, Grid, Held, Augmenting, Arm, Sources, Observed, Windows, Search, Published),
    Study,
    *(Weights, SplitShares, Totals, TrainShare, ProjectionArm, PublishedTable, Projection),
)


def load(path: Path, overrides: Sequence[str] = ()) -> Study | Projection:
    """Read a study file; one with the key `backgrounds` is a projection.

    Args:
        path: YAML file.
        overrides: "key=value" with dots between the levels, such as "grid.repeats=5"; values are
        YAML.

    Raises:
        ValueError: Unreadable, not YAML, or not a study; one line with the key, what was expected
        and what was got.
    """
    try:
        content = yaml.load(path.read_text(), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"expected a readable study file; got {path} ({error})") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that does not exist
        raise ValueError(f"expected YAML in {path}; got {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ValueError(f"expected keys and values in {path}; got {type(content).__name__}")
    for override in overrides:
        _override(content, override)
    kind = Projection if "backgrounds" in content else Study
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"{path}: {_one_line(error)}") from error


def parse(assignment: str) -> tuple[str, Any]:
    """Split "key=value"; the value is read as YAML.

    Raises:
        ValueError: No equals sign, or no YAML behind it.
    """
    key, equals, value = assignment.partition("=")
    if not equals or not key:
        raise ValueError(f"expected key=value; got {assignment!r}")
    try:
        return key.strip(), yaml.load(value, _Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"expected a YAML value for {key}; got {value!r}") from error


class _Loader(yaml.SafeLoader):
    """YAML that reads on, off, yes and no as words, and 1e-4 as a number."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?([0-9]+\.?|[0-9]*\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def _override(content: dict[str, Any], assignment: str) -> None:
    """Set a value behind a path of keys and list positions, such as arms.0.network.

    What lies on the path is copied: where YAML has an alias, the others keep their value.
    """
    key, value = parse(assignment)
    *path, last = key.split(".")
    place: Any = content
    try:
        for name in path:
            at = int(name) if isinstance(place, list) else name
            place[at] = copy(place.setdefault(at, {}) if isinstance(place, dict) else place[at])
            place = place[at]
        place[int(last) if isinstance(place, list) else last] = value
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"expected keys and list positions that exist; got {key!r}") from error


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = sorted({name for model in MODELS for name in model.model_fields})
        near = get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"{key}: expected a key that exists{hint}; got {first['loc'][-1]!r}"
    if first["type"] == "missing":
        return f"{key}: expected a value; got none"
    message = first["msg"].removeprefix("Value error, ")
    return f"{key}: {message[0].lower() + message[1:]}; got {first['input']!r}" if key else message
