"""Progress where there is no terminal: plain lines, not too many of them."""

import re

import pytest

from fivesigma import progress
from fivesigma.progress import LINE_EVERY, Display


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def lines(capsys):
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_plain_lines(clock, capsys):
    with Display() as display:
        display("train", 0, 8)
        clock.now += 20
        display("train", 2, 8, "epoch 3")
    assert lines(capsys) == ["train: 0/8, 0 s", "train: 2/8, 20 s, 60 s left; epoch 3"]


def test_no_control_characters(capsys):
    with Display() as display:
        for done in range(4):
            display("generate", done, 3, "note")
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"[\x00-\x09\x0b-\x1f]", err) is None


def test_lines_are_rare(clock, capsys):
    with Display() as display:
        for done in range(1000):
            display("train", done, 1000)
            clock.now += 0.1
    seen = lines(capsys)
    assert len(seen) == pytest.approx(100 / LINE_EVERY, abs=1)
    assert seen[1].startswith("train: 100/1000, 10 s, 90 s left")


def test_the_end_is_always_told(clock, capsys):
    with Display() as display:
        display("train", 0, 2)
        clock.now += 0.5
        display("train", 1, 2)
        display("train", 2, 2)
    assert lines(capsys) == ["train: 0/2, 0 s", "train: 2/2, 0 s, 0 s left"]


def test_what_was_done_before_is_no_speed(clock, capsys):
    with Display() as display:
        display("train", 90, 100)
        clock.now += 10
        display("train", 91, 100)
    assert lines(capsys) == ["train: 90/100, 0 s", "train: 91/100, 10 s, 90 s left"]


def test_stages_are_told_apart(clock, capsys):
    with Display() as display:
        display("generate", 0, 2)
        clock.now += 1
        display("train", 0, 2)
        clock.now += 9
        display("generate", 1, 2)
        display("train", 1, 2)
    expected = ["generate: 0/2, 0 s", "train: 0/2, 0 s", "generate: 1/2, 10 s, 10 s left"]
    assert lines(capsys) == expected


def test_a_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Display() as display:
        display("train", 1, 4, "epoch 3")
        display("train", 4, 4, "epoch 9")
    out, err = capsys.readouterr()
    assert out == ""
    assert "4/4" in err
    assert "epoch 9" in err


def test_errors_pass(capsys):
    display = Display()
    with pytest.raises(ZeroDivisionError), display:
        display("train", 1, 1 // 0)
    assert lines(capsys) == []
