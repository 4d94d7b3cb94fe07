"""The command line, called in this process, and what its tests have in the place of events."""

import re
import sys

import fabricated
import pytest
import yaml

from fivesigma import cli, store

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


def call(monkeypatch, capsys, *arguments):
    """Exit code, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["fivesigma", *(str(x) for x in arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code or 0, *capsys.readouterr()


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


def nothing_is_made(monkeypatch):
    def refuse(*_arguments, **_options):
        raise AssertionError("something was generated")

    monkeypatch.setattr(store, "_run", refuse)


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


def study(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    return path
