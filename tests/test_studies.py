"""The grid of trainings, one training's numbers, the results, and a tiny study through Pythia."""

import json
import math
import resource
from dataclasses import replace
from pathlib import Path

import fabricated
import numpy as np
import pytest
from scipy.stats import norm

from fivesigma import studies
from fivesigma.benchmarks import BENCHMARKS
from fivesigma.configuration import Arm, Study
from fivesigma.report import write_report
from fivesigma.representations import JetImages
from fivesigma.results import assemble, save
from fivesigma.statistics import asimov
from fivesigma.studies import Run, n_background, represent, run, tasks, write_json
from fivesigma.tasks import Task, check, evaluate, settings, train

VALLEY = BENCHMARKS["hidden_valley"]
IMAGES = {"kind": "images", "pixels": 8, "intensity": "logarithmic"}
TRAINING = {"learning_rate": 1e-3, "batch_size": 64, "max_epochs": 1}
CWOLA = Arm(name="CWoLa", label="cwola", representation=IMAGES, training=TRAINING)
SUPERVISED = Arm(name="supervised", label="supervised", representation=IMAGES, training=TRAINING)
STUDY = Study.model_validate(
    {
        "name": "tiny",
        "title": "Tiny",
        "benchmark": "hidden_valley",
        "luminosity_fb": 0.5,
        "signal": {"process": "signal", "events": 300},
        "background": {"process": "qcd", "events": 600},
        "held_out": {"signal": 50, "background": 60},
        "grid": {"s_over_sqrt_b": [0, 5], "repeats": 2, "eps_b": [0.1, 0.05]},
        "arms": [CWOLA, SUPERVISED],
    }
)
TASK = Task(
    arm=CWOLA,
    repeat=0,
    strengths=(5.0,),
    seed=1,
    n_background=10_000,
    held_out=(50, 60),
    eps_b=(0.1, 0.01),
    pools=(Path("/store/aaaa/images-8"), Path("/store/bbbb/images-8")),
)


def arm(**changes):
    return Arm.model_validate(CWOLA.model_dump() | changes)


OTHER = {
    "arm's name": replace(TASK, arm=arm(name="other")),
    "label": replace(TASK, arm=arm(label="supervised")),
    "network": replace(TASK, arm=arm(network="other")),
    "representation": replace(TASK, arm=arm(representation=IMAGES | {"pixels": 9})),
    "training": replace(TASK, arm=arm(training=TRAINING | {"max_epochs": 2})),
    "repeat": replace(TASK, repeat=1),
    "strength": replace(TASK, strengths=(4.0,)),
    "strengths": replace(TASK, strengths=(5.0, 6.0)),
    "seed": replace(TASK, seed=2),
    "background": replace(TASK, n_background=9_999),
    "held out": replace(TASK, held_out=(50, 61)),
    "cuts": replace(TASK, eps_b=(0.1,)),
    "signal": replace(TASK, pools=(Path("/store/cccc/images-8"), TASK.pools[1])),
    "background's images": replace(TASK, pools=(TASK.pools[0], Path("/store/bbbb/images-9"))),
}
FOLDERS = {
    (role, check(CWOLA).name): Path(f"/store/{role}/images") for role in ("signal", "background")
}


def silent(*_):
    pass


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fabricated")
    return {
        "signal": fabricated.sample(folder / "signal", 300, width=0.3, seed=1),
        "background": fabricated.sample(folder / "background", 600, width=0.1, seed=2),
    }


@pytest.fixture(scope="module")
def folders(samples):
    images = check(CWOLA)
    return {
        (role, images.name): represent(sample, images, VALLEY, silent)
        for role, sample in samples.items()
    }


# The grid


def test_tasks_in_order():
    wanted = list(tasks(STUDY, VALLEY, FOLDERS))
    assert [(t.repeat, t.arm.name, t.strengths) for t in wanted] == [
        (repeat, name, strengths)
        for repeat in (0, 1)
        for name, strengths in (
            ("CWoLa", (0.0,)),
            ("CWoLa", (5.0,)),
            ("supervised", (0.0, 5.0)),
        )
    ]
    assert len({task.hash for task in wanted}) == len(wanted)
    assert {task.seed for task in wanted} == {1}
    assert {task.n_background for task in wanted} == {68}
    assert {task.pools for task in wanted} == {(*FOLDERS.values(),)}


