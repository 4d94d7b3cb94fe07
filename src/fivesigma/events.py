"""Collisions from Pythia 8: `Process` in, `Events` out. This file is the only door to Pythia.

An event is a list of visible stable particles with their production vertices. A batch of events
comes out of Pythia as one awkward array (`Pythia.nextBatch`), so no Python statement runs per
particle.

A guide to PYTHIA 8.3 (Bierlich et al., 2022)
https://arxiv.org/abs/2203.11601
"""

import warnings
import zlib
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pylhe
import pythia8mc

__all__ = ["Events", "Process", "ShowerVeto", "generate", "generator_version"]

BATCH = 250
INVISIBLE = (12, 14, 16)
PARTON_PT_MIN = 1.0
FB_PER_MB = 1e12
FB_PER_PB = 1e3


@dataclass(frozen=True)
class ShowerVeto:
    """Loose cuts on the partons, before the costly soft part of the event is made.

    The shower is stopped on its way down at `scale`, its partons are clustered (anti-kt), and the
    event is dropped unless the two leading jets pass. A veto saves the time of multiparton
    interactions and hadronisation for events that the selection would reject; it has to be so loose
    that it drops none that the selection would keep.
    """

    scale: float
    """Transverse momentum of the evolution at which the partons are looked at [GeV]."""
    radius: float
    """Jet radius R."""
    pt_min: float
    """Lowest transverse momentum of both leading jets [GeV]."""
    eta_max: float
    """Highest |rapidity| of both leading jets."""
    mass_min: float
    """Lowest invariant mass of the two leading jets [GeV]."""
    mass_max: float
    """Highest invariant mass of the two leading jets [GeV]."""


@dataclass(frozen=True)
class Process:
    """What Pythia is asked to make."""

    name: str
    """Name in tables and folders."""
    settings: tuple[str, ...]
    """Lines for `Pythia.readString`, in order."""
    lhe: Path | None = None
    """Les Houches event file with the hard events (plain or gzipped); None if Pythia makes them."""
    veto: ShowerVeto | None = None
    """Cuts at parton level; the cross section is that of the events that pass it."""
    cross_section: str = "physical"
    """"physical", or "arbitrary" where couplings are not set and only shapes have a meaning."""
    partons: tuple[int, ...] | None = None
    """|PDG codes| of the partons that are kept beside the particles."""


@dataclass(frozen=True)
class Events:
    """Visible stable particles of N events, and how they came about."""

    particles: ak.Array
    """N * var * {px, py, pz, mass [GeV], vx, vy, vz [mm], pdgid, charge}."""
    partons: ak.Array | None = None
    """N * var * {pt [GeV], eta, phi, flavour}, the partons that the process keeps, at all stages of
    the shower, above 1 GeV; flavour is the |PDG code|."""
    cross_section_fb: float = float("nan")
    """Cross section of the process, after the veto if there is one [fb]."""
    cross_section_error_fb: float = float("nan")
    """Its statistical error [fb]."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Generator, version, process and seed."""

    def __len__(self) -> int:
        return len(self.particles)


def generator_version() -> str:
    """Version of the Pythia wheel."""
    return f"pythia8mc {version('pythia8mc')}"


def generate(process: Process, n: int, *, seed: int, skip: int = 0) -> Events:
    """Generate n events.

    Args:
        process: What to make.
        n: Number of events that pass the process' veto; fewer only when an event file ends before.
        seed: Pythia's seed, 1 to 900 000 000; the same seed gives the same events.
        skip: Number of hard events of an event file to leave out first.

    Raises:
        ValueError: A setting that Pythia does not know, an unreadable event file, no event at all,
        n < 0 or a seed out of range.
    """
    if n < 0:
        raise ValueError(f"expected a number of events >= 0; got {n}")
    stated_error = None if process.lhe is None else _lhe_error(process.lhe)
    pythia, _hook = _start(process, seed, skip)
    batches, partons = [], []
    while n > 0:
        batch = pythia.nextBatch(min(n, BATCH))
        if len(batch) == 0:
            break
        batches.append(_visible(batch, pythia.particleData))
        if process.partons is not None:
            partons.append(_partons(batch, process.partons))
        n -= len(batch)
        if process.lhe is not None and pythia.infoPython().atEndOfFile():
            break
    if not batches and n > 0:
        source = process.lhe or f"the phase space of process {process.name!r}"
        raise ValueError(f"expected events in {source}; got none")
    info = pythia.infoPython()
    return Events(
        particles=ak.concatenate(batches) if batches else _empty(),
        partons=ak.concatenate(partons) if partons else None,
        cross_section_fb=info.sigmaGen() * FB_PER_MB,
        cross_section_error_fb=info.sigmaErr() * FB_PER_MB
        if stated_error is None
        else stated_error,
        provenance={"generator": generator_version(), "process": process.name, "seed": seed},
    )


