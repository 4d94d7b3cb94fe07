"""What a veto drops, by `validation/veto.py`."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from vetoed import DIJETS, HARD, LOOSE, QUICK, agree, made, sigma

from fivesigma.events import Process
from fivesigma.selection import CutflowRow


@pytest.fixture(scope="module")
def validation():
    path = Path(__file__).parents[1] / "validation" / "veto.py"
    spec = importlib.util.spec_from_file_location("validation_veto", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WATCHED = {
    "lepton": (Process("top", (*HARD, *QUICK), veto=replace(LOOSE, h_t_min=900.0)), LOOSE),
    "lepton before the shower": (
        Process("top", (*HARD, *QUICK), veto=replace(LOOSE, hard_lepton_pt_min=100.0)),
        LOOSE,
    ),
    "dijets": (
        Process(
            "dijets",
            ("HardQCD:all = on", "PhaseSpace:pTHatMin = 700", "PartonLevel:MPI = off", *QUICK),
            veto=replace(DIJETS, mass_max=1800.0),
        ),
        DIJETS,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("process", "looser"), WATCHED.values(), ids=WATCHED.keys())
def test_the_share_that_is_noted_is_that_of_the_cross_sections(validation, process, looser):
    events, dropped = validation.watch(process, looser, 600, seed=3)
    share = 1 - dropped.mean()
    noted = share, np.sqrt(share * (1 - share) / len(dropped))
    kept, every = sigma(made(process, 600)), sigma(events)
    ratio = kept[0] / every[0]
    assert agree(noted, (ratio, ratio * np.hypot(kept[1] / kept[0], every[1] / every[0])))
    assert 0.1 < share < 0.9


@pytest.mark.slow
def test_a_veto_drops_nothing_of_what_it_keeps(validation):
    process, _ = WATCHED["lepton"]
    events, dropped = validation.watch(process, process.veto, 100, seed=3)
    assert len(events) == len(dropped) == 100
    assert not dropped.any()


def test_the_share_that_is_lost_and_its_error(validation):
    """Weights 1, 2 and 3 kept, 2 dropped: p = 1/4, and the delta method by hand."""
    every, kept = CutflowRow("C", 8.0, 10, 18.0), CutflowRow("C", 6.0, 9, 14.0)
    p, error = validation.lost(every, kept)
    assert p == pytest.approx(0.25)
    assert error == pytest.approx(np.sqrt(0.75**2 * 4 + 0.25**2 * 14) / 8)
    assert validation.lost(kept, kept) == (0, pytest.approx(14 / 36))
