"""Grids of trainings: samples in, one record per training out, resumable.

Each training is a task of its own. Its record lies in a file named by the hash of all that decides
it, so a second run does only what is missing, and killing a run loses at most the trainings in
flight. Tasks run on Dask: a local cluster, or one that the site provides.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import dask
import numpy as np
from distributed import Client, KilledWorker, LocalCluster, as_completed
from numpy.typing import NDArray

from .benchmarks import BENCHMARKS, Benchmark
from .configuration import SampleRequest, Study
from .representations import Representation
from .store import Recipe, Sample, make
from .tasks import REGIONS, Task, check, train

__all__ = ["Run", "n_background", "prepare", "recipe", "run", "write_json"]

# Dask has workers give memory back to the system at once; a training asks for the same memory in
# every step, and would spend half of its time on page faults.
WORKERS = {
    "logging.distributed": "critical",
    "distributed.nanny.pre-spawn-environ": {
        "OMP_NUM_THREADS": 1,
        "MALLOC_TRIM_THRESHOLD_": 2**30,
        "MALLOC_MMAP_THRESHOLD_": 2**30,
    },
}
Report = Callable[[str, int, int, str], None]
"""Called with (stage, done, total, note)."""


@dataclass(frozen=True)
class Run:
    """What a study made."""

    study: Study
    """Its configuration."""
    benchmark: Benchmark
    """Its physics."""
    samples: dict[str, Sample]
    """Events, "signal" and "background"."""
    records: tuple[dict[str, Any], ...]
    """One per training, in the order of the grid."""


def prepare(
    study: Study, *, store: Path, workers: int, report: Report
) -> tuple[Benchmark, dict[str, Sample]]:
    """Check the names in the study and make its samples.

    Raises:
        ValueError: A name that does not exist, or a sample with too few events for the study.
    """
    if study.benchmark not in BENCHMARKS:
        raise ValueError(
            f"benchmark: expected one of {sorted(BENCHMARKS)}; got {study.benchmark!r}"
        )
    benchmark = BENCHMARKS[study.benchmark]
    if n_background(study, benchmark) < 1:
        raise ValueError(
            "luminosity_fb: expected background events in the signal region; got none at "
            f"{study.luminosity_fb:g} /fb"
        )
    for arm in study.arms:
        check(arm)
    requests = {"signal": study.signal, "background": study.background}
    recipes = {
        role: recipe(benchmark, request, seed=study.seed) for role, request in requests.items()
    }
    samples = {}
    for role, request in requests.items():
        samples[role] = make(
            recipes[role],
            request.events,
            folder=store,
            workers=workers,
            progress=_stage(report, f"generate {role}"),
        )
    _enough(study, benchmark, samples)
    return benchmark, samples


def _stage(report: Report, name: str) -> Callable[[int, int], None]:
    return lambda done, total: report(name, done, total, "")


def recipe(benchmark: Benchmark, request: SampleRequest, *, seed: int) -> Recipe:
    """How the events of a request are made."""
    process = benchmark.process(request.process, request.parameters)
    return Recipe(process, benchmark.detector, benchmark.jets, benchmark.selection, seed=seed)


def _enough(study: Study, benchmark: Benchmark, samples: dict[str, Sample]) -> None:
    b = n_background(study, benchmark)
    s = max(study.grid.s_over_sqrt_b) * b**0.5
    train = {"signal": s, "background": b}
    for arm in study.arms:
        if arm.label == "supervised":
            train = {role: max(n, arm.supervised_events or b) for role, n in train.items()}
    for role, sample in samples.items():
        counts = {row.cut: row.count for row in sample.cutflow}
        needed = train[role] + getattr(study.held_out, role)
        if counts[REGIONS[0]] < needed:
            raise ValueError(
                f"{role}.events: expected {needed:.0f} events in the signal region (data and held "
                f"out); got {counts[REGIONS[0]]} from {sample.n_generated} generated"
            )
        if role == "background" and not counts[REGIONS[1]]:
            raise ValueError(
                f"background.events: expected events in the sideband; got 0 from "
                f"{sample.n_generated} generated"
            )


def n_background(study: Study, benchmark: Benchmark) -> int:
    """Background events in the signal region at the study's luminosity."""
    luminosity = study.luminosity_fb or benchmark.luminosity_fb
    return round(luminosity * benchmark.background_cross_section_fb)


