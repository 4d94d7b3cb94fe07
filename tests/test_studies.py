"""Running a study of fabricated events: what fails stops no other, what is done is kept."""

import json
import math
from types import SimpleNamespace

import pytest
from fabricated import CLOUDS, CWOLA, SOURCES, SUPERVISED, TRANSFER, ZERO_SHOT, arm, silent, study
from fabricated_studies import IN_PROCESS, names, times

from fivesigma import sources, studies
from fivesigma.report import write_report
from fivesigma.results import save
from fivesigma.strategies import STRATEGIES
from fivesigma.studies import run
from fivesigma.tasks import Pretraining


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
