"""What a study file may say, and what it is told when it says something else."""

import copy
from pathlib import Path

import pytest
import study_files
from study_files import CONTENT, complaint, write

from fivesigma.arms import build
from fivesigma.loading import load

ROOT = Path(__file__).parents[1]
FILES = {
    path.stem: path
    for path in sorted((ROOT / "studies").glob("*.yaml"))
    if "\nbackgrounds:" not in path.read_text()  # those of projections
}
FILES["demo"] = ROOT / "src" / "fivesigma" / "templates" / "demo.yaml"

PUBLISHED = {
    "label": "published",
    "source": "arXiv",
    "s_over_sqrt_b": [1, 2],
    "z_after": {"0.1": {"mean": [1.5, 4], "std": [0.5, 1]}, "0.03": {"mean": [1, 2]}},
    "auc": {"s_over_sqrt_b": [3], "mean": [0.7]},
    "reach": {"0.1": 2.5},
}
SOURCES = {"events": 500, "background": {"process": "qcd", "events": 1000}}
MISSING = object()
BAD = {  # path, value, what the message says
    "misspelt key": (("benchmrk",), "x", "benchmrk: expected a key that exists (did you mean ben"),
    "misspelt key below": (("grid", "repeat"), 5, "grid.repeat: expected a key that exists (did"),
    "misspelt key of an arm": (
        ("arms", 1, "netwrk"),
        "cnn",
        "arms.1.netwrk: expected a key that exists (did you mean network?); got 'netwrk'",
    ),
    "foreign key": (("zzz",), 1, "zzz: expected a key that exists; got 'zzz'"),
    "missing key": (("benchmark",), MISSING, "benchmark: expected a value; got none"),
    "missing key below": (("held_out", "signal"), MISSING, "held_out.signal: expected a value"),
    "negative events": (("signal", "events"), -5, "signal.events: input should be greater than 0"),
    "no events": (("background", "events"), 0, "background.events: input should be greater than 0"),
    "half an event": (("signal", "events"), 0.5, "signal.events: input should be a valid integer"),
    "text for a number": (("signal", "events"), "many", "signal.events: input should be a valid"),
    "text for a strength": (("grid", "s_over_sqrt_b", 1), "strong", "grid.s_over_sqrt_b.1: input"),
    "number for a name": (("name",), 5, "name: input should be a valid string; got 5"),
    "number for a mapping": (("held_out",), 5, "held_out: input should be"),
    "no arms": (("arms",), [], "arms: list should have at least 1 item"),
    "arms of one name": (("arms", 1, "name"), "CWoLa", "expected arms of different names; got ['C"),
    "label": (
        ("arms", 0, "label"),
        "anomaly",
        "arms.0.label: input should be 'cwola', 'supervised' or 'sources'; got 'anomaly'",
    ),
    "no supervised events": (
        ("arms", 1, "supervised_events"),
        0,
        "arms.1.supervised_events: input",
    ),
    "options": (("arms", 0, "options"), ["head"], "arms.0.options: input should be a valid dict"),
    "no copies": (("arms", 0, "augmentation"), {"copies": 0}, "arms.0.augmentation.copies: input"),
    "misspelt copies": (
        ("arms", 0, "augmentation"),
        {"copy": 1},
        "arms.0.augmentation.copy: expected a key that exists (did you mean copies?); got 'copy'",
    ),
    "maps": (("arms", 0, "augmentation"), {"maps": "rotation"}, "arms.0.augmentation.maps: input"),
    "targets": (("targets",), "ID10", "targets: input should be a valid list; got 'ID10'"),
    "points": (("sources",), SOURCES | {"points": "all"}, "sources.points"),
    "no source events": (("sources",), SOURCES | {"events": 0}, "sources.events: input should be"),
    "no source background": (("sources",), {"events": 9}, "sources.background: expected a value"),
    "no regions": (("sources",), SOURCES | {"regions": []}, "sources.regions: list should have"),
    "region": (("sources",), SOURCES | {"regions": ["wide_sideband"]}, "sources.regions.0: input"),
    "no strengths": (("grid", "s_over_sqrt_b"), [], "grid.s_over_sqrt_b: list should have at le"),
    "negative strength": (("grid", "s_over_sqrt_b"), [3, -1], "grid.s_over_sqrt_b.1: input should"),
    "infinite strength": (("grid", "s_over_sqrt_b"), [float("inf")], "grid.s_over_sqrt_b.0: inp"),
    "no cuts": (("grid", "eps_b"), [], "grid.eps_b: list should have at least 1 item"),
    "eps_b of 0": (("grid", "eps_b"), [0.1, 0], "grid.eps_b.1: input should be greater than 0"),
    "eps_b of 1": (("grid", "eps_b"), [1], "grid.eps_b.0: input should be less than 1; got 1"),
    "eps_b of one name": (("grid", "eps_b"), [0.1, 0.1 + 1e-9], "grid.eps_b: expected values that"),
    "strength twice": (("grid", "s_over_sqrt_b"), [0, 5, 5], "grid.s_over_sqrt_b: expected values"),
    "target twice": (("targets",), ["ID5", "ID5"], "targets: expected values that differ; got ['"),
    "point twice": (
        ("sources",),
        SOURCES | {"points": ["ID5", "ID5"]},
        "sources.points: expected values that differ; got ['ID5', 'ID5']",
    ),
    "region twice": (
        ("sources",),
        SOURCES | {"regions": ["sideband", "sideband"]},
        "sources.regions: expected values that differ",
    ),
    "background twice": (
        ("search",),
        {"background": ["template", "template"]},
        "search.background: expected values that differ",
    ),
    "published without mean": (
        ("published",),
        [PUBLISHED | {"z_after": {"0.1": {"std": [1, 2]}}}],
        "published.0.z_after: expected a mean, and lists as long as s_over_sqrt_b, of 2; got {",
    ),
    "published columns": (
        ("published",),
        [PUBLISHED | {"z_after": {"0.1": {"mean": [1, 2, 3]}}}],
        "published.0.z_after: expected a mean, and lists as long as s_over_sqrt_b, of 2; got {",
    ),
    "published area": (
        ("published",),
        [PUBLISHED | {"auc": {"s_over_sqrt_b": [3], "mean": [0.7, 0.8]}}],
        "published.0.auc: expected a mean, and lists as long as s_over_sqrt_b, of 1; got {",
    ),
    "published cut": (
        ("published",),
        [PUBLISHED | {"z_after": {"10 %": {"mean": [1, 2]}}}],
        "published.0.z_after.10 %.[key]: expected an eps_b, such as 0.01; got '10 %'",
    ),
    "published reach": (
        ("published",),
        [PUBLISHED | {"reach": {"0.10": 2.5}}],
        "published.0.reach.0.10.[key]: expected an eps_b, such as 0.01; got '0.10'",
    ),
    "published twice": (
        ("published",),
        [PUBLISHED, PUBLISHED],
        "published: expected labels other than each other and arms; got ['published', '",
    ),
    "published as an arm": (
        ("published",),
        [PUBLISHED | {"label": "CWoLa"}],
        "published: expected labels other than each other and arms; got ['CWoLa']",
    ),
    "published of another signal": (
        ("published",),
        [PUBLISHED | {"target": "ID10"}],
        "published: expected targets of []; got 'ID10'",
    ),
    "no repeats": (("grid", "repeats"), 0, "grid.repeats: input should be greater than 0; got 0"),
    "seed": (("seed",), 90_000, "seed: input should be less than 90000; got 90000"),
    "luminosity": (("luminosity_fb",), -1, "luminosity_fb: input should be greater than 0; got -1"),
    "infinite luminosity": (("luminosity_fb",), float("inf"), "luminosity_fb: input should be a f"),
}


