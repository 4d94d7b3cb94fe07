"""Weighted events: expected numbers and their errors at known answers."""

from dataclasses import replace

import numpy as np
import pytest
import weighted
from weighted import drawn

from fivesigma.events import Process
from fivesigma.samples import recipe
from fivesigma.selection import PROBABILITY
from fivesigma.store import open_sample
from fivesigma.yields import (
    Slice,
    cross_section,
    expected,
    numbers,
    weigh,
)

WANTED = weighted.projection()


def sample(store, request):
    made_by = recipe(weighted.BENCHMARK, request, seed=WANTED.seed)
    return open_sample(made_by, request.events, folder=store)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    weighted.write(WANTED, folder)
    return folder


def slices(store, features=weighted.FEATURES):
    names = ("signal", "many", "many", "few")
    made = []
    for name, request in zip(names, weighted.requests(WANTED), strict=True):
        found = sample(store, request)
        sigma = found.cross_section_fb
        made.append(Slice(name, numbers(found, features), *sigma, found.n_generated))
    return made


# Cross sections and arrays


def test_a_cross_section_needs_a_meaning(store):
    one = sample(store, WANTED.signal)
    assert cross_section(one, weighted.signal()) == pytest.approx((2.0, 0.01 * 2.0 / 6**0.5))
    with pytest.raises(ValueError, match="expected a physical cross section of x; got an arbitr"):
        cross_section(one, Process("x", (), cross_section="arbitrary"))
    assert cross_section(one, Process("x", (), k_factor=1.5))[0] == pytest.approx(3.0)
    none = replace(one, records=tuple(r | {"cross_section_fb": 0.0} for r in one.records))
    with pytest.raises(ValueError, match="cross section of x above 0 fb; got 0"):
        cross_section(none, Process("x", ()))


def test_numbers_are_written_once(store):
    one = sample(store, WANTED.signal)
    folder = numbers(one, weighted.FEATURES)
    x, origin = np.load(folder / "x.npy"), np.load(folder / "origin.npy")
    assert x.shape == (3000, 2)
    assert x.dtype == np.float32
    assert (origin == np.arange(3000)).all()
    written = (folder / "x.npy").stat().st_mtime_ns
    assert numbers(one, weighted.FEATURES) == folder
    assert (folder / "x.npy").stat().st_mtime_ns == written
    other = numbers(one, weighted.FEATURES[:1])
    assert other != folder
    assert np.load(other / "x.npy") == pytest.approx(x[:, :1])


def test_repeated_showers_have_the_number_of_their_hard_event(tmp_path):
    weighted.write(WANTED, tmp_path, showers=2)
    origin = np.load(numbers(sample(tmp_path, WANTED.signal), ["h_t"]) / "origin.npy")
    hard, counts = np.unique(origin, return_counts=True)
    assert (counts == 2).all()
    assert hard.tolist() == list(range(len(origin) // 2))


def spoilt(_process, columns):
    columns["pt(l)"][3:5] = np.nan
    return columns


def nothing(_process, columns):
    return {name: column[:0] for name, column in columns.items()}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoilt, r"expected finite pt\(l\); got 12 of 3000 events that are not"),
    ],
)
def test_events_that_nothing_can_be_learnt_from(spoil, message, tmp_path):
    weighted.write(WANTED, tmp_path, spoil=spoil)
    one = sample(tmp_path, WANTED.signal)
    with pytest.raises(ValueError, match=message):
        numbers(one, weighted.FEATURES)
    assert not list(one.folder.glob("numbers-*"))


def test_slices_may_be_empty_but_not_processes(tmp_path):
    """With nothing on the right, half of the cross section stands for all that is left."""

    def half(process, columns):
        empty = process == "many" and (columns["pt(l)"] > 0).all()
        return nothing(process, columns) if empty else columns

    weighted.write(WANTED, tmp_path, spoil=half)
    made = slices(tmp_path)
    events = weigh(made, luminosity_fb=2.0)
    assert events.cross_section_fb == pytest.approx([1.0, 75.0, 10.0])
    assert len(events.x[:]) == len(events) == 9000
    assert not len(np.load(made[2].folder / "x.npy"))
    with pytest.raises(ValueError, match=r"^many: expected events that pass the selec"):
        weigh([made[0], made[2], made[3]], luminosity_fb=2.0)


# Expected events


def test_weights_are_events_at_the_luminosity(store):
    """Of a process in two slices of different size, N = sum of sigma L efficiency."""
    events = weigh(slices(store), luminosity_fb=3000.0)
    assert events.names == ("signal", "many", "few")
    value, error = events.expected()
    whole = np.array([weighted.SIGMA[name] for name in events.names])
    assert value == pytest.approx(3000 * whole * weighted.EFFICIENCY)
    n = [3000, 3000, 6000, 3000]
    left, right = (3000 * 75 / k**0.5 for k in n[1:3])
    assert error == pytest.approx(
        [3000 / 3000**0.5, np.hypot(left, right), 30_000 / 3000**0.5], rel=1e-9
    )
    assert events.cross_section_fb == pytest.approx(whole * weighted.EFFICIENCY)
    measured = np.array([2 / 6**0.5, np.hypot(150 / 6**0.5, 150 / 12**0.5), 20 / 6**0.5])
    both = np.hypot(error / 3000, 0.01 * weighted.EFFICIENCY * measured)
    assert events.cross_section_error_fb == pytest.approx(both)
    assert len(np.unique(events.origin)) == len(events)


