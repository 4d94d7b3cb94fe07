"""The samples that a study asks for."""

from dataclasses import replace

import fabricated
import numpy as np
import pytest
from fabricated import CWOLA, SOURCES, STUDY, TRANSFER, VALLEY, arm, silent, study
from fabricated_studies import SEEN

from fivesigma import samples as module
from fivesigma.represented import represent
from fivesigma.samples import n_background, prepare
from fivesigma.tasks import REGIONS


def test_background_at_a_luminosity():
    assert n_background(STUDY, VALLEY) == round(0.5 * 136.13)
    everything = STUDY.model_copy(update={"luminosity_fb": None})
    assert n_background(everything, VALLEY) == VALLEY.n_background == 18922
    double = arm(luminosity=2.0)
    assert n_background(everything, VALLEY, double) == round(2 * 139 * 136.13)
    assert n_background(everything, VALLEY, CWOLA) == 18922


# What is asked for


@pytest.fixture
def made(monkeypatch, tmp_path):
    """What `make` is asked for, and fabricated events in its place."""
    asked = []

    def make(recipe, n, *, folder, skip, **_options):
        del folder
        asked.append((recipe, n, skip))
        width = 0.1 if recipe.process.name == "QCD dijets" else 0.3
        place = tmp_path / recipe.hash
        return fabricated.sample(place, n, width=width, seed=len(asked), first=skip // 100)

    monkeypatch.setattr(module, "make", make)
    return asked


def prepared(made, **changes):
    """Samples by role, and the names of the processes that were asked for."""
    samples = prepare(study(**changes), store=None, workers=1, report=silent)
    return samples, [(recipe.process.name, n, skip) for recipe, n, skip in made]


@pytest.fixture(autouse=True)
def _nothing_on_disk(monkeypatch):
    monkeypatch.setattr(module, "lacking", lambda *_, **__: 0)


def signal(**parameters):
    return {"process": "signal", "events": 300, "parameters": parameters}


ID10, QCD = "hidden valley ID10", "QCD dijets"
LEARNING = {"arms": [CWOLA, TRANSFER], "sources": SOURCES}


def test_a_study_without_sources(made):
    samples, asked = prepared(made)
    assert asked == [(ID10, 300, 0), (QCD, 600, 0)]
    assert list(samples.targets) == ["ID10"]
    assert (samples.sources, samples.source_background) == ({}, None)


def test_sources_that_no_arm_learns_from_are_not_made(made):
    samples, asked = prepared(made, sources=SOURCES)
    assert asked == [(ID10, 300, 0), (QCD, 600, 0)]
    assert (samples.sources, samples.source_background) == ({}, None)


def test_sources(made):
    samples, asked = prepared(made, **LEARNING)
    assert asked == [
        (ID10, 300, 0),
        (QCD, 600, 0),
        ("hidden valley ID5", 200, 0),
        ("hidden valley DD5", 200, 0),
        (QCD, 300, 600),
    ]
    assert samples.source_names("ID10") == list(samples.sources) == ["ID5", "DD5"]


def test_no_background_event_is_in_both_samples(made):
    """That of the sources lies behind that of the study, in shards of the same sample."""
    samples, _ = prepared(made, **LEARNING)
    ours, theirs = samples.background, samples.source_background
    assert ours.folder == theirs.folder
    assert set(ours.shards) & set(theirs.shards) == set()
    folders = [represent(sample, SEEN, VALLEY, silent) for sample in (ours, theirs)]
    assert len(set(folders)) == 2
    events = [np.load(folder / f"{r}.npy") for folder in folders for r in REGIONS]
    tags = [{x.tobytes() for x in part} for part in events]
    assert (tags[0] | tags[1]) & (tags[2] | tags[3]) == set()


def test_another_background_is_a_sample_of_its_own(made):
    other = {"process": "qcd", "events": 300, "parameters": {"mass_min": 4000.0}}
    samples, asked = prepared(made, **LEARNING | {"sources": SOURCES | {"background": other}})
    assert asked[-1] == (QCD, 300, 0)
    assert samples.source_background.folder != samples.background.folder


@pytest.mark.parametrize(
    "parameters",
    [{"lambda_d": 10.0, "decay": "ID"}, {"lambda_d": 10}, {"decay": "ID"}, {}],
    ids=["both", "scale", "decay", "defaults"],
)
def test_a_target_is_never_among_its_own_sources(parameters, made):
    """Also if its parameters are partly the process's own; the other thirteen points are."""
    samples, asked = prepared(
        made,
        **LEARNING | {"signal": signal(**parameters), "sources": SOURCES | {"points": "others"}},
    )
    assert list(samples.targets) == ["ID10"]
    assert [name for name, _, _ in asked].count(ID10) == 1
    assert sorted(samples.source_names("ID10")) == sorted(set(VALLEY.points) - {"ID10"})


def test_a_target_that_is_listed_is_left_out(made):
    points = {"points": ["ID5", "ID10", "DD1"]}
    samples, _ = prepared(made, **LEARNING | {"sources": SOURCES | points})
    assert list(samples.sources) == ["ID5", "DD1"]


def test_targets(made):
    """Each is learnt from the others; parameters besides those of the point are kept."""
    samples, asked = prepared(
        made,
        **LEARNING
        | {
            "targets": ["ID5", "DD10"],
            "signal": signal(multiparton="off"),
            "sources": SOURCES | {"points": ["ID5", "DD10", "ID1"]},
        },
    )
    assert list(samples.targets) == ["ID5", "DD10"]
    assert samples.source_names("ID5") == ["DD10", "ID1"]
    assert samples.source_names("DD10") == ["ID5", "ID1"]
    settings = {recipe.process.name: recipe.process.settings for recipe, n, _ in made if n == 300}
    assert all("PartonLevel:MPI = off" in settings[f"hidden valley {n}"] for n in ("ID5", "DD10"))
    assert [name for name, _, _ in asked].count("hidden valley ID5") == 2


def test_another_point_than_those_with_names(made):
    samples, _ = prepared(made, **LEARNING | {"signal": signal(lambda_d=7.0, decay="DD")})
    assert list(samples.targets) == ["hidden valley DD7"]
    assert samples.source_names("hidden valley DD7") == ["ID5", "DD5"]


WINDOWS = {"range": [4400, 5800], "half_width": 250, "step": 175, "sideband": 100}


def searching(**changes):
    """A search in two folds."""
    return {"arms": [CWOLA], "search": {"folds": 2} | changes}


BAD = {
    "benchmark": ({"benchmark": "valley"}, r"benchmark: expected one of \[.*\]; got 'valley'"),
    "target": ({"targets": ["ID11"]}, r"targets: expected points of \['ID1', .*; got 'ID11'"),
    "source": (
        LEARNING | {"sources": SOURCES | {"points": ["ID5", "DD11"]}},
        r"sources.points: expected points of \['ID1', .*; got 'DD11'",
    ),
    "no sources": (
        {"arms": [CWOLA, TRANSFER]},
        "sources: expected samples that 'transfer' learns from; got none",
    ),
    "no other source": (
        LEARNING | {"sources": SOURCES | {"points": ["ID10"]}},
        "sources.points: expected points besides ID10; got none",
    ),
    "no other source of one": (
        LEARNING | {"targets": ["ID5", "DD5"], "sources": SOURCES | {"points": ["DD5"]}},
        "sources.points: expected points besides DD5; got none",
    ),
    "parameter of the sources": (
        LEARNING | {"sources": SOURCES | {"parameters": {"mass": 1}}},
        "expected parameters of signal: .*; got mass",
    ),
    "background of the sources": (
        LEARNING | {"sources": SOURCES | {"background": {"process": "z", "events": 9}}},
        "expected a process of .*; got 'z'",
    ),
    "luminosity": ({"luminosity_fb": 1e-6}, "luminosity_fb: expected background events"),
    "signal as background": (
        {"signal": {"process": "qcd", "events": 300}},
        "signal: expected other events than those of the background; got the same, of QCD dijets",
    ),
    "signal as background of the sources": (
        LEARNING | {"sources": SOURCES | {"background": signal()}},
        "signal: expected other events than those of the background; got the same, of hidden",
    ),
    "efficiency of no test event": (
        {"held_out": {"signal": 50, "background": 19}},
        "held_out.background: expected 20 events or more, .* eps_b = 0.05 leaves one; got 19",
    ),
    "many folds": (
        searching(folds=35),
        "search: expected 70 events or more in the signal_region for 35 folds and a cut at 5 %; "
        "got about 68 background events",
    ),
    "windows beyond the regions": (
        searching(windows=WINDOWS | {"range": [4400, 5900]}),
        "search.windows: .* within the spectrum of 4400 to 4700, .*; got 4400 to 5900",
    ),
    "many windows": (
        searching(windows=WINDOWS | {"step": 1e-6}),
        "search.windows: .* at most 1000 windows; got 1e-06, which makes 7e",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD.keys())
def test_bad_studies(changes, message, made):
    """Said before anything is made."""
    with pytest.raises(ValueError, match=message):
        prepare(study(**changes), store=None, workers=1, report=silent)
    assert made == []


def test_a_spectrum_in_two_windows(made, monkeypatch):
    """Said before anything is made."""
    signal_region = VALLEY.selection.region("signal_region")
    regions = [replace(signal_region, windows=((4700.0, 5000.0), (5100.0, 5500.0)))]
    regions += [VALLEY.selection.region("sideband")]
    other = replace(VALLEY, selection=replace(VALLEY.selection, regions=tuple(regions)))
    monkeypatch.setitem(module.BENCHMARKS, "hidden_valley", other)
    message = r"search.background: .* of one window for spectrum; got 2"
    with pytest.raises(ValueError, match=message):
        prepared(made, **searching(background=["spectrum"]))
    assert made == []


TIGHT = {"grid": {"s_over_sqrt_b": [0], "eps_b": [0.1, 0.017]}}


def test_a_search_that_cannot_cut_is_told_before_it_trains(made):
    message = r"search: expected 59 events or more in the sideband for 2 .*; got about 5. back"
    with pytest.raises(ValueError, match=message):
        prepared(made, **searching() | TIGHT)


def test_a_search_that_can_cut(made):
    prepared(made, **searching())
    prepared(made, **searching() | {"grid": {"s_over_sqrt_b": [0], "eps_b": [0.1, 0.025]}})
    prepared(made, **searching(background=["template"]) | TIGHT)


CEILING = arm(label="supervised", supervised_events=150)
FEW = {  # what a study asks for, the key of too small a sample, how many events it needs
    "background": (
        {"luminosity_fb": 5, "grid": {"s_over_sqrt_b": [0], "eps_b": [0.1]}},
        "background",
        741,
    ),
    "held out": ({"held_out": {"signal": 50, "background": 600}}, "background", 668),
    "signal": ({"grid": {"s_over_sqrt_b": [20], "eps_b": [0.1]}}, "signal", 215),
    "supervised": ({"arms": [CEILING]}, "signal", 200),
}


@pytest.mark.parametrize(("changes", "key", "needed"), FEW.values(), ids=FEW.keys())
def test_a_sample_that_is_too_small_says_what_makes_it(changes, key, needed, made):
    """The command makes enough: with what it says the study goes on."""
    changes = {"arms": [CWOLA]} | changes
    with pytest.raises(ValueError, match=rf"{key}.events: expected {needed} events") as caught:
        prepared(made, **changes)
    request = getattr(STUDY, key).model_dump()
    assert f"from {request['events']} generated" in str(caught.value)
    words = str(caught.value).split(f"--set {key}.events=")[1]
    request["events"] = int(words.split()[0])
    prepared(made, **changes | {key: request})
