"""Running a tiny study through Pythia, and what is made again when something of it is lost."""

import json
from dataclasses import replace

import pytest
import torch
from distributed import LocalCluster
from fabricated import CWOLA, STUDY, SUPERVISED, TRANSFER, ZERO_SHOT, silent
from fabricated_studies import IN_PROCESS, names, times

from fivesigma import samples as samples_module
from fivesigma import studies
from fivesigma.arms import build
from fivesigma.configuration import Study
from fivesigma.report import write_report
from fivesigma.results import save
from fivesigma.samples import recipe
from fivesigma.sources import load_network
from fivesigma.studies import run


def numbers(made):
    return {
        record["hash"]: [
            (t["auc"], t["seed"], json.dumps(t["points"])) for t in record["trainings"]
        ]
        for record in made.records
    }


PARTONS = {"mass_min": 4400.0, "multiparton": "off"}
THROUGH_PYTHIA = Study.model_validate(
    STUDY.model_dump()
    | {
        "signal": {
            "process": "signal",
            "events": 500,
            "parameters": {"lambda_d": 10.0, "decay": "ID", "multiparton": "off"},
        },
        "background": {"process": "qcd", "events": 1000, "parameters": PARTONS},
        "held_out": {"signal": 60, "background": 60},
        "grid": {"s_over_sqrt_b": [0, 5], "repeats": 1, "eps_b": [0.1]},
        "luminosity_fb": 0.45,
        "arms": [CWOLA, SUPERVISED, TRANSFER, ZERO_SHOT],
        "sources": {
            "points": ["ID5", "ID10", "DD5"],
            "events": 250,
            "parameters": {"multiparton": "off"},
            "background": {"process": "qcd", "events": 250, "parameters": PARTONS},
        },
    }
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folders of the study and of its samples, and what was told on the way."""
    folder, steps = tmp_path_factory.mktemp("study"), []
    out, store = folder / "out", folder / "store"
    made = through(out, store, lambda *step: steps.append(step))
    save(made, out)
    write_report(out)
    return out, store, made, steps


def through(out, store, report=silent, *, cluster=LocalCluster):
    def small(*arguments, **options):
        return replace(recipe(*arguments, **options), shard_events=250)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples_module, "recipe", small)
        patch.setattr(studies, "LocalCluster", cluster)
        workers = 1 if cluster is IN_PROCESS else 2  # two trainings in a process share a generator
        return run(THROUGH_PYTHIA, out=out, store=store, workers=workers, report=report)


@pytest.mark.slow
def test_a_study(done):
    out, store, made, steps = done
    assert (out / "report.html").stat().st_size > 10_000
    results = json.loads((out / "results.json").read_text())
    assert len(results["points"]) == 8
    assert {(p["method"], p["target"]) for p in results["points"]} == {
        (a.name, "ID10") for a in THROUGH_PYTHIA.arms
    }
    assert results["samples"]["background"]["n_generated"] == 1000
    assert names(made) == ["CWoLa", "CWoLa", "supervised", "transfer", "zero shot"]
    (pretraining,) = results["pretraining"]
    records = {p.stem for p in (out / "records").iterdir()}
    assert records == {r["hash"] for r in made.records} | {pretraining["hash"]}
    assert (made.failures, results["failures"]) == ((), [])
    assert list(made.samples.sources) == ["ID5", "DD5"]
    assert len(list(store.rglob("shard-*.parquet"))) == 2 + 4 + 1 + 1 + 1
    assert [path.stem for path in (store / "networks").iterdir()] == [pretraining["hash"]]
    assert list(out.rglob("*.tmp")) + list(store.rglob("*.tmp")) == []
    stages = list(dict.fromkeys(step[0] for step in steps))
    assert stages[:5] == [
        *("generate ID10", "generate background", "generate ID5", "generate DD5"),
        "generate background of the sources",
    ]
    assert set(stages[5:-2]) == {f"represent {build(a).seen.name}" for a in (CWOLA, TRANSFER)}
    assert stages[-2:] == ["pretrain", "train"]
    assert steps[-1] == ("train", 5, 5, "")


@pytest.mark.slow
def test_events_of_the_sources_are_no_others(done):
    """Neither the target's, nor background that is in the data."""
    _, _, made, _ = done
    ours, theirs = made.samples.background, made.samples.source_background
    assert ours.folder == theirs.folder
    assert set(ours.shards) & set(theirs.shards) == set()
    seeds = [record["seed"] for sample in (ours, theirs) for record in sample.records]
    assert len(set(seeds)) == len(seeds) == 5
    processes = {sample.records[0]["process"] for sample in made.samples.sources.values()}
    assert processes == {"hidden valley ID5", "hidden valley DD5"}


@pytest.mark.slow
def test_a_second_run_trains_nothing(done, monkeypatch):
    out, store, made, _ = done
    monkeypatch.setattr(studies, "Client", None)
    files = times(store, "*.parquet", "*.npy", "*.pt") | times(out / "records", "*")
    steps = []
    again = through(out, store, lambda *step: steps.append(step), cluster=None)
    assert numbers(again) == numbers(made)
    assert again.pretraining == made.pretraining
    assert files == times(store, "*.parquet", "*.npy", "*.pt") | times(out / "records", "*")
    assert steps == [
        ("generate ID10", 2, 2, ""),
        ("generate background", 4, 4, ""),
        ("generate ID5", 1, 1, ""),
        ("generate DD5", 1, 1, ""),
        ("generate background of the sources", 1, 1, ""),
        ("train", 5, 5, ""),
    ]


@pytest.fixture
def here():
    """A cluster in this process, with as many threads as a worker has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield IN_PROCESS
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_a_lost_record_is_made_again_and_no_other(done, here):
    out, store, made, _ = done
    before, networks = numbers(made), times(store, "*.pt")
    lost, broken, *kept = (out / "records" / f"{r['hash']}.json" for r in made.records)
    lost.unlink()
    broken.write_text(broken.read_text()[:100])
    modified = [path.stat().st_mtime_ns for path in kept]
    again = through(out, store, cluster=here)
    assert numbers(again) == before
    assert [path.stat().st_mtime_ns for path in kept] == modified
    assert times(store, "*.pt") == networks
    assert all(json.loads(path.read_text())["hash"] == path.stem for path in (lost, broken, *kept))


@pytest.mark.slow
def test_a_network_that_is_broken_or_lost(done, here):
    """A broken one is told of and what needs it waits; deleted, it is learnt again, the same."""
    out, store, made, _ = done
    before = numbers(made)
    (network,) = (store / "networks").iterdir()
    whole = network.read_bytes()
    transfer = next(r for r in made.records if r["task"].arm == TRANSFER)
    record = out / "records" / f"{transfer['hash']}.json"
    record.unlink()
    network.write_bytes(whole[:1000])
    partly = through(out, store, cluster=here)
    assert names(partly) == ["CWoLa", "CWoLa", "supervised", "zero shot"]
    (failure,) = partly.failures
    assert failure["task"] == transfer["task"].title
    assert "expected a whole file of a network" in failure["error"]
    assert "delete it and run again" in failure["error"]
    assert not record.exists()
    network.unlink()
    steps = []
    again = through(out, store, lambda *step: steps.append(step), cluster=here)
    assert numbers(again) == before
    assert ("pretrain", 1, 1, "") in steps
    assert load_network(network, (2, 8, 3)).momentum == "relative"
