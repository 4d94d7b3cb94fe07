"""Les Houches event files: what is read of them, and files that are refused."""

import gzip
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from generated import ENERGIES, REFERENCE, les_houches

from fivesigma.benchmarks.hidden_valley import lhe
from fivesigma.detector import NoDetector, respond
from fivesigma.events import Process, generate
from fivesigma.jets import JetDefinition, cluster
from fivesigma.les_houches import count
from fivesigma.selection import m_jj


@pytest.fixture
def hard_events(tmp_path):
    path = tmp_path / "dijets.lhe"
    path.write_text(les_houches(ENERGIES))
    return path


def test_event_files_are_counted_whole(hard_events):
    """Half of a file is an error in its words, zipped or not."""
    text, zipped = hard_events.read_bytes(), hard_events.with_suffix(".lhe.gz")
    zipped.write_bytes(gzip.compress(text))
    assert count(hard_events) == count(zipped) == len(ENERGIES)
    for path in (hard_events, zipped):
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(ValueError, match=r"expected a whole .* event file; got .*dijets.lhe"):
            count(path)


@pytest.mark.slow
def test_les_houches_events(hard_events):
    """The jets are the partons, with what the shower takes away."""
    events = generate(lhe(file=str(hard_events)), 3, seed=1)
    assert events.cross_section_fb == pytest.approx(7000.0)
    assert events.cross_section_error_fb == pytest.approx(100.0)  # as the file says
    jets = cluster(respond(events, NoDetector(), seed=1), JetDefinition(energy_scale=None))
    assert m_jj(jets) == pytest.approx(2 * np.array(ENERGIES), rel=0.25)


@pytest.mark.slow
def test_les_houches_file_may_be_compressed_skipped_and_short(hard_events):
    process = lhe(file=str(hard_events), multiparton="off")
    zipped = hard_events.with_suffix(".lhe.gz")
    zipped.write_bytes(gzip.compress(hard_events.read_bytes()))
    plain, same = (generate(p, 3, seed=1) for p in (process, replace(process, lhe=zipped)))
    assert ak.array_equal(plain.particles.px, same.particles.px)
    assert len(generate(process, 10, seed=1)) == 3
    rest = generate(process, 10, seed=1, skip=2)
    assert len(rest) == 1
    jets = cluster(respond(rest, NoDetector(), seed=1), JetDefinition(energy_scale=None))
    assert m_jj(jets) == pytest.approx(2 * ENERGIES[2], rel=0.25)
    with pytest.raises(ValueError, match=r"expected events in .*; got none"):
        generate(process, 1, seed=1, skip=3)


@pytest.mark.slow
def test_hard_events_that_fail_count_as_read(hard_events):
    """Few conserve momentum to 1e-12; the next part of a sample starts behind those that do not."""
    strict = ("Check:epTolErr = 1e-12", "Check:epTolWarn = 1e-14")
    process = lhe(file=str(hard_events), multiparton="off")
    process = replace(process, settings=(*process.settings, *strict))
    found = [generate(process, 3, seed=seed) for seed in range(1, 9)]
    assert {len(events) + events.n_failed for events in found} == {3}
    assert 0 < sum(events.n_failed for events in found) < 3 * len(found)
    for events in found:
        assert events.cross_section_fb == pytest.approx(7000 * len(events) / 3)
    assert generate(process, 2, seed=3).n_failed + len(generate(process, 2, seed=3)) == 2


@pytest.mark.slow
def test_hard_events_may_be_showered_again(hard_events):
    """A file of three is gone through three times; what is the same hard event can be told."""
    process = lhe(file=str(hard_events), showers=3, multiparton="off")
    events = generate(process, 7, seed=1)
    assert np.array_equal(events.hard_event[:4], events.hard_event[3:])
    assert len(set(events.hard_event)) == 3
    n = ak.num(events.particles)
    assert len(set(n[[0, 3, 6]])) == 3
    assert events.cross_section_fb == pytest.approx(7000.0)
    rest = generate(process, 100, seed=2, skip=4)
    assert np.array_equal(rest.hard_event, events.hard_event[[1, 2, 0, 1, 2]])
    assert generate(replace(process, showers=1), 3, seed=1).hard_event is None
    with pytest.raises(ValueError, match=r"expected events in .*; got none"):
        generate(process, 1, seed=1, skip=9)


WEIGHTS = {  # weights, strategy of the file, what is said
    "negative": ((1.0, 1.0, -1.0), -3, "got -1 to 1"),
    "one in three": ((7.0, 7.0, -7.0), -4, "got -7 to 7"),
    "unequal": ((7.0, 8.0), -4, "got 7 to 8"),
    "all negative": ((-1.0,), -3, "got -1 to -1"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("weights", "strategy", "said"), WEIGHTS.values(), ids=WEIGHTS.keys())
def test_weighted_events_are_refused(weights, strategy, said, tmp_path):
    path = tmp_path / "weighted.lhe"
    path.write_text(les_houches(ENERGIES, weights, strategy))
    with pytest.raises(ValueError, match=f"all the same and positive; {said}") as error:
        generate(lhe(file=str(path), multiparton="off"), 3, seed=1)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_weights_may_be_any_number_that_is_the_same(tmp_path):
    path = tmp_path / "weighted.lhe"
    path.write_text(les_houches(ENERGIES, (7.0,), -4))
    assert len(generate(lhe(file=str(path), multiparton="off"), 3, seed=1)) == 3


@pytest.mark.slow
@pytest.mark.skipif(not REFERENCE.is_dir(), reason="no reference events beside the repository")
def test_les_houches_events_of_madgraph():
    """6.831 pb; partons have pT > 700 GeV and masses above 3 TeV."""
    events = generate(
        lhe(file=str(REFERENCE / "mg_pp_jj_13TeV.lhe.gz"), multiparton="off"), 40, seed=1
    )
    assert events.cross_section_fb == pytest.approx(6831, abs=1)
    jets = cluster(respond(events, NoDetector(), seed=1), JetDefinition(energy_scale=None))
    assert np.median(m_jj(jets)) > 2800
    assert np.median(jets.jets.pt[:, 0]) > 700


# Errors

HEAD = gzip.compress(les_houches(ENERGIES).encode())
UNREADABLE = "expected a Les Houches event file; got"
FILES = {
    "text": (b"not an event file\n", UNREADABLE),
    "empty": (b"", UNREADABLE),
    "another document": (b"<html><body/></html>", UNREADABLE),
    "truncated gzip": (HEAD[: len(HEAD) // 2], UNREADABLE),
    "broken gzip": (HEAD[:12] + b"\xff" * 40 + HEAD[52:], UNREADABLE),
    "no events": (les_houches(()).encode(), "expected events in"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("content", "message"), FILES.values(), ids=FILES.keys())
def test_bad_event_files(content, message, tmp_path):
    path = tmp_path / "events.lhe"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        generate(Process("file", (), lhe=path), 3, seed=1)
    assert str(path) in str(error.value)


@pytest.mark.slow
def test_missing_event_file(tmp_path):
    with pytest.raises(ValueError, match=r"missing\.lhe"):
        generate(Process("file", (), lhe=tmp_path / "missing.lhe"), 3, seed=1)
    with pytest.raises(ValueError, match=r"missing\.lhe"):
        lhe(file=str(tmp_path / "missing.lhe"))