def test_a_slice_does_not_weigh_by_its_size(store):
    events = weigh(slices(store), luminosity_fb=1.0)
    many = events.process == 1
    right = many & (events.x[:][:, 1] > 0)
    assert right.sum() == 2 * (many & ~right).sum()
    assert events.weight[right].sum() == pytest.approx(events.weight[many].sum() / 2)


def test_showers_of_one_hard_event_are_not_independent():
    alone, twice = drawn([400, 100]), drawn([400, 100], showers=2)
    assert twice.expected()[0] == pytest.approx(alone.expected()[0])
    assert twice.expected()[1] == pytest.approx(2**0.5 * alone.expected()[1])


def test_the_error_is_the_spread_of_what_is_expected():
    """Of 2000 repetitions, each hard event showered a random number of times."""
    rng = np.random.default_rng(1)
    sums, errors = [], []
    for _ in range(2000):
        hard = np.repeat(np.arange(200), rng.integers(0, 5, 200))
        value, error = expected(np.zeros_like(hard), np.ones(len(hard)), hard, n_processes=1)
        sums.append(value[0])
        errors.append(error[0])
    # The number of hard events is fixed here, that of the sum of squares is not taken off.
    spread = np.hypot(np.std(sums), np.mean(sums) / 200**0.5)
    assert np.mean(errors) == pytest.approx(spread, rel=0.05)


# Weights by tags


def likely(process, columns):
    """Tags weigh the events of one process, and of the left slice of another."""
    if process == "few" or (process == "many" and (columns["pt(l)"] < 0).all()):
        p = np.random.default_rng(len(process)).uniform(0.01, 0.7, len(columns["h_t"]))
        return columns | {PROBABILITY: p.astype(np.float32)}
    return columns


def test_probabilities_of_tags_are_weights(tmp_path):
    """Beside those of slices, in yields, their errors, and cross sections."""
    weighted.write(WANTED, tmp_path, spoil=likely)
    made = slices(tmp_path)
    p = [one.folder / "probability.npy" for one in made]
    assert [path.exists() for path in p] == [False, True, False, True]
    left, few = (np.load(path).astype(float) for path in (p[1], p[3]))
    assert np.load(p[1]).dtype == np.float32
    assert len(left) == len(np.load(made[1].folder / "x.npy"))
    events = weigh(made, luminosity_fb=3000.0)
    of_left, of_right, of_few = 3000 * 150 / 6000, 3000 * 150 / 12_000, 3000 * 20 / 6000
    value, error = events.expected()
    many = of_left * left.sum() + of_right * 6000
    assert value == pytest.approx([3000, many, of_few * few.sum()])
    squares = of_left**2 * (left**2).sum() + of_right**2 * 6000
    assert error[1:] == pytest.approx([squares**0.5, of_few * (few**2).sum() ** 0.5])
    assert events.cross_section_fb == pytest.approx(value / 3000)
    sliced = of_left * left.sum() / 6**0.5, of_right * 6000 / 12**0.5
    measured = 0.01 * np.array([np.hypot(*sliced), of_few * few.sum() / 6**0.5])
    both = np.hypot(error[1:], measured) / 3000
    assert events.cross_section_error_fb[1:] == pytest.approx(both)


def test_showers_of_one_hard_event_with_weights_by_tags(tmp_path):
    weighted.write(WANTED, tmp_path, showers=2, spoil=likely)
    one = slices(tmp_path)[3]
    p = np.load(one.folder / "probability.npy").astype(float)
    error = weigh([one], luminosity_fb=1.0).expected()[1]
    assert error == pytest.approx(20 / 6000 * ((p[::2] + p[1::2]) ** 2).sum() ** 0.5)


def test_splits_and_shares_of_events_with_weights_by_tags(tmp_path):
    """Each event keeps its weight relative to others of its process."""
    weighted.write(WANTED, tmp_path, spoil=likely)
    events = weigh(slices(tmp_path), luminosity_fb=3000.0)
    weight = dict(zip(events.origin.tolist(), events.weight.tolist(), strict=True))
    rng = np.random.default_rng(1)
    train, test = events.split((2, 1), rng=rng)
    thinned = train.thinned(signal=1.0, background=0.25, rng=rng)
    for part, scale in ((train, [1.5] * 3), (test, [3] * 3), (thinned, [1.5, 6, 6])):
        before = np.array([weight[i] for i in part.origin.tolist()])
        assert part.weight == pytest.approx(before * np.array(scale)[part.process])
        value, error = part.expected()
        assert (np.abs(value - events.expected()[0]) < 4 * error).all()
