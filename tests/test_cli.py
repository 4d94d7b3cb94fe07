"""The command line: what it prints, and what it says when something is in its way."""

import errno
import re
import subprocess
import sys
from dataclasses import replace

import commands
import pyarrow.parquet as pq
import pytest
from commands import GENERATE, QCD, call

from fivesigma import __version__, cli, store
from fivesigma.samples import recipe
from fivesigma.selection import table


@pytest.fixture
def succeed(monkeypatch, capsys):
    def run(*arguments):
        code, out, err = call(monkeypatch, capsys, *arguments)
        assert code == 0, err
        return out

    return run


complain = pytest.fixture(commands.complain)
nothing_is_made = pytest.fixture(commands.nothing_is_made)
samples = pytest.fixture(commands.samples)
study = pytest.fixture(commands.study)


# What it prints


def test_version(succeed):
    assert succeed("--version") == f"fivesigma {__version__}\n"


def test_console_script_and_help():
    code = "from fivesigma.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("benchmarks", "generate", "study", "demo", "report"):
        assert command in done.stdout


def test_benchmarks(succeed):
    text, others = succeed("benchmarks").split("heavy_quark: ")
    assert "process top_pairs (background): pt_min=0.0" in others
    processes = re.findall(r"^  process (\w+)(.*?):", text, re.MULTILINE)
    assert processes == [("signal", " (signal)"), ("qcd", " (background)"), ("lhe", "")]
    assert "lambda_d=10.0, decay=ID, multiparton=on" in text
    (points,) = re.findall(r"^  points of the signal: (.*)$", text, re.MULTILINE)
    scales = (1, 5, 10, 20, 30, 40, 50)
    assert points.split(", ") == [f"{decay}{x}" for decay in ("ID", "DD") for x in scales]
    assert "18922 events" in text
    assert "  region signal_region: 4700 <= m_jj < 5500 GeV\n" in text
    assert "  region sideband: 4400 <= m_jj < 4700 GeV or 5500 <= m_jj < 5800 GeV\n" in text


def test_generate(succeed, samples):
    text = succeed(*GENERATE)
    assert text.startswith(table(samples["signal"].cutflow))
    assert text.endswith(
        f"cross section: arbitrary\nsample: {samples['signal'].folder}\n",
    )


# What it says to wrong commands


def test_report_without_results(complain, tmp_path):
    assert "results.json" in complain("report", tmp_path)
    assert "results.json" in complain("report", tmp_path / "nowhere")
    (tmp_path / "results.json").write_text("{")
    assert "expected JSON" in complain("report", tmp_path)
    (tmp_path / "results.json").write_text("{}")
    assert "expected the key 'name'" in complain("report", tmp_path)


# Disks


def test_a_file_in_the_place_of_the_store(complain, study, tmp_path):
    (tmp_path / "store").write_text("in the way")
    assert "store" in complain(*GENERATE)
    assert "store" in complain(*GENERATE, "--store", tmp_path / "store")
    assert "store" in complain("study", study)
    assert (tmp_path / "store").read_text() == "in the way"


def test_a_file_in_the_place_of_the_output(complain, study, tmp_path):
    (tmp_path / "out").write_text("in the way")
    assert "out" in complain("study", study, "--out", tmp_path / "out")


@pytest.mark.usefixtures("nothing_is_made")
@pytest.mark.parametrize("file", ["results.json", "config.yaml"])
def test_results_of_another_study_are_kept(file, complain, study, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / file).write_text('{"name": "other"}')
    message = complain("study", study, "--out", tmp_path / "out")
    assert f"expected a folder of small; got results of other in {tmp_path / 'out'}" in message
    for content in ('{"name": "small"}', "{", "3", "{}"):  # goes on to what else is wrong
        (tmp_path / "out" / file).write_text(content)
        wrong = ("--set", "luminosity_fb=1e-6")
        assert "luminosity_fb" in complain("study", study, "--out", tmp_path / "out", *wrong)


@pytest.mark.usefixtures("nothing_is_made")
@pytest.mark.parametrize("name", ["../../x", "/tmp/y", "''", "' '", ".", "..", "a\\b"])
def test_names_that_are_no_folders(name, complain, study, tmp_path):
    wrong = ("--set", f"name={name}")
    assert "name: expected the name of a folder" in complain("study", study, *wrong)
    wrong += ("--set", "luminosity_fb=1e-6", "--out", tmp_path / "out")
    assert "luminosity_fb" in complain("study", study, *wrong)


def test_no_memory(monkeypatch, complain, study):
    def fill(*_arguments, **_options):
        raise MemoryError

    monkeypatch.setattr(cli, "run", fill)
    assert complain("study", study) == "fivesigma: out of memory"


@pytest.fixture
def full(monkeypatch):
    """A disk without space, in this process."""

    def write_table(_table, where, **_options):
        where.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device", str(where))

    def run(recipe, todo, _wanted, **_options):
        for i, path in enumerate(todo):
            store._make_shard(recipe, i, path)

    monkeypatch.setattr(pq, "write_table", write_table)
    monkeypatch.setattr(store, "_run", run)
    small = small_shards(recipe)
    monkeypatch.setattr("fivesigma.samples.recipe", small)
    monkeypatch.setattr(cli, "recipe", small)


def small_shards(of):
    return lambda *args, **options: replace(of(*args, **options), shard_events=5)


def test_a_report_on_what_is_there_makes_nothing(complain, study, tmp_path):
    message = complain("study", study, "--missing", "leave")
    assert re.search(r"--missing leave: .*; \d+ of ID10 are not in .*store", message)
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


@pytest.mark.slow
@pytest.mark.usefixtures("full")
def test_a_full_disk(complain, study, tmp_path):
    for command in ((*QCD, "--set", "multiparton=off"), ("study", study)):
        assert "No space left on device" in complain(*command)
        folder = tmp_path / "store"
        assert [path for path in folder.rglob("*") if path.is_file()] == []


# Being stopped


def test_interrupt(monkeypatch, capsys, study, tmp_path):
    def stop(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fivesigma.samples.make", stop)
    code, out, err = call(monkeypatch, capsys, "study", study, "--store", tmp_path / "store")
    assert (code, out) == (130, "")
    assert err.splitlines() == [
        "fivesigma: interrupted; what is done is kept, run the same command again to go on"
    ]
