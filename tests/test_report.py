"""The figures and the report, from fabricated results."""

import base64
import copy
import csv
import errno
import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fivesigma.plots import FIGURES
from fivesigma.report import load_results, write_report
from fivesigma.series import at_cut, cuts, series, spread

STRENGTHS = (1.0, 2.0, 3.0, 4.0, 5.0, 7.0)
CUTS = {"0.1": 0.1, "0.01": 0.01, "0.001": 0.001}
GRID = np.concatenate([[0], np.geomspace(1e-4, 1, 60)])


def asimov(s, b):
    return float(np.sqrt(2 * ((s + b) * np.log1p(s / b) - s)))


def training(method, label, strength, repeat, rng, *, collapsed=False):
    power = 0.1 if label == "supervised" else 0.12 + 0.88 / (1 + (strength / 2.5) ** 3)
    power = 1.0 if collapsed else min(1.0, power * rng.uniform(0.9, 1.1))
    b, s, epochs = 18922, strength * np.sqrt(18922), int(rng.integers(8, 20))
    loss = 0.69 * (1 - (1 - power) * 0.4 * (1 - np.exp(-np.arange(epochs) / 5)))
    marks = {
        key: {
            "eps_b": e,
            "eps_b_error": 0.1 * e,
            "eps_s": e**power,
            "eps_s_error": 0.01,
            "z_before": asimov(s, b),
            "z_after": asimov(s * e**power, b * e),
            "n_background_behind": int(20000 * e),
            "threshold": 0.7,
        }
        for key, e in CUTS.items()
    }
    return {
        "method": method,
        "label": label,
        "representation": "images-25-logarithmic" if "log" in method else "images-25-linear",
        "s_over_sqrt_b": strength,
        "repeat": repeat,
        "seed": 100 + repeat,
        "auc": 1 / (1 + power),
        "auc_error": 0.004,
        "accuracy": 0.5 + 0.05 / (1 + power),
        "true_accuracy": 1 / (1 + power),
        "n_signal": round(s),
        "n_background": b,
        "n_test_signal": 20000,
        "n_test_background": 20000,
        "collapsed": collapsed,
        "best_epoch": epochs - 3,
        "seconds": 12.5,
        "train_loss": list(loss),
        "validation_loss": list(loss + 0.01 * rng.normal(size=epochs)),
        "roc": {"eps_b": list(GRID), "eps_s": list(GRID**power)},
        "eps_b": marks,
    }


def cutflow(n):
    names = ("all", "n_jets >= 2", "pT > 750 GeV", "|eta| < 2", "4400 < m_jj < 5800 GeV")
    counts = [int(n * f) for f in (1, 0.99, 0.5, 0.3, 0.1)]
    return [
        {
            "cut": cut,
            "count": c,
            "efficiency": c / n,
            "error": float(np.sqrt(c / n * (1 - c / n) / n)),
        }
        for cut, c in zip(names, counts, strict=True)
    ]


def image(width, rng):
    x = (np.arange(25) + 0.5) / 12.5 - 1
    r2 = x[:, None] ** 2 + x[None, :] ** 2
    return (
        300 * np.exp(-np.sqrt(r2) / width) * rng.uniform(0.8, 1.2, r2.shape) * (r2 < 1.2)
    ).tolist()


