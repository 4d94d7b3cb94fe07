"""Hunts: fabricated events from the grid to the report, and findings from records by hand."""

import io
import json
import re

import fabricated
import numpy as np
import pytest
from fabricated import arm, study
from fabricated_searches import CHANGES, TREES
from fabricated_studies import IN_PROCESS
from scipy.stats import norm

from fivesigma import studies
from fivesigma.datasets import Dataset
from fivesigma.digest import digest
from fivesigma.hunt import global_p
from fivesigma.hunts import Hunt, sentence
from fivesigma.plots import HUNT_FIGURES
from fivesigma.report import write_report
from fivesigma.results import save
from fivesigma.samples import Samples
from fivesigma.studies import run
from fivesigma.tables import search_tables
from fivesigma.windows import Window, sliding

WINDOWS = {"range": [4400, 5800], "half_width": 250, "step": 175, "sideband": 100}
CENTRES = [4750, 4925, 5100, 5275, 5450]


def hunting(windows=WINDOWS, **changes):
    """The study of the tests of searches, with a hunt."""
    search = {"folds": 2, "null_sets": 40, "sets_per_task": 20, "naive": "left out"}
    search["background"] = ["interpolation"]
    return study(**CHANGES | changes | {"search": search | {"windows": windows}})


def test_names_of_records_without_windows_stay(plan):
    """A hunt is another record; without one the name is that of a search that knows no windows."""
    base = study(**CHANGES)
    task, hunt = (plan(wanted).searches()[0] for wanted in (base, hunting()))
    how = base.search.model_dump(exclude={"null_sets", "sets_per_task", "data", "windows"})
    assert task.hash == digest({"task": task.task.hash, "search": how, "data": None})
    others = [{**WINDOWS, "step": 100}, {**WINDOWS, "eps_b": [0.2]}]
    names = [plan(hunting(windows)).searches()[0].hash for windows in others]
    assert len({task.hash, hunt.hash, *names}) == 4


