"""The grid of a study as a list of tasks, and what has to be learnt before."""

from dataclasses import replace

import fabricated
import numpy as np
import pytest
from fabricated import CWOLA, SOURCES, STUDY, SUPERVISED, TRANSFER, ZERO_SHOT, arm, silent, study

from fivesigma.arms import build
from fivesigma.plan import Plan
from fivesigma.tasks import Training

EXPERTS = arm(TRANSFER, name="experts", strategy="experts")
LEARNING = {"arms": [TRANSFER, ZERO_SHOT], "sources": SOURCES}


def test_tasks_in_order(plan):
    wanted = plan().tasks()
    assert [(t.trainings, t.arm.name) for t in wanted] == [
        ((Training(repeat, strengths),), name)
        for repeat in (0, 1)
        for name, strengths in (
            ("CWoLa", (0.0,)),
            ("CWoLa", (5.0,)),
            ("supervised", (0.0, 5.0)),
        )
    ]
    assert len({task.hash for task in wanted}) == len(wanted)
    assert {task.seed for task in wanted} == {1}
    assert {task.n_background for task in wanted} == {68}
    assert {task.held_out for task in wanted} == {(50, 60)}
    assert {task.target for task in wanted} == {"ID10"}
    assert {(task.dijet, task.source) for task in wanted} == {(None, None)}
    assert plan().pretraining() == []


def test_represented_events_of_a_task(plan, samples):
    (pools,) = {task.pools for task in plan().tasks()}
    expected = samples.targets["ID10"].folder, samples.background.folder
    assert tuple(folder.parent for folder in pools) == expected
    assert {folder.name for folder in pools} == {f"{build(CWOLA).seen.name}-2"}
    for folder in pools:
        assert np.load(folder / "signal_region.npy").shape[1:] == (2, 8, 8)


def test_kinematics_are_represented_where_they_are_needed(plan):
    balanced = arm(contrast={"sidebands": "balanced"})
    for task in plan(study(arms=[balanced])).tasks():
        for folder, pool in zip(task.dijet, task.pools, strict=True):
            assert folder.parent == pool.parent
            shapes = [np.load(place / "sideband.npy").shape for place in (folder, pool)]
            assert shapes[0] == (shapes[1][0], 5)


def test_augmented_arms_keep_clouds(plan):
    turned = arm(augmentation={"maps": ["rotation"]})
    (pools,) = {task.pools for task in plan(study(arms=[turned])).tasks()}
    assert all(np.load(f / "sideband.npy").shape[1:] == (2, 300, 3) for f in pools)


def test_a_grid_that_is_learnt_together_is_one_task(plan):
    """What is learnt without the data is evaluated at all strengths in one training a repeat."""
    transfer, zero_shot = plan(study(**LEARNING)).tasks()
    assert transfer.trainings == tuple(Training(r, (s,)) for r in (0, 1) for s in (0.0, 5.0))
    assert zero_shot.trainings == (Training(0, (0.0, 5.0)), Training(1, (0.0, 5.0)))


def test_what_is_learnt_before_is_learnt_once(plan, samples):
    """For two arms that start from the same network; experts start from another."""
    ours = plan(study(**LEARNING | {"arms": [TRANSFER, ZERO_SHOT, EXPERTS]}))
    one, other = ours.pretraining()
    assert [task.source for task in ours.tasks()] == [one.path, one.path, other.path]
    assert (one.source.learns, other.source.learns) == ("signal", "process")
    assert one.path == ours.store / "networks" / f"{one.hash}.pt"
    assert one.source.regions == ("signal_region",)
    assert one.source.network == "cloud"
    assert one.source.settings == build(TRANSFER).pretraining
    folders = [samples.sources[name].folder for name in ("ID5", "DD5")]
    assert [path.parent for path in one.source.signals] == folders
    assert one.source.background.parent == samples.background.folder
    (task, *_) = ours.tasks()
    assert one.source.background != task.pools[1]


