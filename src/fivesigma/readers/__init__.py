"""Events that others made: named readers of files.

    reader(name).batches(path) -> batches of clustered events

To add one, write a file here and give it a line in `READERS`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from .base import Reader
from .delphes import Delphes
from .lhco import LHCOlympics

__all__ = ["READERS", "Delphes", "LHCOlympics", "Reader", "reader"]

READERS: dict[str, Callable[..., Reader]] = {"delphes": Delphes, "lhco": LHCOlympics}


def reader(name: str, **fields: Any) -> Reader:
    """The reader of that name.

    Args:
        name: Key of `READERS`.
        fields: Fields of the reader.

    Raises:
        ValueError: Unknown reader, field or value.
    """
    if name not in READERS:
        raise ValueError(f"expected a reader of {sorted(READERS)}; got {name!r}")
    known = [field.name for field in dataclasses.fields(READERS[name])]  # type: ignore[arg-type]
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise ValueError(f"expected fields of {name}: {known}; got {', '.join(unknown)}")
    return READERS[name](**fields)