BAD = {
    "beyond": ({"range": [4400, 5900]}, r"search.windows: .* within the spectrum of 4400 to 4700"),
    "narrow": ({"range": [4400, 5000]}, "search.windows\n.* a range of 700 GeV, a window with"),
    "negative": ({"step": -1}, "search.windows.step"),
    "tight": ({"eps_b": [0.1, 0.001]}, "search.windows: .* 2000 in its two sidebands, for 2 folds"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD.keys())
def test_windows_that_do_not_fit(changes, message, plan):
    with pytest.raises(ValueError, match=message):
        plan(hunting(WINDOWS | changes)).searches()


def test_events_of_a_window_are_relabelled_and_weighed(plan):
    """Those outside are left out; balanced sidebands have the mean mass of the window."""
    balanced = arm(TREES, contrast={"sidebands": "balanced"})
    task = plan(hunting(arms=[balanced])).searches()[-1]
    whole = task.task.prepare().data[0]
    mass = task._kinematics(whole)[:, 0]
    data, m = task._relabelled(whole, Window(4750, 250, 100))
    assert isinstance(data, Dataset)
    inside = (m >= 4500) & (m < 5000)
    assert np.array_equal(data.y == 1, inside)
    assert len(m) == ((mass >= 4400) & (mass < 5100)).sum()
    assert inside.sum() == ((mass >= 4500) & (mass < 5000)).sum() != (whole.y == 1).sum()
    expected = whole.truth[(mass >= 4400) & (mass < 5100)].sum()
    assert data.truth.sum() == expected > 0
    weight = task._weighed(data).weight
    outside = np.average(m[~inside], weights=weight[~inside])
    assert outside == pytest.approx(m[inside].mean(), abs=0.5)
    assert abs(m[~inside].mean() - m[inside].mean()) > 0.5


@pytest.mark.slow
def test_a_task(plan):
    """Windows beside what was there before, each with models and random numbers of its own."""
    task = plan(hunting()).searches()[-1]
    record = task.run()
    plain = plan(hunting(None)).searches()[-1].run()
    for one, same in zip(record["sets"], plain["sets"], strict=True):
        windows = one.pop("windows")
        assert one == same
        assert len(windows) == len(CENTRES)
        for found in windows:
            assert [cut["eps_b"] for cut in found["cuts"]] == [0.2, 0.1]
            assert max(found["n_signal"]) <= found["cuts"][0]["n"]
        assert len({json.dumps(found) for found in windows}) == len(CENTRES)
    tight = plan(hunting({**WINDOWS, "eps_b": [0.3]})).searches()[-1].run()
    assert [cut["eps_b"] for cut in tight["sets"][0]["windows"][0]["cuts"]] == [0.3]


def test_an_error_names_the_window(plan, monkeypatch):
    task = plan(hunting()).searches()[0]
    many = task.settings.model_copy(update={"folds": 30})
    monkeypatch.setattr("fivesigma.searches.cross_score", lambda *_, **__: [])
    ready = task.task.prepare()
    with pytest.raises(ValueError, match=r"window at 4750 GeV: expected at least 60 events"):
        type(task)(task.task, many)._hunt(ready)


@pytest.mark.slow
def test_a_hunt_from_the_study_to_the_report(samples, tmp_path, monkeypatch):
    observed = fabricated.sample(tmp_path / "data", 600, width=0.1, seed=9)
    made = Samples(**(vars(samples) | {"observed": observed}))
    monkeypatch.setattr(studies, "prepare", lambda *_, **__: made)
    monkeypatch.setattr(studies, "LocalCluster", IN_PROCESS)
    done = run(hunting(), out=tmp_path, store=tmp_path / "store", workers=1, report=lambda *_: None)
    assert done.failures == ()
    results = json.loads(save(done, tmp_path).read_text())
    (one,) = results["hunt"].values()
    assert [window["centre_gev"] for window in one["null"]["windows"]] == CENTRES
    assert len(one["null"]["global"]["p"]) == 40
    assert one["power"]["ID10"]["s_over_sqrt_b"] == [2, 4]
    p = [window["p_local"] for window in one["data"]["windows"]]
    assert one["data"]["best"] == {"centre_gev": CENTRES[int(np.argmin(p))], "p_local": min(p)}
    assert one["data"]["global"]["origin"] in ("empirical", "up-crossings", "bound")
    assert "trees, hunt in 5 windows: in the data" in results["summary"][-2]
    page = write_report(tmp_path).read_text()
    assert '<section id="hunt">' in page
    assert (tmp_path / "figures" / "hunt.pdf").exists()
    rows = json.loads((tmp_path / "tables" / "windows.json").read_text())
    assert [row["p_local"] for row in rows] == p
    assert rows[0]["sideband_low_gev"] == 4400
    (row,) = json.loads((tmp_path / "tables" / "hunt.json").read_text())
    assert row["p_global"] == one["data"]["global"]["p"]
    assert len(json.loads((tmp_path / "tables" / "hunt_power.json").read_text())) == 2


def test_without_windows_there_is_no_hunt(plan):
    assert study(**CHANGES).search.windows is None
    assert plan(study(**CHANGES)).searches()[0]._hunt(None) == []


# Findings, from records by hand

SLIDING = sliding((4400, 5800), half_width=200, step=100, sideband=150)


def record(rng, *, strength=0.0, excess=(), width=1.0):
    """Counts about 100 and 10 in each window, with an excess in standard deviations."""
    windows = []
    for w in range(len(SLIDING)):
        cuts, intervals = [], []
        for eps, B in ((0.1, 110.0), (0.01, 10.0)):
            z = dict(excess).get(w, 0.0) + width * rng.normal()
            n = max(0, round(B + B**0.5 * z))
            background = {"value": B, "error": 0.0}
            cuts.append({"eps_b": eps, "n": n, "background": background, "n_template": n})
            intervals.append({"n": n, "background": background})
        intervals[0] = {"n": cuts[0]["n"], "background": {"value": 100.0, "error": 0.0}}
        windows.append({"cuts": cuts, "intervals": intervals, "collapsed": 0, "n_signal": [0, 0]})
    return {"s_over_sqrt_b": strength, "windows": windows}


@pytest.fixture(scope="module")
def hunt():
    rng = np.random.default_rng(1)
    return Hunt([record(rng) for _ in range(120)], SLIDING)


def test_a_window_with_a_signal_is_found(hunt):
    rng = np.random.default_rng(2)
    found = hunt.of_data(record(rng, excess={5: 6.0}))
    assert found["best"]["centre_gev"] == SLIDING[5].centre
    assert found["best"]["p_local"] == found["windows"][5]["p_local"] == min(hunt_p(found))
    assert found["data_sets"]["origin"] == "bound"
    crossing, decided = found["up_crossings"], found["global"]
    assert (decided["origin"], decided["p"]) == ("up-crossings", crossing["p"])
    z = norm.isf(found["best"]["p_local"])
    limit = found["best"]["p_local"] + crossing["mean"] * np.exp(-(z**2 - 0.25) / 2)
    assert crossing["p"] == pytest.approx(limit)
    assert found["best"]["p_local"] < crossing["p"] < 1e-3
    json.dumps(found, allow_nan=False)


def hunt_p(found):
    return [window["p_local"] for window in found["windows"]]


def test_data_sets_without_a_signal_decide_where_they_reach(hunt):
    found = hunt.of_data(record(np.random.default_rng(4)))
    assert found["data_sets"]["origin"] == found["global"]["origin"] == "empirical"
    behind = (hunt.p.min(axis=1) <= found["best"]["p_local"]).sum()
    assert found["global"]["p"] == (1 + behind) / 121


def test_wide_scans_have_a_closure_and_uniform_global_values():
    """Counts that scatter thrice as much as they should; halves calibrate each other."""
    rng = np.random.default_rng(4)
    wide = Hunt([record(rng, width=3.0) for _ in range(120)], SLIDING[:3])
    summary = wide.summary()
    for window, null in zip(summary["windows"], wide.nulls, strict=True):
        assert window["closure"]["0.1"] == pytest.approx(8**0.5 * 110**-0.5, rel=0.3)
        p = [outcome.p_values(null.closure)["shape"] for outcome in null.outcomes]
        assert window["z_local"]["max"] == pytest.approx(norm.isf(min(p)))
    assert summary["global"]["ks_p"] > 0.001
    other = Hunt(wide.records[1::2], wide.windows)
    by_hand = global_p(other.scan(wide.records[4]), other.p).p
    assert summary["global"]["p"][4] == by_hand
    json.dumps(summary, allow_nan=False)


def test_power_of_a_hunt(hunt):
    rng = np.random.default_rng(5)
    sets = [record(rng, strength=s, excess={4: 2 * s}) for s in (1.0, 3.0) for _ in range(5)]
    found = hunt.power([*sets, record(rng)])
    assert found["s_over_sqrt_b"] == [1.0, 3.0]
    low, high = (np.median(z) for z in found["z_global"])
    assert low < 2 < 3 < high
    assert np.median(found["centre_gev"][1]) == SLIDING[4].centre
    assert np.argmax(found["z_local"][1]) == 4
    assert found["origin"][1] == ["up-crossings"]


def test_a_hunt_in_words(hunt):
    data = hunt.of_data(record(np.random.default_rng(2), excess={5: 6.0}))
    null = {"windows": SLIDING, "n_sets": 120, "global": {"ks_p": 0.5}}
    text = sentence("trees", {"null": null, "power": {}, "data": data})
    pattern = (
        r"trees, hunt in 8 windows: in the data the most significant window is at 5250 GeV, "
        r"[\d.]+ sigma local and [\d.]+ sigma global \(p = [\de.-]+, up-crossings\); 120 data sets "
    )
    assert re.match(pattern, text), text


def test_too_few_data_sets():
    with pytest.raises(ValueError, match="expected 20 data sets without a signal; got 1"):
        Hunt([record(np.random.default_rng(1))], SLIDING)


def results_of(hunts):
    head = {"name": "hunt", "title": "Hunt", "config_hash": "0", "created": "now", "samples": {}}
    head |= {"luminosity_fb": 1.0, "benchmark": "none", "summary": [], "failures": []}
    return head | {"versions": {"fivesigma": "0"}, "search": {}, "hunt": hunts}


def test_figures_and_tables_of_hunts_with_a_signal_and_in_data(hunt):
    """One method has been run on the data and another has not."""
    rng = np.random.default_rng(5)
    null = {"n_sets": 120, "global": {"ks_p": 0.5, "z_max": 2.0}}
    null["windows"] = [
        {"centre_gev": w.centre, "z_local": {"low": -1.0, "median": 0.1, "high": 1.0, "max": 2.0}}
        | {"local": {"ks_p": 0.4}}
        for w in SLIDING
    ]
    sets = [record(rng, strength=3.0, excess={4: 6.0}) for _ in range(3)]
    powers = {"ID10": hunt.power(sets)}
    data = hunt.of_data(record(rng, excess={2: 7.0}))
    hunts = {
        "a": {"null": null, "power": powers, "data": data},
        "b": {"null": null, "power": powers},
    }
    for shown in (hunts, {"a": hunts["a"]}, {"b": hunts["b"]}, {"b": hunts["b"] | {"power": {}}}):
        figure = HUNT_FIGURES["hunt"](results_of(shown))
        axes = [axis for axis in figure.axes if axis.get_title()]
        for axis, (name, one) in zip(axes, shown.items(), strict=True):
            assert axis.get_title() == name
            (text,) = [t.get_text() for t in axis.texts]
            assert ("up-crossings)\nsmallest at 4950 GeV" in text) == ("data" in one)
            assert len(lines_of(axis)) == ("data" in one or len(one["power"]))
        if "a" in shown:
            assert np.allclose(lines_of(axes[0])[0], hunt_p(data))
        figure.savefig(io.BytesIO())
    tables = search_tables(results_of(hunts))
    assert [row["p_global"] for row in tables["hunt"]] == [data["global"]["p"], None]
    assert len(tables["windows"]) == 2 * len(SLIDING)
    row = tables["hunt_power"][0]
    assert row["z_global"] == pytest.approx(np.median(powers["ID10"]["z_global"][0]))
    assert row["centre_gev"] == SLIDING[4].centre


def lines_of(axis):
    return [line.get_ydata() for line in axis.lines if line.get_marker() == "o"]
