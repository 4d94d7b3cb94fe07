"""Whole projections of Gaussian processes: command line, resumption, results and report."""

import csv
import json
import re

import numpy as np
import pytest
import scans
import yaml
from commands import call
from weighted import NETWORK, TREES

from fivesigma.projections import ProjectionTask
from fivesigma.report import write_report

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


toys = pytest.fixture(scans.toys)
go = pytest.fixture(scans.go)


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
