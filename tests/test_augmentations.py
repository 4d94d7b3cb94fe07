"""Random numbers meet their distributions, known jets their closed forms, batches single events."""

import math
from dataclasses import replace

import numpy as np
import pytest
from handmade_jets import make, random_jets
from scipy.stats import kstest, norm

from fivesigma import augmentations as aug
from fivesigma.augmentations import EtaPhiSmearing, PixelNoise, PtSmearing, Rotation, View, keys
from fivesigma.constituents import Constituents, align, from_clouds
from fivesigma.representations.clouds import JetClouds
from fivesigma.representations.images import JetImages

VIEWS = {
    "nothing": View(JetImages()),
    "pt": View(JetImages(50), (PtSmearing(),)),
    "rotation": View(JetImages(intensity="logarithmic"), (Rotation(),)),
    "noise": View(JetImages(), (PixelNoise(0.3),)),
    "all": View(JetImages(), (EtaPhiSmearing(), PtSmearing(), Rotation(45.0), PixelNoise(0.1))),
    "clouds": View(JetClouds(), (EtaPhiSmearing(0.2), PtSmearing(), Rotation())),
    "short clouds": View(JetClouds(12, alignment="none"), (PtSmearing(), Rotation())),
}
PUBLISHED = {1: 1.25, 10: 4.5, 100: 25.9, 1000: 231}  # GeV: pT and width, the authors' code
DELPHES = {1: 1.50, 10: 4.77, 100: 15.8, 1000: 68.9}  # the resolution in the card of Delphes

every_view = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())

# Hardest first, as in clouds, so that sums round alike.
ORDERS = [(jet, np.argsort(-jet[2], kind="stable")) for jet in random_jets((3, 80))]
SORTED = [(*jet[:2], *(a[order] for a in jet[2:])) for jet, order in ORDERS]
JETS = make(SORTED)
CLOUDS = JetClouds(alignment="none")(JETS)
KEYS = keys(11, 1, np.arange(len(CLOUDS)))


def particles(pt, n, m=50):
    """n events of two jets with m constituents of one pT on a ring."""
    angle = np.tile(np.linspace(0, 6, m, dtype=np.float32), 2 * n)
    pts = np.full(2 * n * m, pt, np.float32)
    return Constituents(0.3 * np.cos(angle), 0.3 * np.sin(angle), pts, np.full(2 * n, m))


def splitmix(state, n):
    """Output n of SplitMix64 in plain integers."""
    mask = 2**64 - 1
    z = (state + 0x9E3779B97F4A7C15 * (n + 1)) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def test_keys_are_those_of_splitmix():
    # First outputs for the seed 1234567, as in https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [splitmix(1234567, n) for n in range(4)] == known
    expected = [splitmix(splitmix(splitmix(0, 2**40), 3), event) for event in (0, 7, 10**6)]
    k = keys(2**40, 3, np.array([0, 7, 10**6]))
    assert k.dtype == np.uint64
    assert k.tolist() == expected
    assert keys(2**40 - 2**64, np.array([2, 3]), np.array([7, 7]))[1] == k[1]
    jets = [splitmix(splitmix(key, 5), jet) for key in expected for jet in (0, 1)]
    counts = np.array([2, 0, 1, 3, 0, 1])
    parts = [splitmix(jet, i) for jet, m in zip(jets, counts, strict=True) for i in range(m)]
    assert aug.particle_keys(k, counts, 5).tolist() == parts


def test_no_key_comes_twice():
    parts = [keys(seed, copy, np.arange(5000)) for seed in (0, 1, 2, 1000) for copy in range(8)]
    assert len(np.unique(np.concatenate(parts))) == 32 * 5000
    k = [aug.particle_keys(parts[0], np.full(10_000, 6), channel) for channel in range(4)]
    assert len(np.unique(np.concatenate(k))) == 4 * 60_000


ONE, MANY, PAIR = np.arange(1), np.arange(50_000), np.ones(2, int)
NUMBERS = {
    "events": aug.particle_keys(keys(0, 1, MANY), np.tile(PAIR, 50_000), 0),
    "copies": aug.particle_keys(keys(0, MANY, ONE), np.tile(PAIR, 50_000), 2),
    "particles": aug.particle_keys(keys(3, 1, ONE), 50_000 * PAIR, 1),
    "seeds": np.concatenate([keys(seed, 1, ONE) for seed in range(20_000)]),
}


