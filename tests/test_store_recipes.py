"""Recipes of samples: their names, those of event files, and what is refused."""

import os
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from generated import ENERGIES, les_houches
from tiny_sample import INFINITY, PROCESS, RECIPE, SELECTION

from fivesigma.benchmarks import BENCHMARKS
from fivesigma.benchmarks.hidden_valley import lhe
from fivesigma.detector import CMS, NoDetector
from fivesigma.events import Process
from fivesigma.jets import JetDefinition
from fivesigma.selection import Cut, Selection
from fivesigma.store import Recipe, check_writable, default_folder, make, open_sample
from fivesigma.vetoes import ShowerVeto

OTHER = {
    "seed": replace(RECIPE, seed=4),
    "shard size": replace(RECIPE, shard_events=25),
    "process": replace(
        RECIPE, process=replace(PROCESS, settings=(*PROCESS.settings, "PartonLevel:ISR = off"))
    ),
    "process name": replace(RECIPE, process=replace(PROCESS, name="jets")),
    "showers": replace(RECIPE, process=replace(PROCESS, showers=2)),
    "no detector": replace(RECIPE, detector=NoDetector()),
    "detector": replace(RECIPE, detector=replace(CMS, field=4.0)),
    "calorimeter": replace(RECIPE, detector=replace(CMS, hcal=replace(CMS.hcal, energy_min=2.0))),
    "jets": replace(RECIPE, jets=JetDefinition(radius=0.4)),
    "cut": replace(RECIPE, selection=replace(SELECTION, cuts=SELECTION.cuts[:1])),
    "region": replace(RECIPE, selection=replace(SELECTION, regions=())),
}


# The name of a sample


@pytest.mark.parametrize("recipe", OTHER.values(), ids=OTHER.keys())
def test_everything_that_makes_a_sample_is_in_its_hash(recipe):
    assert recipe.hash != RECIPE.hash


def test_a_cross_section_from_elsewhere_makes_no_other_events():
    assert replace(RECIPE, process=replace(PROCESS, k_factor=1.5)).hash == RECIPE.hash


def test_hashes():
    assert RECIPE.hash == replace(RECIPE).hash
    assert len(RECIPE.hash) == 16
    assert set(RECIPE.hash) <= set("0123456789abcdef")
    assert len({recipe.hash for recipe in OTHER.values()}) == len(OTHER)


def test_the_content_of_an_event_file_counts_and_not_its_place(tmp_path):
    recipes = []
    for name, content in (("a.lhe", "one"), ("b.lhe", "one"), ("c.lhe", "two")):
        (tmp_path / name).write_text(content)
        recipes.append(replace(RECIPE, process=Process("file", (), lhe=tmp_path / name)))
    assert recipes[0].hash == recipes[1].hash != recipes[2].hash


@pytest.mark.parametrize("seed", [-1, 90_000])
def test_seed_out_of_range(seed):
    with pytest.raises(ValueError, match=f"expected a seed from 0 to 89999; got {seed}"):
        replace(RECIPE, seed=seed)


def test_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("FIVESIGMA_STORE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("FIVESIGMA_STORE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "fivesigma"


# Event files in shards


@pytest.mark.slow
def test_showers_of_the_same_hard_event_are_known_by_its_number(tmp_path):
    """Three hard events, twice, in shards of two; the lightest is below the cut."""
    file = tmp_path / "dijets.lhe"
    file.write_text(les_houches(ENERGIES))
    process = lhe(file=str(file), showers=2, multiparton="off")
    heavy = Selection((Cut("two jets", "n_jets", ((2, INFINITY),)),), ())
    heavy = replace(heavy, cuts=(*heavy.cuts, Cut("heavy", "m_jj", ((4000.0, INFINITY),))))
    recipe = replace(RECIPE, process=process, detector=NoDetector(), selection=heavy)
    repeated = make(replace(recipe, shard_events=2), 6, folder=tmp_path, workers=1)
    kept = ak.concatenate(list(repeated.batches(["m_jj", "hard_event"])))
    assert len(kept) == 4
    assert np.array_equal(kept.hard_event[:2], kept.hard_event[2:])
    assert ak.all(kept.m_jj[:2] != kept.m_jj[2:])
    with pytest.raises(ValueError, match=r"expected events in .*; got none"):
        make(replace(recipe, shard_events=2), 8, folder=tmp_path, workers=1)


@pytest.mark.slow
def test_parts_of_a_file_behind_a_veto_share_hard_events(tmp_path):
    """The lightest of three is dropped, so that the first part of two takes the third as well."""
    file = tmp_path / "dijets.lhe"
    file.write_text(les_houches(ENERGIES))
    veto = ShowerVeto(20.0, radius=0.8, pt_min=0.0, eta_max=9.0, mass_min=4000.0, mass_max=2e4)
    process = replace(lhe(file=str(file), multiparton="off"), veto=veto)
    every = Selection((Cut("two jets", "n_jets", ((2, INFINITY),)),), ())
    recipe = replace(RECIPE, process=process, detector=NoDetector(), selection=every)
    sample = make(replace(recipe, shard_events=2), 3, folder=tmp_path, workers=1)
    kept = ak.concatenate(list(sample.batches(["m_jj", "hard_event"])))
    assert kept.hard_event[0] != kept.hard_event[1] == kept.hard_event[2]
    assert kept.m_jj[1] != kept.m_jj[2]
    assert recipe.hash != replace(recipe, process=replace(process, veto=None)).hash


# Errors


@pytest.mark.parametrize("n", [0, -1])
def test_numbers_of_events(n, tmp_path):
    with pytest.raises(ValueError, match=f"expected a number of events >= 1; got {n}"):
        make(RECIPE, n, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_too_many_events(tmp_path):
    with pytest.raises(ValueError, match="expected at most 200000 events; got 200001"):
        make(RECIPE, 200_001, folder=tmp_path)


def test_nothing_to_open(tmp_path):
    with pytest.raises(ValueError, match=r"expected 2 shards in .*; got 0"):
        open_sample(RECIPE, 40, folder=tmp_path)


def test_a_file_where_the_store_should_be(tmp_path):
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(OSError, match="store"):
        make(RECIPE, 20, folder=tmp_path / "store")


def test_a_folder_is_checked_and_not_made(tmp_path):
    (tmp_path / "file").touch()
    for wrong in ("file", "file/below"):
        with pytest.raises(OSError, match=r"expected a folder; got .*file$"):
            check_writable(tmp_path / wrong)
    check_writable(tmp_path / "new" / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_no_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="Permission"):
        make(RECIPE, 20, folder=tmp_path)


@pytest.mark.slow
def test_errors_of_a_worker_arrive(tmp_path):
    wrong = replace(RECIPE, process=replace(PROCESS, settings=("No:such = on",)))
    with pytest.raises(ValueError, match="got 'No:such = on'"):
        make(wrong, 20, folder=tmp_path, workers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmarks_have_recipes(name):
    benchmark = BENCHMARKS[name]
    parts = (benchmark.detector, benchmark.jets, benchmark.selection)
    hashes = {
        Recipe(benchmark.process(benchmark.signal, point), *parts).hash
        for point in benchmark.points.values()
    }
    hashes.add(Recipe(benchmark.process(benchmark.background, {}), *parts).hash)
    assert len(hashes) == len(benchmark.points) + 1