file = pytest.fixture(study_files.file)


def changed(path, value):
    content = copy.deepcopy(CONTENT)
    *above, last = path
    place = content
    for key in above:
        place = place[key]
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return content


@pytest.mark.parametrize(("name", "path"), FILES.items(), ids=FILES)
def test_the_studies_of_the_package(name, path):
    study = load(path)
    assert study.name == name
    assert "cwola" in {arm.label for arm in study.arms}
    assert study.search or 0 in study.grid.s_over_sqrt_b
    for arm in study.arms:
        build(arm)


def test_defaults(file):
    study = load(file)
    assert (study.seed, study.luminosity_fb, study.published) == (1, None, [])
    assert study.grid.repeats == 3
    assert study.grid.eps_b == [0.1, 0.01, 0.001]
    assert study.background.parameters == {}
    assert {(arm.network, arm.strategy) for arm in study.arms} == {("cnn", "direct")}
    assert (study.targets, study.sources) == ([], None)
    for arm in study.arms:
        assert arm.options == arm.pretraining == arm.contrast == arm.architecture == {}
        assert arm.augmentation is None


def test_published_numbers(tmp_path):
    """They may be of other cuts than the grid, which an override may change."""
    study = load(write(tmp_path, CONTENT | {"published": [PUBLISHED]}), ["grid.eps_b=[0.05]"])
    assert study.published[0].reach == {"0.1": 2.5}