@pytest.mark.parametrize("k", NUMBERS.values(), ids=NUMBERS.keys())
def test_distributions(k):
    """Marginals, and no correlation of the two numbers of a key or of neighbours."""
    u, z = aug.uniform(k), aug.normal(k)
    assert all(a.dtype == np.float32 and (a > 0).all() and (a <= 1).all() for a in u)
    assert all(a.dtype == np.float32 and np.isfinite(a).all() for a in z)
    assert min(kstest(a, "uniform").pvalue for a in u) > 1e-3
    assert min(kstest(a, "norm").pvalue for a in z) > 1e-3
    for a, b in [z, *((a[:-lag], a[lag:]) for a in z for lag in (1, 2, 3, 50))]:
        for f in (lambda x: x, np.square):
            assert abs(np.corrcoef(f(a), f(b))[0, 1]) < 4.5 / math.sqrt(len(a))


def test_uses_are_independent():
    """Seeds, copies, channels: 8 streams of 4 numbers for each event; the largest of 496 |r|."""
    events, counts = np.arange(20_000), np.ones(40_000, int)
    uses = [(seed, copy, channel) for seed in (0, 1) for copy in (1, 2) for channel in (0, 1)]
    streams = [aug.particle_keys(keys(s, copy, events), counts, c) for s, copy, c in uses]
    z = [a.reshape(-1, 2) for k in streams for a in aug.normal(k)]
    r = np.corrcoef(np.concatenate(z, axis=1).T) - np.eye(32)
    assert np.abs(r).max() < 4.5 / math.sqrt(len(events))


def test_the_largest_numbers_are_finite():
    z = aug.normal(np.array([0, 2**64 - 1, 2**32 - 1, 2**64 - 2**32], np.uint64))
    assert np.abs(z).max() == pytest.approx(math.sqrt(2 * 33 * math.log(2)), rel=1e-3)


@pytest.mark.parametrize("scale", [0.1, 0.5])
@pytest.mark.parametrize("pt", [1, 10, 300])
def test_eta_phi_smearing(scale, pt):
    jets = particles(pt, 200)
    smeared = EtaPhiSmearing(scale)(jets, keys(1, 1, np.arange(200)))
    pulls = (smeared.x - jets.x) * pt / scale, (smeared.y - jets.y) * pt / scale
    for pull in pulls:
        assert kstest(pull, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(*pulls)[0, 1]) < 4 / math.sqrt(len(jets.pt))
    np.testing.assert_array_equal(smeared.pt, jets.pt)


def test_smeared_phi_is_wrapped():
    jets = replace(particles(1, 50), pt=np.full(5000, 1e-3, np.float32))
    y = EtaPhiSmearing()(jets, keys(1, 1, np.arange(50))).y
    assert np.abs(y).max() <= np.float32(math.pi)
    assert kstest(y, "uniform", (-math.pi, 2 * math.pi)).pvalue > 1e-3


@pytest.mark.parametrize("formula", ["published", "delphes"])
@pytest.mark.parametrize("pt", PUBLISHED)
def test_pt_smearing(formula, pt):
    width = {"published": PUBLISHED, "delphes": DELPHES}[formula][pt]
    jets = particles(pt, 500)
    smeared = PtSmearing(formula)(jets, keys(1, 1, np.arange(500)))
    above = smeared.pt > pt
    median = np.quantile(smeared.pt[above], math.erf(math.sqrt(0.5)))
    assert median - pt == pytest.approx(width, rel=0.02)
    assert len(smeared.pt) / len(jets.pt) == pytest.approx(norm.cdf(pt / width), abs=0.01)
    assert (smeared.pt > 0).all()


def test_particles_without_pt_left_do_not_matter():
    jets = particles(1, 100)
    k = keys(1, 1, np.arange(100))
    z, _ = aug.normal(aug.particle_keys(k, jets.counts, PtSmearing.channel))
    pt = jets.pt + np.sqrt(np.float32(0.052 + 1.502)) * z
    kept = replace(jets, pt=np.maximum(pt, 0))
    smeared = PtSmearing()(jets, k)
    assert 0.1 < (kept.pt == 0).mean() < 0.3
    assert smeared.counts.tolist() == (pt > 0).reshape(200, 50).sum(axis=1).tolist()
    for draw in (JetImages().draw, JetClouds().draw, JetImages(intensity="logarithmic").draw):
        np.testing.assert_allclose(draw(align(smeared)), draw(align(kept)), atol=1e-4)
    away = EtaPhiSmearing()(kept, k)
    np.testing.assert_allclose(away.x[pt <= 0], jets.x[pt <= 0])