def test_background_at_a_luminosity():
    assert n_background(STUDY, VALLEY) == round(0.5 * 136.13)
    everything = STUDY.model_copy(update={"luminosity_fb": None})
    assert n_background(everything, VALLEY) == VALLEY.n_background == 18922


@pytest.mark.parametrize("other", OTHER.values(), ids=OTHER.keys())
def test_everything_that_decides_a_training_is_in_its_hash(other):
    assert other.hash != TASK.hash


def test_hashes():
    assert len({task.hash for task in OTHER.values()}) == len(OTHER)
    assert TASK.hash == replace(TASK).hash
    moved = tuple(Path("/elsewhere") / path.relative_to("/") for path in TASK.pools)
    assert replace(TASK, pools=moved).hash == TASK.hash


def test_settings():
    made = settings(CWOLA)
    assert (made.learning_rate, made.batch_size, made.max_epochs) == (1e-3, 64, 1)
    assert settings(arm(training={"learning_rate": 1})).learning_rate == 1
    for bad in ({"epochs": 1}, {"max_epochs": "x"}, {"batch_size": 1.5}, {"precision": 5}):
        with pytest.raises(ValueError, match="arms: CWoLa: training"):
            settings(arm(training=bad))


# The numbers of one training


@pytest.fixture(scope="module")
def gaussians():
    """Scores of signal about 1 and background about 0, both of width 1."""
    rng = np.random.default_rng(1)
    n = 40_000
    return rng.normal(np.repeat([1.0, 0.0], n)), np.repeat([1, 0], n)


def test_two_gaussians(gaussians):
    found = evaluate(TASK, *gaussians)
    assert abs(found["auc"] - norm.cdf(1 / math.sqrt(2))) < 4 * found["auc_error"]
    assert (found["n_test_signal"], found["n_test_background"]) == (40_000, 40_000)
    assert not found["collapsed"]
    (point,) = found["points"]
    assert (point["s_over_sqrt_b"], point["n_signal"], point["n_background"]) == (5, 500, 10_000)
    assert list(point["eps_b"]) == ["0.1", "0.01"]
    for eps, cut in ((float(name), cut) for name, cut in point["eps_b"].items()):
        eps_s = norm.sf(norm.isf(eps) - 1)
        slope = norm.pdf(norm.isf(eps) - 1) / norm.pdf(norm.isf(eps))
        error = math.hypot(cut["eps_s_error"], slope * cut["eps_b_error"])
        assert abs(cut["eps_s"] - eps_s) < 4 * error
        assert cut["z_before"] == pytest.approx(asimov(500, 10_000))
        assert cut["z_after"] == pytest.approx(
            asimov(500 * eps_s, 10_000 * eps), rel=4 * error / eps_s
        )
        assert cut["n_background_behind"] == pytest.approx(40_000 * eps, abs=1)


def test_no_signal_no_significance(gaussians):
    (point,) = evaluate(replace(TASK, strengths=(0.0,)), *gaussians)["points"]
    assert point["n_signal"] == 0
    for cut in point["eps_b"].values():
        assert (cut["z_before"], cut["z_after"]) == (0, 0)


def test_one_training_at_several_strengths(gaussians):
    task = replace(TASK, arm=SUPERVISED, strengths=(0.0, 2.0, 5.0))
    points = evaluate(task, *gaussians)["points"]
    assert [point["s_over_sqrt_b"] for point in points] == [0, 2, 5]
    assert [point["n_signal"] for point in points] == [0, 200, 500]
    assert len({point["eps_b"]["0.1"]["eps_s"] for point in points}) == 1
    z = [point["eps_b"]["0.1"]["z_after"] for point in points]
    assert z[0] == 0 < z[1] < z[2]
    alone = evaluate(replace(task, strengths=(2.0,)), *gaussians)["points"]
    assert alone == points[1:2]


