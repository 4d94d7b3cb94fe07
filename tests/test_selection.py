"""A handful of events whose fate is known."""

import awkward as ak
import numpy as np
import pytest

from fivesigma.selection import (
    VARIABLES,
    Cut,
    CutflowRow,
    Selection,
    combine,
    m_jj,
    table,
)

INFINITY = float("inf")
SELECTION = Selection(
    cuts=(
        Cut("two jets", "n_jets", ((2, INFINITY),)),
        Cut("hard", "lowest pt", ((750.0, INFINITY),)),
        Cut("central", "largest abs eta", ((0.0, 2.0),)),
    ),
    regions=(
        Cut("signal", "m_jj", ((2000.0, 3000.0),)),
        Cut("sides", "m_jj", ((1500.0, 2000.0), (3000.0, 4000.0))),
        Cut("wide", "m_jj", ((1000.0, 2000.0), (3000.0, 5000.0))),
    ),
)
# (n_jets, [(pt, eta, phi)] of the two leading jets); back to back at eta = 0, m_jj = 2 pt
EVENTS = {
    "none": (0, []),
    "one jet": (1, [(3000, 0, 0)]),
    "soft": (2, [(1300, 0, 0), (749, 0, np.pi)]),
    "forward": (3, [(1300, 0, 0), (800, -2.5, np.pi)]),
    "signal": (2, [(1250, 0, 0), (1250, 0, np.pi)]),
    "signal, three jets": (3, [(1250, 0, 0), (1250, 0, np.pi)]),
    "sides and wide, below": (2, [(900, 0, 0), (900, 0, np.pi)]),
    "sides and wide, above": (2, [(1800, 0, 0), (1800, 0, np.pi)]),
    "wide only": (2, [(2250, 0, 0), (2250, 0, np.pi)]),
}
CUTFLOW = {
    "all": 9, "two jets": 7, "hard": 6, "central": 5, "signal": 2, "sides": 2, "wide": 3
}  # fmt: skip


def clustered(events):
    """As `jets.cluster` gives it, with one constituent a jet."""
    records = []
    for n, jets in events:
        p = [{"pt": float(pt), "eta": float(eta), "phi": float(phi)} for pt, eta, phi in jets]
        full = [x | {"mass": 0.0, "constituents": [x | {"species": 1}]} for x in p]
        records.append({"n_jets": n, "jets": full})
    return ak.Array(records)


def counts(selected):
    return {row.cut: row.count for row in selected.cutflow}


def test_cutflow():
    selected = SELECTION(clustered(EVENTS.values()))
    assert counts(selected) == CUTFLOW
    assert {row.total for row in selected.cutflow} == {9}
    expected = [name not in ("none", "one jet", "soft", "forward") for name in EVENTS]
    assert selected.mask.tolist() == expected


def test_events_without_two_jets_have_no_mass_and_do_not_warn():
    """The suite turns warnings into errors."""
    events = clustered(EVENTS.values())
    for name in ("lowest pt", "largest abs eta", "m_jj"):
        assert np.isnan(VARIABLES[name](events)).tolist() == [True] * 2 + [False] * 7
    only_mass = Selection((Cut("mass", "m_jj", ((0.0, INFINITY),)),), ())
    assert only_mass(events).mask.tolist() == [False] * 2 + [True] * 7


def test_variables():
    events = clustered(EVENTS.values())
    assert VARIABLES["n_jets"](events).tolist() == [n for n, _ in EVENTS.values()]
    assert VARIABLES["lowest pt"](events)[2] == 749
    assert VARIABLES["largest abs eta"](events)[3] == 2.5
    assert m_jj(events)[4:] == pytest.approx([2500, 2500, 1800, 3600, 4500])


def test_regions_stand_on_the_cuts_and_not_on_each_other():
    alone = {
        region.name: counts(Selection(SELECTION.cuts, (region,))(clustered(EVENTS.values())))[
            region.name
        ]
        for region in SELECTION.regions
    }
    assert alone == {name: CUTFLOW[name] for name in ("signal", "sides", "wide")}
    backwards = Selection(SELECTION.cuts, SELECTION.regions[::-1])
    assert counts(backwards(clustered(EVENTS.values()))) == CUTFLOW