@pytest.mark.parametrize("degrees", [1.0, 45.0, 180.0])
def test_rotation(degrees):
    jets = align(from_clouds(CLOUDS))
    turned = Rotation(degrees)(jets, KEYS)
    before, after = (a.x + 1j * a.y for a in (jets, turned))
    hardest = np.cumsum(jets.counts) - jets.counts
    turn = after[hardest] / before[hardest]
    np.testing.assert_allclose(np.abs(turn), 1, rtol=1e-4)
    np.testing.assert_allclose(after, before * np.repeat(turn, jets.counts), atol=1e-4)
    np.testing.assert_array_equal(turned.pt, jets.pt)
    angle = np.angle(turn, deg=True)
    assert np.abs(angle).max() <= degrees + 0.01
    assert kstest(angle, "uniform", (-degrees, 2 * degrees)).pvalue > 1e-3
    assert abs(np.corrcoef(angle[::2], angle[1::2])[0, 1]) < 0.3


def test_pixel_noise():
    images = JetImages().draw(align(from_clouds(CLOUDS)))
    before = images.copy()
    noisy = PixelNoise(0.2)(images, KEYS)
    np.testing.assert_array_equal(images, before)
    assert not noisy[images == 0].any()
    ratio = noisy[images > 0] / images[images > 0]
    assert kstest(ratio, "norm", (1, 0.2)).pvalue > 1e-3
    loud = PixelNoise(2.0)(images, KEYS)[images > 0]
    assert loud.min() == 0
    assert (loud == 0).mean() == pytest.approx(norm.cdf(-0.5), abs=0.02)


@pytest.mark.parametrize("representation", [JetImages(), JetImages(75), JetClouds()])
def test_view_without_augmentations_is_the_representation(representation):
    view = View(representation)
    assert view.shape == representation.shape
    for k in (None, KEYS):
        np.testing.assert_array_equal(view(CLOUDS, k), representation(JETS))
    softest_first = make([(*jet[:2], *(a[::-1] for a in jet[2:])) for jet in SORTED])
    x = view(JetClouds(alignment="none")(softest_first))
    alike = np.isclose(x, representation(softest_first), rtol=1e-4, atol=1e-4)
    assert alike.all(axis=(1, 2, 3)).mean() > 0.95


@every_view
def test_event_alone_is_event_in_batch(view):
    before = CLOUDS.copy()
    x = view(CLOUDS, KEYS)
    assert (x.shape, x.dtype) == ((len(CLOUDS), *view.shape), np.float32)
    assert np.isfinite(x).all()
    for i in ([0], [149], [77, 3, 77], np.tile(np.arange(150), 5)):
        np.testing.assert_array_equal(view(CLOUDS[i], KEYS[i]), x[i])
    assert view(CLOUDS[:0], KEYS[:0]).shape == (0, *view.shape)
    assert not view(np.zeros_like(CLOUDS[:2]), KEYS[:2]).any()
    np.testing.assert_array_equal(CLOUDS, before)


@every_view
def test_the_key_decides(view):
    x, plain = view(CLOUDS, KEYS), View(view.representation)(CLOUDS)
    np.testing.assert_array_equal(view(CLOUDS), plain)
    for other in (plain, view(CLOUDS, keys(11, 2, np.arange(150)))):
        assert ((x != other).any(axis=(1, 2, 3)) == bool(view.augmentations)).all()


def test_stages_and_order():
    eta_phi, pt, turn, noise = EtaPhiSmearing(), PtSmearing(), Rotation(), PixelNoise(0.1)
    first = eta_phi(from_clouds(CLOUDS), KEYS)
    jets = turn(align(pt(first, KEYS)), KEYS)
    assert {v.dtype for v in (jets.x, jets.y, jets.pt, first.x, first.y)} == {np.dtype("f4")}
    seen = JetImages().draw(jets)
    for order in ((eta_phi, pt, turn, noise), (noise, turn, eta_phi, pt)):
        x = View(JetImages(), order)(CLOUDS, KEYS)
        np.testing.assert_array_equal(x, noise(seen, KEYS))
    assert (View(JetImages(), (pt, eta_phi, turn, noise))(CLOUDS, KEYS) != x).any()


