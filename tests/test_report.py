"""The report and its tables, from fabricated results."""

import base64
import csv
import errno
import json
import re
from pathlib import Path

import numpy as np
import pytest
from fabricated_results import RESULTS, fabricated, nothing, save

from fivesigma.plots import FIGURES
from fivesigma.report import load_results, write_report


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = save(fabricated(), tmp_path_factory.mktemp("study"))
    return folder, write_report(folder).read_text(encoding="utf-8")


def test_report_holds_the_numbers_of_results(full):
    _, html = full
    for text in ("2.81", "2.61 – 3.13", "3.46", "3.10 – &gt; 7", "&gt; 7", "&lt; 1", "18,922"):
        assert text in html
    for text in ("ab12cd34", "sic0ffee12", "bac0ffee12", "8.317.2", "2025-05-04", "12.30 ± 0.12"):
        assert text in html
    assert "published (FY, 25 × 25, mean ± std of 10 trainings)" in html
    assert "2.98" in html
    assert "n_jets &gt;= 2" in html
    assert "0.99000 ± 0.00031" in html
    for sentence in fabricated()["summary"]:
        assert sentence in html


def test_report_is_self_contained(full):
    folder, html = full
    assert html.count('src="data:image/png;base64,') == html.count("<img") == len(FIGURES)
    assert not re.search(r"https?://", html)
    assert not re.search(r"<(script|link|iframe)\b", html)
    for name in FIGURES:
        png = (folder / "figures" / f"{name}.png").read_bytes()
        assert base64.b64encode(png).decode() in html
        assert (folder / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_report_leaves_no_partial_files(full):
    folder, _ = full
    assert not [path for path in folder.rglob(".*")]


def test_tables_are_the_same_as_csv_and_json(full):
    folder, _ = full
    tables = {path.stem for path in (folder / "tables").glob("*.csv")}
    assert tables == {"reach", "working_points", "trainings", "spread", "cutflow", "importance"}
    for name in tables:
        rows = json.loads((folder / "tables" / f"{name}.json").read_text(encoding="utf-8"))
        with (folder / "tables" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        assert len(rows) == len(lines) > 0 or name in ("spread", "importance")
        for row, line in zip(rows, lines, strict=True):
            assert {k: "" if v is None else str(v) for k, v in row.items()} == line


def test_working_points_are_medians(full):
    folder, _ = full
    rows = json.loads((folder / "tables" / "working_points.json").read_text(encoding="utf-8"))
    row = next(r for r in rows if r["s_over_sqrt_b"] == 5 and r["eps_b"] == 0.01)
    points = [
        p
        for p in fabricated()["points"]
        if p["method"] == row["method"] and p["s_over_sqrt_b"] == 5
    ]
    assert row["trainings"] == len(points) == 6
    z = [p["eps_b"]["0.01"]["z_after"] for p in points]
    assert row["z_after_median"] == pytest.approx(np.median(z))
    assert min(z) <= row["z_after_low"] <= row["z_after_median"] <= row["z_after_high"] <= max(z)
    assert row["n_background_behind"] == 200


@pytest.mark.parametrize("case", ["nothing", "all collapsed"])
def test_odd_studies_give_a_report(case, tmp_path):
    html = write_report(save(RESULTS[case](), tmp_path)).read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == len(FIGURES)
    assert ("No trainings" in html) == (case == "nothing")
    assert "nan" not in re.sub(r"base64,[^\"]*", "", html).lower().replace("provenance", "")


def test_a_report_can_be_written_again(tmp_path):
    first = write_report(save(nothing(), tmp_path)).read_bytes()
    assert write_report(tmp_path).read_bytes() == first


def test_a_full_disk_is_told_with_the_path_and_leaves_nothing(tmp_path, monkeypatch):
    def write(path, _content):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(OSError, match=r"No space left on device: '.*/tables/[a-z_]+\.csv'"):
        write_report(save(nothing(), tmp_path))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["results.json"]


def test_text_of_users_is_escaped(tmp_path):
    results = nothing() | {"title": "<script>alert(1)</script>"}
    assert "<script>" not in write_report(save(results, tmp_path)).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no readable"),
        ("{", "expected JSON"),
        ("[]", "expected a mapping"),
        ('{"name": "x"}', "expected the key 'title'"),
        (json.dumps(nothing() | {"points": 3}), "list of trainings"),
        (
            json.dumps(nothing() | {"points": [{"method": "x"}]}),
            r"expected the key 'label' in points\[0\]",
        ),
        (json.dumps(nothing() | {"samples": {"signal": {}}}), "samples.signal"),
        (json.dumps(nothing() | {"samples": []}), r"expected a mapping in samples of .*; got list"),
        (json.dumps(fabricated() | {"points": []}), r"points of 'CWoLa, linear', .*; got none"),
        (json.dumps(nothing() | {"reach": [3]}), r"expected a mapping in reach of .*; got list"),
    ],
)
def test_bad_results_are_one_line(content, message, tmp_path):
    if content is not None:
        (tmp_path / "results.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as error:
        load_results(tmp_path)
    assert "\n" not in str(error.value)
    assert not (Path(tmp_path) / "report.html").exists()


def test_spread_between_data_sets_and_seeds(tmp_path):
    """Two data sets of means 2 and 6, each with trainings 1 above and below."""
    results = fabricated(methods=("CWoLa, linear",), strengths=(3.0,), repeats=4)
    own = [point for point in results["points"] if point["label"] == "cwola"]
    for i, point in enumerate(own):
        point |= {"repeat": i // 2, "restart": i % 2, "collapsed": False}
        point["eps_b"]["0.01"]["z_after"] = (1.0, 3.0, 5.0, 7.0)[i]
    write_report(save(results, tmp_path))
    rows = json.loads((tmp_path / "tables" / "spread.json").read_text())
    row = next(row for row in rows if row["eps_b"] == 0.01)
    assert (row["data_sets"], row["trainings"], row["z_after_mean"]) == (2, 4, 4.0)
    assert row["z_after_within"] == pytest.approx(2**0.5)
    assert row["z_after_between"] == pytest.approx((8 - 2 / 2) ** 0.5)
    assert 'id="spread"' in (tmp_path / "report.html").read_text()