def represent(
    sample: Sample, representation: Representation, benchmark: Benchmark, report: Report
) -> Path:
    """Represented events of the two regions, as arrays on disk beside the sample.

    Returns:
        Folder with signal_region.npy and sideband.npy, float32 (N, *shape).
    """
    folder = sample.folder / f"{representation.name}-{len(sample.shards)}"
    if all((folder / f"{name}.npy").exists() for name in REGIONS):
        return folder
    folder.mkdir(exist_ok=True)
    counts = dict.fromkeys(REGIONS, 0)  # m_jj of a cutflow is not rounded to float32
    for events in sample.batches(columns=["m_jj"]):
        for name, inside in _inside(benchmark, events).items():
            counts[name] += int(inside.sum())
    paths = {name: folder / f".{name}.{os.getpid()}.tmp" for name in REGIONS}
    try:
        with ExitStack() as stack:  # plain files: a memory map on a full disk kills the process
            opened = {name: stack.enter_context(paths[name].open("wb")) for name in REGIONS}
            for name, file in opened.items():
                shape = (counts[name], *representation.shape)
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
            for i, events in enumerate(sample.batches()):
                for name, inside in _inside(benchmark, events).items():
                    opened[name].write(representation(events.jets[inside]).astype("<f4").tobytes())
                report(f"represent {representation.name}", i + 1, len(sample.shards), "")
        for name in REGIONS:
            paths[name].replace(folder / f"{name}.npy")
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)
    return folder


def _inside(benchmark: Benchmark, events: ak.Array) -> dict[str, NDArray[np.bool_]]:
    mass = ak.to_numpy(events.m_jj).astype(np.float64)
    return {name: benchmark.selection.region(name)(mass) for name in REGIONS}


def tasks(
    study: Study, benchmark: Benchmark, folders: dict[tuple[str, str], Path]
) -> Iterator[Task]:
    """The trainings of a study, all arms of the first repeat first."""
    grid = study.grid
    for repeat in range(grid.repeats):
        for arm in study.arms:
            strengths = (
                [tuple(grid.s_over_sqrt_b)]
                if arm.label == "supervised"
                else [(s,) for s in grid.s_over_sqrt_b]
            )
            name = check(arm).name
            for strength in strengths:
                yield Task(
                    arm=arm,
                    repeat=repeat,
                    strengths=strength,
                    seed=study.seed,
                    n_background=n_background(study, benchmark),
                    held_out=(study.held_out.signal, study.held_out.background),
                    eps_b=tuple(grid.eps_b),
                    pools=(folders["signal", name], folders["background", name]),
                )


def run(
    study: Study,
    *,
    out: Path,
    store: Path,
    workers: int = 0,
    scheduler: str | None = None,
    report: Report,
) -> Run:
    """Do what is missing of a study.

    Args:
        study: Configuration.
        out: Folder of the study; records are kept in out/records.
        store: Folder of the samples.
        workers: Processes for generation and training; 0 for one per core.
        scheduler: Address of a Dask scheduler; None for a local cluster.
        report: Told about progress.

    Raises:
        ValueError: Something in the study does not fit.
    """
    workers = workers or os.cpu_count() or 1
    benchmark, samples = prepare(study, store=store, workers=workers, report=report)
    folders = {}
    for arm in study.arms:
        representation = check(arm)
        for role, sample in samples.items():
            folders[role, representation.name] = represent(
                sample, representation, benchmark, report
            )
    wanted = list(tasks(study, benchmark, folders))
    records = out / "records"
    records.mkdir(parents=True, exist_ok=True)
    paths = {task.hash: records / f"{task.hash}.json" for task in wanted}
    missing = [task for task in wanted if _read(paths[task.hash]) is None]
    report("train", len(wanted) - len(missing), len(wanted), "")
    if missing:
        with dask.config.set(WORKERS), ExitStack() as stack:
            cluster = scheduler or stack.enter_context(
                LocalCluster(
                    n_workers=min(workers, len(missing)),
                    threads_per_worker=1,
                    dashboard_address=":0",  # any free port; None would insist on 8787
                    silence_logs=logging.CRITICAL,
                )
            )
            client = stack.enter_context(Client(cluster))
            _work(client, missing, paths, len(wanted), report)
    done = [{"task": task, **(_read(paths[task.hash]) or {})} for task in wanted]
    return Run(study, benchmark, samples, tuple(done))


def _work(
    client: Client,
    missing: list[Task],
    paths: dict[str, Path],
    total: int,
    report: Report,
) -> None:
    state = {"done": total - len(missing)}
    client.subscribe_topic("epochs", lambda event: report("train", state["done"], total, event[1]))
    priority = {task.hash: -i for i, task in enumerate(missing)}
    futures = [
        client.submit(
            train, task, key=f"train-{task.hash}", priority=priority[task.hash], pure=False
        )
        for task in missing
    ]
    try:
        for _, record in as_completed(futures, with_results=True):
            write_json(paths[record["hash"]], record)
            state["done"] += 1
            report("train", state["done"], total, "")
    except KilledWorker as error:
        raise OSError(
            "a training was killed again and again (out of memory?); run again to go on"
        ) from error


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        return None


def write_json(path: Path, content: object) -> None:
    """Write to a temporary name, then rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = json.dumps(content, indent=1, allow_nan=False)
    try:
        temporary.write_text(text)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
