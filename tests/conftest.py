"""The fabricated study, for the tests of what is done with it; on one thread, as in a worker."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import fabricated
import pytest

from fivesigma.plan import Plan


@pytest.fixture(scope="session")
def samples(tmp_path_factory):
    """Events of the study; what is represented of them is kept beside."""
    return fabricated.samples(tmp_path_factory.mktemp("fabricated"))


@pytest.fixture(scope="session")
def plan(samples, tmp_path_factory):
    """Plans of studies of these events."""
    store = tmp_path_factory.mktemp("store")
    return lambda study=fabricated.STUDY: Plan(study, samples, store, fabricated.silent)
