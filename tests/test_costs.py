"""What events cost, by process and by part of it."""

from dataclasses import replace

import pytest
import weighted

from fivesigma.benchmarks.base import Cost
from fivesigma.configuration import SampleRequest
from fivesigma.costs import cost_of, estimate, total

BENCHMARK = replace(
    weighted.BENCHMARK,
    costs={
        "many": Cost(seconds=1.0, bytes=6.0),
        "many, side=left": Cost(seconds=36.0, bytes=0.12),
        "many, at=100": Cost(seconds=2.0, bytes=1.0),
    },
)


def wanted(process="many", **parameters):
    return SampleRequest(process=process, events=100, parameters=parameters)


@pytest.mark.parametrize(
    ("request_", "seconds"),
    [
        (wanted(), 1.0),
        (wanted(side="left"), 36.0),
        (wanted(side="right"), 1.0),
        (wanted(side="right", at=100), 2.0),
        (wanted(at=100.0), 2.0),
    ],
)
def test_a_part_may_have_a_cost_of_its_own(request_, seconds):
    assert cost_of(BENCHMARK, request_).seconds == seconds


def test_words():
    """Three numbers of 4 B are kept of an event."""
    assert estimate(BENCHMARK, wanted(side="left"), 100) == (
        "about 1.2e-08 GB and 60 min of one core for 100 events, of which 1 pass"
    )
    assert estimate(BENCHMARK, wanted("few"), 100) == "100 events"
    assert estimate(BENCHMARK, wanted(), 0) == ""
    both = [(wanted(), 3600), (wanted(side="left"), 100)]
    assert total(BENCHMARK, both) == "about 2 h of one core"
    unknown = (wanted("few"), 5)
    assert total(BENCHMARK, [*both, unknown]) == "about 2 h of one core, and that of few"
