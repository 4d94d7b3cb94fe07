"""What networks see of the events of a sample, kept as arrays on disk beside them."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from .benchmarks import Benchmark
from .representations import Representation
from .sample import Sample
from .samples import Report
from .tasks import REGIONS
from .writing import written

__all__ = ["represent"]


def represent(
    sample: Sample, representation: Representation, benchmark: Benchmark, report: Report
) -> Path:
    """Represented events of the two regions, as arrays on disk beside the sample.

    Returns:
        Folder with signal_region.npy and sideband.npy, float32 (N, *shape).
    """
    first = f"{sample.first}-" if sample.first else ""
    folder = sample.folder / f"{representation.name}-{first}{len(sample.shards)}"
    if all((folder / f"{name}.npy").exists() for name in REGIONS):
        return folder
    counts = dict.fromkeys(REGIONS, 0)  # m_jj of a cutflow is not rounded to float32
    for events in sample.batches(columns=["m_jj"]):
        for name, inside in _inside(benchmark, events).items():
            counts[name] += int(inside.sum())
    with ExitStack() as stack:  # plain files: a memory map on a full disk kills the process
        paths = {n: stack.enter_context(written(folder / f"{n}.npy")) for n in REGIONS}
        opened = {n: stack.enter_context(path.open("wb")) for n, path in paths.items()}
        for name, file in opened.items():
            shape = (counts[name], *representation.shape)
            header: dict[str, Any] = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
        for i, events in enumerate(sample.batches()):
            for name, inside in _inside(benchmark, events).items():
                opened[name].write(representation(events.jets[inside]).astype("<f4").tobytes())
            report(f"represent {representation.name}", i + 1, len(sample.shards), "")
    return folder


def _inside(benchmark: Benchmark, events: ak.Array) -> dict[str, NDArray[np.bool_]]:
    mass = ak.to_numpy(events.m_jj).astype(np.float64)
    return {name: benchmark.selection.region(name)(mass) for name in REGIONS}
