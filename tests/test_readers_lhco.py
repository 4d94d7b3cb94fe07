"""Rows that can be written down, in every layout of an HDF5 file; clusters without padding."""

import awkward as ak
import h5py
import numpy as np
import pytest

from fivesigma.jets import JetDefinition, cluster
from fivesigma.readers.base import UNKNOWN
from fivesigma.readers.lhco import CHALLENGE, LHCOlympics

PARTICLES = 40
N = 3 * PARTICLES


def read(path, **fields):
    return ak.concatenate(list(LHCOlympics(**{"particles": PARTICLES} | fields).batches(path)))


def write(path, datasets):
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return path


def padded(*events, columns=N):
    """Rows of events of (pt, eta, phi) of each particle."""
    rows = np.zeros((len(events), columns))
    for row, event in zip(rows, events, strict=True):
        row[: 3 * len(event)] = np.ravel(event)
    return rows


def random_rows(n=12, seed=1):
    """Two cones of particles and a label; padding also in between, and an empty event."""
    rng = np.random.default_rng(seed)
    pt = rng.exponential(30, (n, PARTICLES)) + 0.1
    pt *= np.arange(PARTICLES) < rng.integers(0, PARTICLES + 1, (n, 1))
    pt[:, 3], pt[n // 2] = 0, 0
    axes = rng.uniform(-2, 2, (n, 2, 2))[:, np.arange(PARTICLES) % 2]
    angles = axes + rng.normal(0, 0.3, axes.shape)
    particles = np.concatenate([pt[..., None], angles * (pt > 0)[..., None]], axis=2)
    return np.concatenate([particles.reshape(n, N), rng.integers(0, 2, (n, 1))], axis=1)


ROWS = random_rows()


def by_hand(rows, definition=CHALLENGE):
    """Clusters of the particles, event by event, as they are without padding."""
    names, rest = ("pt", "eta", "phi"), {"mass": 0.0, "species": UNKNOWN, "isolated": False}
    events = []
    for row in rows.astype(np.float32):
        particles = row[:N].reshape(-1, 3)
        events.append([dict(zip(names, p, strict=True)) | rest for p in particles if p[0] > 0])
    objects = ak.Array(events)
    for name in names:
        objects[name] = ak.values_astype(objects[name], np.float32)
    return cluster(objects, definition)


def same(found, expected):
    assert found.n_jets.tolist() == expected.n_jets.tolist()
    for name in ("pt", "eta", "phi", "mass", "constituents"):
        assert ak.array_equal(found.jets[name], expected.jets[name], dtype_exact=False)


# Events


def test_two_jets(tmp_path):
    event = [(500, 0.5, 0.1), (0, 0, 0), (300, -0.5, -3.0), (30, -0.2, 3.1)]
    found = read(write(tmp_path / "some.h5", {"events": padded(event, [])}))
    assert found.fields == ["event", "n_jets", "jets"]
    assert found.n_jets.tolist() == [2, 0]
    assert found.jets.pt[0].tolist() == pytest.approx([500, 330], rel=0.01)
    assert found.jets.mass[0].tolist() == pytest.approx([0, 33], rel=0.1, abs=0.1)
    assert found.jets.constituents.pt[0].tolist() == [[500], [300, 30]]
    assert set(ak.flatten(found.jets.constituents.species, axis=None)) == {UNKNOWN}


def test_clusters_of_the_challenge_are_wide(tmp_path):
    path = write(tmp_path / "some.h5", {"events": padded([(500, 0, 0), (300, 0, 0.9)])})
    assert read(path).n_jets.tolist() == [1]
    assert read(path, definition=JetDefinition(radius=0.8)).n_jets.tolist() == [2]


@pytest.mark.parametrize("columns", [2100, 2101])
def test_rows_of_the_challenge(tmp_path, columns):
    rows = padded([(500, 0, 0), (300, 0, 3)], [], columns=columns)
    rows[0, -1] = columns == 2101
    path = write(tmp_path / "some.h5", {"events": rows})
    found = ak.concatenate(list(LHCOlympics().batches(path)))
    assert found.n_jets.tolist() == [2, 0]
    if columns == 2101:
        assert found.label.tolist() == [1, 0]
    else:
        assert "label" not in found.fields


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_parts_of_a_file(tmp_path, chunk):
    path = write(tmp_path / "some.h5", {"events": ROWS})
    found = list(LHCOlympics(particles=PARTICLES, chunk=chunk).batches(path))
    assert [len(part) for part in found] == [chunk] * (12 // chunk) + [12 % chunk] * (
        12 % chunk > 0
    )
    found = ak.concatenate(found)
    assert found.event.tolist() == list(range(12))
    assert found.label.tolist() == ROWS[:, -1].tolist()
    same(found, by_hand(ROWS))


# Layouts


def fixed(*blocks):
    """The format `fixed` of pandas: a dataset of the columns of each type."""
    names = {"df/axis0": np.arange(N + 1), "df/axis1": np.arange(len(blocks[0]))}
    return names | {f"df/block{i}_values": x for i, x in enumerate(blocks)}


def table(**fields):
    """The format `table` of pandas: records of an index and the columns of each type."""
    n = len(next(iter(fields.values())))
    types = [(name, x.dtype, x.shape[1:]) for name, x in fields.items()]
    records = np.zeros(n, [("index", np.int64), *types])
    for name, x in fields.items():
        records[name] = x
    return {"df/table": records, "df/_i_table/index/ranges": np.zeros((0, 2))}


X, Y = ROWS[:, :-1], ROWS[:, -1:].astype(np.int64)
LAYOUTS = {
    "plain": {"events": ROWS},
    "plain, single": {"some/where/events": ROWS.astype(np.float32)},
    "fixed": fixed(ROWS),
    "fixed, labels apart": fixed(X, Y),
    "fixed, labels first": fixed(Y, X),
    "table": table(values_block_0=ROWS),
    "table, labels apart": table(values_block_0=X, values_block_1=Y),
    "table, labels by name": table(values_block_0=X, label=Y[:, 0]),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_layouts(tmp_path, layout):
    found = read(write(tmp_path / "some.h5", layout), chunk=8)
    assert found.label.tolist() == Y[:, 0].tolist()
    assert str(found.type).startswith("12 * {event: int64, n_jets: int64, jets: var * {pt: float32")
    assert str(found.type).endswith("species: int8}}, label: int8}")
    same(found, by_hand(ROWS))


def test_one_of_several_datasets(tmp_path):
    path = write(tmp_path / "some.h5", {"plain": ROWS[:3]} | fixed(ROWS))
    for name, n in (("plain", 3), ("/df", 12), ("df", 12)):
        assert len(read(path, dataset=name)) == n
    with pytest.raises(ValueError, match=r"expected one dataset; got \['df', 'plain'\] in .*some"):
        read(path)
    with pytest.raises(ValueError, match=r"a dataset of \['df', 'plain'\]; got 'events' in .*some"):
        read(path, dataset="events")


@pytest.mark.parametrize("compression", ["gzip", "lzf"])
def test_compressed_rows(tmp_path, compression):
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file.create_dataset("events", data=ROWS, chunks=(5, 7), compression=compression)
    same(read(tmp_path / "some.h5", chunk=4), by_hand(ROWS))


def test_a_compression_that_is_not_there(tmp_path):
    """Blosc's rival LZO has a number, but no library registers it."""
    with h5py.File(tmp_path / "some.h5", "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk(ROWS.shape)
        properties.set_filter(305, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple(ROWS.shape)
        h5py.h5d.create(file.id, b"events", h5py.h5t.NATIVE_DOUBLE, space, properties)
    with pytest.raises(ValueError, match=r"a compression that HDF5 knows; .* \(305\) in .*some"):
        read(tmp_path / "some.h5")


def test_the_compression_of_the_challenge(tmp_path):
    plugin = pytest.importorskip("hdf5plugin", reason="no hdf5plugin")
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file.create_dataset("df/block0_values", data=ROWS, **plugin.Blosc())
    same(read(tmp_path / "some.h5"), by_hand(ROWS))


# Errors

WRONG = {
    "nan": (1, np.nan, "finite values; got nan"),
    "infinite": (0, -np.inf, "finite values; got -inf"),
    "too large": (0, 1e300, "finite values; got inf"),
    "padding": (N - 1, np.nan, "finite values; got nan"),
    "negative": (3, -0.5, "pt >= 0; got -0.5"),
    "direction": (1, 21, r"\|eta\| <= 20 of particles; got 21"),
    "degrees": (2, 90, r"\|phi\| <= 2 pi of particles; got 90"),
    "label": (N, 2, "a label 0 or 1; got 2"),
    "label between": (N, 0.5, "a label 0 or 1; got 0.5"),
    "no label": (N, np.nan, "a label 0 or 1; got nan"),
}


@pytest.mark.parametrize("row", [2, 11])
@pytest.mark.parametrize(("column", "value", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_value_anywhere_gives_nothing(tmp_path, column, value, message, row):
    rows = random_rows()
    rows[row, :3] = (50, 0.1, 0.2)
    rows[row, column] = value
    path = write(tmp_path / "some.h5", {"events": rows})
    with pytest.raises(ValueError, match=rf"{message}.* in .*some\.h5, row {row}$"):
        next(LHCOlympics(particles=PARTICLES, chunk=5).batches(path))


def empty_of_pandas(path):
    with h5py.File(path, "w") as file:
        data = file.create_dataset("df/block0_values", data=np.zeros((1, 1)))
        data.attrs["value_type"] = "float64"
    return path


COLUMNS = rf"{N} columns, or {N + 1} with a label; got"
FILES = {
    "few columns": ({"events": ROWS[:, :-2]}, rf"{COLUMNS} {N - 1} in .*, events"),
    "many columns": (fixed(np.zeros((2, N + 3))), rf"{COLUMNS} {N + 3} in .*, df"),
    "many blocks": (fixed(X, Y, Y), rf"{COLUMNS} {N} and 1 and 1 in .*, df"),
    "many fields": (table(values_block_0=X, a=Y, b=Y), rf"{COLUMNS} {N} and 1 and 1 in .*, df"),
    "no rows": ({"events": ROWS[:0]}, "expected events; got none in .*, events"),
    "no rows of pandas": (empty_of_pandas, "expected events; got none in .*, df"),
    "rows missing": (fixed(X, Y[:3]), r"one length; got \[3, 12\] rows in .*, df"),
    "text": ({"events": ROWS.astype("S3")}, r"expected numbers; got \|S3 in .*, events"),
    "text apart": (fixed(X, Y.astype("S1")), r"expected numbers; got \|S1 in .*, df"),
    "nothing": ({}, r"expected one dataset; got \[\] in"),
    "one dimension": ({"events": ROWS[0]}, r"expected one dataset; got \[\] in"),
}


def test_a_dataset_that_is_no_path():
    with pytest.raises(ValueError, match="expected dataset, a path in the file; got 3"):
        LHCOlympics(dataset=3)


@pytest.mark.parametrize(("make", "message"), FILES.values(), ids=FILES.keys())
def test_wrong_files(tmp_path, make, message):
    path = tmp_path / "some.h5"
    make(path) if callable(make) else write(path, make)
    with pytest.raises(ValueError, match=message) as error:
        next(LHCOlympics(particles=PARTICLES).batches(path))
    assert str(path) in str(error.value)
