"""Events per second that the readers give, on one thread.

Run `python perf/readers.py FILE.root` with a file of Delphes of a few thousand events (`--branch`
names other jets than `Jet`); the last line is JSON. Rows of the LHC Olympics are made here, 2000
of them. Each file is read twice, as always: to check it and to give it. Seconds are the
processor's, so that a busy machine matters little. What a file costs before its first event, which
is uproot's reading of what the tree holds, is a number of its own. The authors' own converter from
trees of Delphes to selected arrays made 620 to 720 events per second.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import h5py
import numpy as np
import uproot

from fivesigma.readers import Reader, reader

ROWS = 2000
PARTICLES = 700
REPEATS = 5
TARGET = 5 * 720  # five times the converter


def rows(n: int, *, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Dijets of about 200 particles in 700 places, with a label."""
    axes = np.stack([rng.uniform(-1, 1, (n, 2)), np.tile([0.0, 3.0], (n, 1))], axis=2)
    angles = axes[:, np.arange(PARTICLES) % 2] + rng.normal(0, 0.4, (n, PARTICLES, 2))
    there = np.arange(PARTICLES) < rng.poisson(200, (n, 1))
    pt = np.minimum(1 / (1 - rng.random((n, PARTICLES))), 1000)
    particles = np.concatenate([pt[..., None], angles], axis=2) * there[..., None]
    return np.concatenate([particles.reshape(n, -1), rng.integers(0, 2, (n, 1))], axis=1)


def seconds(work: Callable[[], int]) -> tuple[float, int]:
    """Median of the repeats, and what the work gives."""
    times = []
    for _ in range(REPEATS):
        start = process_time()
        n = work()
        times.append(process_time() - start)
    return median(times), n


def opened(path: Path) -> int:
    with uproot.open(path, array_cache=None, handler=uproot.MemmapSource) as file:
        return len(list(file["Delphes"].itervalues()))


def measure(read: Reader, path: Path, before: float = 0.0) -> dict[str, float]:
    total, n = seconds(lambda: sum(len(batch) for batch in read.batches(path)))
    rate = n / (total - before)
    return {
        "events": n,
        "before_first_event_s": before,
        "events_per_second": rate,
        "events_per_second_with_opening": n / total,
        "ratio_to_720": rate / 720,
    }


def show(name: str, figures: dict[str, float]) -> None:
    print(
        f"{name:<22}{figures['events']:>7.0f} events{figures['events_per_second']:>10.0f} events/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="ROOT file of Delphes")
    parser.add_argument("--branch", default="Jet", help="branch of the jets")
    options = parser.parse_args()
    results = {}
    before, _ = seconds(lambda: opened(options.path))
    for jets in ("branch", "cluster"):
        read = reader("delphes", jets=jets, branch=options.branch)
        results[f"delphes, {jets}"] = measure(read, options.path, before)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.h5"
        with h5py.File(path, "w") as file:
            file["df/block0_values"] = rows(ROWS, rng=np.random.default_rng(1))
        results["lhco"] = measure(reader("lhco"), path)
    for name, figures in results.items():
        show(name, figures)
    enough = results["delphes, branch"]["events_per_second"] >= TARGET
    print(f"five times 720 events/s: {'yes' if enough else 'no'}")
    rounded = {
        name: {key: float(f"{value:.4g}") for key, value in figures.items()}
        for name, figures in results.items()
    }
    print(json.dumps(rounded))


if __name__ == "__main__":
    main()
