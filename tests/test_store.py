"""A tiny sample, made once, and what happens to it.

The sample is 40 QCD dijet events in shards of 20: enough for a few selected events in each shard.
"""

import shutil
from dataclasses import replace

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_sample import INFINITY, PROCESS, RECIPE, SELECTION

from fivesigma.detector import CMS, respond
from fivesigma.events import generate, generator_version
from fivesigma.jets import JetDefinition, cluster
from fivesigma.kinematics import dijet_mass
from fivesigma.sample import Sample
from fivesigma.selection import Cut, Selection
from fivesigma.store import lacking, make, open_sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def steps():
    return []


@pytest.fixture(scope="module")
def sample(folder, steps):
    return make(RECIPE, 40, folder=folder, workers=2, progress=lambda *step: steps.append(step))


@pytest.fixture
def copied(sample, tmp_path):
    """The sample in a store of its own."""
    shutil.copytree(sample.folder, tmp_path / sample.folder.name)
    return tmp_path


def shards(folder, recipe=RECIPE):
    return sorted((folder / recipe.hash).glob("shard-*.parquet"))


def events(sample):
    return ak.concatenate(list(sample.batches()))


def state(paths):
    return [(path.stat().st_mtime_ns, path.read_bytes()) for path in paths]


# What lies on disk


@pytest.mark.slow
def test_shards_and_records(sample, folder, steps):
    assert [path.name for path in shards(folder)] == ["shard-00000.parquet", "shard-00001.parquet"]
    assert sample.folder == folder / RECIPE.hash
    assert sample.shards == tuple(shards(folder))
    assert sorted(path.name for path in sample.folder.iterdir()) == [p.name for p in sample.shards]
    assert [record["seed"] for record in sample.records] == [30_001, 30_002]
    for record, path in zip(sample.records, sample.shards, strict=True):
        assert record["generator"] == generator_version()
        assert record["process"] == "dijets"
        assert record["sample_seed"] == 3
        assert record["n_generated"] == 20
        assert record["n_selected"] == pq.read_metadata(path).num_rows
        assert record["cross_section_fb"] > 5 * record["cross_section_error_fb"] > 0
        assert [cut for cut, _ in record["cutflow"]] == ["all", "two jets", "hard", "heavy"]
    assert steps == [(0, 2), (1, 2), (2, 2)]


@pytest.mark.slow
def test_sums_over_shards(sample):
    assert sample.n_generated == 40
    assert 4 < sample.n_selected == len(events(sample)) < 40
    rows = {row.cut: (row.count, row.total) for row in sample.cutflow}
    assert rows["all"] == (40, 40)
    assert rows["hard"] == (sample.n_selected, 40)
    assert rows["heavy"] == (int(np.sum(events(sample).m_jj >= 4000)), 40)
    value, error = sample.cross_section_fb
    each = [(r["cross_section_fb"], r["cross_section_error_fb"]) for r in sample.records]
    assert value == pytest.approx((each[0][0] + each[1][0]) / 2)
    assert error == pytest.approx(np.hypot(each[0][1], each[1][1]) / 2)


def test_the_error_of_a_file_is_the_same_in_all_shards(tmp_path):
    """3 fb stated, and 4 fb of each shard by itself."""
    one = {"cross_section_fb": 100.0, "cross_section_error_fb": 5.0, "stated_error_fb": 3.0}
    shards = tuple(tmp_path / f"shard-{i:05d}.parquet" for i in range(4))
    sample = Sample(tmp_path, shards, (one,) * 4)
    assert sample.cross_section_fb == (100.0, pytest.approx(np.hypot(3, 4 / 2)))


@pytest.mark.slow
def test_columns(sample):
    kept = events(sample)
    assert kept.fields == ["m_jj", "jets"]
    assert kept.jets.fields == ["pt", "eta", "phi", "mass", "constituents"]
    assert kept.jets.constituents.fields == ["pt", "eta", "phi", "species"]
    jets = {name: ak.to_numpy(kept.jets[name]) for name in ("pt", "eta", "phi", "mass")}
    assert {x.dtype for x in jets.values()} == {np.dtype("float32")}
    assert {x.shape for x in jets.values()} == {(sample.n_selected, 2)}
    flat = {
        n: ak.to_numpy(ak.flatten(kept.jets.constituents[n], axis=None)) for n in ("pt", "species")
    }
    assert (flat["pt"].dtype, flat["species"].dtype) == (np.float32, np.int8)
    assert jets["pt"].min() > 750
    assert np.all(jets["pt"][:, 0] >= jets["pt"][:, 1])
    assert ak.to_numpy(kept.m_jj) == pytest.approx(dijet_mass(**jets), rel=1e-6)


@pytest.mark.slow
def test_constituents_sum_to_their_jets(sample):
    """Up to the energy scale, at most 0.4 % here."""
    jets = events(sample).jets
    c = jets.constituents
    px, py = (ak.sum(c.pt * f(c.phi), axis=-1) for f in (np.cos, np.sin))
    ratio = ak.to_numpy(jets.pt / np.hypot(px, py))
    assert ratio.min() > 1.0005
    assert ratio.max() < 1.005


@pytest.mark.slow
def test_a_shard_is_the_chain_with_its_seed(sample):
    made = generate(PROCESS, 20, seed=30_002)
    selected = SELECTION(cluster(respond(made, CMS, seed=30_002), JetDefinition()))
    assert ak.array_equal(list(sample.batches())[1].m_jj, selected.events.m_jj)


@pytest.mark.slow
def test_some_columns(sample):
    parts = list(sample.batches(["m_jj"]))
    assert [part.fields for part in parts] == [["m_jj"], ["m_jj"]]
    assert ak.array_equal(ak.concatenate(parts).m_jj, events(sample).m_jj)


