"""What a summary says of significances, and the reach of a scan."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from fivesigma.projected import _limited
from fivesigma.projection_reach import crossing, reaches, told
from fivesigma.series import varying

# What the summary says


def numbered(z, z_perfect):
    return {"numbers": {"z": {"mean": z}, "z_perfect": {"mean": z_perfect}}}


def test_a_method_that_is_limited_by_simulated_events_is_named():
    methods = {
        "trees": {"m1": numbered(4.0, 5.9), "m2": numbered(4.0, 6.1)},
        "network": {"m1": numbered(0.0, 0.0), "m2": numbered(2.0, 2.1)},
    }
    (sentence,) = _limited(methods)
    assert sentence.startswith("Limited by simulated events: trees at m1, network at m2, where")
    assert _limited({"trees": {"m1": numbered(1.0, 9.0)}}) == []


# The reach


def test_the_reach_of_an_exponential_is_exact():
    x = np.array([1.0, 2.0, 4.0, 7.0])
    assert crossing(x, 40 * np.exp(-0.8 * x)) == pytest.approx(np.log(8) / 0.8)
    assert crossing(x, 40 * np.exp(-0.8 * x) + 5) == math.inf
    assert crossing(x, np.exp(-x)) == -math.inf
    assert crossing(x, [10, 5, 4.999, 1]) == pytest.approx(2, abs=1e-3)
    assert 2 < crossing(x, [10, 6, 0, 0]) < 4


def scanned(z, *, repeats=2, mass=("1", "2", "3", "4")):
    """A projection of one method with these Z by name of the point; those without any failed."""
    points = {f"m{m}": {"mass": float(m)} for m in mass}
    records = [
        {"task": SimpleNamespace(arm=ARM, point=name, repeat=r), "numbers": {"z": value}}
        for name, value in z.items()
        for r in range(repeats)
    ]
    prepared = SimpleNamespace(points=points)
    made = SimpleNamespace(
        records=records, prepared=prepared, projection=SimpleNamespace(arms=[ARM])
    )
    (row,) = reaches(made)["trees"]
    return row


ARM = SimpleNamespace(name="trees")


def test_a_point_that_failed_is_left_out_of_the_reach_and_said():
    z = {"m1": 20.0, "m2": 10.0, "m3": 5.5, "m4": 2.0}
    whole, some = (scanned({k: v for k, v in z.items() if k != gone}) for gone in ("", "m3"))
    assert whole["value"] == pytest.approx(crossing([1, 2, 3, 4], [*z.values()]))
    assert some["value"] == pytest.approx(crossing([1, 2, 4], [20, 10, 2]))
    assert (whole["missing"], some["missing"]) == ([], ["m3"])
    assert told(some).endswith("(2.861 to 2.861); without m3, of which there is no result")
    assert "without" not in told(whole)


def test_no_signal_is_a_significance_of_nothing():
    row = scanned({"m1": 20.0, "m2": 8.0, "m3": 0.0, "m4": 0.0})
    assert 2 < row["value"] < 2.1
    assert told(row).endswith("; fewer than 10 events of signal, so Z = 0, at m3, m4")


def test_a_reach_of_too_few_points_is_said():
    row = scanned({"m2": 8.0})
    assert (row["status"], row["value"], row["missing"]) == (
        *("too few points", None),
        ["m1", "m3", "m4"],
    )
    assert told(row).startswith("at an unknown mass, as fewer than two points have results; with")


def test_repeats_that_are_missing_at_a_point():
    """The mean is of those there are; the interval of those that all points have."""
    points = {"m1": {"mass": 1.0}, "m2": {"mass": 2.0}}
    numbers = {("m1", 0): 10.0, ("m1", 1): 30.0, ("m2", 0): 1.0}
    records = [
        {"task": SimpleNamespace(arm=ARM, point=p, repeat=r), "numbers": {"z": z}}
        for (p, r), z in numbers.items()
    ]
    made = SimpleNamespace(records=records, prepared=SimpleNamespace(points=points))
    made.projection = SimpleNamespace(arms=[ARM])
    (row,) = reaches(made)["trees"]
    assert row["value"] == pytest.approx(crossing([1, 2], [20, 1]))
    assert "low" not in row


def test_what_is_scanned():
    points = {
        f"{a}-{b}": {"a": a, "b": b, "c": 3, "word": str(a)} for a in (1, 2) for b in (5, 6, 7)
    }
    assert varying(points) == ["b", "a"]
    assert varying({"one": {"a": 1}}) == []
    assert varying({}) == []
