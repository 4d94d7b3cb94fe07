"""The README's example runs, and its two set-up commands are the ones that are tested."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import fivesigma

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.slow
def test_the_example_runs():
    (example,) = blocks("python")
    assert len(example.splitlines()) <= 25
    done = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, check=True, timeout=300
    )
    assert "signal_region" in done.stdout
    assert re.search(r"\(\d+, 2, 25, 25\)", done.stdout)


def test_the_set_up_commands_are_one_line_each():
    for marker, ending in (("demo", "fivesigma demo"), ("tests", "pytest")):
        command = re.search(rf"<!-- {marker} -->\n```sh\n(python3 .*)\n```", README)
        assert command is not None
        assert command[1].endswith(ending)


def test_continuous_integration_runs_the_readme():
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


def test_figures_exist():
    for figure in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / figure).is_file()


def test_public_names():
    assert fivesigma.__version__ == "0.1.0"