def test_constant_scores():
    truth = np.repeat([1, 0], 1000)
    found = evaluate(TASK, np.full(2000, 0.5), truth)
    assert found["collapsed"]
    assert found["auc"] == 0.5
    assert found["points"][0]["eps_b"]["0.1"]["eps_s"] == pytest.approx(0.1)


# Represented events


def test_represented_events(samples, folders):
    for role, sample in samples.items():
        folder = folders[role, check(CWOLA).name]
        counts = {row.cut: row.count for row in sample.cutflow}
        for name in studies.REGIONS:
            x = np.load(folder / f"{name}.npy")
            assert x.shape == (counts[name], 2, 8, 8)
            assert x.dtype == np.float32
            assert np.all(x.sum((1, 2, 3)) > 0)
        assert sorted(path.name for path in folder.iterdir()) == [
            "sideband.npy",
            "signal_region.npy",
        ]


def test_represented_events_are_those_of_the_region(samples, folders):
    parts = list(samples["signal"].batches())
    images = JetImages(pixels=8, intensity="logarithmic")
    mass = [np.asarray(part.m_jj) for part in parts]
    expected = [
        images(part.jets[(m >= 4700) & (m < 5500)]) for part, m in zip(parts, mass, strict=True)
    ]
    x = np.load(folders["signal", images.name] / "signal_region.npy")
    assert np.array_equal(x, np.concatenate(expected))


def test_represented_events_are_kept(samples, folders, monkeypatch):
    images = check(CWOLA)
    monkeypatch.setattr(JetImages, "__call__", None)
    again = represent(samples["signal"], images, VALLEY, silent)
    assert again == folders["signal", images.name]


