"""The command line: what it prints, and one line with exit code 2 for what a user can cause."""

import errno
import re
import subprocess
import sys
from dataclasses import replace

import fabricated
import pyarrow.parquet as pq
import pytest
import yaml

from fivesigma import __version__, cli, store
from fivesigma.benchmarks import BENCHMARKS
from fivesigma.events import Process, generate
from fivesigma.samples import recipe
from fivesigma.selection import table

VALLEY = BENCHMARKS["hidden_valley"]
IMAGES = {"kind": "images", "pixels": 8}
STUDY = {
    "name": "small",
    "title": "Small",
    "benchmark": "hidden_valley",
    "luminosity_fb": 1.0,
    "signal": {"process": "signal", "events": 1000},
    "background": {"process": "qcd", "events": 2000},
    "held_out": {"signal": 100, "background": 200},
    "grid": {"s_over_sqrt_b": [0, 5], "repeats": 1, "eps_b": [0.1]},
    "arms": [{"name": "CWoLa", "label": "cwola", "representation": IMAGES}],
}
GENERATE = ("generate", "hidden_valley", "signal", "-n", "10")
QCD = ("generate", "hidden_valley", "qcd", "-n", "10")
LHE = ("generate", "hidden_valley", "lhe", "-n", "10")
BAD_GENERATE = {
    "benchmark": (
        ("generate", "hidden_vally", "signal", "-n", "10"),
        "expected a benchmark of ['heavy_quark', 'hidden_valley']; got 'hidden_vally'",
    ),
    "process": (
        ("generate", "hidden_valley", "signl", "-n", "10"),
        "expected a process of hidden_valley: ['lhe', 'qcd', 'signal']; got 'signl'",
    ),
    "parameter": ((*GENERATE, "--set", "lambd=10"), "expected parameters of signal: .* got lambd"),
    "foreign parameter": ((*GENERATE, "--set", "veto=none"), "parameters of signal: .* got veto"),
    "value": ((*GENERATE, "--set", "decay=XY"), r"expected decay in \['DD', 'ID'\]; got 'XY'"),
    "text for a number": ((*GENERATE, "--set", "lambda_d=ten"), "lambda_d <= 500 GeV; got 'ten'"),
    "negative scale": ((*GENERATE, "--set", "lambda_d=-1"), "0 < lambda_d <= 500 GeV; got -1"),
    "infinite scale": ((*GENERATE, "--set", "lambda_d=.inf"), "lambda_d <= 500 GeV; got inf"),
    "list": ((*GENERATE, "--set", "decay=[ID]"), r"expected decay in .*; got \['ID'\]"),
    "switch": ((*GENERATE, "--set", "multiparton=maybe"), "multiparton in .*; got 'maybe'"),
    "mass": ((*QCD, "--set", "mass_min=14000"), "mass_min < 13000 GeV; got 14000"),
    "veto": ((*QCD, "--set", "veto=all"), r"expected veto in \['dijet', 'none'\]; got 'all'"),
    "no equals sign": ((*GENERATE, "--set", "decay"), "expected key=value; got 'decay'"),
    "no YAML": ((*GENERATE, "--set", "decay=["), r"expected a YAML value for decay; got '\['"),
    "negative number": ((*GENERATE[:-1], "-5"), "expected a number of events >= 1; got -5"),
    "no events": ((*GENERATE[:-1], "0"), "expected a number of events >= 1; got 0"),
    "too many events": ((*GENERATE[:-1], "10000001"), "at most 10000000 events; got 10000001"),
    "seed": ((*GENERATE, "--seed", "90000"), "expected a seed from 0 to 89999; got 90000"),
    "no whole number": ((*GENERATE[:-1], "ten"), "Invalid value for '-n': .*integer"),
    "no process": (GENERATE[:2], "Missing argument 'process'"),
    "option": ((*GENERATE, "--sed", "3"), "No such option.*--sed"),
    "workers": ((*GENERATE, "--workers", "-1"), "Invalid value for '--workers'"),
    "no event file": (LHE, "expected file = a Les Houches event file; got ''"),
    "event file": ((*LHE, "--set", "file=no.lhe"), "Les Houches event file; got 'no.lhe'"),
}
BAD_STUDY = {
    "key": (
        "grid.repeat=1",
        r"grid\.repeat: expected a key that exists \(did you mean repeats\?\)",
    ),
    "range": ("signal.events=-5", "signal.events: input should be greater than 0; got -5"),
    "benchmark": ("benchmark=valley", "benchmark: expected one of .*; got 'valley'"),
    "process": ("signal.process=z", "expected a process of hidden_valley: .*; got 'z'"),
    "parameter": ("background.parameters.mas=1", "expected parameters of qcd: .*; got mas"),
    "strategy": ("arms.0.strategy=transfr", "CWoLa: strategy: expected one of .* got 'transfr'"),
    "network": ("arms.0.network=rnn", "arms: CWoLa: network: expected one of .*; got 'rnn'"),
    "representation": ("arms.0.representation.kind=x", "representation.kind: expected .*; got 'x'"),
    "no kind": ("arms.0.representation={}", "representation.kind: expected .*; got None"),
    "kinds": ("arms.0.representation.kind=[x]", r"representation.kind: expected .*; got \['x'\]"),
    "field": ("arms.0.representation.pixel=9", "CWoLa: representation: .*'pixel'"),
    "field's value": ("arms.0.representation.pixels=0", "CWoLa: representation: .*; got 0"),
    "field's text": (
        "arms.0.representation.half_width=x",
        "representation.half_width: expected a number; got 'x'",
    ),
    "setting": ("arms.0.training.epochs=9", r"CWoLa: training: expected keys of .*\['epochs'\]"),
    "setting's value": ("arms.0.training.max_epochs=0", "training: expected max_epochs .*; got 0"),
    "setting's text": (
        "arms.0.training.max_epochs=x",
        "max_epochs: expected a whole number; got 'x'",
    ),
    "half an epoch": (
        "arms.0.training.max_epochs=1.5",
        "max_epochs: expected a whole number; got 1.5",
    ),
    "option": ("arms.0.options.depth=3", "CWoLa: options: .*'depth'"),
    "contrast": ("arms.0.contrast.sidebands=x", "contrast: expected sidebands of .*; got 'x'"),
    "no sources": ("arms.0.strategy=transfer", "sources: expected samples that 'CWoLa' learns"),
    "target": ("targets=[ID11]", r"targets: expected points of \['ID1', .*; got 'ID11'"),
    "no background": ("luminosity_fb=1e-6", "luminosity_fb: expected background .* 1e-06 /fb"),
    "too few background": (
        "luminosity_fb=10",
        "background.events: expected 1561 events in the signal region .* from 2000 generated",
    ),
    "too few signal": (
        "grid.s_over_sqrt_b=[0, 100]",
        "signal.events: expected 1266 events in the signal region .* from 1000 generated",
    ),
    "too many held out": (
        "held_out.background=1000000",
        "background.events: expected 1000136 events in the signal region",
    ),
}


