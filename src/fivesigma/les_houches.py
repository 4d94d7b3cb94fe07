"""Les Houches event files: what they say of themselves and of their events."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pylhe
from numpy.typing import NDArray

__all__ = ["count", "cross_section_fb", "hard_event", "head", "see_weights", "stated"]

FB_PER_PB = 1e3
SAME = 1e-4
UNREADABLE = (OSError, EOFError, ValueError, zlib.error)


def head(path: Path) -> Any:
    """What an event file says of itself."""
    if any(character.isspace() for character in str(path)):
        raise ValueError(f"expected a path without spaces, for Pythia; got {str(path)!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = pylhe.LHEFile.fromfile(str(path))
        file.events.close()  # a generator that holds the file open
    except UNREADABLE as error:
        raise ValueError(f"expected a Les Houches event file; got {path} ({error})") from error
    return file.init


def stated(path: Path) -> tuple[list[tuple[int, float]], float]:
    """PDG code and energy [GeV] of both beams of a Les Houches event file; cross section [fb].

    Raises:
        ValueError: An unreadable file.
    """
    lhe = head(path)
    said = lhe.initInfo
    return [(said.beamA, said.energyA), (said.beamB, said.energyB)], cross_section_fb(lhe)[0]


def count(path: Path) -> int:
    """Events in a file.

    Raises:
        ValueError: A file that ends early, or is not readable.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # pylhe's way to say where it breaks
            return int(pylhe.LHEFile.count_events(str(path)))
    except (*UNREADABLE, RuntimeWarning) as error:
        raise ValueError(
            f"expected a whole Les Houches event file; got {path} ({error})"
        ) from error


def cross_section_fb(lhe: Any) -> tuple[float, float]:
    """That of all processes of a file, and its error, from its head [fb]."""
    value = sum(float(process.xSection) for process in lhe.procInfo)
    error = sum(float(process.error) ** 2 for process in lhe.procInfo) ** 0.5
    return FB_PER_PB * value, FB_PER_PB * error


def see_weights(info: ak.Array, path: Path) -> None:
    """See that each event of a file counts as one."""
    weights = ak.to_numpy(info.weights[:, 0])
    low, high = float(weights.min()), float(weights.max())
    if not 0 < low <= high < (1 + SAME) * low:
        raise ValueError(
            f"expected weights of the events of {path} that are all the same and positive; got "
            f"{low:g} to {high:g}"
        )


def hard_event(info: ak.Array) -> NDArray[np.int64]:
    """Numbers of hard events, which differ in the momenta of the incoming partons."""
    x_1, x_2 = (np.asarray(x, np.float64).view(np.int64) for x in (info.x1, info.x2))
    return 31 * x_1 + x_2