@pytest.fixture
def full_disk():
    """No file of this process may be larger than 20 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_nothing(tmp_path, request):
    sample = fabricated.sample(tmp_path / "sample", 600)
    request.getfixturevalue("full_disk")
    with pytest.raises(OSError, match="File too large"):
        represent(sample, check(CWOLA), VALLEY, silent)
    assert list((tmp_path / "sample" / f"{check(CWOLA).name}-2").iterdir()) == []
    with pytest.raises(OSError, match="File too large"):
        write_json(tmp_path / "x.json", ["text"] * 10_000)
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_masses_that_round_into_a_region(tmp_path):
    """A cutflow is counted before m_jj is rounded; its counts may differ from those on disk."""
    sample = fabricated.sample(tmp_path / "sample", 100)
    flow = [[cut, count + (cut == "sideband")] for cut, count in sample.records[0]["cutflow"]]
    moved = replace(sample, records=(sample.records[0] | {"cutflow": flow}, sample.records[1]))
    folder = represent(moved, check(CWOLA), VALLEY, silent)
    for name in studies.REGIONS:
        x = np.load(folder / f"{name}.npy")
        assert np.all(x.sum((1, 2, 3)) > 0)


# One training


@pytest.mark.slow
def test_one_training(folders):
    small = replace(
        TASK, n_background=68, eps_b=(0.1,), pools=tuple(folders.values()), strengths=(5.0,)
    )
    record = train(small)
    assert record["hash"] == small.hash
    assert record["n_train"]["signal_region"] == 68 + round(5 * 68**0.5)
    assert record["n_train"]["other"] > 0
    assert (record["n_test_signal"], record["n_test_background"]) == (50, 60)
    assert record["epochs"] == len(record["train_loss"]) == 1
    again = train(small) | {"seconds": record["seconds"]}
    assert json.dumps(again) == json.dumps(record)
    pair = train(replace(small, arm=arm(name="pair")))
    assert pair["seed"] == record["seed"]
    ceiling = train(replace(small, arm=SUPERVISED, strengths=(0.0, 5.0)))
    assert ceiling["n_train"] == {"signal_region": 68, "other": 68}
    assert len(ceiling["points"]) == 2
    assert ceiling["auc"] > 0.5


# Results


def fabricated_run(study, samples, folders):
    rng = np.random.default_rng(1)
    records = []
    for task in tasks(study, VALLEY, folders):
        truth = np.repeat([1, 0], 400)
        scores = rng.normal(2.0 * truth)
        learning = {
            "seed": 5,
            "n_train": {"signal_region": 100, "other": 100},
            "best_epoch": 1,
            "epochs": 3,
            "seconds": 1.5,
            "precision": "float32",
            "train_loss": [0.69, 0.6, 0.5],
            "validation_loss": [0.69, 0.65, 0.66],
        }
        records.append(
            {"task": task, "hash": task.hash, **evaluate(task, scores, truth), **learning}
        )
    return Run(study, VALLEY, samples, tuple(records))


def regrid(**changes):
    return STUDY.model_copy(update={"grid": STUDY.grid.model_copy(update=changes)})


@pytest.fixture
def made(samples, folders):
    return fabricated_run(STUDY, samples, folders)


def no_constant(text):
    raise AssertionError(f"{text} is no JSON")


def read(path):
    return json.loads(path.read_text(), parse_constant=no_constant)


def test_results(made, tmp_path):
    path = save(made, tmp_path)
    results = read(path)
    assert path == tmp_path / "results.json"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.yaml", "results.json"]
    points = results["points"]
    key = [(p["method"], p["s_over_sqrt_b"], p["repeat"]) for p in points]
    assert sorted(key) == [
        (m, s, r) for m in ("CWoLa", "supervised") for s in (0, 5) for r in (0, 1)
    ]
    for point in points:
        assert 0.5 < point["auc"] < 1
        assert list(point["eps_b"]) == ["0.1", "0.05"]
        for cut in point["eps_b"].values():
            assert cut.keys() >= {"eps_s", "z_before", "z_after", "n_background_behind"}
    assert results["n_background_signal_region"] == 68
    assert results["luminosity_fb"] == 0.5
    assert results["config"] == STUDY.model_dump(mode="json")
    assert results["regions"]["signal_region"] == [[4700, 5500]]
    assert {role: s["n_generated"] for role, s in results["samples"].items()} == {
        "signal": 300,
        "background": 600,
    }
    assert {"fivesigma", "generator", "torch"} <= results["versions"].keys()


def test_spectrum(made):
    spectrum = assemble(made)["m_jj"]
    edges = np.array(spectrum["edges_gev"])
    inside = (edges[:-1] >= 4700) & (edges[1:] <= 5500)
    assert inside.sum() == 8
    background, signal = (np.array(spectrum[role]) for role in ("background", "signal"))
    assert background.sum() == 600  # all within the edges
    assert background[inside].sum() * spectrum["background_scale"] == pytest.approx(68)
    assert signal[inside].sum() * spectrum["signal_scale"] == pytest.approx(5 * 68**0.5)


def test_average_images(made, folders):
    (kind, images), *others = assemble(made)["average_images"].items()
    assert (kind, others) == ("logarithmic", [])
    x = np.load(folders["signal", check(CWOLA).name] / "signal_region.npy")
    assert np.array(images["signal"]) == pytest.approx(x.mean(0))


def test_several_repeats_have_an_interval(made):
    reach = assemble(made)["reach"]
    assert list(reach) == ["CWoLa", "supervised"]
    for row in reach.values():
        assert list(row) == ["0.1", "0.05"]
        for entry in row.values():
            assert entry.keys() == {"value", "low", "high", "status"}


def test_one_repeat_has_no_interval(samples, folders):
    results = assemble(fabricated_run(regrid(repeats=1), samples, folders))
    entries = [entry for row in results["reach"].values() for entry in row.values()]
    assert {"measured"} == {entry["status"] for entry in entries}
    for entry in entries:
        assert entry.keys() == {"value", "status"}
    assert any("one data set, no interval" in sentence for sentence in results["summary"])


@pytest.mark.parametrize(
    ("grid", "status", "value"), [([0, 0.1], "above grid", None), ([20, 30], "below grid", 20)]
)
def test_a_reach_off_the_grid(grid, status, value, samples, folders, tmp_path):
    """No number of a report is infinite."""
    off = fabricated_run(regrid(s_over_sqrt_b=grid), samples, folders)
    results = read(save(off, tmp_path))
    entry = results["reach"]["CWoLa"]["0.1"]
    assert entry["status"] == status
    assert entry["value"] in (value, None)
    assert all("inf" not in sentence for sentence in results["summary"])
    write_report(tmp_path)


@pytest.mark.parametrize("repeats", [1, 2])
def test_a_report_of_the_results(repeats, samples, folders, tmp_path):
    save(fabricated_run(regrid(repeats=repeats), samples, folders), tmp_path)
    page = write_report(tmp_path)
    assert page == tmp_path / "report.html"
    text = page.read_text()
    assert "CWoLa" in text
    assert STUDY.title in text


def test_nothing_half_written(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert read(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


# A tiny study through Pythia

THROUGH_PYTHIA = Study.model_validate(
    STUDY.model_dump()
    | {
        "signal": {"process": "signal", "events": 1000, "parameters": {"multiparton": "off"}},
        "background": {
            "process": "qcd",
            "events": 1000,
            "parameters": {"mass_min": 4400.0, "multiparton": "off"},
        },
        "held_out": {"signal": 100, "background": 60},
        "grid": {"s_over_sqrt_b": [0, 5], "repeats": 1, "eps_b": [0.1]},
        "luminosity_fb": 0.45,
    }
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folders of the study and of its samples, and what was told on the way."""
    folder, steps = tmp_path_factory.mktemp("study"), []
    out, store = folder / "out", folder / "store"
    made = go(out, store, lambda *step: steps.append(step))
    save(made, out)
    write_report(out)
    return out, store, made, steps


