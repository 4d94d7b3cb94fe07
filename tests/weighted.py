"""A benchmark of Gaussian processes with known densities and cross sections, already on disk."""

from dataclasses import replace

import awkward as ak
import numpy as np

from fivesigma.benchmarks import BENCHMARKS
from fivesigma.benchmarks.base import Benchmark, Cost
from fivesigma.configuration import SampleRequest
from fivesigma.events import Process
from fivesigma.projection import Projection
from fivesigma.samples import at_point, point_name, recipe
from fivesigma.selection import Selection
from fivesigma.store import write_shard
from fivesigma.yields import Yields

FEATURES = ("h_t", "pt(l)")
DISTANCE = 1.5
"""Of the signal from the backgrounds at mass 1, in the first feature; it grows with the mass."""
SIGMA = {"signal": 2.0, "many": 300.0, "few": 20.0}
"""Cross sections of the whole processes [fb]; that of the signal falls with the mass."""
LUMINOSITY = 3000.0
EFFICIENCY = 0.5
"""Share of the generated events that pass."""
PER_SHARD = 500


def signal(*, mass: float = 1.0) -> Process:
    return Process(f"signal {mass:g}", ())


def many(*, side: str = "both") -> Process:
    return Process(f"many {side}", ())


def few() -> Process:
    return Process("few", ())


BENCHMARK: Benchmark = replace(
    BENCHMARKS["hidden_valley"],
    name="gaussians",
    title="Gaussian processes",
    processes={"signal": signal, "many": many, "few": few},
    signal="signal",
    background="many",
    points={f"m{mass}": {"mass": float(mass)} for mass in (1, 2, 3)},
    selection=Selection((), (), quantities=(*FEATURES, "n_leptons")),
    luminosity_fb=LUMINOSITY,
    costs={name: Cost(1e-6, 10) for name in SIGMA},
)
TREES = {
    "name": "trees",
    "strategy": "boosted",
    "options": {"trees": 20},
}
NETWORK = {
    "name": "network",
    "training": {"max_epochs": 2, "batch_size": 256, "learning_rate": 1e-2},
}
CONTENT = {
    "name": "gaussians",
    "title": "Gaussian processes",
    "benchmark": "gaussians",
    "signal": {"process": "signal", "events": 6000},
    "backgrounds": {
        "many": [
            {"process": "many", "events": 6000, "parameters": {"side": "left"}},
            {"process": "many", "events": 12000, "parameters": {"side": "right"}},
        ],
        "few": [{"process": "few", "events": 6000}],
    },
    "repeats": 2,
    "arms": [TREES],
}


def projection(**changes) -> Projection:
    """The projection with other values."""
    return Projection.model_validate(CONTENT | changes)


def requests(wanted: Projection) -> list[SampleRequest]:
    """All samples of a projection."""
    signals = [at_point(BENCHMARK, point, wanted.signal, "points") for point in wanted.points]
    signals = signals or [wanted.signal]
    return [*signals, *(request for slices in wanted.backgrounds.values() for request in slices)]


def write(wanted: Projection, store, *, showers=1, spoil=None):
    """The samples of a projection, in a store.

    Args:
        wanted: projection.
        store: folder.
        showers: events of one hard event.
        spoil: function of the columns of a shard of a process.
    """
    for request in requests(wanted):
        made_by = recipe(BENCHMARK, request, seed=wanted.seed)
        rng = np.random.default_rng([len(request.process), len(made_by.process.name)])
        folder = store / made_by.hash
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(-(-request.events // made_by.shard_events)):
            columns = events(request, rng)
            if showers > 1:
                hard = i * PER_SHARD + np.arange(PER_SHARD) // showers
                columns["hard_event"] = hard * 10**12 - 2**62  # numbers without a meaning
            columns = spoil(request.process, columns) if spoil else columns
            n = len(columns["h_t"])
            write_shard(ak.zip(columns), record(request, n), folder / f"shard-{i:05d}.parquet")


def events(request, rng):
    mass = float(request.parameters.get("mass", 1.0))
    side = request.parameters.get("side", "both")
    x = rng.normal(size=(PER_SHARD, 2))
    if request.process == "signal":
        x[:, 0] += DISTANCE * mass
    if side != "both":
        x[:, 1] = np.abs(x[:, 1]) * (1 if side == "right" else -1)
    columns = {name: x[:, i].astype(np.float32) for i, name in enumerate(FEATURES)}
    return columns | {"n_leptons": np.ones(PER_SHARD, np.float32)}


def cross_section(request):
    """Of a sample before the selection [fb]."""
    half = 0.5 if request.parameters.get("side", "both") != "both" else 1.0
    mass = float(request.parameters.get("mass", 1.0))
    return half * SIGMA[request.process] / mass**3


def record(request, n):
    generated = round(PER_SHARD / EFFICIENCY)
    sigma = cross_section(request)
    return {
        "process": request.process,
        "generator": "none",
        "sample_seed": 1,
        "cross_section": "physical",
        "cross_section_fb": sigma,
        "cross_section_error_fb": 0.01 * sigma,
        "n_generated": generated,
        "n_selected": n,
        "cutflow": [["all", generated], ["kept", n]],
    }


def name_of(wanted: Projection) -> str:
    """Of its only point."""
    return point_name(wanted.signal, BENCHMARK)


def drawn(sizes, *, showers=1, seed=0):
    """Events of processes of some sizes, each hard event showered several times."""
    rng = np.random.default_rng(seed)
    process = np.repeat(np.arange(len(sizes)), sizes)
    n = len(process)
    starts = np.cumsum([0, *sizes])[:-1]
    place = np.arange(n) - starts[process]
    origin = 10_000 * process + place // showers
    order = rng.permutation(n)
    return Yields(
        x=np.arange(n, dtype=np.float32)[order, None],
        process=process[order],
        weight=(1.0 + process)[order],
        origin=origin[order],
        names=tuple("abcdef"[: len(sizes)]),
        cross_section_fb=np.ones(len(sizes)),
        cross_section_error_fb=np.zeros(len(sizes)),
    )
