"""The record that holds everything in which one benchmark differs from another."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..detector import Detector, NoDetector
from ..events import Process
from ..jets import JetDefinition
from ..les_houches import stated
from ..objects import ObjectDefinition
from ..selection import Selection

__all__ = ["Benchmark", "Cost", "check", "is_number", "underlying"]

PROTON = 2212
SWITCH = {"on", "off"}


@dataclass(frozen=True)
class Cost:
    """What a generated event costs, as measured once; for estimates."""

    seconds: float
    """Time on one core [s]."""
    bytes: float
    """Disk for what is kept of it [B]."""


@dataclass(frozen=True)
class Benchmark:
    """Which physics: processes, detector, jets, selection, and the size of the data."""

    name: str
    """Name on the command line."""
    title: str
    """One line for people."""
    processes: dict[str, Callable[..., Process]]
    """Process factories by name; their keyword arguments are what a user may set."""
    signal: str
    """Name of the signal process."""
    background: str
    """Name of the background process."""
    points: dict[str, dict[str, Any]]
    """Named parameter points of the signal."""
    detector: Detector | NoDetector
    """Detector response."""
    jets: JetDefinition | ObjectDefinition
    """What is made of the response: jets, or more objects."""
    selection: Selection
    """Cuts and regions."""
    sqrt_s: float
    """Energy of the collisions [GeV]."""
    luminosity_fb: float
    """Integrated luminosity [1/fb]."""
    background_cross_section_fb: float
    """Cross section of the background in the signal region, from the source [fb]."""
    source: str
    """Where the numbers come from."""
    costs: dict[str, Cost]
    """What a generated event of a process costs, for estimates, where it was measured."""

    def process(self, name: str, parameters: dict[str, Any]) -> Process:
        """Make a process from its parameters.

        Raises:
            ValueError: Unknown process, parameter or value.
        """
        if name not in self.processes:
            raise ValueError(
                f"expected a process of {self.name}: {sorted(self.processes)}; got {name!r}"
            )
        factory = self.processes[name]
        known = factory.__kwdefaults__ or {}
        unknown = set(parameters) - set(known)
        if unknown:
            raise ValueError(
                f"expected parameters of {name}: {sorted(known)}; got {', '.join(sorted(unknown))}"
            )
        return factory(**parameters)

    @property
    def n_background(self) -> int:
        """Background events in the signal region at the luminosity."""
        return round(self.luminosity_fb * self.background_cross_section_fb)


def is_number(x: object) -> bool:
    """Whether a parameter is a number; True and False are none."""
    return isinstance(x, int | float) and not isinstance(x, bool)


def check(condition: bool, expected: str, got: object) -> None:  # noqa: FBT001
    """Raise a ValueError that says what was expected and what came, unless the condition holds."""
    if not condition:
        raise ValueError(f"expected {expected}; got {got!r}")


def from_lhe(file: str, showers: int, *, sqrt_s: float) -> tuple[Path, int]:
    """An event file of collisions of protons at sqrt_s [GeV], and how often it is gone through.

    Raises:
        ValueError: No such file, other beams, or a number that is none or below 1.
    """
    path = Path(str(file)).expanduser()
    check(path.is_file(), "file = a Les Houches event file", file)
    whole = isinstance(showers, int) and not isinstance(showers, bool)
    check(whole and showers >= 1, "a number of showers of each hard event >= 1", showers)
    beams, _ = stated(path)
    check(
        all(code == PROTON and abs(energy - sqrt_s / 2) < 1 for code, energy in beams),
        f"two beams of protons ({PROTON}) of {sqrt_s / 2:.0f} GeV in {path}",
        beams,
    )
    return path.resolve(), showers


def underlying(multiparton: str) -> tuple[str, ...]:
    """Settings of Pythia for multiparton interactions, "on" or "off"."""
    known = isinstance(multiparton, str) and multiparton in SWITCH
    check(known, f"multiparton in {sorted(SWITCH)}", multiparton)
    return (f"PartonLevel:MPI = {multiparton}",)
