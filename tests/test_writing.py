"""Files are whole or not there, and errors name them."""

import errno

import pytest

from fivesigma.writing import write_json, written


def test_a_file_is_there_at_the_end(tmp_path):
    path = tmp_path / "new" / "x"
    with written(path) as temporary:
        temporary.write_text("a")
        assert not path.exists()
    assert path.read_text() == "a"
    assert list(path.parent.iterdir()) == [path]


ERRORS = {
    "not of files": (ValueError("no"), ValueError, "no"),
    "a full disk": (OSError(errno.ENOSPC, "No space left"), OSError, "No space left: '.*/x'"),
    "of another file": (FileNotFoundError(2, "No", "other"), FileNotFoundError, "No: 'other'"),
}


def write_half(path, error):
    with written(path) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_leaves_what_was_there(case, tmp_path):
    error, kind, text = ERRORS[case]
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(kind, match=text):
        write_half(path, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_that_json_does_not_know_are_not_written(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert path.read_text() == '{\n "a": 1\n}'
    assert list(tmp_path.iterdir()) == [path]
