"""From fabricated records of a study to its results and its report."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fabricated import CWOLA, SOURCES, STUDY, TRANSFER, ZERO_SHOT, arm, samples, study

from fivesigma.arms import build
from fivesigma.plan import Plan
from fivesigma.report import write_report
from fivesigma.results import assemble, save
from fivesigma.studies import Run
from fivesigma.tasks import evaluate

FAILURE = {"task": "transfer, ID10, 4 data sets", "error": "expected a whole file of a network"}
LEARNING = {"train_loss": [0.69, 0.6, 0.5], "validation_loss": [0.69, 0.65, 0.66]}
PRETRAINED = {
    "name": "cloud without ID10",
    "hash": "0123456789abcdef",
    "n_events": {"background": 300, "signal": 400},
    "best_epoch": 1,
    "epochs": 3,
    "seconds": 2.5,
    "collapsed": False,
    **LEARNING,
}


def fabricated_run(plan, **changes):
    """What a study would make whose scores are Gaussians two widths apart."""
    rng, records = np.random.default_rng(1), []
    for task in plan.tasks():
        trainings = []
        for training in task.trainings:
            truth = np.repeat([1, 0], 400)
            measured = evaluate(
                rng.normal(2.0 * truth),
                truth,
                n_background=task.n_background,
                strengths=training.strengths,
                eps_b=task.eps_b,
            )
            learning = {
                "repeat": training.repeat,
                "seed": int(rng.integers(1000)),
                "n_train": {"signal_region": 100, "other": 100},
                "best_epoch": 1,
                "epochs": 3,
                "seconds": 1.5,
                "precision": "float32",
                **LEARNING,
            }
            trainings.append(measured | learning)
        records.append({"task": task, "hash": task.hash, "trainings": trainings})
    made = Run(plan.study, plan.samples, tuple(records), (), ())
    return replace(made, **changes)


def regrid(**changes):
    return STUDY.model_copy(update={"grid": STUDY.grid.model_copy(update=changes)})


@pytest.fixture
def made(plan):
    return fabricated_run(plan())


def no_constant(text):
    raise AssertionError(f"{text} is no JSON")


def read(path):
    return json.loads(path.read_text(), parse_constant=no_constant)


def test_results(made, tmp_path):
    path = save(made, tmp_path)
    results = read(path)
    assert path == tmp_path / "results.json"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.yaml", "results.json"]
    points = results["points"]
    key = [(p["method"], p["s_over_sqrt_b"], p["repeat"]) for p in points]
    assert sorted(key) == [
        (m, s, r) for m in ("CWoLa", "supervised") for s in (0, 5) for r in (0, 1)
    ]
    for point in points:
        assert 0.5 < point["auc"] < 1
        assert list(point["eps_b"]) == ["0.1", "0.05"]
        for cut in point["eps_b"].values():
            assert cut.keys() >= {"eps_s", "z_before", "z_after", "n_background_behind"}
    assert {(p["target"], p["label"]) for p in points} == {
        ("ID10", "cwola"),
        ("ID10", "supervised"),
    }
    assert {p["representation"] for p in points} == {build(CWOLA).seen.name}
    assert results["n_background_signal_region"] == 68
    assert results["luminosity_fb"] == 0.5
    assert results["config"] == STUDY.model_dump(mode="json")
    assert results["regions"]["signal_region"] == [[4700, 5500]]
    assert {role: s["n_generated"] for role, s in results["samples"].items()} == {
        "signal": 300,
        "background": 600,
    }
    assert {"fivesigma", "generator", "torch"} <= results["versions"].keys()
    assert (results["failures"], results["pretraining"]) == ([], [])


def test_a_training_is_one_hash(made):
    """At however many strengths it is evaluated; others are others."""
    points = assemble(made)["points"]
    trainings = {}
    for point in points:
        trainings.setdefault(point["hash"], []).append(point)
    assert sorted(len(group) for group in trainings.values()) == [1, 1, 1, 1, 2, 2]
    for group in trainings.values():
        assert len({(p["method"], p["repeat"], p["seed"], p["auc"]) for p in group}) == 1
    assert "6 trainings against 68 background events" in assemble(made)["summary"][-1]


def test_trainings_of_one_task_are_told_apart(plan):
    """A grid that is learnt together is as many trainings as one that is not."""
    made = fabricated_run(plan(study(arms=[TRANSFER, ZERO_SHOT], sources=SOURCES)))
    results = assemble(made)
    points = [p for p in results["points"] if p["method"] == "transfer"]
    assert len({p["hash"] for p in points}) == 4
    assert [(p["repeat"], p["s_over_sqrt_b"]) for p in points] == [(0, 0), (0, 5), (1, 0), (1, 5)]
    points = [p for p in results["points"] if p["method"] == "zero shot"]
    assert len({p["hash"] for p in points}) == 2
    assert len(points) == 4
    assert list(results["reach"]) == ["transfer", "zero shot"]


def test_failures_and_what_was_learnt_before(plan, tmp_path):
    made = fabricated_run(plan(), failures=(FAILURE,), pretraining=(PRETRAINED,))
    results = read(save(made, tmp_path))
    assert results["failures"] == [FAILURE]
    assert results["pretraining"] == [PRETRAINED]


def test_two_targets_and_no_histories(tmp_path):
    """A method is one for each target, and so is a sample; without a training, without losses."""
    names = ("ID5", "ID10")
    both = Plan(
        study(targets=names, arms=[ZERO_SHOT], sources=SOURCES),
        samples(tmp_path / "samples", targets=names),
        tmp_path,
        lambda *_: None,
    )
    made = fabricated_run(both)
    for training in (t for record in made.records for t in record["trainings"]):
        for key in ("train_loss", "validation_loss", "precision"):
            del training[key]
        training |= {"best_epoch": None, "epochs": 0, "seconds": 0.0}
    results = read(save(made, tmp_path))
    assert list(results["reach"]) == ["zero shot, ID5", "zero shot, ID10"]
    assert {(p["method"], p["target"]) for p in results["points"]} == {
        (f"zero shot, {name}", name) for name in names
    }
    assert list(results["samples"]) == ["signal", "ID10", "background"]
    assert results["samples"]["signal"]["hash"] == "ID5"
    text = write_report(tmp_path).read_text()
    assert all(f"zero shot, {name}" in text for name in names)


def test_spectrum(made):
    spectrum = assemble(made)["m_jj"]
    edges = np.array(spectrum["edges_gev"])
    inside = (edges[:-1] >= 4700) & (edges[1:] <= 5500)
    assert inside.sum() == 8
    background, signal = (np.array(spectrum[role]) for role in ("background", "signal"))
    assert background.sum() == 600  # all within the edges
    assert background[inside].sum() * spectrum["background_scale"] == pytest.approx(68)
    assert signal[inside].sum() * spectrum["signal_scale"] == pytest.approx(5 * 68**0.5)


def test_average_images(made):
    (kind, images), *others = assemble(made)["average_images"].items()
    assert (kind, others) == ("logarithmic", [])
    folder, _ = made.records[0]["task"].pools
    x = np.load(folder / "signal_region.npy")
    assert np.array(images["signal"]) == pytest.approx(x.mean(0))


OTHERS = {
    "clouds": arm(TRANSFER, strategy="direct"),
    "features": arm(representation={"kind": "features"}, network="mlp"),
    "augmented images": arm(augmentation={"maps": ["rotation"]}),
}


@pytest.mark.parametrize("method", OTHERS.values(), ids=OTHERS.keys())
def test_no_average_image_of_what_is_not_kept_as_images(method, plan, tmp_path):
    results = read(save(fabricated_run(plan(study(arms=[method]))), tmp_path))
    for images in results["average_images"].values():
        assert np.array(images["signal"]).shape == (2, 8, 8)


def test_several_repeats_have_an_interval(made):
    reach = assemble(made)["reach"]
    assert list(reach) == ["CWoLa", "supervised"]
    for row in reach.values():
        assert list(row) == ["0.1", "0.05"]
        for entry in row.values():
            assert entry.keys() == {"value", "low", "high", "status"}


def test_one_repeat_has_no_interval(plan):
    results = assemble(fabricated_run(plan(regrid(repeats=1))))
    entries = [entry for row in results["reach"].values() for entry in row.values()]
    assert {"measured"} == {entry["status"] for entry in entries}
    for entry in entries:
        assert entry.keys() == {"value", "status"}
    assert any("one data set, no interval" in sentence for sentence in results["summary"])


@pytest.mark.parametrize(
    ("grid", "status", "value"), [([0, 0.1], "above grid", None), ([20, 30], "below grid", 20)]
)
def test_a_reach_off_the_grid(grid, status, value, plan, tmp_path):
    """No number of a report is infinite."""
    off = fabricated_run(plan(regrid(s_over_sqrt_b=grid)))
    results = read(save(off, tmp_path))
    entry = results["reach"]["CWoLa"]["0.1"]
    assert entry["status"] == status
    assert entry["value"] in (value, None)
    assert all("inf" not in sentence for sentence in results["summary"])
    write_report(tmp_path)


def test_the_reach_of_a_ceiling_does_not_depend_on_the_grid(plan):
    """It is that of one training at all strengths, solved for exactly."""
    coarse, shifted = (
        assemble(fabricated_run(plan(regrid(s_over_sqrt_b=grid))))["reach"]["supervised"]
        for grid in ([0, 8], [30, 40])
    )
    assert coarse == shifted
    assert all(entry["status"] == "measured" for entry in coarse.values())


@pytest.mark.parametrize("repeats", [1, 2])
def test_a_report_of_the_results(repeats, plan, tmp_path):
    save(fabricated_run(plan(regrid(repeats=repeats))), tmp_path)
    page = write_report(tmp_path)
    assert page == tmp_path / "report.html"
    text = page.read_text()
    assert "CWoLa" in text
    assert STUDY.title in text
