"""What is wrong with a projection is said in one line, before anything is made."""

import math
import re
import sys

import pytest
import scans
import weighted
import yaml
from weighted import CONTENT

from fivesigma import cli
from fivesigma.loading import load
from fivesigma.projection import Projection

toys = pytest.fixture(scans.toys)
go = pytest.fixture(scans.go)


BAD = {
    "point": ("points=[m4]", r"points: expected points of \['m1', 'm2', 'm3'\]; got 'm4'"),
    "points": ("points=[m1, m1]", "points: expected points that differ"),
    "point by parameters": (
        "points=[{mass: 2.5, side: left}]",
        "expected parameters of signal: .*",
    ),
    "point twice": ("points=[m1, {mass: 1}]", "points: expected points that differ; got m1 twice"),
    "number as point": ("points=[1]", "points.0"),
    "benchmark": ("benchmark=none", "benchmark: expected one of .*; got 'none'"),
    "no features": ("benchmark=hidden_valley", "benchmark: expected one that keeps named features"),
    "process": ("backgrounds.few.0.process=no", "expected a process of gaussians: .*; got 'no'"),
    "parameter": ("signal.parameters.mas=1", "expected parameters of signal: .*; got mas"),
    "twice": (
        "backgrounds.again=[{process: few, events: 10}]",
        "again: expected events of its own; got those of few",
    ),
    "signal as background": ("backgrounds.signal=[{process: few, events: 9}]", "other names than"),
    "no slice": ("backgrounds.few=[]", "backgrounds.few: list should have at least 1 item"),
    "strategy": ("arms.0.strategy=transfer", "arms.0.strategy: input should be 'direct' or 'boos"),
    "network": ("arms.0.network=mpl", "arms: trees: network: expected one of .*; got 'mpl'"),
    "loss": ("arms.0.options.loss={kind: z}", "trees: options.loss.kind: expected one of .*; got"),
    "option": ("arms.0.options.tree=3", "trees: options: .*'tree'"),
    "weights": ("arms.0.weights=none", "arms.0.weights"),
    "exponent": ("arms.0.weights={size: ln}", "arms.0.weights"),
    "key": ("arms.0.weigths=equal", r"expected a key that exists \(did you mean weights\?\)"),
    "share": ("train_share.background=0", "train_share.background: input should be greater than 0"),
    "split": ("shares.test=0", "shares.test: input should be greater than 0"),
    "selected": ("selected_fb={more: 1}", r"expected some of \['signal', 'many', 'few'\]; got"),
    "selected zero": ("selected_fb.few=0", "selected_fb.few: input should be greater than 0"),
    "total": (
        "totals={source: x, fb: {more: 1}}",
        r"totals.fb: expected some of .*; got \['more'\]",
    ),
    "total zero": ("totals={source: x, fb: {few: 0}}", "totals.fb.few: input should be greater"),
    "spread": ("spread=0", "spread: input should be greater than 0"),
    "luminosity": ("luminosity_fb=-1", "luminosity_fb: input should be greater than 0"),
    "published": (
        "published=[{source: x, numbers: {tres: {}}}]",
        r"published: expected arms of \['trees'\]; got \['tres'\]",
    ),
    "column": ("published=[{source: x, numbers: {trees: {z_0.4: [1, 1]}}}]", "published.0.numbers"),
}


@pytest.mark.parametrize(("override", "message"), BAD.values(), ids=BAD.keys())
def test_bad_values(override, message, go, toys):
    code, out, err = go("--set", override, write=False)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert re.search(message, err), err
    assert not (toys / "store").exists()


def test_a_point_that_sets_what_the_signal_sets_is_refused(go):
    signal = {"process": "signal", "events": 10, "parameters": {"mass": 1.0}}
    for point in ("m2", {"mass": 2}):
        code, out, err = go(signal=signal, points=[point], write=False)
        assert (code, out) == (2, "")
        assert err == (
            "fivesigma: signal.parameters: expected none that points set; got mass in both\n"
        )


def spoil(process, columns):
    if process == "few":
        columns["h_t"][7] = math.nan
    return columns


def test_a_feature_that_is_not_a_number_names_its_process(go, toys):
    weighted.write(weighted.projection(), toys / "store", spoil=spoil)
    code, _, err = go(write=False)
    assert code == 2
    message = err.splitlines()[-1]
    assert message == "fivesigma: few: expected finite h_t; got 6 of 3000 events that are not"


def test_a_search_is_no_projection(toys, monkeypatch, capsys):
    (toys / "study.yaml").write_text(yaml.safe_dump(CONTENT))
    assert isinstance(load(toys / "study.yaml"), Projection)
    monkeypatch.setattr(sys, "argv", ["fivesigma", "search", str(toys / "study.yaml")])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert "search: expected how to search" in capsys.readouterr().err
