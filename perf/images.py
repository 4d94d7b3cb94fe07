"""Jets per second that `JetImages` turns into images, on one thread.

Run `python perf/images.py`; the last line is JSON. The reference fills the same jets, already
aligned, with one `np.histogram2d` per jet.
"""

import json
import os
from time import perf_counter
from typing import Any, get_args

os.environ["OMP_NUM_THREADS"] = "1"

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from fivesigma.constituents import Constituents, align, constituents
from fivesigma.representations.images import Intensity, JetImages

PIXELS = (25, 50, 75)
EVENTS = 10_000
REFERENCE_EVENTS = 1_000
REPEATS = 5


def synthetic_jets(n: int, *, rng: np.random.Generator) -> Any:
    """N * 2 jets of about 55 constituents; pT falls as 1/pT^2 above 0.5 GeV, hard ones central."""
    counts = np.maximum(rng.poisson(55, 2 * n), 1)
    m = counts.sum()
    pt = np.minimum(0.5 / (1 - rng.random(m)), 500)
    radius = rng.exponential(0.25, m) / (1 + np.log10(pt).clip(0))
    angle = rng.uniform(-np.pi, np.pi, m)
    eta, phi = rng.uniform(-2, 2, 2 * n), rng.uniform(-np.pi, np.pi, 2 * n)
    phi_i = np.repeat(phi, counts) + radius * np.sin(angle)
    particles = {
        "pt": pt,
        "eta": np.repeat(eta, counts) + radius * np.cos(angle),
        "phi": np.remainder(phi_i + np.pi, 2 * np.pi) - np.pi,
    }
    per_particle = ak.zip({k: v.astype(np.float32) for k, v in particles.items()})
    axes = {"eta": eta.astype(np.float32), "phi": phi.astype(np.float32)}
    per_jet = axes | {"constituents": ak.unflatten(per_particle, counts)}
    return ak.unflatten(ak.zip(per_jet, depth_limit=1), np.full(n, 2))


def histogram2d_per_jet(jets: Constituents, pixels: int) -> NDArray[np.float32]:
    images = np.empty((len(jets.counts), pixels, pixels), np.float32)
    ends = np.cumsum(jets.counts)
    for k, (start, end) in enumerate(zip(ends - jets.counts, ends, strict=True)):
        x, y, pt = jets.x[start:end], jets.y[start:end], jets.pt[start:end]
        images[k] = np.histogram2d(x, y, pixels, [[-1, 1], [-1, 1]], weights=pt)[0]
    return images


def rate(images: JetImages, jets: Any) -> float:
    """Jets per second, best of the repeats."""
    times = []
    for _ in range(REPEATS):
        start = perf_counter()
        images(jets)
        times.append(perf_counter() - start)
    return 2 * len(jets) / min(times)


def reference_rate(jets: Any, pixels: int) -> float:
    aligned = align(constituents(jets))
    start = perf_counter()
    histogram2d_per_jet(aligned, pixels)
    return 2 * len(jets) / (perf_counter() - start)


def main() -> None:
    jets = synthetic_jets(EVENTS, rng=np.random.default_rng(1))
    figures: dict[str, Any] = {
        "constituents_per_jet": round(ak.mean(ak.num(jets.constituents, axis=2)), 1)
    }
    for intensity in get_args(Intensity):
        rates = {p: rate(JetImages(p, intensity=intensity), jets) for p in PIXELS}
        key = "jets_per_second" + ("" if intensity == "linear" else f"_{intensity}")
        figures[key] = {str(p): round(r) for p, r in rates.items()}
        for p, r in rates.items():
            print(f"{intensity:12} {p} x {p}: {r:10,.0f} jets/s  {1e6 / r:6.2f} us/jet")
    slow = reference_rate(jets[:REFERENCE_EVENTS], 25)
    print(f"histogram2d  25 x 25: {slow:10,.0f} jets/s  {1e6 / slow:6.2f} us/jet")
    figures["ratio_to_histogram2d"] = round(figures["jets_per_second"]["25"] / slow, 1)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
