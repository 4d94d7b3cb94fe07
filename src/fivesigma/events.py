"""Collisions from Pythia 8: `Process` in, `Events` out. Beside `vetoes`, the only door to Pythia.

An event is a list of visible stable particles with their production vertices. A batch of events
comes out of Pythia as one awkward array (`Pythia.nextBatch`), so no Python statement runs per
particle.

A guide to PYTHIA 8.3 (Bierlich et al., 2022)
https://arxiv.org/abs/2203.11601
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pythia8mc
from numpy.typing import NDArray

from .les_houches import count, cross_section_fb, hard_event, head, see_weights
from .vetoes import Veto, hooks

__all__ = ["Events", "Process", "generate", "generator_version"]

BATCH = 250
INVISIBLE = (12, 14, 16)
PARTON_PT_MIN = 1.0
SEED_MAX = 900_000_000
FB_PER_MB = 1e12


@dataclass(frozen=True)
class Process:
    """What Pythia is asked to make."""

    name: str
    """Name in tables and folders."""
    settings: tuple[str, ...]
    """Lines for `Pythia.readString`, in order."""
    lhe: Path | None = None
    """Les Houches event file with the hard events (plain or gzipped); None if Pythia makes them."""
    showers: int = 1
    """How many times the event file is gone through, each time with decays and showers anew."""
    veto: Veto | None = None
    """Cuts at parton level; the cross section is that of the events that pass it."""
    cross_section: str = "physical"
    """"physical", or "arbitrary" where couplings are not set and only shapes have a meaning."""
    partons: tuple[int, ...] | None = None
    """|PDG codes| of the partons that are kept beside the particles."""
    unlike_decays: int | None = None
    """|PDG code| of what is made in pairs, of which the two decay in different ways; the cross
    section is that of all pairs."""
    k_factor: float | None = None
    """Cross section of the source over that of the generator, both without vetoes and limits on the
    phase space; None for the generator's own."""

    @property
    def repeats(self) -> bool:
        """Whether events may share a hard event.

        It can be showered more than once, or taken by two parts of a sample, since one that drops
        events at a veto goes on beyond the start of the next.
        """
        return self.showers > 1 or (self.lhe is not None and self.veto is not None)

    @property
    def reads_all(self) -> bool:
        """Whether each hard event of a file counts, showered or not, as where no veto drops some.

        Parts of a sample are then next to each other in the file.
        """
        return self.lhe is not None and self.veto is None


