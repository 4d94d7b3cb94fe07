"""What a study file may say of a projection; the files that are there."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from weighted import CONTENT, projection

from fivesigma.arms import learning
from fivesigma.benchmarks import BENCHMARKS
from fivesigma.loading import load
from fivesigma.projection import Projection, TrainShare, Weights
from fivesigma.thresholds import WORKING_POINTS

FILES = {
    path.stem: path
    for path in sorted((Path(__file__).parents[1] / "studies").glob("*.yaml"))
    if "\nbackgrounds:" in path.read_text()
}


@pytest.mark.parametrize("path", FILES.values(), ids=FILES.keys())
def test_the_files_say_what_can_be_done(path):
    found = load(path)
    assert isinstance(found, Projection)
    assert found.name == path.stem
    for arm in found.arms:
        learning(arm, (115,))
    if found.benchmark in BENCHMARKS:
        benchmark = BENCHMARKS[found.benchmark]
        assert set(found.points) <= set(benchmark.points)
        for request in (r for slices in found.backgrounds.values() for r in slices):
            assert request.process in benchmark.processes


def test_losses_beside_all_published_tables():
    found = load(FILES["heavy_quark_losses"])
    shares = [(t.train_share.signal, t.train_share.background) for t in found.published]
    assert shares == [(1, 1), (1, 0.1), (0.1, 0.1)]
    for table in found.published:
        assert len(table.numbers) == 14
        assert all(len(numbers) == 3 + len(WORKING_POINTS) for numbers in table.numbers.values())
    table = found.published[1].numbers["sigma^1/4/N"]
    assert (table["z_max"], table["r_10"]) == ((4.69, 0.23), (0.06, 0.01))


def test_defaults():
    found = projection()
    assert (found.seed, found.luminosity_fb, found.points, found.published) == (1, None, [], [])
    assert found.train_share == TrainShare(signal=1.0, background=1.0)
    assert [found.shares.train, found.shares.validation, found.shares.test] == [1, 1, 1]
    (arm,) = found.arms
    assert (arm.network, arm.weights) == ("mlp", "equal")


def test_an_override_reaches_every_level():
    path = FILES["heavy_quark_losses"]
    found = load(path, ["train_share.background=0.1", "arms.1.weights=expected", "repeats=2"])
    assert found.train_share == TrainShare(background=0.1)
    assert found.arms[1].weights == "expected"
    assert found.repeats == 2
    assert found.arms[4].weights == Weights(size=1, cross_section=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": [CONTENT["arms"][0]] * 2}, "expected arms of different names"),
        ({"backgrounds": {}}, "at least 1 item"),
        ({"repeats": 0}, "greater than 0"),
    ],
)
def test_values_that_do_not_fit(changes, message):
    with pytest.raises(ValidationError, match=message):
        projection(**changes)
