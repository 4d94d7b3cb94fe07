"""Running a study: what fails stops no other, what is done is kept; a tiny one through Pythia."""

import json
import math
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from distributed import LocalCluster
from fabricated import CLOUDS, CWOLA, SOURCES, STUDY, SUPERVISED, TRANSFER, ZERO_SHOT, arm, study

from fivesigma import samples as samples_module
from fivesigma import sources, studies
from fivesigma.arms import build
from fivesigma.configuration import Study
from fivesigma.report import write_report
from fivesigma.results import save
from fivesigma.samples import recipe
from fivesigma.sources import load_network
from fivesigma.strategies import STRATEGIES
from fivesigma.studies import run
from fivesigma.tasks import Pretraining

IN_PROCESS = partial(LocalCluster, processes=False)


def silent(*_):
    """A report to nobody."""


def numbers(made):
    return {
        record["hash"]: [
            (t["auc"], t["seed"], json.dumps(t["points"])) for t in record["trainings"]
        ]
        for record in made.records
    }


def names(made):
    return [record["task"].arm.name for record in made.records]


def times(folder, *patterns):
    paths = [path for pattern in patterns for path in folder.rglob(pattern)]
    return {path: path.stat().st_mtime_ns for path in paths}


# Of fabricated events, in this process


class Broken:
    """A strategy that fails."""

    source, together = "none", "one"

    def __call__(self, _start, _targets, _learner):
        raise RuntimeError("it broke\nin two")


@pytest.fixture
def go(monkeypatch, samples, tmp_path):
    """Run a study of fabricated events."""
    monkeypatch.setattr(studies, "prepare", lambda *_, **__: samples)
    monkeypatch.setattr(studies, "LocalCluster", IN_PROCESS)
    monkeypatch.setitem(STRATEGIES, "broken", Broken)

    def of(report=silent, missing="run", **changes):
        out, store = tmp_path / "out", tmp_path / "store"
        options = {"workers": 1, "missing": missing, "report": report}
        return run(study(**changes), out=out, store=store, **options)

    return of


BROKEN = arm(name="broken", strategy="broken")
ONE = {"grid": {"s_over_sqrt_b": [0, 5], "repeats": 1, "eps_b": [0.1]}}
FAILURE = "it broke in two"


@pytest.mark.slow
def test_a_task_that_fails_stops_no_other(go, tmp_path, monkeypatch):
    """It is told of, and tried again by the next run, which does nothing else."""
    steps = []
    made = go(lambda *step: steps.append(step), arms=[BROKEN, CWOLA], **ONE)
    assert names(made) == ["CWoLa", "CWoLa"]
    titles = [f"broken, ID10, S/sqrt(B) = {s}, repeat 0" for s in (0, 5)]
    failures = [{"task": title, "error": FAILURE} for title in titles]
    assert sorted(made.failures, key=lambda f: f["task"]) == failures
    assert ("train", 2, 4, "") in steps
    notes = [note for _, _, _, note in steps if "failed" in note]
    assert sorted(notes) == [f"{title}: failed, {FAILURE}" for title in titles]
    (tmp_path / "page").mkdir()
    results = json.loads(save(made, tmp_path / "page").read_text())
    assert results["failures"] == list(made.failures)
    assert {point["method"] for point in results["points"]} == {"CWoLa"}
    write_report(tmp_path / "page")
    kept = times(tmp_path / "out", "*.json")
    assert len(kept) == 2
    monkeypatch.setitem(STRATEGIES, "broken", STRATEGIES["direct"])
    steps.clear()
    again = go(lambda *step: steps.append(step), arms=[BROKEN, CWOLA], **ONE)
    assert names(again) == ["broken", "broken", "CWoLa", "CWoLa"]
    assert again.failures == ()
    assert steps[0] == ("train", 2, 4, "")
    assert kept.items() <= times(tmp_path / "out", "*.json").items()


@pytest.mark.slow
def test_what_is_missing_can_be_left(go, tmp_path):
    """A report on what is there says how much is not."""
    with pytest.raises(ValueError, match="2 of 2 tasks: not run yet"):
        go(missing="leave", arms=[CWOLA], **ONE)
    go(arms=[CWOLA], **ONE)
    kept = times(tmp_path / "out", "*.json")
    made = go(missing="leave", arms=[CWOLA, SUPERVISED], **ONE)
    assert names(made) == ["CWoLa", "CWoLa"]
    assert made.failures == ({"task": "1 of 3 tasks", "error": "not run yet"},)
    assert kept == times(tmp_path / "out", "*.json")