@pytest.mark.slow
def test_summary(sample):
    summary = sample.summary()
    assert summary["hash"] == RECIPE.hash
    assert (summary["n_generated"], summary["n_kept"]) == (40, sample.n_selected)
    assert [row["cut"] for row in summary["cutflow"]] == ["all", "two jets", "hard", "heavy"]
    assert summary["cutflow"][0]["efficiency"] == 1.0
    assert summary["seed"] == 3


# Making more, and again


@pytest.mark.slow
def test_more_events_add_shards_and_leave_the_others(copied):
    before = state(shards(copied))
    larger = make(RECIPE, 41, folder=copied, workers=1)  # rounded up
    assert larger.n_generated == 60
    assert len(shards(copied)) == 3
    assert state(shards(copied))[:2] == before


@pytest.mark.slow
def test_what_is_there_is_not_made_again(copied):
    before, steps = state(shards(copied)), []
    again = make(RECIPE, 40, folder=copied, progress=lambda *step: steps.append(step))
    assert steps == [(2, 2)]
    assert state(shards(copied)) == before
    assert make(RECIPE, 5, folder=copied).shards == again.shards[:1]


@pytest.mark.slow
def test_the_events_do_not_depend_on_the_workers(sample, tmp_path):
    alone = make(RECIPE, 40, folder=tmp_path, workers=1)
    assert ak.array_equal(events(alone), events(sample))
    times = "seconds"
    ours, theirs = ([r | {times: 0} for r in s.records] for s in (alone, sample))
    assert ours == theirs


@pytest.mark.slow
def test_events_behind_others(sample, folder, tmp_path):
    """Whole shards: those skipped are not made, and no event is in both parts."""
    assert sample.first == 0
    for skip in (1, 20):  # rounded up
        behind = open_sample(RECIPE, 20, folder=folder, skip=skip)
        assert (behind.first, behind.shards) == (1, sample.shards[1:])
    alone = make(RECIPE, 20, folder=tmp_path, workers=1, skip=20)
    assert [path.name for path in shards(tmp_path)] == ["shard-00001.parquet"]
    assert alone.records[0]["seed"] == sample.records[1]["seed"]
    assert ak.array_equal(events(alone), events(behind))
    with pytest.raises(ValueError, match=r"expected 1 shards in .*; got 0"):
        open_sample(RECIPE, 20, folder=folder, skip=40)
    with pytest.raises(ValueError, match="expected at most 200000 events; got 200020"):
        make(RECIPE, 20, folder=tmp_path, skip=200_000)


@pytest.mark.slow
def test_how_many_are_missing(sample, folder, tmp_path):
    del sample
    wanted = [(40, 0), (41, 0), (60, 0), (20, 20), (20, 40), (40, 20)]
    assert [lacking(RECIPE, n, folder=folder, skip=skip) for n, skip in wanted] == [
        *(0, 20, 20, 0, 20, 20)
    ]
    assert lacking(RECIPE, 41, folder=tmp_path / "nowhere") == 60


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 3, 1000, -9])
def test_a_truncated_shard_is_made_again(copied, sample, size):
    broken = shards(copied)[1]
    broken.write_bytes(broken.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"expected 2 shards in .*; got 1"):
        open_sample(RECIPE, 40, folder=copied)
    first = state(shards(copied)[:1])
    if size == 1000:
        again = make(RECIPE, 40, folder=copied, workers=1)
        assert ak.array_equal(events(again), events(sample))
        assert state(shards(copied)[:1]) == first


@pytest.mark.slow
def test_leftovers_of_a_killed_run_are_no_shards(copied, sample):
    leftover = copied / RECIPE.hash / ".shard-00000.parquet.4711.tmp"
    leftover.write_bytes(b"half")
    again = make(RECIPE, 40, folder=copied)
    assert again.n_generated == 40
    assert ak.array_equal(events(again), events(sample))


@pytest.mark.slow
def test_a_parquet_file_of_another_program_is_no_shard(copied):
    foreign = shards(copied)[0]
    pq.write_table(pq.read_table(foreign).replace_schema_metadata({}), foreign)
    with pytest.raises(ValueError, match=r"expected 2 shards in .*; got 1"):
        open_sample(RECIPE, 40, folder=copied)


@pytest.mark.slow
def test_flipped_bytes_in_the_data_are_noticed(copied):
    """The last byte of the dictionary and of the data of each column."""
    victim = shards(copied)[0]
    whole = victim.read_bytes()
    group = pq.read_metadata(victim).row_group(0)
    places = []
    for chunk in map(group.column, range(group.num_columns)):
        first = chunk.dictionary_page_offset or chunk.data_page_offset
        places.append(first + chunk.total_compressed_size - 1)
        if chunk.has_dictionary_page:
            places.append(chunk.data_page_offset - 1)
    assert len(places) >= 9
    for place in places:
        victim.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        broken = open_sample(RECIPE, 40, folder=copied)
        with pytest.raises(ValueError, match="expected a whole shard"):
            list(broken.batches())


@pytest.mark.slow
def test_shards_without_selected_events(tmp_path):
    nothing = Selection((Cut("impossible", "m_jj", ((1e6, INFINITY),)),), ())
    empty = make(replace(RECIPE, selection=nothing, shard_events=3), 6, folder=tmp_path, workers=1)
    assert (empty.n_generated, empty.n_selected) == (6, 0)
    assert [len(part) for part in empty.batches()] == [0, 0]
    assert events(empty).fields == ["m_jj", "jets"]