def call(monkeypatch, capsys, *arguments):
    """Exit code, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["fivesigma", *(str(x) for x in arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code or 0, *capsys.readouterr()


@pytest.fixture
def succeed(monkeypatch, capsys):
    def run(*arguments):
        code, out, err = call(monkeypatch, capsys, *arguments)
        assert code == 0, err
        return out

    return run


@pytest.fixture
def complain(monkeypatch, capsys, tmp_path):
    """The one line that a wrong command gives."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIVESIGMA_STORE", str(tmp_path / "store"))

    def run(*arguments):
        code, out, err = call(monkeypatch, capsys, *arguments)
        assert code == 2
        assert out == ""
        assert err.endswith("\n")
        *progress, message = err.splitlines()
        assert [line for line in progress if not re.match(r"[a-z]+ .*: \d+/\d+, ", line)] == []
        assert message.startswith("fivesigma: ")
        return message

    return run


@pytest.fixture
def nothing_is_made(monkeypatch):
    def refuse(*_arguments, **_options):
        raise AssertionError("something was generated")

    monkeypatch.setattr(store, "_run", refuse)


@pytest.fixture
def samples(monkeypatch, tmp_path):
    """Fabricated events in place of generated ones."""
    made = {
        name: fabricated.sample(tmp_path / "fabricated" / name, n)
        for name, n in (("signal", 1000), ("qcd", 2000))
    }

    def make(recipe, _n, **_options):
        return made["qcd" if recipe.process.name == "QCD dijets" else "signal"]

    monkeypatch.setattr("fivesigma.samples.make", make)
    monkeypatch.setattr(cli, "make", make)
    return made


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    return path


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


