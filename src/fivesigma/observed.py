"""Events that a user brings: read, selected, and kept as a sample like those that are simulated.

The sample lies in the store in a folder named by the content of the file, the reader and the
selection, so that a file is read once.
"""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak

from .benchmarks import Benchmark
from .configuration import Observed
from .digest import digest
from .jets import JetDefinition
from .readers import reader
from .sample import Sample
from .store import read_record, write_shard

__all__ = ["take_in"]

EVENTS = 20_000
PARTS = 1 << 20  # bytes


def take_in(
    data: Observed,
    benchmark: Benchmark,
    *,
    folder: Path,
    report: Callable[[str, int, int, str], None],
) -> Sample:
    """Read a file and select its events, or find them where an earlier run has put them.

    Args:
        data: the file and its reader.
        benchmark: whose selection is applied.
        folder: of the store.
        report: told of each shard.

    Raises:
        ValueError: no such reader, or a file that it does not read.
    """
    made_by = reader(data.reader, **_fields(data, benchmark))
    if not data.path.is_file():
        raise ValueError(f"search.data.path: expected a file; got {data.path}")
    made_of = {"content": _content(data.path), "reader": data.reader, "options": data.options}
    made_of["jets"] = dataclasses.asdict(benchmark.jets)
    selection = dataclasses.asdict(benchmark.selection)
    place = folder / f"data-{digest(made_of | {'selection': selection})}"
    if not (place / "whole").exists():
        batches, n = [], 0
        for batch in made_by.batches(data.path):
            batches.append(benchmark.selection(batch))
            if sum(len(selected.mask) for selected in batches) >= EVENTS:
                _keep(batches, place, n, data.path.name)
                batches, n = [], n + 1
                report(f"read {data.path.name} (shards)", n, n + 1, "")
        if batches or not n:
            _keep(batches, place, n, data.path.name)
        (place / "whole").touch()
    shards = tuple(sorted(place.glob("shard-*.parquet")))
    records = tuple(record for path in shards if (record := read_record(path)) is not None)
    return Sample(place, shards, records)


def _fields(data: Observed, benchmark: Benchmark) -> dict[str, Any]:
    """Fields of the reader; jets are the benchmark's where nothing else is said of them."""
    said = data.options.get("definition", {})
    if not isinstance(said, dict):
        raise ValueError(f"search.data.options.definition: expected fields of jets; got {said!r}")
    if not isinstance(benchmark.jets, JetDefinition):
        raise ValueError(f"search.data: expected a benchmark of jets alone; got {benchmark.name!r}")
    try:
        jets = dataclasses.replace(benchmark.jets, **said)
    except (TypeError, ValueError) as error:
        raise ValueError(f"search.data.options.definition: {error}") from error
    return data.options | {"definition": jets}


def _keep(batches: list[Any], folder: Path, index: int, name: str) -> None:
    events = ak.concatenate([selected.events for selected in batches])
    rows = [selected.cutflow for selected in batches]
    cutflow = [[same[0].cut, sum(row.count for row in same)] for same in zip(*rows, strict=True)]
    record = {
        "process": name,
        "generator": "none",
        "sample_seed": 0,
        "cross_section": "arbitrary",
        "cross_section_fb": 0.0,
        "cross_section_error_fb": 0.0,
        "n_generated": cutflow[0][1],
        "n_selected": len(events),
        "cutflow": cutflow,
    }
    write_shard(events, record, folder / f"shard-{index:05d}.parquet")


def _content(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(PARTS):
            found.update(part)
    return found.hexdigest()
