"""Which of the known signals data look like: by hand, and from fabricated events to the report."""

import json

import numpy as np
import pytest
from fabricated import SOURCES, arm, study
from fabricated_searches import CHANGES
from fabricated_studies import IN_PROCESS
from matplotlib.patches import Rectangle

from fivesigma import studies
from fivesigma.plots import KNOWN_FIGURES
from fivesigma.report import write_report
from fivesigma.resemblance import Resemblance, resemblance_words
from fivesigma.results import save
from fivesigma.studies import run

EXPERTS = arm(
    name="experts",
    label="cwola",
    strategy="experts",
    network="mlp",
    representation={"kind": "features", "observables": ["width", "lha"]},
    pretraining={"max_epochs": 2},
)


def records(a, strength=0.0):
    """Shares a of the one of three signals, and of the others what is left, evenly."""
    return [
        {"s_over_sqrt_b": strength, "shares": {"one": x, "two": (1 - x) / 2, "three": (1 - x) / 2}}
        for x in a
    ]


def found():
    null = Resemblance(records(np.linspace(0, 1, 101)))
    return {
        "null": null.summary(),
        "power": {"strong": null.power(records([0.9, 0.8, 1.0], 2) + records([0.5], 1))},
        "data": null.of_data(records([0.85])[0]),
    }


def test_shares_by_hand():
    """The largest is that of the one from a third on: within 0.15 above 0.85."""
    one = found()
    assert one["null"]["one"] == pytest.approx(
        {"median": 0.5, "low": 0.15865, "high": 0.84135, "max": 1.0}
    )
    assert one["data"]["largest"] == "one"
    assert one["data"]["p"] == pytest.approx(16 / 101)
    weak, strong = one["power"]["strong"]
    assert (weak["s_over_sqrt_b"], strong["s_over_sqrt_b"]) == (1, 2)
    assert strong["shares"]["one"]["median"] == 0.9
    assert strong["shares"]["two"]["median"] == pytest.approx(0.05)


def test_in_words():
    text = resemblance_words("experts", found())
    assert text.startswith("experts: of the known signals the data look most like one, ")
    assert "a share of 0.85 (without a signal 68 % within 0.16 and 0.84); 15.8 % of" in text


@pytest.mark.parametrize("kept", [{"null", "power", "data"}, {"null", "power"}])
def test_the_figure_shows_all_signals(kept):
    one = {key: part for key, part in found().items() if key in kept} | {"power": found()["power"]}
    figure = KNOWN_FIGURES["known_signals"]({"known": {"experts": one, "other": one}})
    for axis in figure.axes:
        assert [t.get_text() for t in axis.get_yticklabels()] == ["three", "two", "one"]
        bars = [p for p in axis.patches if isinstance(p, Rectangle)]
        assert bars[-1].get_x() == pytest.approx(0.15865)
        marks = {round(line.get_xdata()[0], 3) for line in axis.lines if len(line.get_xdata()) == 1}
        assert marks == ({0.85, 0.075} if "data" in kept else {0.9, 0.05})
    names = {text.get_text() for text in figure.legends[0].get_texts()}
    assert ("data" in names) == ("data" in kept)


@pytest.mark.slow
def test_from_the_study_to_the_report(samples, tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "prepare", lambda *_, **__: samples)
    monkeypatch.setattr(studies, "LocalCluster", IN_PROCESS)
    changes = CHANGES | {"arms": [EXPERTS], "sources": SOURCES}
    options = {"workers": 1, "report": lambda *_: None}
    made = run(study(**changes), out=tmp_path, store=tmp_path / "store", **options)
    path = save(made, tmp_path)
    known = json.loads(path.read_text())["known"]["experts"]
    sets = [one for record in made.records for one in record["sets"]]
    for one in sets:
        assert sum(one["shares"].values()) == pytest.approx(1)
        assert set(one["shares"]) == set(known["null"])
        assert "ID10" not in one["shares"]
    for name, share in known["null"].items():
        own = [one["shares"][name] for one in sets if one["s_over_sqrt_b"] == 0]
        assert share["median"] == pytest.approx(np.median(own))
    write_report(tmp_path)
    rows = json.loads((tmp_path / "tables" / "known.json").read_text())
    assert {(row["signal"], row["s_over_sqrt_b"]) for row in rows} == {
        ("none", 0.0), ("ID10", 2.0), ("ID10", 4.0),
    }  # fmt: skip
    assert "What the signal region holds as a mixture" in (tmp_path / "report.html").read_text()