@dataclass(frozen=True)
class Events:
    """Visible stable particles of N events, and how they came about."""

    particles: ak.Array
    """N * var * {px, py, pz, mass [GeV], vx, vy, vz [mm], pdgid, charge}."""
    partons: ak.Array | None = None
    """N * var * {pt [GeV], eta, phi, flavour}, the partons that the process keeps, at all stages of
    the shower, above 1 GeV; flavour is the |PDG code|."""
    hard_event: NDArray[np.int64] | None = None
    """Numbers that are equal for the same hard event of an event file, shape (N,); None where no
    two events can share one (`Process.repeats`)."""
    cross_section_fb: float = float("nan")
    """Cross section of the process, after the veto if there is one [fb]."""
    cross_section_error_fb: float = float("nan")
    """Its error [fb]."""
    stated_error_fb: float = 0.0
    """The part of it that an event file states, which all events of the file share [fb]."""
    n_failed: int = 0
    """Hard events of an event file that could not be showered."""
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
        n: Number of events that pass the process' veto; fewer only when an event file ends before,
            or has hard events that cannot be showered, which count where there is no veto.
        seed: Pythia's seed, 1 to 900 000 000; the same seed gives the same events.
        skip: Number of hard events of an event file to leave out first; those of each time that it
            is gone through count, and so do those that a veto drops.

    Raises:
        ValueError: A setting that Pythia does not know, an unreadable event file or one with
        weights that are not all the same and positive, no event at all, n < 0 or a seed out of
        range.
    """
    if n < 0:
        raise ValueError(f"expected a number of events >= 0; got {n}")
    lhe = None if process.lhe is None else head(process.lhe)
    batches, partons, origins, counts = [], [], [np.zeros(0, np.int64)], []
    left = n
    for pythia in _passes(process, seed, skip):
        for batch in _batches(pythia, left, process):
            if process.lhe is not None:
                see_weights(batch.info, process.lhe)
            batches.append(_visible(batch, pythia.particleData))
            if process.repeats:
                origins.append(hard_event(batch.info))
            if process.partons is not None:
                partons.append(_partons(batch, process.partons))
        info = pythia.infoPython()
        counts.append([info.nAccepted(), info.nSelected(), info.sigmaGen(), info.sigmaErr()])
        left -= info.nSelected() if process.reads_all else info.nAccepted()
        if left <= 0:
            break
    if not batches and left == n > 0:
        source = process.lhe or f"the phase space of process {process.name!r}"
        raise ValueError(f"expected events in {source}; got none")
    value, error, stated_error = _cross_section(counts, lhe)
    return Events(
        particles=ak.concatenate(batches) if batches else _empty(),
        partons=ak.concatenate(partons) if partons else None,
        hard_event=np.concatenate(origins) if process.repeats else None,
        cross_section_fb=value,
        cross_section_error_fb=error,
        stated_error_fb=stated_error,
        n_failed=int(sum(c[1] - c[0] for c in counts)) if process.reads_all else 0,
        provenance={"generator": generator_version(), "process": process.name, "seed": seed},
    )


def _passes(process: Process, seed: int, skip: int) -> Iterator[Any]:
    """A generator for each time that the event file is gone through, from hard event `skip` on."""
    first = 0
    if process.lhe is not None and process.showers > 1:
        first, skip = divmod(skip, max(count(process.lhe), 1))
    for k in range(first, process.showers):
        pythia, _hooks = _start(process, seed if k == first else _other_seed(seed, k), skip)
        yield pythia
        skip = 0


def _other_seed(seed: int, k: int) -> int:
    """Of pass k, where events of one seed go through the end of the file."""
    return int(np.random.default_rng([seed, k]).integers(1, SEED_MAX + 1))


def _batches(pythia: Any, n: int, process: Process) -> Iterator[ak.Array]:
    """At most n events, fewer where the event file ends, or some of its events fail."""
    while n > 0:
        batch = pythia.nextBatch(min(n, BATCH), "none" if process.reads_all else "skip")
        if len(whole := ak.drop_none(batch, axis=0)):
            yield whole
        if len(batch) == 0 or (process.lhe is not None and pythia.infoPython().atEndOfFile()):
            return
        n -= len(batch)


def _start(process: Process, seed: int, skip: int) -> tuple[Any, list[Any]]:
    if not 1 <= seed <= SEED_MAX:
        raise ValueError(f"expected a seed from 1 to {SEED_MAX}; got {seed}")
    pythia = pythia8mc.Pythia("", False)  # noqa: FBT003 (no banner)
    lines = ("Print:quiet = on", "Random:setSeed = on", f"Random:seed = {seed}", *process.settings)
    if process.lhe is not None:
        lines += ("Beams:frameType = 4", f"Beams:LHEF = {process.lhe}")
        lines += (f"Beams:nSkipLHEFatInit = {skip}",) if skip else ()
    for line in lines:
        if not pythia.readString(line):
            raise ValueError(f"expected a setting of {generator_version()}; got {line!r}")
    asked = hooks(process.veto, process.unlike_decays)
    for hook in asked:
        pythia.addUserHooksPtr(hook)
    if not pythia.init():
        raise ValueError(
            f"expected settings that Pythia can start from; got process {process.name!r}"
        )
    return pythia, asked  # Pythia does not keep the hooks alive


def _cross_section(counts: list[list[float]], lhe: Any) -> tuple[float, float, float]:
    """Cross section of events that pass, its error, and the part of that a file states [fb].

    Counts are of accepted and tried events, with a cross section and its error [mb].
    """
    accepted, tried, sigma, errors = np.transpose(counts)
    if lhe is None:
        return FB_PER_MB * float(sigma[0]), FB_PER_MB * float(errors[0]), 0.0
    n = max(tried.sum(), 1)
    share = accepted.sum() / n
    whole, stated = cross_section_fb(lhe)
    drawn = whole * (share * (1 - share) / n) ** 0.5
    return float(whole * share), float(np.hypot(stated * share, drawn)), float(stated * share)


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