class Reader:
    shape, __len__, __getitem__ = CLOUDS.shape, CLOUDS.__len__, CLOUDS.__getitem__


@every_view
def test_augmented_sample(view):
    N, v = 150, np.array([449, 0, 149, 150, 299, 300, 7, 7])
    fixed, fresh = (aug.Augmented(Reader(), view, copies, 5) for copies in (2, None))
    for sample, length in ((fixed, 3 * N), (fresh, N)):
        assert (len(sample), sample.shape) == (length, (length, *view.shape))
    for event, copy, seen in zip(v % N, v // N, fixed[v], strict=True):
        key = keys(5, copy, np.array([event])) if copy else None
        np.testing.assert_array_equal(view(CLOUDS[[event]], key)[0], seen)
    for epoch in (0, 1):
        np.testing.assert_array_equal(fresh.at_epoch(epoch)[v % N], fixed[N * (epoch + 1) + v % N])
    assert fixed.at_epoch(3) is fixed


def test_exact_copies():
    sample, five = aug.Augmented(CLOUDS, View(JetImages()), 4, 0), np.arange(5 * 150)
    np.testing.assert_array_equal(sample[five], np.tile(JetImages()(JETS), (5, 1, 1, 1)))


@pytest.mark.parametrize("index", [[150], [-1], [0.5], [True], 3, [[1]]])
def test_bad_index(index):
    with pytest.raises(IndexError, match=r"expected integers \(n,\) within \[0, 150\); got"):
        aug.Augmented(CLOUDS, VIEWS["pt"], None, 0)[np.array(index)]


def test_specifications():
    made = aug.combination(list(aug.AUGMENTATIONS)[:3])
    assert made == (EtaPhiSmearing(0.1), PtSmearing("published"), Rotation(180))
    noise = {"name": "pixel_noise", "sigma": 0.2}
    made = aug.combination([noise, {"name": "pt_smearing", "formula": "delphes"}])
    assert made == (PixelNoise(0.2), PtSmearing("delphes"))
    assert noise == {"name": "pixel_noise", "sigma": 0.2}
    assert len({kind.channel for kind in aug.AUGMENTATIONS.values()}) == 4


SAMPLE = aug.Augmented(CLOUDS, VIEWS["pt"], None, 0)
LONG = {"name": "rotation", "range_degrees": "1e1"}
BAD = {
    "name": (aug.augmentation, "turn", r"expected an augmentation of \['eta_phi.*; got 'turn'"),
    "no name": (aug.augmentation, {"scale": 1}, r"expected an augmentation of .*; got {'scale"),
    "field": (aug.augmentation, {"name": "rotation", "x": 5}, r"rotation\(range_deg.*; got {'x'"),
    "missing": (aug.augmentation, "pixel_noise", r"expected pixel_noise\(sigma: .*; got {}"),
    "text": (aug.augmentation, LONG, r"expected rotation.*; got {'range_degrees': '1e1'}"),
    "no list": (aug.combination, "rotation", "expected a list of augmentations; got 'rotation'"),
    "scale": (EtaPhiSmearing, math.inf, "expected a finite scale > 0; got inf"),
    "formula": (PtSmearing, "cms", "expected published or delphes; got 'cms'"),
    "range": (Rotation, 181, r"expected range_degrees within \(0, 180\]; got 181"),
    "sigma": (PixelNoise, -1, "expected a finite sigma > 0; got -1"),
    "twice": (lambda a: View(JetImages(), (a, a)), Rotation(), "expected each kind once; got"),
    "pixels": (lambda s: View(JetClouds(), (PixelNoise(s),)), 1, r"expected images \(2, P, P\)"),
    "clouds": (VIEWS["pt"], CLOUDS[:, :1], r"expected clouds of shape \(N, 2, P, 3\); got"),
    "keys": (lambda k: VIEWS["pt"](CLOUDS, k), KEYS[:3], "expected 150 keys; got"),
    "sample": (lambda x: replace(SAMPLE, x=x), KEYS, r"expected clouds of .*; got \(150,\)"),
    "copies": (lambda n: replace(SAMPLE, copies=n), -1, "expected copies and epoch >= 0; got -1"),
    "epoch": (SAMPLE.at_epoch, -1, "expected copies and epoch >= 0; got -1"),
}


@pytest.mark.parametrize(("function", "argument", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(function, argument, message):
    with pytest.raises(ValueError, match=message):
        function(argument)
