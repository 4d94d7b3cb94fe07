r"""Events of the LHC Olympics: rows of an HDF5 file, padded with zeros.

A row is an event of up to $P = 700$ massless particles, and the label if there is one,

$$ (p_T, \eta, \phi)_1, \dots, (p_T, \eta, \phi)_P \; [, y] , $$

where $p_T = 0$ is no particle. Particles are clustered here.

The LHC Olympics 2020: a community challenge for anomaly detection in high energy physics
(Kasieczka, Nachman, Shih et al., 2021) https://arxiv.org/abs/2101.08320
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak
import h5py
import numpy as np
from numpy.typing import NDArray

from .base import UNKNOWN, Where, batch, check, positive, readable, refuse, twice
from ..jets import JetDefinition, cluster

__all__ = ["LHCOlympics"]

CACHE = 64 * 2**20  # bytes of decompressed data, so that no part is decompressed twice
CHALLENGE = JetDefinition(radius=1.0, energy_scale=None)


class Block(NamedTuple):
    """Columns that lie together."""

    data: Any
    """The dataset: two-dimensional, or records."""
    field: str | None
    """Which of its fields, if it has records."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a value."""
        whole: np.dtype[Any] = self.data.dtype
        return whole if self.field is None else whole[self.field].base

    @property
    def width(self) -> int:
        """Number of columns."""
        shape = self.data.shape[1:] if self.field is None else self.data.dtype[self.field].shape
        return int(np.prod(shape))

    @property
    def rows(self) -> int:
        """Number of events; pandas writes one row with a remark where there is none."""
        return 0 if "value_type" in self.data.attrs else len(self.data)

    def read(self, first: int, stop: int) -> NDArray[Any]:
        """Rows from `first` to before `stop`, (N, width)."""
        data = self.data if self.field is None else self.data.fields(self.field)
        rows: NDArray[Any] = data[first:stop]
        return rows.reshape(len(rows), self.width)


@dataclass(frozen=True)
class LHCOlympics:
    """Reads the tables of the LHC Olympics, as pandas or others write them.

    Raises:
        ValueError: A value that a field cannot have.
    """

    definition: JetDefinition = CHALLENGE
    """How particles are clustered; by default as the challenge did."""
    dataset: str | None = None
    """Path in the file of a table or two-dimensional dataset; None for the only one."""
    particles: int = 700
    """P, number of particles for which a row has room."""
    leading: int = 2
    """Number of jets that are kept, in falling transverse momentum."""
    chunk: int = 1000
    """Events that are read together."""

    def __post_init__(self) -> None:
        for name in ("particles", "leading", "chunk"):
            positive(name, getattr(self, name))
        if not isinstance(self.dataset, str | None):
            raise ValueError(f"expected dataset, a path in the file; got {self.dataset!r}")

    def batches(self, path: Path) -> Iterator[ak.Array]:
        """Read a file; see `Reader.batches`. The species of particles is not known.

        Tables of pandas in the formats `fixed` and `table` and plain datasets are understood; their
        columns are pt, eta and phi of each particle in turn, and a label if there is one more.

        Raises:
            ValueError: No HDF5 file or a broken one, no dataset or several, a wrong number of
                columns, no numbers, no events, impossible momenta, or a label that is not 0 or 1.
        """
        if find_spec("hdf5plugin"):
            import_module("hdf5plugin")  # the files of the challenge are compressed with Blosc
        with readable(path, "HDF5 file"):
            file = h5py.File(path, "r", rdcc_nbytes=CACHE)
        with file:
            blocks = self._blocks(file, path)
            for first, objects, label in twice(lambda: self._parts(blocks, path)):
                jets = cluster(objects, self.definition, leading=self.leading)
                yield batch(jets, first=first, label=label)

    def _blocks(self, file: Any, path: Path) -> list[Block]:
        """The block of the particles, and that of the labels if it is apart."""
        with readable(path, "HDF5 file"):
            tables = dict(_tables(file))
        if self.dataset is None and len(tables) != 1:
            raise ValueError(f"expected one dataset; got {sorted(tables)} in {path}")
        name = self.dataset.strip("/") if self.dataset is not None else next(iter(tables))
        if name not in tables:
            raise ValueError(f"expected a dataset of {sorted(tables)}; got {name!r} in {path}")
        blocks = sorted(tables[name], key=lambda block: -block.width)
        where = f"{path}, {name}"
        for block in blocks:
            _check_block(block, where)
        if blocks[0].rows == 0:
            raise ValueError(f"expected events; got none in {where}")
        widths, n = [block.width for block in blocks], 3 * self.particles
        if widths not in ([n], [n + 1], [n, 1]):
            got = " and ".join(map(str, widths))
            raise ValueError(f"expected {n} columns, or {n + 1} with a label; got {got} in {where}")
        if len(rows := {block.rows for block in blocks}) > 1:
            raise ValueError(f"expected blocks of one length; got {sorted(rows)} rows in {where}")
        return blocks

    def _parts(
        self, blocks: list[Block], path: Path
    ) -> Iterator[tuple[int, ak.Array, NDArray[np.int8] | None]]:
        n, rows = 3 * self.particles, blocks[0].rows
        for first in range(0, rows, self.chunk):
            where = Where(path, "row", first)
            with readable(path, "HDF5 file"):
                read = [block.read(first, min(first + self.chunk, rows)) for block in blocks]
            with np.errstate(over="ignore"):  # what is too large is found to be infinite
                read = [part.astype(np.float32) for part in read]
            columns = np.concatenate(read, axis=1)
            yield first, _objects(columns[:, :n], where), _label(columns[:, n:], where)


