r"""What a reader is: a file that others made becomes the clustered events of this package.

    reader.batches(path) -> N * {event, n_jets, jets[, label]}, N * {...}, ...

The jets are those of `jets.cluster`, so that a selection and the representations behind it take a
batch as it is; the number of the event in its file and its label stay beside them. A file is read
twice: nothing is given of it before all of it has been read and checked.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from ..kinematics import Columns

__all__ = [
    "UNKNOWN",
    "Reader",
    "Where",
    "batch",
    "check",
    "positive",
    "readable",
    "refuse",
    "twice",
]

T = TypeVar("T")
UNKNOWN = -1  # species of a particle of which the file does not say what it is
ETA_MAX = 20.0  # twice the rapidity of a proton in the beam of the LHC
PHI_MAX = 2 * np.pi + 1e-3  # files count from -pi or from 0


class Reader(Protocol):
    """Events of a file, as the rest of the package wants them."""

    def batches(self, path: Path) -> Iterator[ak.Array]:
        """Read a file, a bounded number of events at a time.

        Args:
            path: The file.

        Yields:
            N * {event, n_jets, jets: var * {pt, eta, phi, mass [GeV], constituents: var * {pt, eta,
            phi, species}}}: the leading jets of each event as `jets.cluster` gives them; `event` is
            its number in the file, from 0. If the file has labels there is a field `label`, 0 or 1.

        Raises:
            ValueError: The file is missing, broken, not of this kind or without events, or holds
                impossible values; before the first batch.
        """


@dataclass(frozen=True)
class Where:
    """Where events were read, for messages."""

    path: Path
    """The file."""
    kind: str
    """What the file calls an event."""
    first: int
    """Number of the first of the events."""

    def __call__(self, index: int) -> str:
        """Name of the event of that index."""
        return f"{self.path}, {self.kind} {self.first + index}"


def batch(clustered: ak.Array, *, first: int, label: NDArray[np.int8] | None = None) -> ak.Array:
    """Clustered events with their numbers, which begin at `first`, and their labels (N,)."""
    columns = {"event": np.arange(first, first + len(clustered)), "n_jets": clustered.n_jets}
    columns["jets"] = clustered.jets
    return ak.zip(columns if label is None else columns | {"label": label}, depth_limit=1)


def twice(parts: Callable[[], Iterator[T]]) -> Iterator[T]:
    """The parts, after all of them have been made once: a bad one is found before the first."""
    for _ in parts():
        pass
    yield from parts()


@contextmanager
def readable(path: Path, kind: str) -> Iterator[None]:
    """Say what a library meets in a broken file in one line.

    Raises:
        ValueError: The file is missing, or the library cannot read it.
    """
    if not path.is_file():
        raise ValueError(f"expected a {kind}; got no file {path}")
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # there is no end to how a broken file can be met
        said = " ".join(str(error).split())[:200]
        raise ValueError(
            f"expected a whole {kind}; got {path} ({type(error).__name__}: {said})"
        ) from error


def refuse(
    bad: NDArray[np.bool_], expected: str, values: NDArray[Any], at: Callable[[int], str]
) -> None:
    """Raise a ValueError for the first bad value.

    Args:
        bad: Shape of the values.
        expected: What they should be.
        values: What they are, any shape.
        at: Place of a value, from its index in the flat array.
    """
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(f"expected {expected}; got {values.flat[i]} in {at(i)}")


def positive(name: str, value: object) -> None:
    """Raise a ValueError if a field is not a whole number >= 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"expected {name}, a whole number >= 1; got {value!r}")


def check(columns: Columns, what: str, where: Where) -> None:
    """See that momenta are possible.

    Args:
        columns: event (index from 0), pt, eta, phi and perhaps mass, each of shape (P,).
        what: What has these momenta.
        where: Where they were read.

    Raises:
        ValueError: A value is not finite, pt <= 0, or an angle is out of range.
    """

    def at(i: int) -> str:
        return where(columns["event"][i])

    for name in ("pt", "eta", "phi", "mass"):
        if name in columns:
            refuse(~np.isfinite(columns[name]), f"a finite {name} of {what}", columns[name], at)
    pt, eta, phi = columns["pt"], columns["eta"], columns["phi"]
    refuse(pt <= 0, f"pt > 0 of {what}", pt, at)
    refuse(np.abs(eta) > ETA_MAX, f"|eta| <= {ETA_MAX:g} of {what}", eta, at)
    refuse(np.abs(phi) > PHI_MAX, f"|phi| <= 2 pi of {what}", phi, at)
