"""Study files and values on the command line.

A key that is misspelt, missing or out of range is an error that names the key.
"""

import re
from collections.abc import Sequence
from copy import copy
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from .configuration import Study
from .projection import Projection

__all__ = ["load", "parse"]

MERGE = "tag:yaml.org,2002:merge"


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
    except _TwiceError as error:
        raise ValueError(f"{error} in {path}, line {error.line}") from error
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
        raise ValueError(f"{path}: {_one_line(error, kind)}") from error


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
    except _TwiceError as error:
        raise ValueError(f"{error} in the value of {key}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"expected a YAML value for {key}; got {value!r}") from error


class _TwiceError(ValueError):
    """A key that a mapping has twice, of which YAML would take the last."""

    def __init__(self, key: object, line: int) -> None:
        super().__init__(f"expected each key once; got {key!r} again")
        self.line = line


class _Loader(yaml.SafeLoader):
    """YAML with each key once, on, off, yes and no as words, and 1e-4 as a number."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Here what is merged into a mapping is not among its keys yet."""
        node = super().compose_mapping_node(anchor)
        assert isinstance(node, yaml.MappingNode)
        seen = set()
        for name, _ in node.value:
            if isinstance(name, yaml.ScalarNode):
                key = name.value if name.tag == MERGE else self.construct_object(name)
                if key in seen:
                    raise _TwiceError(key, name.start_mark.line + 1)
                seen.add(key)
        return node


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


def _one_line(error: ValidationError, kind: type[BaseModel]) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        *place, wrong = first["loc"]
        near = get_close_matches(str(wrong), _known(kind, place) - {wrong}, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"{key}: expected a key that exists{hint}; got {wrong!r}"
    if first["type"] == "missing":
        return f"{key}: expected a value; got none"
    message = first["msg"].removeprefix("Value error, ")
    return f"{key}: {message[0].lower() + message[1:]}; got {first['input']!r}" if key else message


def _known(kind: type[BaseModel], place: Sequence[str | int]) -> set[str]:
    """Keys that exist at a place in a model; of a choice of models, those of all."""
    models = [kind]
    for part in place:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        named = [model for model in models if model.__name__ == part]
        models = [m for field in fields for m in _models(field.annotation)] or named or models
    return {name for model in models for name in model.model_fields}


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models in an annotation such as list[Model] | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
