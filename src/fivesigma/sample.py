"""A sample on disk: its shards, what they say of themselves, and their events."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import pyarrow.parquet as pq

from .selection import CutflowRow, combine

__all__ = ["Sample", "number"]


@dataclass(frozen=True)
class Sample:
    """A sample on disk."""

    folder: Path
    """Where its shards lie."""
    shards: tuple[Path, ...]
    """Its files, in order."""
    records: tuple[dict[str, Any], ...]
    """What each shard says of itself."""
    k_factor: float = 1.0
    """Cross section of the source over that of the generator."""

    @property
    def first(self) -> int:
        """Number of its first shard."""
        return number(self.shards[0])

    @property
    def n_generated(self) -> int:
        """Events before the selection."""
        return sum(record["n_generated"] for record in self.records)

    @property
    def n_failed(self) -> int:
        """Hard events of an event file that could not be showered."""
        return sum(record.get("n_failed", 0) for record in self.records)

    @property
    def n_selected(self) -> int:
        """Events after the selection."""
        return sum(record["n_selected"] for record in self.records)

    @property
    def cutflow(self) -> tuple[CutflowRow, ...]:
        """Cutflow of all shards together."""
        return combine(
            [
                [
                    CutflowRow(cut, n, r["n_generated"], *squares)
                    for cut, n, *squares in r["cutflow"]
                ]
                for r in self.records
            ]
        )

    def passed(self, cut: str) -> float:
        """Events that pass a cut, or are in a region, by its name in the cutflow."""
        return next(row.count for row in self.cutflow if row.cut == cut)

    @property
    def cross_section_fb(self) -> tuple[float, float]:
        """Cross section by the generator and its error, the mean of the shards [fb].

        What an event file states is the same for all of them; the rest is independent.
        """
        n = len(self.records)
        mean = sum(r["cross_section_fb"] for r in self.records) / n
        stated = [r.get("stated_error_fb", 0.0) for r in self.records]
        drawn = [r["cross_section_error_fb"] ** 2 for r in self.records]
        own = max(sum(drawn) - sum(s**2 for s in stated), 0.0)
        return mean, math.hypot(sum(stated) / n, own**0.5 / n)

    @property
    def columns(self) -> tuple[str, ...]:
        """What is known of an event."""
        return tuple(pq.read_schema(self.shards[0]).names)

    def batches(self, columns: list[str] | None = None) -> Iterator[ak.Array]:
        """Selected events shard by shard: {m_jj, jets: 2 * {pt, eta, phi, mass, constituents}}.

        Raises:
            ValueError: A shard whose pages do not match their checksums.
        """
        for shard in self.shards:
            try:
                table = pq.read_table(shard, columns=columns, page_checksum_verification=True)
                yield ak.from_arrow(table)
            except OSError as error:
                raise ValueError(
                    f"expected a whole shard; got {shard} ({error}); delete it and make it again"
                ) from error

    def summary(self) -> dict[str, Any]:
        """Provenance for a report; the cross section has the K factor in it."""
        value, error = (self.k_factor * x for x in self.cross_section_fb)
        first = self.records[0]
        return {
            "hash": self.folder.name,
            "process": first["process"],
            "generator": first["generator"],
            "seed": first["sample_seed"],
            "cross_section_fb": value,
            "cross_section_error_fb": error,
            "cross_section": first["cross_section"],
            "k_factor": self.k_factor,
            "n_generated": self.n_generated,
            "n_kept": self.n_selected,
            "cutflow": [
                {
                    "cut": row.cut,
                    "count": row.count,
                    "efficiency": row.efficiency,
                    "error": row.error,
                }
                for row in self.cutflow
            ],
        }


def number(shard: Path) -> int:
    """Number of a shard in its sample, from 0."""
    return int(shard.stem.removeprefix("shard-"))
