"""Jets that are placed by hand, and random ones."""

import math

import awkward as ak
import numpy as np

# In pixels of a 25 x 25 image from its centre. Centroid and s_xy vanish, s_xx = 17 s_yy, and the
# quadrant (+, +) holds most pT: alignment must leave this jet alone.
PT = np.array([70, 40, 20, 50])
X = 0.08 * np.array([2, 5, -7, -4])
Y = 0.08 * np.array([1, -1, 1, -1])


def wrapped(phi):
    return np.arctan2(np.sin(phi), np.cos(phi))


def make(jets):
    """Awkward events of two jets each from a list of (eta, phi, pt, x, y), angles from the axis."""
    counts = np.array([len(jet[2]) for jet in jets])
    axes = np.array([jet[:2] for jet in jets], np.float64)
    pt, x, y = (np.concatenate([jet[k] for jet in jets]) for k in (2, 3, 4))
    eta, phi = np.repeat(axes, counts, axis=0).T
    parts = {"pt": pt, "eta": eta + x, "phi": wrapped(phi + y)}
    particles = ak.zip(
        {name: value.astype(np.float32) for name, value in parts.items()}
        | {"species": np.zeros(len(pt), np.int8)}
    )
    sums = [np.sum(jet[2]) for jet in jets]
    values = {"pt": sums, "eta": axes[:, 0], "phi": axes[:, 1], "mass": np.zeros(len(jets))}
    record = {name: np.asarray(value, np.float32) for name, value in values.items()}
    record["constituents"] = ak.unflatten(particles, counts)
    return ak.unflatten(ak.zip(record, depth_limit=1), np.full(len(jets) // 2, 2))


def one(pt, x, y, *, eta=0.4, phi=-1.0):
    """One event whose two jets are the same."""
    return make([(eta, phi, pt, x, y)] * 2)


def random_jets(size, *, n=300, seed=5):
    rng = np.random.default_rng(seed)
    jets = []
    for _ in range(n):
        m = rng.integers(*size)
        pt = np.minimum(0.5 / (1 - rng.random(m)), 300)
        eta, phi = rng.uniform(-2, 2), rng.uniform(-math.pi, math.pi)
        jets.append((eta, phi, pt, rng.normal(0.02, 0.25, m), rng.normal(-0.03, 0.15, m)))
    return jets


def turned(x, y, angle):
    c, s = math.cos(angle), math.sin(angle)
    return c * np.asarray(x) - s * np.asarray(y), s * np.asarray(x) + c * np.asarray(y)
