"""Blocks and rows against plain concatenation; what is not asked for is not read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivesigma.rows import Blocks, Rows, joined

SIZES = st.lists(st.integers(0, 9), min_size=1, max_size=5)


def arrays(sizes, shape=(2,)):
    """Arrays of different numbers."""
    starts = np.cumsum([0, *sizes])
    return [
        (100.0 * start + np.arange(n * np.prod(shape, dtype=int))).reshape(n, *shape).astype("f4")
        for start, n in zip(starts, sizes, strict=False)
    ]


@given(sizes=SIZES, data=st.data())
def test_blocks_are_their_concatenation(sizes, data):
    parts = arrays(sizes)
    blocks, whole = Blocks(tuple(parts)), np.concatenate(parts)
    assert len(blocks) == len(whole)
    assert blocks.shape == whole.shape
    index = data.draw(st.lists(st.integers(0, max(len(whole) - 1, 0)), max_size=12))
    index = np.array(index if len(whole) else [], dtype=int)
    np.testing.assert_array_equal(blocks[index], whole[index])
    bounds = st.none() | st.integers(-50, 50)
    cut = slice(data.draw(bounds), data.draw(bounds), data.draw(st.sampled_from([None, 1, 3, -2])))
    np.testing.assert_array_equal(blocks[cut], whole[cut])
    assert blocks[index].dtype == blocks[cut].dtype == np.float32


@given(sizes=SIZES)
def test_rows_of_blocks_are_the_parts(sizes):
    parts = arrays(sizes)
    blocks = Blocks(tuple(parts))
    rows = blocks.rows()
    assert [len(r) for r in rows] == sizes
    assert np.concatenate([r.index for r in rows]).tolist() == list(range(len(blocks)))
    for r, part in zip(rows, parts, strict=True):
        assert r.array is blocks
        assert r.shape == part.shape
        np.testing.assert_array_equal(r[:], part)


@given(index=st.lists(st.integers(0, 9), min_size=1, max_size=20), data=st.data())
def test_rows_are_indexed_as_their_events(index, data):
    whole = arrays([10], shape=(3, 2))[0]
    rows, events = Rows(whole, np.array(index)), whole[index]
    keys = data.draw(st.lists(st.integers(0, len(index) - 1), max_size=9))
    keys = np.array(keys, dtype=int)
    assert rows.shape == events.shape
    assert len(rows) == len(events)
    np.testing.assert_array_equal(rows[keys], events[keys])
    np.testing.assert_array_equal(rows[1:], events[1:])
    np.testing.assert_array_equal(rows.select(keys)[:], events[keys])
    np.testing.assert_array_equal(rows[events[:, 0, 0] > 9], events[events[:, 0, 0] > 9])


def test_memory_maps(tmp_path):
    parts = arrays([7, 0, 5])
    for i, part in enumerate(parts):
        np.save(tmp_path / f"{i}.npy", part.astype("<f4"))
    maps = tuple(np.load(tmp_path / f"{i}.npy", mmap_mode="r") for i in range(3))
    blocks, index = Blocks(maps), np.array([11, 0, 6, 7, 6])
    picked = blocks[index]
    np.testing.assert_array_equal(picked, np.concatenate(parts)[index])
    assert type(picked) is np.ndarray
    assert not any(np.shares_memory(picked, part) for part in maps)
    picked[:] = -1
    np.testing.assert_array_equal(blocks[index], np.concatenate(parts)[index])


class Counting:
    """An array that knows which of its rows were read."""

    def __init__(self, array):
        self.array, self.shape, self.read = array, array.shape, []

    def __len__(self):
        return len(self.array)

    def __getitem__(self, index):
        self.read += np.atleast_1d(np.arange(len(self))[index]).tolist()
        return self.array[index]


def test_only_what_is_asked_for_is_read():
    one, two = (Counting(part) for part in arrays([6, 4]))
    rows = Rows(Blocks((one, two)), np.arange(10)).select(np.array([8, 2, 3])).select([0, 1])
    assert (one.read, two.read) == ([], [])
    assert len(rows[:]) == 2
    assert (one.read, two.read) == ([2], [2])


def test_joined_rows_of_one_array_stay_unread():
    array = Counting(arrays([10])[0])
    blocks = [Rows(array, np.array(index, dtype=int)) for index in ([3, 1], [], [9, 3])]
    together = joined(blocks)
    assert isinstance(together, Rows)
    assert together.array is array
    assert array.read == []
    assert together.index.tolist() == [3, 1, 9, 3]
    np.testing.assert_array_equal(together[:], array.array[[3, 1, 9, 3]])


def test_joined_rows_of_many_arrays_are_read():
    one, two = arrays([6, 4])
    together = joined([Rows(one, np.array([5, 0])), Rows(two, np.array([3]))])
    assert type(together) is np.ndarray
    np.testing.assert_array_equal(together, [one[5], one[0], two[3]])


def test_shapes_must_agree():
    one, other = arrays([3])[0], arrays([3], shape=(3,))[0]
    with pytest.raises(ValueError, match=r"events of one shape; got {\(\d,\), \(\d,\)}"):
        Blocks((one, other))
    with pytest.raises(ValueError, match="events of one shape"):
        joined([Rows(one, np.arange(3)), Rows(other, np.arange(3))])