def fabricated(methods=("CWoLa, linear", "CWoLa, logarithmic"), strengths=STRENGTHS, repeats=6):
    rng = np.random.default_rng(1)
    edges = np.arange(4000, 6501, 50)
    points = []
    for method in methods:
        for strength in strengths:
            for repeat in range(repeats):
                dead = repeat == 0 and strength < 3
                points.append(training(method, "cwola", strength, repeat, rng, collapsed=dead))
            ceiling = method.replace("CWoLa", "supervised")
            points.append(training(ceiling, "supervised", strength, 0, rng))
    reach = {
        method: {
            "0.1": {"value": 2.8142, "low": 2.6053, "high": 3.1271, "status": "measured"},
            "0.01": {"value": 3.4567, "low": 3.1, "high": None, "status": "measured"},
            "0.001": {"value": None, "low": None, "high": None, "status": "above grid"},
        }
        for method in methods
    }
    reach |= {
        method.replace("CWoLa", "supervised"): {
            key: {"value": None, "low": None, "high": None, "status": "below grid"} for key in CUTS
        }
        for method in methods
    }
    samples = {
        process: {
            "hash": f"{process[:2]}c0ffee12",
            "process": name,
            "seed": 7,
            "cross_section_fb": sigma,
            "cross_section_error_fb": sigma / 100,
            "n_generated": 100000,
            "n_kept": 10000,
            "cutflow": cutflow(100000),
        }
        for process, name, sigma in (
            ("signal", "hidden valley, q qbar -> Z' -> dark quarks", 12.3),
            ("background", "QCD dijets", 136000.0),
        )
    }
    falling = 2e5 * np.exp(-(edges[:-1] - 4000) / 500)
    peak = 3000 * np.exp(-(((edges[:-1] - 5000) / 300) ** 2))
    x = np.array(STRENGTHS)
    return {
        "name": "hidden_valley_cwola",
        "title": "Hidden valley: weakly supervised jet images",
        "benchmark": "hidden_valley",
        "config": {"benchmark": "hidden_valley", "seed": 1, "methods": list(methods)},
        "config_hash": "ab12cd34",
        "versions": {"fivesigma": "0.1.0", "pythia8mc": "8.317.2", "torch": "2.13.0"},
        "created": "2025-05-04T12:00:00+00:00",
        "luminosity_fb": 139.0,
        "n_background_signal_region": 18922,
        "regions": {"signal_region": [[4700, 5500]], "sideband": [[4400, 4700], [5500, 5800]]},
        "samples": samples,
        "m_jj": {
            "edges_gev": edges.tolist(),
            "signal": rng.poisson(peak).tolist(),
            "background": rng.poisson(falling / 20).tolist(),
            "signal_scale": 0.05,
            "background_scale": 0.6,
        },
        "average_images": {
            kind: {
                "signal": [image(0.15, rng), image(0.18, rng)],
                "background": [image(0.06, rng), image(0.08, rng)],
            }
            for kind in ("linear", "logarithmic")
        },
        "points": points,
        "reach": reach,
        "published": [
            {
                "label": "published (FY, 25 × 25, mean ± std of 10 trainings)",
                "s_over_sqrt_b": x.tolist(),
                "z_after": {
                    key: {"mean": (x**1.6 * 0.9).tolist(), "std": (0.2 * x).tolist()}
                    for key in CUTS
                },
                "auc": {
                    "s_over_sqrt_b": x.tolist(),
                    "mean": (0.5 + 0.3 * x / 7).tolist(),
                    "std": [0.02] * len(x),
                },
                "reach": {"0.1": 2.98, "0.01": 3.73, "0.001": 4.06},
                "source": "training_results-2.csv, original",
            }
        ],
        "summary": [
            "CWoLa on linear images needs S/√B = 2.81 for five sigma.",
            "The supervised ceiling is below the grid.",
            "Two trainings collapsed.",
        ],
    }


def nothing():
    empty = fabricated(methods=(), repeats=0) | {"points": [], "reach": {}}
    del empty["published"], empty["m_jj"], empty["average_images"]
    return empty


def all_collapsed():
    results = fabricated(methods=("CWoLa, linear",), strengths=(2.0, 4.0), repeats=2)
    for point in results["points"]:
        point |= {"collapsed": True, "auc": None, "roc": None, "train_loss": []}
        for cut in point["eps_b"].values():
            cut |= {"eps_s": None, "z_after": None, "threshold": None}
    return results | {"average_images": {}}


def without_reference():
    results = fabricated(methods=("CWoLa, linear",), strengths=(3.0, 0.0), repeats=2)
    return results | {"published": [], "average_images": {}}


RESULTS = {
    "full": fabricated,
    "one training": lambda: fabricated(
        methods=("CWoLa, linear", "transfer, linear"), strengths=(3.0,), repeats=1
    ),
    "nothing": nothing,
    "all collapsed": all_collapsed,
    "without reference": without_reference,
}


def save(results, folder):
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = save(fabricated(), tmp_path_factory.mktemp("study"))
    return folder, write_report(folder).read_text(encoding="utf-8")


