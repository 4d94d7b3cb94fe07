"""Cross sections and points of a projection, simulated and given."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scans
import weighted

from fivesigma.projected import _cutflows, _processes, cutflow
from fivesigma.projection_plan import prepare_projection
from fivesigma.selection import PROBABILITY, CutflowRow
from fivesigma.series import varying
from fivesigma.yields import Slice, weigh

toys = pytest.fixture(scans.toys)


def test_a_cutflow_adds_up_slices():
    """2 of 10 and half of 1 fb; the error of the second cross section counts by its efficiency."""
    rows = [[CutflowRow("all", n, n), CutflowRow("C1", k, n)] for n, k in ((100, 20), (1000, 500))]
    slices = [
        Slice("few", Path("a"), 10.0, 0.0, 100, tuple(rows[0])),
        Slice("few", Path("b"), 1.0, 0.1, 1000, tuple(rows[1])),
    ]
    first, second = cutflow(slices)
    assert (first["cut"], second["cut"]) == ("generated", "C1")
    assert first["cross_section_fb"] == pytest.approx(11)
    assert first["cross_section_error_fb"] == pytest.approx(0.1)
    assert second["cross_section_fb"] == pytest.approx(2.5)
    expected = np.sqrt((10 * 0.04) ** 2 + 0.25 / 1000 + (0.1 * 0.5) ** 2)
    assert second["cross_section_error_fb"] == pytest.approx(expected)


def test_a_cutflow_of_weighted_events():
    """1 fb, of which 0.3 pass; the spread of the weights 1, 0.5 and 0 is that of a mean."""
    w = np.repeat([1.0, 0.5, 0.0], [10, 40, 50])
    row = CutflowRow("tag", float(w.sum()), 100, float((w**2).sum()))
    (found,) = cutflow([Slice("few", Path("a"), 1.0, 0.0, 100, (row,))])
    assert found["cross_section_fb"] == pytest.approx(0.3)
    assert found["cross_section_error_fb"] == pytest.approx(w.std() / 10)


def tagged(process, columns):
    if process == "signal":
        return columns
    return columns | {PROBABILITY: np.tile(np.float32([0.1, 0.3]), 250)}


@pytest.mark.parametrize("spoil", [None, tagged], ids=["drawn", "weights by tags"])
def test_cross_sections_after_the_selection_may_be_given(spoil, toys):
    """All else of the process is scaled alike; other processes stay as they are."""
    weighted.write(weighted.projection(), toys / "store", spoil=spoil)
    given = {"signal": 0.1, "many": 60.0}
    by_default, scaled = (
        prepare_projection(
            weighted.projection(selected_fb=selected_fb),
            **{"store": toys / "store", "workers": 1, "report": lambda *_: None},
        )
        for selected_fb in ({}, given)
    )
    before, after = (
        weigh(made.slices(weighted.name_of(weighted.projection())), luminosity_fb=3000)
        for made in (by_default, scaled)
    )
    share = 0.2 if spoil else 1.0
    assert before.cross_section_fb == pytest.approx([1.0, 150.0 * share, 10.0 * share])
    assert after.cross_section_fb == pytest.approx([0.1, 60.0, 10.0 * share])
    assert after.expected()[0] == pytest.approx([300, 180_000, 30_000 * share])
    relative = before.cross_section_error_fb / before.cross_section_fb
    assert after.cross_section_error_fb / after.cross_section_fb == pytest.approx(relative)


def prepared(toys, report=lambda *_: None, **changes):
    """What a projection of events on disk learns from."""
    wanted = weighted.projection(**changes)
    weighted.write(wanted, toys / "store")
    return wanted, prepare_projection(wanted, store=toys / "store", workers=1, report=report)


def test_points_by_their_parameters(toys):
    """Those of a point with a name have it; what a point does not set is the default."""
    _, made = prepared(toys, points=["m2", {"mass": 3}, {"mass": 2.5}, {}])
    assert made.points == {
        "m2": {"mass": 2.0},
        "m3": {"mass": 3},
        "signal 2.5": {"mass": 2.5},
        "m1": {"mass": 1.0},
    }
    assert list(made.samples)[:4] == [*(f"signal, {name}" for name in made.points)]
    assert varying(made.points) == ["mass"]


def test_what_is_given_is_beside_what_is_simulated(toys):
    """The rows of the simulation, and what is generated, are not scaled; totals are in front."""
    totals = {"source": "a table", "fb": {"many": 1000}}
    wanted, made = prepared(toys, selected_fb={"many": 60.0}, totals=totals)
    record = SimpleNamespace(prepared=made, projection=wanted)
    flows = _cutflows(record)
    assert [(row["cut"], row["cross_section_fb"]) for row in flows["many"]] == [
        ("total: a table", 1000),
        ("generated", pytest.approx(300)),
        ("kept", pytest.approx(150)),
        ("selected, as given", 60),
    ]
    assert [row["cross_section_fb"] for row in flows["few"]] == [None, 20, 10, None]
    assert not any(row["behind_veto"] for rows in flows.values() for row in rows)
    behind = SimpleNamespace(prepared=replace(made, vetoed=frozenset({"few"})), projection=wanted)
    marks = [row["behind_veto"] for row in _cutflows(behind)["few"]]
    assert marks == [False, True, False, False]
    row = _processes(record)["m1"]["many"]
    assert (row["generated_fb"], row["selected_fb"]) == (pytest.approx(300), pytest.approx(60))
    assert _processes(record)["m1"]["signal"]["generated_fb"] == pytest.approx(2)


def test_what_is_missing_is_planned_before_it_is_made(toys):
    """Events, time, and what passes, for each sample and all of them."""
    seen = []
    wanted = weighted.projection()
    with pytest.raises(AssertionError, match="something was generated"):
        prepare_projection(
            wanted, store=toys / "store", workers=1, report=lambda *told: seen.append(told)
        )
    stages = ["signal, m1", "many, slice 1", "many, slice 2", "few"]
    assert [told[0] for told in seen[:5]] == [*(f"plan {name}" for name in stages), "plan"]
    assert seen[2][1:3] == (0, 12_000)
    assert seen[2][3].endswith("for 12000 events, of which 10000 pass")  # 10 B of 12 B each
    assert seen[4][1:] == (0, 30_000, "about 8.3e-06 h of one core")
    seen.clear()
    prepared(toys, report=lambda *told: seen.append(told))
    assert not [told for told in seen if told[0].startswith("plan")]
