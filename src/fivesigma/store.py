"""Content-addressed samples on disk: ask for N events, missing shards are made.

A sample lies in a folder named by the hash of everything that made it (process, detector, jets,
selection, seed, generator version). It is a set of Parquet shards of equally many generated events,
each with its own seed, so the events do not depend on how many workers make them, and asking for
more adds shards. A shard carries its own record (cutflow, cross section, seed) and is written to a
temporary name and renamed: what has a shard's name is whole.
"""

import dataclasses
import errno
import hashlib
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import awkward as ak
import pyarrow.parquet as pq

from .detector import Detector, NoDetector, respond
from .digest import digest
from .events import Events, Process, generate, generator_version
from .jets import JetDefinition, cluster
from .objects import ObjectDefinition, reconstruct
from .sample import Sample, number
from .selection import Selection
from .writing import written

__all__ = [
    "Recipe",
    "Sample",
    "check_writable",
    "cores",
    "default_folder",
    "lacking",
    "make",
    "open_sample",
    "read_record",
    "reconstructed",
    "write_shard",
]

FORMAT = 1
SEEDS_PER_SAMPLE = 10_000
RECORD = b"fivesigma"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what the events of a sample are."""

    process: Process
    """What is generated."""
    detector: Detector | NoDetector
    """Response."""
    jets: JetDefinition | ObjectDefinition
    """What is made of the response: jets, or more objects."""
    selection: Selection
    """Cuts; only events that pass are kept."""
    seed: int = 1
    """Shard i has Pythia seed 10 000 seed + i + 1."""
    shard_events: int = 1000
    """Generated events in a shard."""

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 90_000:
            raise ValueError(f"expected a seed from 0 to 89999; got {self.seed}")

    @cached_property
    def hash(self) -> str:
        """Digest of all fields but the K factor, the generator version and the file format."""
        made_of = dataclasses.asdict(self) | {"generator": generator_version(), "format": FORMAT}
        made_of["process"]["k_factor"] = None  # what events stand for, not what they are
        if not self.process.repeats:
            del made_of["process"]["showers"]
        if self.process.lhe is not None:
            made_of["process"]["lhe"] = hashlib.sha256(self.process.lhe.read_bytes()).hexdigest()
        return digest(made_of)


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_folder() -> Path:
    """$FIVESIGMA_STORE, or ~/.cache/fivesigma."""
    return Path(os.environ.get("FIVESIGMA_STORE", "~/.cache/fivesigma")).expanduser()


def check_writable(folder: Path) -> None:
    """Check that a folder can be made, or written to if it is there; nothing is made.

    Raises:
        OSError: No permission, or something else in its place.
    """
    folder = folder.absolute()
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"expected a folder; got {there}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there))


def open_sample(recipe: Recipe, n: int, *, folder: Path, skip: int = 0) -> Sample:
    """N generated events of a sample behind the first `skip`, which must all be on disk.

    Raises:
        ValueError: Missing or broken shards.
    """
    wanted = _shards(recipe, n, folder, skip)
    found = {path: record for path in wanted if (record := read_record(path)) is not None}
    if len(found) < len(wanted):
        place = folder / recipe.hash
        raise ValueError(f"expected {len(wanted)} shards in {place}; got {len(found)}")
    full = {path: record for path, record in found.items() if record["n_generated"]}
    return Sample(folder / recipe.hash, tuple(full), tuple(full.values()))


def lacking(recipe: Recipe, n: int, *, folder: Path, skip: int = 0) -> int:
    """How many of n events behind the first `skip` are still to be generated."""
    shards = _shards(recipe, n, folder, skip)
    return recipe.shard_events * sum(read_record(path) is None for path in shards)


def make(
    recipe: Recipe,
    n: int,
    *,
    folder: Path,
    skip: int = 0,
    workers: int = 0,
    progress: Progress | None = None,
) -> Sample:
    """Make what is missing of n generated events, and open them.

    Args:
        recipe: What to make.
        n: Number of generated events; rounded up to whole shards.
        folder: Store.
        skip: Number of events at the beginning of the sample to leave out; rounded up likewise.
        workers: Processes; 0 for one per core. The events do not depend on it.
        progress: Called with (shards done, shards wanted).

    Raises:
        ValueError: n < 1, or an event file with fewer events.
        OSError: No space or permission to write.
    """
    if n < 1:
        raise ValueError(f"expected a number of events >= 1; got {n}")
    wanted = _shards(recipe, n, folder, skip)
    todo = [path for path in wanted if read_record(path) is None]
    report = progress or (lambda done, total: None)
    report(len(wanted) - len(todo), len(wanted))
    if todo:
        check_writable(folder / recipe.hash)
        _run(recipe, todo, wanted, workers=workers or cores(), report=report)
    sample = open_sample(recipe, n, folder=folder, skip=skip)
    if (read := sample.n_generated + sample.n_failed) < n:
        raise ValueError(f"expected {n} events in {recipe.process.lhe}; got {read}")
    return sample


def _shards(recipe: Recipe, n: int, folder: Path, skip: int) -> list[Path]:
    first = math.ceil(skip / recipe.shard_events)
    last = first + math.ceil(n / recipe.shard_events)
    if last > SEEDS_PER_SAMPLE:
        most = SEEDS_PER_SAMPLE * recipe.shard_events
        raise ValueError(f"expected at most {most} events; got {skip + n}")
    return [folder / recipe.hash / f"shard-{i:05d}.parquet" for i in range(first, last)]


def read_record(path: Path) -> dict[str, Any] | None:
    """What a shard says of itself; None if there is none, or it is not whole."""
    try:
        metadata = pq.read_schema(path).metadata
        return dict(json.loads(metadata[RECORD]))
    except (OSError, KeyError, TypeError, ValueError):
        return None


def _run(
    recipe: Recipe, todo: list[Path], wanted: list[Path], *, workers: int, report: Progress
) -> None:
    done = len(wanted) - len(todo)
    workers = min(workers, len(todo))
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (os.getpid(),))
    try:
        with _blocked(signal.SIGINT):  # workers inherit it: the parent alone decides
            jobs: list[Future[None]] = [
                pool.submit(_make_shard, recipe, number(path), path) for path in todo
            ]
        for job in as_completed(jobs):
            job.result()
            done += 1
            report(done, len(wanted))
    except BrokenProcessPool as error:
        raise OSError(
            "a worker was killed (out of memory?); what is made is kept, run again to go on"
        ) from error
    finally:
        running = list((pool._processes or {}).values())  # there is no public way to stop them
        for process in running:
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _blocked(number: signal.Signals) -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # FastJet's banner is not ours to print


def _make_shard(recipe: Recipe, index: int, path: Path) -> None:
    seed = SEEDS_PER_SAMPLE * recipe.seed + index + 1
    start = time.perf_counter()
    events = generate(
        recipe.process, recipe.shard_events, seed=seed, skip=index * recipe.shard_events
    )
    generated = time.perf_counter()
    seen = respond(events, recipe.detector, seed=seed)
    selected = recipe.selection(reconstructed(seen, events, recipe.jets, seed=seed))
    kept = selected.events
    if events.hard_event is not None:
        kept = ak.with_field(kept, events.hard_event[selected.mask], "hard_event")
    record = events.provenance | {
        "cross_section": recipe.process.cross_section,
        "cross_section_fb": events.cross_section_fb,
        "cross_section_error_fb": events.cross_section_error_fb,
        "stated_error_fb": events.stated_error_fb,
        "sample_seed": recipe.seed,
        "n_generated": len(events),
        "n_failed": events.n_failed,
        "n_selected": len(kept),
        "cutflow": [
            [row.cut, row.count, *([] if row.squares is None else [row.squares])]
            for row in selected.cutflow
        ],
        "seconds": {"generation": generated - start, "response": time.perf_counter() - generated},
    }
    write_shard(kept, record, path)


def reconstructed(
    seen: ak.Array, events: Events, definition: JetDefinition | ObjectDefinition, *, seed: int
) -> ak.Array:
    """What a definition makes of the detector's response to events.

    Args:
        seen: the response, from `detector.respond`.
        events: the events.
        definition: of jets, or of more objects.
        seed: of what is drawn for objects.
    """
    if isinstance(definition, JetDefinition):
        return cluster(seen, definition)
    return reconstruct(seen, events.partons, definition, seed=seed)


def write_shard(events: ak.Array, record: dict[str, Any], path: Path) -> None:
    """Write selected events with what the shard says of itself, under a temporary name first."""
    table = ak.to_arrow_table(events, extensionarray=False)
    table = table.replace_schema_metadata({RECORD: json.dumps(record).encode()})
    with written(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
