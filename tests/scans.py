"""Projections of the Gaussian processes on disk, by the command line and without."""

from functools import partial

import weighted
import yaml
from commands import call
from distributed import LocalCluster
from weighted import CONTENT

from fivesigma import store, studies
from fivesigma.benchmarks import BENCHMARKS
from fivesigma.projection import Projection


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