def test_sources(tmp_path):
    content = CONTENT | {"targets": ["ID5", "ID10"], "sources": SOURCES}
    sources = load(write(tmp_path, content)).sources
    assert (sources.points, sources.regions) == ("others", ["signal_region"])
    assert (sources.events, sources.background.events) == (500, 1000)
    study = load(tmp_path / "study.yaml", ["sources.points=[ID1, DD5]", "sources.events=7"])
    assert (study.sources.points, study.sources.events) == (["ID1", "DD5"], 7)
    assert study.targets == ["ID5", "ID10"]


@pytest.mark.parametrize(("path", "value", "expected"), BAD.values(), ids=BAD.keys())
def test_bad_input(path, value, expected, tmp_path):
    bad = write(tmp_path, changed(path, value))
    message = complaint(bad)
    assert message.startswith(f"{bad}: ")
    assert expected in message


@pytest.mark.parametrize(
    ("text", "expected"),
    {
        "no YAML": ("name: [", "expected YAML in"),
        "a tab": ("name:\n\t- x", "expected YAML in"),
        "a list": ("- name\n- title", "expected keys and values in .*; got list"),
        "a text": ("name", "expected keys and values in .*; got str"),
        "nothing": ("", "expected keys and values in .*; got NoneType"),
        "an object": ("!!python/object:os.system {}", "expected YAML in"),
    }.values(),
)
def test_other_files(text, expected, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    message = complaint(path)
    with pytest.raises(ValueError, match=expected):
        load(path)
    assert str(path) in message


@pytest.mark.parametrize(
    ("text", "expected"),
    {
        "key": ("a: 1\nb: {c: 1}\na: 2\n", "'a' again in {path}, line 3"),
        "deep": ("b:\n  - {c: 1,\n    d: 2, c: 1}\n", "'c' again in {path}, line 3"),
        "number": ("0.1: 1\n0.10: 2\n", "0.1 again in {path}, line 2"),
        "merged": ("a: &a {b: 1}\nc:\n  <<: *a\n  <<: *a\n", "'<<' again in {path}, line 4"),
    }.values(),
)
def test_a_key_that_is_there_twice(text, expected, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    assert complaint(path) == f"expected each key once; got {expected.format(path=path)}"


def test_a_merged_key_can_be_overridden(tmp_path):
    arms = "arms:\n- &a {name: a, label: cwola, representation: {kind: images}}\n"
    arms += "- &b {<<: *a, name: b}\n- {<<: *b, name: c}\n- {name: d, <<: *b}\n"
    path = write(tmp_path, {key: value for key, value in CONTENT.items() if key != "arms"})
    path.write_text(path.read_text() + arms)
    assert [arm.name for arm in load(path).arms] == ["a", "b", "c", "d"]


def test_unreadable_files(tmp_path):
    assert str(tmp_path / "no.yaml") in complaint(tmp_path / "no.yaml")
    assert str(tmp_path) in complaint(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\xb5")
    assert "binary.yaml" in complaint(tmp_path / "binary.yaml")
