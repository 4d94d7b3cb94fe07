"""Wrong commands and study files: one line with exit code 2 for what a user can cause."""

import re

import commands
import fabricated
import pytest
import yaml
from commands import GENERATE, QCD, STUDY

from fivesigma.events import Process, generate

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


complain = pytest.fixture(commands.complain)
nothing_is_made = pytest.fixture(commands.nothing_is_made)
samples = pytest.fixture(commands.samples)
study = pytest.fixture(commands.study)


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
