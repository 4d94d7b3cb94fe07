"""Represented events of a sample, and the files they lie in."""

import resource
from contextlib import contextmanager
from dataclasses import replace

import fabricated
import numpy as np
import pytest
from fabricated import VALLEY, silent
from fabricated_studies import SEEN

from fivesigma.representations import JetImages
from fivesigma.represented import represent
from fivesigma.tasks import REGIONS
from fivesigma.writing import write_json


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return fabricated.sample(tmp_path_factory.mktemp("one") / "sample", 300, width=0.3)


@pytest.fixture(scope="module")
def folder(sample):
    return represent(sample, SEEN, VALLEY, silent)


def test_represented_events(sample, folder):
    counts = {row.cut: row.count for row in sample.cutflow}
    for name in REGIONS:
        x = np.load(folder / f"{name}.npy")
        assert x.shape == (counts[name], 2, 8, 8)
        assert x.dtype == np.float32
        assert np.all(x.sum((1, 2, 3)) > 0)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["sideband.npy", "signal_region.npy"]


def test_represented_events_are_those_of_the_region(sample, folder):
    parts = list(sample.batches())
    mass = [np.asarray(part.m_jj) for part in parts]
    expected = [
        SEEN(part.jets[(m >= 4700) & (m < 5500)]) for part, m in zip(parts, mass, strict=True)
    ]
    x = np.load(folder / "signal_region.npy")
    assert np.array_equal(x, np.concatenate(expected))


def test_represented_events_are_kept(sample, folder, monkeypatch):
    monkeypatch.setattr(JetImages, "__call__", None)
    assert represent(sample, SEEN, VALLEY, silent) == folder


def test_events_that_cannot_be_read_leave_no_folder(tmp_path):
    broken = fabricated.sample(tmp_path / "sample", 20)
    broken.shards[1].write_bytes(b"")
    with pytest.raises((OSError, ValueError)):
        represent(broken, SEEN, VALLEY, silent)
    assert sorted(path.name for path in broken.folder.iterdir()) == [p.name for p in broken.shards]


def test_more_shards_are_represented_anew(sample, folder):
    fewer = replace(sample, shards=sample.shards[:1], records=sample.records[:1])
    behind = replace(sample, shards=sample.shards[1:], records=sample.records[1:])
    folders = [represent(part, SEEN, VALLEY, silent) for part in (fewer, behind)]
    assert len({folder, *folders}) == 3
    for region in REGIONS:
        parts = [np.load(place / f"{region}.npy") for place in folders]
        assert np.array_equal(np.concatenate(parts), np.load(folder / f"{region}.npy"))


@contextmanager
def full_disk():
    """No file of this process may be larger than 20 kB, nor that of the tests' own output."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_nothing(tmp_path):
    sample = fabricated.sample(tmp_path / "sample", 600)
    with full_disk(), pytest.raises(OSError, match="File too large"):
        represent(sample, SEEN, VALLEY, silent)
    assert list((tmp_path / "sample" / f"{SEEN.name}-2").iterdir()) == []
    with full_disk(), pytest.raises(OSError, match="File too large"):
        write_json(tmp_path / "x.json", ["text"] * 10_000)
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_masses_that_round_into_a_region(tmp_path):
    """A cutflow is counted before m_jj is rounded; its counts may differ from those on disk."""
    sample = fabricated.sample(tmp_path / "sample", 100)
    flow = [[cut, count + (cut == "sideband")] for cut, count in sample.records[0]["cutflow"]]
    moved = replace(sample, records=(sample.records[0] | {"cutflow": flow}, sample.records[1]))
    folder = represent(moved, SEEN, VALLEY, silent)
    for name in REGIONS:
        x = np.load(folder / f"{name}.npy")
        assert np.all(x.sum((1, 2, 3)) > 0)