def test_pretraining_depends_on_what_it_should(plan):
    """Not on how a head is trained; on how the network is."""
    base = plan(study(**LEARNING)).pretraining()[0].hash

    def other(**changes):
        arms = [arm(TRANSFER, **changes)]
        return plan(study(arms=arms, sources=SOURCES)).pretraining()[0].hash

    assert other(training={"max_epochs": 9}, options={"head": "source"}, name="x") == base
    others = {
        other(pretraining={"max_epochs": 2}),
        other(architecture={"momentum": "absolute"}),
        other(representation={"kind": "clouds", "particles": 5}),
    }
    assert len({base, *others}) == 4


def test_arms_at_another_luminosity(plan):
    """A larger background, and the same S/sqrt(B) of it."""
    arms = [CWOLA, arm(name="five times", luminosity=5.0)]
    one, *_, five = plan(study(arms=arms)).tasks()
    assert (one.n_background, five.n_background) == (68, 340)
    assert one.trainings[0].strengths == (0.0,)
    assert five.trainings[0].strengths == (5.0,)


def test_a_network_of_ones_own(plan, tmp_path):
    """Nothing is learnt before, and no sources are needed."""
    ours = plan(study(**LEARNING))
    for pretraining in ours.pretraining():
        pretraining.run()
    (path,) = (ours.store / "networks").iterdir()
    own = path.rename(tmp_path / "mine.pt")
    learning = plan(study(arms=[arm(TRANSFER, pretrained=own)]))
    assert learning.pretraining() == []
    (task,) = learning.tasks()
    assert task.source == own


def test_two_targets(tmp_path):
    """Each with a network of its own, which has not seen it."""
    points = ("ID5", "ID10")
    samples = fabricated.samples(tmp_path, sources=points, targets=points)
    ours = Plan(study(**LEARNING | {"targets": points}), samples, tmp_path / "store", silent)
    tasks, pretraining = ours.tasks(), ours.pretraining()
    assert [(t.arm.name, t.target) for t in tasks] == [
        (arm.name, target) for arm in (TRANSFER, ZERO_SHOT) for target in points
    ]
    assert len({task.hash for task in tasks}) == 4
    assert len({p.path for p in pretraining}) == 2
    for p, target, other in zip(pretraining, points, reversed(points), strict=True):
        assert p.title == f"cloud without {target}"
        assert [path.parent.name for path in p.source.signals] == [f"source {other}"]
        assert {task.source for task in tasks if task.target == target} == {p.path}


def test_a_part_of_a_sample_is_another_sample(tmp_path):
    """A signal is a target with many events and a source with few of the same."""
    samples = fabricated.samples(tmp_path, sources=("ID5",), targets=("ID5", "ID10"))
    whole = samples.targets["ID5"]
    part = replace(whole, shards=whole.shards[:1], records=whole.records[:1])
    samples = replace(samples, sources={"ID5": part, "ID10": samples.targets["ID10"]})
    ours = Plan(study(**LEARNING | {"arms": [TRANSFER]}), samples, tmp_path / "store", silent)
    pools, _ = (task.pools for task in ours.tasks())
    _, without = (p.source for p in ours.pretraining())
    for folder, sample in ((pools[0], whole), (without.signals[0], part)):
        counts = {row.cut: row.count for row in sample.cutflow}
        assert len(np.load(folder / "signal_region.npy")) == counts["signal_region"]


@pytest.mark.parametrize("method", [CWOLA, SUPERVISED])
def test_the_grid_decides_the_tasks(method, plan):
    grid = STUDY.grid.model_copy(update={"repeats": 3, "s_over_sqrt_b": [0.0, 1.0, 2.0]})
    tasks = plan(study(arms=[method], grid=grid)).tasks()
    assert [task.trainings[0].repeat for task in tasks] == sorted([0, 1, 2] * (len(tasks) // 3))
    points = [(t.trainings[0].repeat, s) for t in tasks for s in t.trainings[0].strengths]
    assert points == [(r, s) for r in (0, 1, 2) for s in (0.0, 1.0, 2.0)]
