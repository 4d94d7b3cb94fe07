"""Samples without Pythia, two jets an event, uniform in the dijet mass; and a study of them."""

import awkward as ak
import numpy as np
import pyarrow.parquet as pq

from fivesigma.benchmarks import BENCHMARKS
from fivesigma.configuration import Arm, Study
from fivesigma.sample import Sample
from fivesigma.samples import Samples

CONSTITUENTS = 8
VALLEY = BENCHMARKS["hidden_valley"]
IMAGES = {"kind": "images", "pixels": 8, "intensity": "logarithmic"}
CLOUDS = {"kind": "clouds", "particles": CONSTITUENTS}
TRAINING = {"learning_rate": 1e-3, "batch_size": 64, "max_epochs": 1}
CWOLA = Arm(name="CWoLa", label="cwola", representation=IMAGES, training=TRAINING)
SUPERVISED = Arm(name="supervised", label="supervised", representation=IMAGES, training=TRAINING)
TRANSFER = Arm(
    name="transfer",
    label="cwola",
    strategy="transfer",
    network="cloud",
    representation=CLOUDS,
    training=TRAINING,
    pretraining=TRAINING,
)
ZERO_SHOT = TRANSFER.model_copy(
    update={"name": "zero shot", "label": "sources", "strategy": "zero_shot"}
)
SOURCES = {
    "points": ["ID5", "DD5"],
    "events": 200,
    "background": {"process": "qcd", "events": 300},
}
STUDY = Study.model_validate(
    {
        "name": "tiny",
        "title": "Tiny",
        "benchmark": "hidden_valley",
        "luminosity_fb": 0.5,
        "signal": {"process": "signal", "events": 300, "parameters": VALLEY.points["ID10"]},
        "background": {"process": "qcd", "events": 600},
        "held_out": {"signal": 50, "background": 60},
        "grid": {"s_over_sqrt_b": [0, 5], "repeats": 2, "eps_b": [0.1, 0.05]},
        "arms": [CWOLA, SUPERVISED],
    }
)


def silent(*_):
    """A report to nobody."""


def arm(base=CWOLA, **changes):
    """An arm with other values."""
    return Arm.model_validate(base.model_dump() | changes)


def study(**changes):
    """The study with other values."""
    return Study.model_validate(STUDY.model_dump() | changes)


def samples(folder, *, sources=("ID5", "DD5"), targets=("ID10",)):
    """The events of the study, with others to learn from."""
    background = sample(folder / "background", 600, width=0.1, seed=2)
    behind = sample(folder / "background", 300, width=0.1, seed=5, first=2) if sources else None
    return Samples(
        benchmark=VALLEY,
        targets={
            name: sample(folder / name, 300, width=0.3, seed=10 + i)
            for i, name in enumerate(targets)
        },
        background=background,
        sources={
            name: sample(folder / f"source {name}", 200, width=0.25, seed=20 + i)
            for i, name in enumerate(sources)
        },
        source_background=behind,
    )


def sample(folder, n, *, masses=(4200.0, 6000.0), width=0.2, shards=2, seed=1, first=0):
    """Write a sample of n generated events, all of which pass the cuts."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    paths, records = [], []
    for i, part in enumerate(np.array_split(np.arange(n), shards)):
        path = folder / f"shard-{first + i:05d}.parquet"
        m_jj = rng.uniform(*masses, len(part)).astype(np.float32)
        events = ak.zip({"m_jj": m_jj, "jets": jets(m_jj, width, rng)}, depth_limit=1)
        pq.write_table(
            ak.to_arrow_table(events, extensionarray=False), path, write_page_checksum=True
        )
        paths.append(path)
        records.append(record(len(part), m_jj, seed))
    return Sample(folder, tuple(paths), tuple(records))


def jets(m_jj, width, rng):
    """Pairs of massless jets back to back, m_jj = 2 pT cosh(eta difference / 2)."""
    n = len(m_jj)
    shape = (2 * n, CONSTITUENTS)
    eta, phi = rng.uniform(-1, 1, (n, 2)), rng.uniform(-3, 3, n)
    pt = np.repeat(m_jj / (2 * np.cosh((eta[:, 0] - eta[:, 1]) / 2)), 2)
    axis = np.stack([eta.ravel(), np.stack([phi, phi - np.copysign(np.pi, phi)], axis=1).ravel()])
    parts = {
        "pt": rng.exponential(100, shape),
        "eta": axis[0][:, None] + rng.normal(0, width, shape),
        "phi": axis[1][:, None] + rng.normal(0, width, shape),
    }
    constituents = ak.zip({k: ak.from_regular(ak.Array(x)) for k, x in parts.items()})
    whole = {"pt": pt, "eta": axis[0], "phi": axis[1], "mass": np.zeros(2 * n)}
    flat = ak.zip({**whole, "constituents": constituents}, depth_limit=1)
    regular = ak.contents.RegularArray(ak.to_layout(flat), 2, zeros_length=0)
    return ak.values_astype(ak.Array(regular), np.float32)


def record(n, m_jj, seed):
    inside = {
        "signal_region": (m_jj >= 4700) & (m_jj < 5500),
        "sideband": ((m_jj >= 4400) & (m_jj < 4700)) | ((m_jj >= 5500) & (m_jj < 5800)),
        "wide_sideband": ((m_jj >= 4300) & (m_jj < 4700)) | ((m_jj >= 5500) & (m_jj < 5900)),
    }
    passed = ("all", "n_jets >= 2", "pT > 750 GeV", "|eta| < 2")
    return {
        "process": "fabricated",
        "generator": "none",
        "sample_seed": seed,
        "cross_section": "arbitrary",
        "cross_section_fb": 1.0,
        "cross_section_error_fb": 0.1,
        "n_generated": n,
        "n_selected": n,
        "cutflow": [[cut, n] for cut in passed]
        + [[name, int(mask.sum())] for name, mask in inside.items()],
    }