@pytest.mark.usefixtures("nothing_is_made")
@pytest.mark.parametrize(("arguments", "expected"), BAD_GENERATE.values(), ids=BAD_GENERATE.keys())
def test_bad_generate(arguments, expected, complain):
    message = complain(*arguments)
    assert expected in message or re.search(expected, message)


@pytest.mark.parametrize(
    ("name", "content"),
    {
        "text": ("no.lhe", b"these are no events\n"),
        "nothing": ("no.lhe", b""),
        "other bytes": ("no.lhe", bytes(range(256))),
        "not zipped": ("no.lhe.gz", b"these are no events\n"),
        "half zipped": ("no.lhe.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00"),
        "without events": ("no.lhe", b"<LesHouchesEvents version='3.0'>\n</LesHouchesEvents>\n"),
    }.values(),
)
def test_files_that_are_no_event_files(name, content, tmp_path):
    """Raised where generation starts, in a process of its own when it is the command's."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"expected .*Les Houches event file.*no\.lhe"):
        generate(Process("file", (), lhe=path), 10, seed=1)


@pytest.mark.slow
def test_an_error_of_a_worker_is_one_line(complain, tmp_path):
    (tmp_path / "no.lhe").write_text("these are no events\n")
    message = complain(*LHE, "--set", "file=no.lhe", "--workers", "1")
    assert re.search(r"expected a Les Houches event file; got .*no\.lhe", message)
    assert list((tmp_path / "store").rglob("*.*")) == []


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize(("override", "expected"), BAD_STUDY.values(), ids=BAD_STUDY.keys())
def test_bad_study(override, expected, complain, study):
    code = complain("study", study, "--set", override, "--workers", "1")
    assert re.search(expected, code)


@pytest.mark.usefixtures("nothing_is_made")
@pytest.mark.parametrize(
    "override",
    [
        "benchmark=valley",
        "background.process=z",
        "background.parameters.mas=1",
        "arms.0.network=rnn",
        "arms.0.training.max_epochs=0",
        "arms.0.options.depth=3",
        "arms.0.strategy=transfer",
        "targets=[ID11]",
        "luminosity_fb=1e-6",
    ],
)
def test_a_study_is_checked_before_anything_is_made(override, complain, study, tmp_path):
    complain("study", study, "--set", override)
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


def test_study_files(complain, tmp_path):
    assert "no.yaml" in complain("study", tmp_path / "no.yaml")
    assert str(tmp_path) in complain("study", tmp_path)
    (tmp_path / "list.yaml").write_text("- a\n")
    assert "got list" in complain("study", tmp_path / "list.yaml")
    (tmp_path / "misspelt.yaml").write_text(yaml.safe_dump(STUDY).replace("held_out", "heldout"))
    message = complain("study", tmp_path / "misspelt.yaml")
    assert "held_out: expected a value" in message or "did you mean held_out?" in message
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("region", ["signal_region", "sideband"])
def test_an_empty_region(region, complain, study, monkeypatch, tmp_path):
    masses = (5800.0, 6000.0) if region == "signal_region" else (4700.0, 5500.0)
    empty = fabricated.sample(tmp_path / "empty", 2000, masses=masses)
    monkeypatch.setattr("fivesigma.samples.make", lambda *_, **__: empty)
    message = complain("study", study, "--workers", "1")
    assert re.search(rf"events: expected .*{region.replace('_', ' ')}.* got 0", message)


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