def axes_of(figure):
    return [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("case", [case for case in RESULTS if case != "full"])
def test_every_figure_can_be_drawn_from_every_study(case, name):
    results = RESULTS[case]()
    before = copy.deepcopy(results)
    figure = FIGURES[name](results)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    assert results == before


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_leaves_the_figure(name):
    figure = FIGURES[name](fabricated())
    figure.draw_without_rendering()
    for artist in (
        *figure.legends,
        *(a for axis in figure.axes for a in (axis.title, axis.xaxis.label)),
    ):
        box = artist.get_window_extent()
        assert box.width == 0 or (box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1)
        assert box.height == 0 or (box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1)


def test_axes_carry_units():
    results = fabricated()
    figure = FIGURES["mass_spectrum"](results)
    (axis,) = figure.axes
    n = 0.05 * sum(results["m_jj"]["signal"])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[1:] == [f"signal, {n:,.0f} events", "signal region", "sideband"]
    assert axis.get_xlabel() == "$m_{jj}$ [GeV]"
    assert axis.get_ylabel() == "events / 50 GeV at 139 fb$^{-1}$"
    labels = [axis.get_xlabel() for axis in FIGURES["average_images"](results).axes]
    assert "mean transverse momentum per pixel [GeV]" in labels


def test_significance_draws_medians_of_each_cut():
    results = fabricated(methods=("CWoLa, linear",), strengths=(3.0, 5.0), repeats=6)
    panels = axes_of(FIGURES["significance"](results))
    assert len(panels) == len(CUTS)
    for panel, key in zip(panels, cuts(results), strict=True):
        weak = [p for p in results["points"] if p["label"] == "cwola"]
        expected = [
            np.median([at_cut(p, key, "z_after") for p in weak if p["s_over_sqrt_b"] == s])
            for s in (3.0, 5.0)
        ]
        drawn = [line.get_ydata() for line in panel.lines if len(line.get_xdata()) == 2]
        assert any(np.allclose(y, expected) for y in drawn)


def test_significance_says_how_many_collapsed():
    figure = FIGURES["significance"](fabricated())
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "CWoLa, linear (2 of 36 collapsed)" in texts
    assert "collapsed training" in texts
    assert "central 68 % of trainings" in texts


def test_a_figure_of_few_repeats_says_that_its_band_is_a_range():
    figure = FIGURES["auc"](without_reference())
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "range of trainings" in texts
    assert not any("published" in text for text in texts)


def of_signals(*targets):
    """A study of several signals, whose methods are those of one signal each."""
    results, parts = fabricated(), []
    for target in targets:
        points = copy.deepcopy(results["points"])
        parts += [p | {"target": target, "arm": p["method"]} for p in points]
    for point in parts:
        point["method"] = f"{point['arm']}, {point['target']}"
    rows = results["reach"].items()
    reach = {f"{arm}, {t}": copy.deepcopy(row) for t in targets for arm, row in rows}
    return results | {"points": parts, "reach": reach}


@pytest.mark.parametrize(
    ("name", "panels"), [("significance", 3 * len(CUTS)), ("auc", 3), ("roc_curves", 3 * 3)]
)
def test_each_signal_has_panels_of_its_own(name, panels):
    figure = FIGURES[name](of_signals("ID10", "DD10", "DD50"))
    assert len([axis for axis in figure.axes if axis.axison]) == panels
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sum("CWoLa" in text for text in texts) == 2
    words = [axis.get_title() + axis.get_ylabel() for axis in figure.axes]
    for target in ("ID10", "DD10", "DD50"):
        assert sum(target in text for text in words) == 1


def test_the_reach_is_drawn_for_each_signal_and_method():
    results = of_signals("ID10", "DD10")
    results["reach"]["CWoLa, linear, DD10"]["0.1"]["value"] = 1.25
    results["reach"]["supervised, linear, DD10"]["0.1"] = {"value": 1.5, "status": "measured"}
    panel, *others = FIGURES["reach"](results).axes
    assert len(others) + 1 == len(CUTS)
    assert [label.get_text() for label in panel.get_xticklabels()] == ["ID10", "DD10"]
    drawn = [tuple(line.get_xydata()[0]) for line in panel.lines if line.get_marker() == "o"]
    values = {round(x): y for x, y in drawn}
    assert values == {0: 2.8142, 1: 1.25}
    ceilings = [line.get_ydata()[0] for line in panel.lines if line.get_marker() == "_"]
    assert 1.5 in ceilings
    beyond = [line.get_ydata()[0] for line in others[-1].lines if line.get_marker() == "^"]
    assert beyond == [max(STRENGTHS)] * 4


def test_nine_methods_look_different():
    points = [p for k in range(9) for p in fabricated(methods=(f"CWoLa {k}",), repeats=1)["points"]]
    weak = [one for one in series({"points": points}) if not one.supervised]
    assert len({(one.style["color"], one.style["marker"]) for one in weak}) == 9


def test_colours_belong_to_methods():
    one, other, ceiling, other_ceiling = series(fabricated())
    assert one.style["color"] != other.style["color"]
    assert ceiling.supervised
    assert ceiling.style["color"] == one.style["color"]
    assert other_ceiling.style["color"] == other.style["color"]


def test_ceilings_of_a_shared_representation_are_grey():
    methods = series(RESULTS["one training"]())
    colours = [one.style["color"] for one in methods]
    assert len(set(colours)) == 4
    assert [one.name for one in methods][2:] == [
        "supervised, linear",
        "transfer, linear (supervised)",
    ]


def test_a_ceiling_at_every_strength_is_one_training():
    results = fabricated(methods=("CWoLa, linear",), repeats=1)
    first = next(p for p in results["points"] if p["label"] == "supervised")
    for point in results["points"]:
        if point["label"] == "supervised":
            point |= {"auc": first["auc"], "seed": first["seed"]}
    assert [len(one.runs) for one in series(results)] == [6, 1]


def test_spread_is_the_range_of_few_and_the_central_68_percent_of_many():
    few = spread([3.0, 1.0, 2.0, np.nan])
    assert (few.median, few.low, few.high) == (2, 1, 3)
    many = spread(list(range(101)))
    assert many.median == 50
    assert many.low == pytest.approx(15.865)
    assert many.high == pytest.approx(84.135)
    assert np.isnan(spread([]).median)


def test_a_collapsed_training_counts_as_no_signal():
    (one, _) = series(all_collapsed())
    assert [at_cut(p, "0.01", "z_after") for p in one.points] == [0] * 4
    assert np.isnan(at_cut(one.points[0], "0.01", "threshold"))
    assert np.isnan(at_cut(one.points[0], "0.5", "z_before"))


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


def test_published_numbers_of_a_method_have_its_colour():
    results = fabricated(methods=("CWoLa, linear", "CWoLa, other"), strengths=(3.0, 5.0), repeats=2)
    for point in results["points"]:
        point["arm"] = point["method"]
    (published,) = results["published"]
    results["published"].append(published | {"arm": "CWoLa, other", "label": "theirs"})
    (handles,) = ([*figure.legends[0].legend_handles] for figure in [FIGURES["auc"](results)])
    colours = {h.get_label(): h.get_color() for h in handles if isinstance(h, Line2D)}
    assert colours["theirs"] == colours["CWoLa, other"] != colours["CWoLa, linear"]


@pytest.mark.parametrize("name", ["auc", "significance"])
def test_published_numbers_of_a_signal_are_drawn_beside_it(name):
    results = of_signals("ID10", "DD10")
    (published,) = results["published"]

    def drawn(**of):
        figure = FIGURES[name](results | {"published": [published | of]})
        return [len(axis.collections) for axis in figure.axes[:4]]

    n, each, first = len(CUTS) if name == "significance" else 1, drawn(), drawn(target="ID10")
    assert first[:n] == each[:n]
    assert all(a < b for a, b in zip(first[n:], each[n:], strict=True) if b)


def test_accuracies_are_drawn_once_for_each_training():
    results = fabricated(methods=("CWoLa, linear",), strengths=(3.0, 5.0), repeats=3)
    figure = FIGURES["accuracy"](results)
    drawn = np.concatenate([c.get_offsets() for c in figure.axes[0].collections])
    expected = {(p["accuracy"], p["true_accuracy"]) for p in results["points"]}
    assert {tuple(xy) for xy in drawn.tolist()} == expected


def test_at_one_strength_methods_stand_beside_each_other():
    results = fabricated(strengths=(3.0,), repeats=4)
    numbers = {key: {"mean": [4.0, 8.0], "std": [1.0, 1.0]} for key in cuts(results)}
    other = {"label": "other", "arm": series(results)[0].arm, "s_over_sqrt_b": [2, 4]}
    alone = {key: {"mean": [9.0, 9.0]} for key in cuts(results)}
    results["published"] = [other | {"z_after": numbers}, other | {"z_after": alone}]
    figure = FIGURES["significance"](results)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [one.label for one in series(results)]
    for panel, key in zip(axes_of(figure), cuts(results), strict=True):
        drawn = [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "|"]
        expected = [
            np.median([at_cut(p, key, "z_after") for p in one.points]) for one in series(results)
        ]
        assert np.allclose(drawn, expected)
        theirs = [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "s"]
        assert theirs == [6.0, 9.0]
    assert "3 before the cut" in figure.get_suptitle()
