"""Values of a study file that are set beside it."""

import pytest
import study_files
import yaml
from study_files import CONTENT, complaint

from fivesigma.loading import load, parse

file = pytest.fixture(study_files.file)


# Overrides


def test_overrides(file):
    study = load(
        file,
        [
            "seed=7",
            "grid.repeats=5",
            "grid.s_over_sqrt_b=[1, 2.5]",
            "grid.s_over_sqrt_b.0=3",
            "arms.1.name=ceiling",
            "arms.0.training.max_epochs=2",
            "background.parameters.mass_min=3600.0",
            "luminosity_fb=14.7",
            "title=one = one",
        ],
    )
    assert (study.seed, study.grid.repeats, study.luminosity_fb) == (7, 5, 14.7)
    assert study.grid.s_over_sqrt_b == [3, 2.5]
    assert [arm.name for arm in study.arms] == ["CWoLa", "ceiling"]
    assert study.arms[0].training == {"max_epochs": 2}
    assert study.background.parameters == {"mass_min": 3600.0}
    assert study.title == "one = one"


def test_an_override_of_one_arm_leaves_the_others(file):
    assert "*" in file.read_text()  # both arms are given the same representation by an alias
    study = load(file, ["arms.0.representation.pixels=20"])
    assert [arm.representation["pixels"] for arm in study.arms] == [20, 10]


@pytest.mark.parametrize(
    ("override", "expected"),
    {
        "misspelt": ("grid.repeat=5", "grid.repeat: expected a key that exists (did you mean repe"),
        "out of range": ("grid.repeats=-5", "grid.repeats: input should be greater than 0; got -5"),
        "position": ("arms.2.name=x", "list positions that exist; got 'arms.2.name'"),
        "name for a position": ("arms.CWoLa.name=x", "that exist; got 'arms.CWoLa.name'"),
        "below a number": ("signal.events.x=1", "that exist; got 'signal.events.x'"),
        "below a text": ("name.x.y=1", "that exist; got 'name.x.y'"),
        "no value": ("seed", "expected key=value; got 'seed'"),
        "no YAML": ("seed=[", "expected a YAML value for seed; got '['"),
        "twice": ("grid={a: 1, a: 2}", "each key once; got 'a' again in the value of grid"),
        "elsewhere": ("grid.folds=5", "grid.folds: expected a key that exists; got 'folds'"),
        "below": ("arms.0.interpret.event=5", "exists (did you mean events?); got 'event'"),
        "above": ("arms.0.title=x", "arms.0.title: expected a key that exists; got 'title'"),
    }.values(),
)
def test_bad_overrides(override, expected, file):
    assert expected in complaint(file, [override])


def test_on_and_off_are_words(tmp_path, file):
    assert load(file).signal.parameters == {"multiparton": "off"}
    text = yaml.safe_dump(CONTENT).replace("multiparton: 'off'", "multiparton: off")
    (tmp_path / "plain.yaml").write_text(text)
    assert "multiparton: off" in text
    study = load(tmp_path / "plain.yaml", ["background.parameters.multiparton=on"])
    assert study.signal.parameters == {"multiparton": "off"}
    assert study.background.parameters == {"multiparton": "on"}


# Assignments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=b", ("a", "b")),
        ("a=1", ("a", 1)),
        ("a=-1.5", ("a", -1.5)),
        ("a=1e-4", ("a", 1e-4)),
        ("a=1.0e-4", ("a", 1e-4)),
        ("a=2E3", ("a", 2000.0)),
        ("a=on", ("a", "on")),
        ("a=no", ("a", "no")),
        ("a=null", ("a", None)),
        ("a=", ("a", None)),
        ("a=b=c", ("a", "b=c")),
        ("a.b=[1, x]", ("a.b", [1, "x"])),
        ("a={b: 1}", ("a", {"b": 1})),
        ("a =b", ("a", "b")),
        ("file=/a b.lhe", ("file", "/a b.lhe")),
    ],
)
def test_parse(text, expected):
    assert parse(text) == expected
    assert type(parse(text)[1]) is type(expected[1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "expected key=value; got 'a'"),
        ("=b", "expected key=value; got '=b'"),
        ("", "expected key=value; got ''"),
        ("a=[", "expected a YAML value for a; got '['"),
        ("a={b: ", "expected a YAML value for a; got '{b: '"),
        ("a=2024-13-45", "expected a YAML value for a; got '2024-13-45'"),
    ],
)
def test_parse_errors(text, expected):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        parse(text)
    assert str(caught.value) == expected
