"""A whole projection of Gaussian processes: command line, resumption, results, report, errors."""

import csv
import json
import math
import re
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import weighted
import yaml
from distributed import LocalCluster
from test_cli import call
from weighted import CONTENT, NETWORK, TREES

from fivesigma import cli, store, studies
from fivesigma.benchmarks import BENCHMARKS
from fivesigma.loading import load
from fivesigma.projected import crossing, cutflow
from fivesigma.projection import Projection
from fivesigma.projection_plan import prepare_projection
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
    assert [line["cut"] for line in flows["many"]] == ["all", "kept"]
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
    code, out, err = go(repeats=1)
    assert code == 0, err
    results = read(toys / "out" / "results.json")
    assert results["projection"]["reach"] == {}
    assert list(results["projection"]["points"]) == ["m1"]
    assert results["projection"]["methods"]["trees"]["m1"]["numbers"]["z"]["std"] is None
    assert "m1: Z = " in out
    assert "±" not in out
    write_report(toys / "out")


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
    assert (first["cut"], second["cut"]) == ("all", "C1")
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


# The reach


def test_the_reach_of_an_exponential_is_exact():
    x = np.array([1.0, 2.0, 4.0, 7.0])
    assert crossing(x, 40 * np.exp(-0.8 * x)) == pytest.approx(np.log(8) / 0.8)
    assert crossing(x, 40 * np.exp(-0.8 * x) + 5) == math.inf
    assert crossing(x, np.exp(-x)) == -math.inf
    assert crossing(x, [10, 5, 4.999, 1]) == pytest.approx(2, abs=1e-3)
    assert 2 < crossing(x, [10, 6, 0, 0]) < 4


def test_what_is_scanned():
    points = {
        f"{a}-{b}": {"a": a, "b": b, "c": 3, "word": str(a)} for a in (1, 2) for b in (5, 6, 7)
    }
    assert varying(points) == ["b", "a"]
    assert varying({"one": {"a": 1}}) == []
    assert varying({}) == []