def _tables(group: Any) -> Iterator[tuple[str, list[Block]]]:
    """Tables of pandas and other two-dimensional datasets below a group, with their paths."""
    for child in group.values():
        name = child.name.strip("/")
        if isinstance(child, h5py.Dataset):
            if child.ndim == 2:
                yield name, [Block(child, None)]
        elif blocks := _pandas(child):
            yield name, blocks
        else:
            yield from _tables(child)


def _pandas(group: Any) -> list[Block]:
    """Blocks of a table of pandas: its format `fixed` has a dataset of each, `table` a field."""
    fixed = [data for name, data in group.items() if re.fullmatch(r"block\d+_values", name)]
    table = group.get("table")
    if fixed or not isinstance(table, h5py.Dataset) or table.dtype.names is None:
        return [Block(data, None) for data in fixed]
    return [Block(table, field) for field in table.dtype.names if field != "index"]


def _check_block(block: Block, where: str) -> None:
    if block.dtype.kind not in "fiu":
        raise ValueError(f"expected numbers; got {block.dtype} in {where}")
    properties = block.data.id.get_create_plist()
    for i in range(properties.get_nfilters()):
        code, *_, name = properties.get_filter(i)
        if not h5py.h5z.filter_avail(code):
            known = "a compression that HDF5 knows; hdf5plugin has more"
            raise ValueError(f"expected {known}; got {name.decode()} ({code}) in {where}")


def _objects(columns: NDArray[np.float32], where: Where) -> ak.Array:
    """Particles for `jets.cluster` from rows (N, 3 P)."""
    n = columns.shape[1]
    refuse(~np.isfinite(columns), "finite values", columns, lambda i: where(i // n))
    pt = columns[:, ::3]
    refuse(pt < 0, "pt >= 0", pt, lambda i: where(3 * i // n))
    event, place = np.nonzero(pt)
    names = ("pt", "eta", "phi")
    flat = {name: columns[event, 3 * place + k] for k, name in enumerate(names)}
    check({"event": event, **flat}, "particles", where)
    rest = {"mass": np.float32(0), "species": np.int8(UNKNOWN), "isolated": np.bool_(0)}
    flat |= {name: np.full(len(event), value) for name, value in rest.items()}
    counts = np.bincount(event, minlength=len(columns))
    return ak.zip({name: ak.unflatten(values, counts) for name, values in flat.items()})


def _label(columns: NDArray[np.float32], where: Where) -> NDArray[np.int8] | None:
    """Labels (N,) from rows (N, 1), None from (N, 0)."""
    if columns.shape[1] == 0:
        return None
    refuse(~np.isin(columns, (0, 1)), "a label 0 or 1", columns, where)
    return columns[:, 0].astype(np.int8)