def go(out, store, report=silent):
    return run(THROUGH_PYTHIA, out=out, store=store, workers=1, report=report)


def numbers(made):
    return {r["hash"]: (r["auc"], r["seed"], json.dumps(r["points"])) for r in made.records}


def times(folder, pattern):
    return {path: path.stat().st_mtime_ns for path in folder.rglob(pattern)}


@pytest.mark.slow
def test_a_study(done):
    out, store, made, steps = done
    assert (out / "report.html").stat().st_size > 10_000
    results = read(out / "results.json")
    assert len(results["points"]) == 4
    assert results["samples"]["background"]["n_generated"] == 1000
    assert {p.stem for p in (out / "records").iterdir()} == {r["hash"] for r in made.records}
    assert len(made.records) == 3
    assert len(list(store.rglob("shard-*.parquet"))) == 2
    assert list(out.rglob("*.tmp")) + list(store.rglob("*.tmp")) == []
    stages = dict.fromkeys(step[0] for step in steps)
    assert list(stages) == [
        "generate signal",
        "generate background",
        f"represent {check(CWOLA).name}",
        "train",
    ]
    assert steps[-1] == ("train", 3, 3, "")


@pytest.mark.slow
def test_a_second_run_trains_nothing(done, monkeypatch):
    out, store, made, _ = done
    monkeypatch.setattr(studies, "LocalCluster", None)
    monkeypatch.setattr(studies, "Client", None)
    files = times(store, "*.parquet") | times(store, "*.npy") | times(out / "records", "*")
    steps = []
    again = go(out, store, lambda *step: steps.append(step))
    assert numbers(again) == numbers(made)
    assert files == times(store, "*.parquet") | times(store, "*.npy") | times(out / "records", "*")
    assert steps == [
        ("generate signal", 1, 1, ""),
        ("generate background", 1, 1, ""),
        ("train", 3, 3, ""),
    ]


@pytest.mark.slow
def test_a_lost_record_is_made_again_and_no_other(done):
    out, store, made, _ = done
    lost, broken, kept = sorted((out / "records").iterdir())
    before = numbers(made)
    lost.unlink()
    broken.write_text(broken.read_text()[:100])
    time = kept.stat().st_mtime_ns
    again = go(out, store)
    assert numbers(again) == before
    assert kept.stat().st_mtime_ns == time
    assert all(read(path)["hash"] == path.stem for path in (lost, broken, kept))
