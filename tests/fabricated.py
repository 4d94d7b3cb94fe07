"""Samples without Pythia: two jets an event, uniform in the dijet mass."""

import awkward as ak
import numpy as np
import pyarrow.parquet as pq

from fivesigma.store import Sample

CONSTITUENTS = 8


def sample(folder, n, *, masses=(4200.0, 6000.0), width=0.2, shards=2, seed=1):
    """Write a sample of n generated events, all of which pass the cuts."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    paths, records = [], []
    for i, part in enumerate(np.array_split(np.arange(n), shards)):
        path = folder / f"shard-{i:05d}.parquet"
        m_jj = rng.uniform(*masses, len(part)).astype(np.float32)
        events = ak.zip({"m_jj": m_jj, "jets": jets(len(part), width, rng)}, depth_limit=1)
        pq.write_table(
            ak.to_arrow_table(events, extensionarray=False), path, write_page_checksum=True
        )
        paths.append(path)
        records.append(record(len(part), m_jj, seed))
    return Sample(folder, tuple(paths), tuple(records))


def jets(n, width, rng):
    shape = (2 * n, CONSTITUENTS)
    axis = np.stack([rng.uniform(-1, 1, 2 * n), rng.uniform(-3, 3, 2 * n)])
    parts = {
        "pt": rng.exponential(100, shape),
        "eta": axis[0][:, None] + rng.normal(0, width, shape),
        "phi": axis[1][:, None] + rng.normal(0, width, shape),
    }
    constituents = ak.zip({k: ak.from_regular(ak.Array(x)) for k, x in parts.items()})
    whole = {"pt": np.full(2 * n, 2000.0), "eta": axis[0], "phi": axis[1], "mass": np.ones(2 * n)}
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
