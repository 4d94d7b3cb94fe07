"""What a study file may say of a projection; the files that are there."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from weighted import CONTENT, projection

from fivesigma.arms import learning
from fivesigma.benchmarks import BENCHMARKS
from fivesigma.benchmarks.heavy_quark_backgrounds import BACKGROUNDS
from fivesigma.costs import cost_of
from fivesigma.loading import load
from fivesigma.plots.projections import scanned_significance
from fivesigma.projection import Projection, TrainShare, Weights
from fivesigma.samples import at_point
from fivesigma.series import varying
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
        for point in found.points:
            request = at_point(benchmark, point, found.signal, "points")
            assert benchmark.process(request.process, request.parameters)
        for request in (r for slices in found.backgrounds.values() for r in slices):
            assert request.process in benchmark.processes


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("heavy_quark")])
def test_one_signal_and_all_backgrounds_take_three_hours_on_two_cores(name):
    found = load(FILES[name])
    benchmark = BENCHMARKS["heavy_quark"]
    requests = [found.signal, *(r for slices in found.backgrounds.values() for r in slices)]
    costs = [(cost_of(benchmark, request), request.events) for request in requests]
    assert 1 < sum(n * cost.seconds for cost, n in costs) / 3600 < 6


def test_totals_are_those_of_the_processes():
    """Of the slices of a process once, of all processes that are shown together."""
    for name in ("heavy_quark_losses", "heavy_quark_scan"):
        found = load(FILES[name])
        for process, slices in found.backgrounds.items():
            whole = sum(BACKGROUNDS[one].source_fb for one in {r.process for r in slices})
            assert found.totals.fb[process] == pytest.approx(whole)


def test_the_losses_are_compared_at_the_mass_of_their_cross_section():
    found = load(FILES["heavy_quark_losses"])
    assert found.signal.parameters == {"mass_b": 1500, "mass_phi": 400}
    assert found.selected_fb["signal"] == 0.0739


def test_the_scan_is_a_grid_of_two_masses():
    found = load(FILES["heavy_quark_scan"])
    benchmark = BENCHMARKS[found.benchmark]
    requests = [at_point(benchmark, point, found.signal, "points") for point in found.points]
    points = {str(i): request.parameters for i, request in enumerate(requests)}
    assert varying(points) == ["mass_b", "mass_phi"]
    masses = {(p["mass_b"], p["mass_phi"]) for p in points.values()}
    b, phi = ({pair[i] for pair in masses} for i in (0, 1))
    assert len(masses) == len(points) == len(b) * len(phi) == 15
    assert not found.signal.parameters
    methods = {
        method: {p: {"numbers": {"z": {"mean": float(p), "std": None}}} for p in points}
        for method in ("trees", "network")
    }
    del methods["network"]["3"]  # a point without a result
    figure = scanned_significance({"projection": {"points": points, "methods": methods}})
    shown = {axis.get_title(): axis.images[0].get_array() for axis in figure.axes[:2]}
    assert [*shown["trees"].shape] == [len(phi), len(b)]
    assert (np.isfinite(shown["trees"]).sum(), np.isfinite(shown["network"]).sum()) == (15, 14)


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