def _start(process: Process, seed: int, skip: int) -> tuple[Any, Any]:
    if not 1 <= seed <= 900_000_000:
        raise ValueError(f"expected a seed from 1 to 900000000; got {seed}")
    pythia = pythia8mc.Pythia("", False)  # noqa: FBT003 (no banner)
    lines = ("Print:quiet = on", "Random:setSeed = on", f"Random:seed = {seed}", *process.settings)
    if process.lhe is not None:
        lines += ("Beams:frameType = 4", f"Beams:LHEF = {process.lhe}")
        lines += (f"Beams:nSkipLHEFatInit = {skip}",) if skip else ()
    for line in lines:
        if not pythia.readString(line):
            raise ValueError(f"expected a setting of {generator_version()}; got {line!r}")
    hook = _veto_hook(process.veto) if process.veto else None
    if hook is not None:
        pythia.setUserHooksPtr(hook)
    if not pythia.init():
        raise ValueError(
            f"expected settings that Pythia can start from; got process {process.name!r}"
        )
    return pythia, hook  # Pythia does not keep the hook alive


def _lhe_error(path: Path) -> float:
    """Statistical error of the cross section that an event file states [fb]."""
    if any(character.isspace() for character in str(path)):
        raise ValueError(f"expected a path without spaces, for Pythia; got {str(path)!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = pylhe.LHEFile.fromfile(str(path))
        file.events.close()  # a generator that holds the file open
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ValueError(f"expected a Les Houches event file; got {path} ({error})") from error
    variance: float = sum(process.error**2 for process in file.init.procInfo)
    return float(FB_PER_PB * variance**0.5)


def _veto_hook(veto: ShowerVeto) -> Any:
    class Hook(pythia8mc.UserHooks):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            # anti-kt, all final partons, with their masses
            self.jets = pythia8mc.SlowJet(-1, veto.radius, 0.5 * veto.pt_min, 25.0, 1, 2)

        def canVetoPT(self) -> bool:
            return True

        def scaleVetoPT(self) -> float:
            return veto.scale

        def doVetoPT(self, _position: int, event: Any) -> bool:
            return not self.passes(event)

        def passes(self, event: Any) -> bool:
            jets = self.jets
            if not jets.analyze(event) or jets.sizeJet() < 2:
                return False
            mass: float = (jets.p(0) + jets.p(1)).mCalc()
            central = max(abs(jets.y(0)), abs(jets.y(1))) < veto.eta_max
            hard = float(jets.pT(1)) > veto.pt_min
            return hard and central and veto.mass_min < mass < veto.mass_max

    return Hook()


def _visible(batch: ak.Array, particle_data: Any) -> ak.Array:
    particles = batch.prt
    pdgid = particles.id
    flat_id = ak.to_numpy(ak.flatten(pdgid))
    final = ak.to_numpy(ak.flatten(particles.status)) > 0
    magnitude = np.abs(flat_id)
    final &= ~np.isin(magnitude, INVISIBLE) & (magnitude < 4_900_000)
    keep = ak.unflatten(final, ak.num(pdgid))
    particles, pdgid = particles[keep], pdgid[keep]
    codes, inverse = np.unique(ak.to_numpy(ak.flatten(pdgid)), return_inverse=True)
    charges = np.array([particle_data.charge(int(code)) for code in codes])
    columns = {name: particles.p[name] for name in ("px", "py", "pz")} | {"mass": particles.m}
    for name, component in (("vx", "px"), ("vy", "py"), ("vz", "pz")):
        columns[name] = ak.fill_none(particles.vProd[component], 0.0)
    columns |= {"pdgid": pdgid, "charge": ak.unflatten(charges[inverse], ak.num(pdgid))}
    return ak.zip(columns)


def _partons(batch: ak.Array, codes: tuple[int, ...]) -> ak.Array:
    """Partons of these flavours, each of its copies in the shower, as Delphes sees them."""
    particles = batch.prt
    flavour = np.abs(particles.id)
    kept = np.hypot(particles.p.px, particles.p.py) > PARTON_PT_MIN
    wanted = ak.zeros_like(kept)
    for code in codes:
        wanted = wanted | (flavour == code)
    p, flavour = particles.p[kept & wanted], flavour[kept & wanted]
    pt = np.hypot(p.px, p.py)
    return ak.zip(
        {
            "pt": pt,
            "eta": np.arcsinh(p.pz / pt),
            "phi": np.arctan2(p.py, p.px),
            "flavour": flavour,
        }
    )


def _empty() -> ak.Array:
    names = ("px", "py", "pz", "mass", "vx", "vy", "vz", "pdgid", "charge")
    return ak.zip({name: ak.Array([[0.0]])[:0] for name in names})
