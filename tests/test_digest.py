"""Names of things by what decides them."""

from pathlib import Path

import pytest

from fivesigma.digest import DIGITS, digest

THING = {"name": "a", "numbers": (1, 2.5), "parts": [{"x": None, "y": 0}], "path": Path("p")}
SAME = {
    "order": dict(reversed(THING.items())),
    "list": THING | {"numbers": [1, 2.5]},
    "option that is not used": THING | {"option": None},
    "inner option": THING | {"parts": [{"y": 0, "z": None}]},
}
OTHER = {
    "value": THING | {"name": "b"},
    "inner value": THING | {"parts": [{"x": None, "y": 1}]},
    "option": THING | {"option": 0},
    "empty option": THING | {"option": []},
    "place in a list": THING | {"numbers": (2.5, 1)},
    "nothing in a list": THING | {"numbers": (1, 2.5, None)},
    "type": THING | {"numbers": ("1", 2.5)},
}


def test_a_known_name():
    """echo -n '{"a": 1}' | sha256sum."""
    assert digest({"a": 1, "b": None}) == "f9d86028c6e0d64e"
    assert len(digest(THING)) == DIGITS == 16


@pytest.mark.parametrize("thing", SAME.values(), ids=SAME.keys())
def test_what_is_not_there_does_not_count(thing):
    assert digest(thing) == digest(THING)


def test_everything_else_counts():
    assert len({digest(thing) for thing in (THING, *OTHER.values())}) == 1 + len(OTHER)
