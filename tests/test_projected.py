"""A whole projection of Gaussian processes: command line, resumption, results, report, errors."""

import csv
import json
import math
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import weighted
import yaml
from commands import call
from distributed import LocalCluster
from weighted import CONTENT, NETWORK, TREES

from fivesigma import cli, store, studies
from fivesigma.benchmarks import BENCHMARKS
from fivesigma.loading import load
from fivesigma.projected import _cutflows, _limited, _processes, cutflow
from fivesigma.projection import Projection
from fivesigma.projection_plan import prepare_projection
from fivesigma.projection_reach import crossing, reaches, told
from fivesigma.projections import ProjectionTask
from fivesigma.report import write_report
from fivesigma.selection import PROBABILITY, CutflowRow
from fivesigma.series import varying
from fivesigma.yields import Slice, weigh

INTERPRET = {"events": 40, "baselines": 4}
EQUAL = {"size": 1, "cross_section": 0}
PUBLISHED = [
    {"source": "Table 1", "numbers": {"trees": {"z_max": [6.0, 0.5], "r_10": [0.25, 0.0]}}},
    {
        "source": "Table 2",
        "train_share": {"background": 0.1},
        "numbers": {"trees": {"area": [1, 0]}},
    },
]
SCAN = {
    "points": ["m1", "m2", "m3"],
    "arms": [TREES, NETWORK | {"weights": EQUAL, "interpret": INTERPRET}],
    "published": PUBLISHED,
}


