"""One task: its name, its numbers at known answers, and what it draws."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fabricated import CWOLA, IMAGES, SOURCES, STUDY, SUPERVISED, TRAINING, TRANSFER, arm, study
from scipy.stats import norm

from fivesigma.measurement import evaluate
from fivesigma.statistics import asimov
from fivesigma.tasks import Task, Training, blocks

TASK = Task(
    arm=CWOLA,
    target="ID10",
    trainings=(Training(0, (5.0,)),),
    seed=1,
    n_background=10_000,
    held_out=(50, 60),
    eps_b=(0.1, 0.01),
    pools=(Path("/store/aaaa/images-8"), Path("/store/bbbb/images-8")),
)
GRID = {"n_background": 10_000, "strengths": (5.0,), "eps_b": (0.1, 0.01)}


OTHER = {
    "arm's name": replace(TASK, arm=arm(name="other")),
    "label": replace(TASK, arm=arm(label="supervised")),
    "strategy": replace(TASK, arm=arm(strategy="trees")),
    "options": replace(TASK, arm=arm(options={"head": "source"})),
    "network": replace(TASK, arm=arm(network="other")),
    "architecture": replace(TASK, arm=arm(architecture={"momentum": "absolute"})),
    "representation": replace(TASK, arm=arm(representation=IMAGES | {"pixels": 9})),
    "training": replace(TASK, arm=arm(training=TRAINING | {"max_epochs": 2})),
    "pretraining": replace(TASK, arm=arm(pretraining={"max_epochs": 2})),
    "contrast": replace(TASK, arm=arm(contrast={"sidebands": "equal"})),
    "augmentation": replace(TASK, arm=arm(augmentation={"maps": ["rotation"]})),
    "no maps": replace(TASK, arm=arm(augmentation={})),
    "luminosity": replace(TASK, arm=arm(luminosity=2.0)),
    "restart": replace(TASK, trainings=(Training(0, (5.0,), 1),)),
    "supervised events": replace(TASK, arm=arm(supervised_events=7)),
    "target": replace(TASK, target="ID5"),
    "repeat": replace(TASK, trainings=(Training(1, (5.0,)),)),
    "strength": replace(TASK, trainings=(Training(0, (4.0,)),)),
    "strengths": replace(TASK, trainings=(Training(0, (5.0, 6.0)),)),
    "trainings": replace(TASK, trainings=(Training(0, (5.0,)), Training(0, (6.0,)))),
    "seed": replace(TASK, seed=2),
    "background": replace(TASK, n_background=9_999),
    "held out": replace(TASK, held_out=(50, 61)),
    "cuts": replace(TASK, eps_b=(0.1,)),
    "signal": replace(TASK, pools=(Path("/store/cccc/images-8"), TASK.pools[1])),
    "background's images": replace(TASK, pools=(TASK.pools[0], Path("/store/bbbb/images-9"))),
    "kinematics": replace(TASK, dijet=(Path("/store/aaaa/dijet"), Path("/store/bbbb/dijet"))),
    "source": replace(TASK, source=Path("/store/networks/0123.pt")),
    "other source": replace(TASK, source=Path("/store/networks/4567.pt")),
}


# The name of a task


@pytest.mark.parametrize("other", OTHER.values(), ids=OTHER.keys())
def test_everything_that_decides_a_training_is_in_its_hash(other):
    assert other.hash != TASK.hash


def test_hashes():
    assert len({task.hash for task in OTHER.values()}) == len(OTHER)
    assert TASK.hash == replace(TASK).hash
    moved = tuple(Path("/elsewhere") / path.relative_to("/") for path in TASK.pools)
    assert replace(TASK, pools=moved).hash == TASK.hash
    there = replace(TASK, source=Path("/elsewhere/networks/0123.pt"))
    assert there.hash == OTHER["source"].hash


def test_a_network_of_ones_own_is_named_by_its_content(tmp_path):
    """Not by where it lies."""
    files = [tmp_path / name for name in ("a.pt", "b.pt", "c.pt")]
    for path, content in zip(files, (b"one", b"one", b"other"), strict=True):
        path.write_bytes(content)
    own = arm(TRANSFER, pretrained="network.pt")
    one, same, other = (replace(TASK, arm=own, source=path).hash for path in files)
    assert one == same != other


def test_titles():
    assert OTHER["restart"].title == "CWoLa, ID10, S/sqrt(B) = 5, repeat 0, restart 1"
    assert TASK.title == "CWoLa, ID10, S/sqrt(B) = 5, repeat 0"
    assert OTHER["trainings"].title == "CWoLa, ID10, 2 data sets"


# The numbers of one training


@pytest.fixture(scope="module")
def gaussians():
    """Scores of signal about 1 and background about 0, both of width 1."""
    rng = np.random.default_rng(1)
    n = 40_000
    return rng.normal(np.repeat([1.0, 0.0], n)), np.repeat([1, 0], n)


def test_two_gaussians(gaussians):
    found = evaluate(*gaussians, **GRID)
    assert abs(found["auc"] - norm.cdf(1 / math.sqrt(2))) < 4 * found["auc_error"]
    assert (found["n_test_signal"], found["n_test_background"]) == (40_000, 40_000)
    assert not found["collapsed"]
    (point,) = found["points"]
    assert (point["s_over_sqrt_b"], point["n_signal"], point["n_background"]) == (5, 500, 10_000)
    assert list(point["eps_b"]) == ["0.1", "0.01"]
    for eps, cut in ((float(name), cut) for name, cut in point["eps_b"].items()):
        eps_s = norm.sf(norm.isf(eps) - 1)
        slope = norm.pdf(norm.isf(eps) - 1) / norm.pdf(norm.isf(eps))
        error = math.hypot(cut["eps_s_error"], slope * cut["eps_b_error"])
        assert abs(cut["eps_s"] - eps_s) < 4 * error
        assert cut["z_before"] == pytest.approx(asimov(500, 10_000))
        assert cut["z_after"] == pytest.approx(
            asimov(500 * eps_s, 10_000 * eps), rel=4 * error / eps_s
        )
        assert cut["n_background_behind"] == pytest.approx(40_000 * eps, abs=1)


def test_no_signal_no_significance(gaussians):
    (point,) = evaluate(*gaussians, **GRID | {"strengths": (0.0,)})["points"]
    assert point["n_signal"] == 0
    for cut in point["eps_b"].values():
        assert (cut["z_before"], cut["z_after"]) == (0, 0)


def test_one_training_at_several_strengths(gaussians):
    points = evaluate(*gaussians, **GRID | {"strengths": (0.0, 2.0, 5.0)})["points"]
    assert [point["s_over_sqrt_b"] for point in points] == [0, 2, 5]
    assert [point["n_signal"] for point in points] == [0, 200, 500]
    assert len({point["eps_b"]["0.1"]["eps_s"] for point in points}) == 1
    z = [point["eps_b"]["0.1"]["z_after"] for point in points]
    assert z[0] == 0 < z[1] < z[2]
    alone = evaluate(*gaussians, **GRID | {"strengths": (2.0,)})["points"]
    assert alone == points[1:2]


def test_constant_scores():
    truth = np.repeat([1, 0], 1000)
    found = evaluate(np.full(2000, 0.5), truth, **GRID)
    assert found["collapsed"]
    assert found["auc"] == 0.5
    assert found["points"][0]["eps_b"]["0.1"]["eps_s"] == pytest.approx(0.1)


# One training


@pytest.mark.slow
def test_one_training(plan):
    task = next(task for task in plan().tasks() if task.trainings[0].strengths == (5.0,))
    record = task.run()
    assert record["hash"] == task.hash
    (training,) = record["trainings"]
    assert training["n_train"]["signal_region"] == 68 + round(5 * 68**0.5)
    assert training["n_train"]["other"] > 0
    assert (training["n_test_signal"], training["n_test_background"]) == (50, 60)
    assert training["epochs"] == len(training["train_loss"]) == 1
    (again,) = task.run()["trainings"]
    assert json.dumps(again | {"seconds": 0}) == json.dumps(training | {"seconds": 0})
    (pair,) = replace(task, arm=arm(name="pair")).run()["trainings"]
    assert pair["seed"] == training["seed"]
    assert pair["auc"] == training["auc"]


@pytest.mark.slow
def test_restarts_share_the_data_and_no_seed(plan):
    grid = STUDY.grid.model_copy(update={"restarts": 3, "repeats": 1, "s_over_sqrt_b": [5.0]})
    tasks = plan(study(arms=[CWOLA], grid=grid)).tasks()
    first, *more = [task.run()["trainings"][0] for task in tasks]
    assert [t["restart"] for t in (first, *more)] == [0, 1, 2]
    assert {t["repeat"] for t in (first, *more)} == {0}
    assert len({t["seed"] for t in (first, *more)}) == 3
    assert all(t["n_train"] == first["n_train"] for t in more)
    assert first["seed"] == replace(tasks[0]).run()["trainings"][0]["seed"]


@pytest.mark.slow
def test_accuracies_are_of_the_labels_and_of_the_truth(plan):
    """A supervised training knows the truth; without a signal there is none to know."""
    longer = arm(SUPERVISED, training=TRAINING | {"max_epochs": 30, "patience": 30})
    ceiling, *_ = plan(study(arms=[longer])).tasks()
    (training,) = ceiling.run()["trainings"]
    assert training["true_accuracy"] > 0.5
    assert training["accuracy"] > 0.5


@pytest.mark.slow
def test_a_supervised_training(plan):
    task = next(task for task in plan().tasks() if task.arm == SUPERVISED)
    (ceiling,) = task.run()["trainings"]
    assert ceiling["n_train"] == {"signal_region": 68, "other": 68}
    assert len(ceiling["points"]) == 2
    assert ceiling["auc"] > 0.5


@pytest.mark.slow
def test_all_data_sets_of_a_grid_at_once(plan):
    """Each with the events and the seed that it has in other arms."""
    together = plan(study(arms=[TRANSFER], sources=SOURCES))
    for pretraining in together.pretraining():
        pretraining.run()
    (task,) = together.tasks()
    alone = [task.run()["trainings"][0] for task in plan().tasks() if task.arm == CWOLA]

    def drawn(trainings):
        keys = ("repeat", "seed", "n_train", "n_test_signal")
        return sorted(
            [(t["points"][0]["s_over_sqrt_b"], *(t[k] for k in keys)) for t in trainings],
            key=lambda numbers: numbers[:2],
        )

    assert drawn(task.run()["trainings"]) == drawn(alone)
    assert len(alone) == 4


def test_broken_events_are_named(tmp_path):
    np.save(tmp_path / "signal_region.npy", np.ones((5, 4), np.float32))
    (tmp_path / "sideband.npy").write_bytes((tmp_path / "signal_region.npy").read_bytes()[:-1])
    with pytest.raises(ValueError, match=rf"got {tmp_path / 'sideband.npy'} \(.*\); delete it"):
        blocks(tmp_path)