def test_regions_do_not_select():
    with_regions = SELECTION(clustered(EVENTS.values()))
    without = Selection(SELECTION.cuts, ())(clustered(EVENTS.values()))
    assert np.array_equal(with_regions.mask, without.mask)
    assert len(with_regions.events) == 5


def test_kept_events():
    kept = SELECTION(clustered(EVENTS.values())).events
    assert kept.m_jj.to_list() == pytest.approx([2500, 2500, 1800, 3600, 4500])
    assert ak.to_numpy(kept.jets.pt).shape == (5, 2)
    dtypes = [kept.m_jj, kept.jets.pt, kept.jets.constituents.pt]
    assert {ak.to_numpy(ak.flatten(x, axis=None)).dtype for x in dtypes} == {np.dtype("float32")}
    species = ak.to_numpy(ak.flatten(kept.jets.constituents.species, axis=None))
    assert species.dtype == np.int8
    assert species.tolist() == [1] * 10


def test_windows_are_half_open():
    cut = Cut("windows", "m_jj", ((1.0, 2.0), (3.0, 4.0)))
    x = np.array([0.999, 1.0, 1.999, 2.0, 2.5, 3.0, 3.999, 4.0, np.nan])
    assert cut(x).tolist() == [False, True, True, False, False, True, True, False, False]


def test_adjoining_regions_share_no_event():
    edges = clustered((2, [(m / 2, 0, 0), (m / 2, 0, np.pi)]) for m in (2000.0, 3000.0, 4000.0))
    mass = m_jj(edges)
    signal, sides = (SELECTION.region(name)(mass) for name in ("signal", "sides"))
    assert not np.any(signal & sides)
    assert np.all((signal | sides) == [True, True, False])


@pytest.mark.parametrize(("count", "total"), [(0, 100), (20, 100), (100, 100)])
def test_efficiency_and_its_error(count, total):
    """sqrt(e (1 - e) / N): 0.04 for 20 of 100, nothing for none and all."""
    row = CutflowRow("cut", count, total)
    assert row.efficiency == count / total
    assert row.error == pytest.approx(0.04 if count == 20 else 0.0)


def test_no_events_at_all():
    assert CutflowRow("cut", 0, 0).efficiency == 0.0
    assert CutflowRow("cut", 0, 0).error == 0.0
    selected = SELECTION(clustered(EVENTS.values())[:0])
    assert counts(selected) == dict.fromkeys(CUTFLOW, 0)
    assert len(selected.events) == 0


def test_no_event_passes():
    hard = Selection((Cut("hard", "lowest pt", ((1e5, INFINITY),)),), SELECTION.regions)
    selected = hard(clustered(EVENTS.values()))
    assert len(selected.events) == 0
    assert selected.events.fields == ["m_jj", "jets"]


def test_combine():
    parts = [SELECTION(clustered(list(EVENTS.values())[i:j])).cutflow for i, j in ((0, 4), (4, 9))]
    assert combine(parts) == SELECTION(clustered(EVENTS.values())).cutflow


def test_cutflows_of_other_lengths_do_not_combine():
    rows = [CutflowRow("all", 3, 3)]
    with pytest.raises(ValueError, match="shorter"):
        combine([rows * 2, rows])


def test_unknown_variable():
    wrong = Selection((Cut("cut", "m_jjj", ((0.0, 1.0),)),), ())
    with pytest.raises(ValueError, match=r"expected cuts on \[.*'m_jj'.*got \['m_jjj'\]"):
        wrong(clustered(EVENTS.values()))
    wrong = Selection((), (Cut("region", "mass", ((0.0, 1.0),)),))
    with pytest.raises(ValueError, match=r"got \['mass'\]"):
        wrong(clustered(EVENTS.values()))


def test_region_by_name():
    assert SELECTION.region("sides") is SELECTION.regions[1]
    with pytest.raises(
        ValueError, match=r"expected a region of \['signal', 'sides', 'wide'\]; got 'side'"
    ):
        SELECTION.region("side")


def test_table():
    text = table((CutflowRow("all", 100, 100), CutflowRow("two jets", 20, 100)))
    assert text.splitlines() == [
        "cut           events  efficiency",
        "all              100  1.00000 +- 0.00000",
        "two jets          20  0.20000 +- 0.04000",
    ]
