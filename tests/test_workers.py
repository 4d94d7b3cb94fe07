"""Studies and searches whose workers are killed, or that are interrupted: nothing is lost."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import dask
import pytest
import yaml
from commands import call
from distributed import Client, LocalCluster
from fabricated import CWOLA, arm, silent, study
from fabricated_searches import CHANGES, TREES
from fabricated_studies import IN_PROCESS, times
from fatal import Fatal

from fivesigma import cli, studies
from fivesigma.studies import run

TREES = arm(TREES, options={"members": 1, "max_iter": 40})
WANTED = {
    "train": study(
        arms=[arm(training=CWOLA.training | {"max_epochs": 3})],
        grid={"s_over_sqrt_b": [0, 5], "repeats": 4, "eps_b": [0.1]},
    ),
    "search": study(
        **CHANGES | {"arms": [TREES], "search": {"folds": 2, "null_sets": 40, "sets_per_task": 4}}
    ),
}


@pytest.fixture(scope="module")
def cluster():
    """Three processes, and their scheduler as a site would provide one."""
    with (
        dask.config.set(studies.WORKERS),
        LocalCluster(
            n_workers=3,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as made,
    ):
        yield made


@pytest.fixture
def fatal(tmp_path, cluster):
    """Kills a worker in the run of that name."""
    made = Fatal(tmp_path, tmp_path / "killed" / "records")
    with Client(cluster) as client:
        client.register_plugin(made)
        yield made
        client.unregister_worker_plugin(made.name)


def results(made):
    """All but how long it took."""
    return {
        r["hash"]: r["sets"]
        if "sets" in r
        else [(t["auc"], t["seed"], t["points"]) for t in r["trainings"]]
        for r in made.records
    }


@pytest.fixture
def go(monkeypatch, samples, tmp_path):
    """Do what is wanted with fabricated events, in this process if there is no scheduler."""
    monkeypatch.setattr(studies, "prepare", lambda *_, **__: samples)
    monkeypatch.setattr(studies, "LocalCluster", IN_PROCESS)

    def of(name, stage, scheduler=None):
        options = {"store": tmp_path / "store", "workers": 1, "scheduler": scheduler}
        return run(WANTED[stage], out=tmp_path / name, report=silent, **options)

    return of


@pytest.mark.slow
@pytest.mark.parametrize("stage", WANTED)
def test_a_worker_that_is_killed(stage, go, fatal, cluster):
    """All tasks are done in the end, those that were done once only, and nothing is different."""
    made, expected = go("killed", stage, cluster.scheduler_address), go("undisturbed", stage)
    assert made.failures == ()
    assert results(made) == results(expected)
    records = {p.stem: json.loads(p.read_text()) for p in fatal.records.iterdir()}
    assert {name: one["hash"] for name, one in records.items()} == {r: r for r in results(expected)}
    begun, killed = fatal.begun(), fatal.killed()
    times = Counter(task for task, _ in begun)
    again = {task for task, n in times.items() if n > 1}
    assert killed["task"] in again
    assert again <= {task for task, pid in begun if pid == killed["pid"]} - {*killed["done"]}
    assert len(again) <= 2, "the one in hand, and one of which the result was on its way"
    assert set(times.values()) == {1, 2}
    assert set(times) == set(records)


# Interrupted

# A shell has what it runs in the background ignore interrupts.
COMMAND = """
import signal
from pathlib import Path
from fabricated import samples
from fivesigma import cli, studies
signal.signal(signal.SIGINT, signal.default_int_handler)
made = samples(Path.cwd())
studies.prepare = lambda *_, **__: made
cli.main()
"""


@pytest.fixture
def options(tmp_path):
    """Of a search, but for its folder."""
    file = tmp_path / "search.yaml"
    file.write_text(yaml.safe_dump(WANTED["search"].model_dump(mode="json")))
    return ["search", file, "--store", tmp_path / "store", "--workers", "2"]


@pytest.fixture
def search(options, go, monkeypatch, capsys):
    """Do the search of the command line in this process, without a page; gives what it finds."""
    monkeypatch.setattr(cli, "write_report", lambda out: out / "report.html")

    def of(out):
        code, _, err = call(monkeypatch, capsys, *options, "--out", out)
        assert code == 0, err
        return json.loads((out / "results.json").read_text())["search"], err

    return of


@pytest.mark.slow
def test_a_search_that_is_interrupted(options, search, tmp_path):
    """The same command goes on with what is missing, and finds the same."""
    out = tmp_path / "interrupted"
    run = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, options), "--out", str(out)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while run.poll() is None and len(times(out, "records/*.json")) < 2:
            time.sleep(0.01)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does, to all processes
        err = run.communicate(timeout=60)[1]
    except BaseException:
        os.killpg(run.pid, signal.SIGKILL)
        raise
    assert run.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("fivesigma: interrupted; what is done is kept")
    done = times(out, "records/*.json")
    assert 2 <= len(done) < 12
    found, told = search(out)
    assert f"search: {len(done)}/12, 0 s" in told.splitlines()
    assert done.items() <= times(out, "records/*.json").items()
    assert found == search(tmp_path / "undisturbed")[0]