@pytest.mark.slow
def test_what_networks_look_at_is_shown(go, tmp_path):
    """Of the first data set, at each strength; images and clouds have maps."""
    size = {"events": 20, "baselines": 2}
    cloud = {"network": "cloud", "representation": CLOUDS}
    arms = [arm(interpret=size), arm(SUPERVISED, name="clouds", interpret=size, **cloud)]
    made = go(arms=arms, grid={"s_over_sqrt_b": [0, 5], "repeats": 2, "eps_b": [0.1]})
    (tmp_path / "page").mkdir()
    results = json.loads(save(made, tmp_path / "page").read_text())
    shown = {(one["method"], one["s_over_sqrt_b"]) for one in results["interpretations"]}
    assert shown == {("CWoLa", 0), ("CWoLa", 5), ("clouds", 5)}
    assert not any("interpretation" in point for point in results["points"])
    page = write_report(tmp_path / "page").read_text()
    assert "What the networks look at" in page
    assert {"ranking.png", "maps.png"} <= {p.name for p in (tmp_path / "page/figures").iterdir()}
    tables = json.loads((tmp_path / "page/tables/importance.json").read_text())
    assert {row["feature"] for row in tables if row["method"] == "CWoLa"} == {
        "image, leading jet",
        "image, subleading jet",
    }
    assert (tmp_path / "page/hepdata/attribution_maps.yaml").is_file()


@pytest.mark.slow
def test_a_record_that_cannot_be_written_is_a_failure(go, tmp_path, monkeypatch):
    """And takes no other with it."""
    made_of = {"CWoLa": lambda task: task.run(), "broken": lambda _: {"area": math.inf}}
    monkeypatch.setattr(studies, "_run", lambda task: made_of[task.arm.name](task))
    made = go(arms=[arm(name="broken"), CWOLA], **ONE)
    assert names(made) == ["CWoLa", "CWoLa"]
    assert {failure["error"][:36] for failure in made.failures} == {
        "expected a record of finite numbers:"
    }


@pytest.mark.parametrize("content", ["3", "null", "[1, 2]", "{}", '{"hash": "other"}', "{"])
def test_what_is_no_record_is_not_there(content, tmp_path):
    crew = studies.Crew(tmp_path, 1, None, silent)
    task = Pretraining(SimpleNamespace(hash="0123"), tmp_path / "network.pt", "title")
    (tmp_path / "0123.json").write_text(content)
    assert crew.record(task) is None
    (tmp_path / "0123.json").write_text('{"hash": "0123"}')
    assert crew.record(task) == {"hash": "0123"}


@pytest.mark.slow
def test_all_tasks_that_fail_are_an_error(go, tmp_path):
    with pytest.raises(ValueError, match=rf"^broken, ID10, .*: {FAILURE}$"):
        go(arms=[BROKEN], **ONE)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_pretraining_that_fails(go, tmp_path, monkeypatch):
    """What starts from it fails as well; the rest goes on."""

    def fail(*_arguments, **_options):
        raise FloatingPointError("expected finite losses; got nan")

    learning = {"arms": [TRANSFER, ZERO_SHOT, CWOLA], "sources": SOURCES, **ONE}
    with monkeypatch.context() as patch:
        patch.setattr(sources, "fit", fail)
        made = go(**learning)
    assert names(made) == ["CWoLa", "CWoLa"]
    errors = {failure["task"]: failure["error"] for failure in made.failures}
    assert next(iter(errors)) == "cloud without ID10"
    assert errors["cloud without ID10"] == "expected finite losses; got nan"
    assert len(errors) == 3
    assert list((tmp_path / "store").rglob("*.*")) == []
    assert made.pretraining == ()
    again = go(**learning)
    assert names(again) == ["transfer", "zero shot", "CWoLa", "CWoLa"]
    assert (again.failures, len(again.pretraining)) == ((), 1)


# Through Pythia

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