@pytest.fixture
def toys(monkeypatch, tmp_path):
    """The benchmark, no Pythia, and workers in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(BENCHMARKS, "gaussians", weighted.BENCHMARK)
    monkeypatch.setattr(studies, "LocalCluster", partial(LocalCluster, processes=False))

    def refuse(*_arguments, **_options):
        raise AssertionError("something was generated")

    monkeypatch.setattr(store, "_run", refuse)
    monkeypatch.setenv("FIVESIGMA_STORE", str(tmp_path / "store"))
    return tmp_path


@pytest.fixture
def go(toys, monkeypatch, capsys):
    """Run the study file of a projection with other values; exit code, output, errors."""

    def run(*arguments, write=True, **changes):
        content = CONTENT | changes
        (toys / "study.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        if write:
            weighted.write(Projection.model_validate(content), toys / "store")
        command = ("study", toys / "study.yaml", "--out", toys / "out", "--workers", 1)
        return call(monkeypatch, capsys, *command, *arguments)

    return run


def read(path):
    return json.loads(path.read_text())


@pytest.mark.slow
def test_a_scan_from_file_to_report(go, toys, monkeypatch, capsys):
    """Two methods at three points; nothing is trained twice."""
    code, out, err = go(**SCAN)
    assert code == 0, err
    assert "trees: 5 sigma up to mass = " in out
    assert "12 trainings" in out
    results = read(toys / "out" / "results.json")
    _check_numbers(results)
    _check_report(toys / "out", results)
    records = {path: path.stat().st_mtime_ns for path in (toys / "out" / "records").iterdir()}
    assert len(records) == 12

    def refuse(_task):
        raise AssertionError("something was trained")

    monkeypatch.setattr(ProjectionTask, "run", refuse)
    code, _, err = go(write=False, **SCAN)
    assert code == 0, err
    assert records == {path: path.stat().st_mtime_ns for path in records}
    again = read(toys / "out" / "results.json")
    assert again | {"created": ""} == results | {"created": ""}
    code, _, err = go("--missing", "leave", write=False, **SCAN | {"repeats": 3})
    assert code == 0
    assert err.endswith("fivesigma: 6 of 18 tasks: not run yet\n")
    assert call(monkeypatch, capsys, "report", toys / "out")[0] == 0


def _check_numbers(results):
    projected = results["projection"]
    assert list(projected["methods"]) == ["trees", "network"]
    for by_point in projected["methods"].values():
        assert list(by_point) == ["m1", "m2", "m3"]
        for found in by_point.values():
            assert found["repeats"] == 2
            assert len(found["curves"]["z"]["mean"]) == 200
    assert projected["points"]["m2"] == {"mass": 2.0}
    assert [table["source"] for table in projected["published"]] == ["Table 1"]
    rows = projected["processes"]["m2"]
    assert rows["signal"]["expected"] == pytest.approx(3000 * 2 / 8 * 0.5)
    assert rows["many"]["expected"] == pytest.approx(3000 * 300 * 0.5)
    assert rows["many"]["n_generated"] == 18_000
    assert rows["signal"]["n_effective"] == pytest.approx(rows["signal"]["n_selected"])
    assert rows["many"]["n_effective"] == pytest.approx(8000)  # of 3000 and 6000, of equal sums
    assert list(results["samples"]) == [
        *(f"signal, m{mass}" for mass in (1, 2, 3)),
        *("many, slice 1", "many, slice 2", "few"),
    ]
    one = results["trainings"][0]
    assert (one["method"], one["point"], one["repeat"]) == ("trees", "m1", 0)
    repeats = [t for t in results["trainings"] if (t["method"], t["point"]) == ("trees", "m1")]
    z = projected["methods"]["trees"]["m1"]["numbers"]["z"]
    values = [t["numbers"]["z"] for t in repeats]
    assert z["mean"] == pytest.approx(np.mean(values))
    assert z["std"] == pytest.approx(np.std(values, ddof=1))
    assert 4 < z["mean"] < 14
    flows = projected["cutflows"]
    assert list(flows) == [*(f"signal, m{mass}" for mass in (1, 2, 3)), "many", "few"]
    assert [line["cut"] for line in flows["many"]] == ["generated", "kept"]
    assert [line["cross_section_fb"] for line in flows["many"]] == pytest.approx([300, 150])
    assert rows["many"]["generated_fb"] == pytest.approx(300)
    looked_at = results["interpretations"]
    assert [(one["method"], one["signal"]) for one in looked_at] == [
        ("network", point) for point in ("m1", "m2", "m3")
    ]
    assert sorted(looked_at[0]["ranking"]["names"]) == sorted(projected["features"])
    (reach,) = projected["reach"]["trees"]
    assert 1 < reach["low"] <= reach["value"] <= reach["high"] < 2.5
    assert np.diag(projected["correlations"]["background"]) == pytest.approx([1, 1])


def _check_report(folder, results):
    text = (folder / "report.html").read_text()
    said = ("trees", "Table 1", "5σ up to", "many, slice 2", "<tr><td>kept</td><td>1.000")
    for words in (*said, *results["summary"]):
        assert words in text
    assert "Table 2" not in text.split("Configuration of the projection")[0]
    with (folder / "tables" / "methods.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert (
        float(rows[0]["z"])
        == results["projection"]["methods"]["trees"]["m1"]["numbers"]["z"]["mean"]
    )
    documents = list(yaml.safe_load_all((folder / "hepdata" / "submission.yaml").read_text()))
    assert {"methods", "yields", "thresholds", "correlations", "learning", "reach"} <= {
        document.get("name") for document in documents
    }
    assert len(list((folder / "figures").glob("*.png"))) == 6


@pytest.mark.slow
def test_one_repeat_at_one_point(go, toys):
    """No spread, no scan, no learning curve of trees."""
    given = {"totals": {"source": "a table", "fb": {"few": 20}}, "selected_fb": {"many": 60.0}}
    code, out, err = go(repeats=1, **given)
    assert code == 0, err
    results = read(toys / "out" / "results.json")
    assert results["projection"]["reach"] == {}
    assert list(results["projection"]["points"]) == ["m1"]
    assert results["projection"]["methods"]["trees"]["m1"]["numbers"]["z"]["std"] is None
    assert "m1: Z = " in out
    assert "±" not in out
    results["projection"]["cutflows"]["few"][1]["behind_veto"] = True
    (toys / "out" / "results.json").write_text(json.dumps(results))
    text = write_report(toys / "out").read_text()
    assert "<tr><td>total: a table</td><td>–</td><td>–</td><td>20</td></tr>" in text
    assert re.search(r"<tr><td>generated</td>.*20.0.*<small>†</small></td></tr>", text)
    assert "<tr><td>selected, as given</td><td>–</td><td>60</td><td>–</td></tr>" in text
    assert "what the study gives in their place" in text


REASONS = {
    "threshold": (
        {"shares": {"validation": 0.02}},
        "expected a threshold that leaves enough signal, and background known to 10%",
    ),
    "events": (
        {"train_share": {"background": 1e-4}},
        "expected events of many to train on; got 0 of 3000",
    ),
    "part": (
        {"shares": {"test": 1e-4}},
        "expected events of signal in each part; got 3000 in all",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("changes", "reason"), REASONS.values(), ids=REASONS.keys())
def test_a_task_that_fails_names_method_point_and_reason(changes, reason, go):
    code, _, err = go(repeats=1, **changes)
    assert code == 2
    assert err.splitlines()[-1].startswith(f"fivesigma: trees, m1, repeat 0: {reason}")


# What is wrong is said in one line, before anything is made

BAD = {
    "point": ("points=[m4]", r"points: expected points of \['m1', 'm2', 'm3'\]; got 'm4'"),
    "points": ("points=[m1, m1]", "points: expected points that differ"),
    "point by parameters": (
        "points=[{mass: 2.5, side: left}]",
        "expected parameters of signal: .*",
    ),
    "point twice": ("points=[m1, {mass: 1}]", "points: expected points that differ; got m1 twice"),
    "number as point": ("points=[1]", "points.0"),
    "benchmark": ("benchmark=none", "benchmark: expected one of .*; got 'none'"),
    "no features": ("benchmark=hidden_valley", "benchmark: expected one that keeps named features"),
    "process": ("backgrounds.few.0.process=no", "expected a process of gaussians: .*; got 'no'"),
    "parameter": ("signal.parameters.mas=1", "expected parameters of signal: .*; got mas"),
    "twice": (
        "backgrounds.again=[{process: few, events: 10}]",
        "again: expected events of its own; got those of few",
    ),
    "signal as background": ("backgrounds.signal=[{process: few, events: 9}]", "other names than"),
    "no slice": ("backgrounds.few=[]", "backgrounds.few: list should have at least 1 item"),
    "strategy": ("arms.0.strategy=transfer", "arms.0.strategy: input should be 'direct' or 'boos"),
    "network": ("arms.0.network=mpl", "arms: trees: network: expected one of .*; got 'mpl'"),
    "loss": ("arms.0.options.loss={kind: z}", "trees: options.loss.kind: expected one of .*; got"),
    "option": ("arms.0.options.tree=3", "trees: options: .*'tree'"),
    "weights": ("arms.0.weights=none", "arms.0.weights"),
    "exponent": ("arms.0.weights={size: ln}", "arms.0.weights"),
    "key": ("arms.0.weigths=equal", r"expected a key that exists \(did you mean weights\?\)"),
    "share": ("train_share.background=0", "train_share.background: input should be greater than 0"),
    "split": ("shares.test=0", "shares.test: input should be greater than 0"),
    "selected": ("selected_fb={more: 1}", r"expected some of \['signal', 'many', 'few'\]; got"),
    "selected zero": ("selected_fb.few=0", "selected_fb.few: input should be greater than 0"),
    "total": (
        "totals={source: x, fb: {more: 1}}",
        r"totals.fb: expected some of .*; got \['more'\]",
    ),
    "total zero": ("totals={source: x, fb: {few: 0}}", "totals.fb.few: input should be greater"),
    "spread": ("spread=0", "spread: input should be greater than 0"),
    "luminosity": ("luminosity_fb=-1", "luminosity_fb: input should be greater than 0"),
    "published": (
        "published=[{source: x, numbers: {tres: {}}}]",
        r"published: expected arms of \['trees'\]; got \['tres'\]",
    ),
    "column": ("published=[{source: x, numbers: {trees: {z_0.4: [1, 1]}}}]", "published.0.numbers"),
}


@pytest.mark.parametrize(("override", "message"), BAD.values(), ids=BAD.keys())
def test_bad_values(override, message, go, toys):
    code, out, err = go("--set", override, write=False)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert re.search(message, err), err
    assert not (toys / "store").exists()


def test_a_point_that_sets_what_the_signal_sets_is_refused(go):
    signal = {"process": "signal", "events": 10, "parameters": {"mass": 1.0}}
    for point in ("m2", {"mass": 2}):
        code, out, err = go(signal=signal, points=[point], write=False)
        assert (code, out) == (2, "")
        assert err == (
            "fivesigma: signal.parameters: expected none that points set; got mass in both\n"
        )


def spoil(process, columns):
    if process == "few":
        columns["h_t"][7] = math.nan
    return columns


def test_a_feature_that_is_not_a_number_names_its_process(go, toys):
    weighted.write(weighted.projection(), toys / "store", spoil=spoil)
    code, _, err = go(write=False)
    assert code == 2
    message = err.splitlines()[-1]
    assert message == "fivesigma: few: expected finite h_t; got 6 of 3000 events that are not"


def test_a_search_is_no_projection(toys, monkeypatch, capsys):
    (toys / "study.yaml").write_text(yaml.safe_dump(CONTENT))
    assert isinstance(load(toys / "study.yaml"), Projection)
    monkeypatch.setattr(sys, "argv", ["fivesigma", "search", str(toys / "study.yaml")])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert "search: expected how to search" in capsys.readouterr().err


# Cross sections


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
