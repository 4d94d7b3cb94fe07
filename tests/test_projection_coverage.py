"""What is absent of a benchmark, and what is not covered of what is there."""

import math

import pytest

from fivesigma.benchmarks.heavy_quark import HEAVY_QUARK
from fivesigma.configuration import SampleRequest
from fivesigma.projection_coverage import absent, gaps, told_of_absence

OTHERS = {"top_pairs", "w_jets", "z_jets", "single_top_t", "single_top_s", "ww", "wz", "tth"}


@pytest.mark.parametrize(
    ("used", "missing"),
    [
        ({"ttw", "ttz", "tw"}, ()),
        ({"ttw_plus", "ttw_minus", "ttz", "tw"}, ()),
        ({"ttw_plus", "tw"}, ("ttw_minus", "ttz")),
        (set(), ("ttw", "ttz", "tw")),
    ],
)
def test_processes_and_their_parts(used, missing):
    assert absent(HEAVY_QUARK, OTHERS | used) == missing


def requests(*parts):
    return [
        SampleRequest(process=process, events=1, parameters=parameters)
        for process, parameters in parts
    ]


def test_gaps():
    found = gaps(
        HEAVY_QUARK,
        requests(
            ("top_pairs", {"pt_max": 100}),
            ("top_pairs", {"pt_min": 100}),
            ("w_jets", {"pt_min": 600}),
            ("w_jets", {"pt_min": 300, "pt_max": 500}),
            ("ww", {"pt_min": 200, "pt_max": 900}),
            ("tth", {}),
        ),
    )
    assert found == {
        "w_jets": ((0, 300), (500, 600)),
        "ww": ((0, 200), (900, math.inf)),
    }
    assert told_of_absence(["tw"], found) == [
        "Backgrounds of the benchmark that are absent: tw.",
        "Not covered in pTHat: w_jets below 300 and from 500 to 600, ww below 200 and above 900 "
        "GeV.",
    ]
    assert told_of_absence([], {}) == []
