"""What a report says of the networks that were learnt before."""

import json

import pytest
from fabricated_results import nothing, save

from fivesigma.pretraining_tables import pretraining_tables
from fivesigma.report import write_report

COMMON = {"n_events": {"background": 300, "signal": 400}, "seconds": 90.0}
PLAIN = COMMON | {"name": "cnn without ID10", "hash": "01", "best_epoch": 2, "epochs": 5}
META = COMMON | {
    "name": "cnn without ID10, meta-trained",
    "hash": "02",
    "tasks": ["ID1", "ID5", "DD1"],
    "layers": ["convolutions.0", "convolutions.1"],
    "loss": [0.6, 0.4, 0.5],
    "accuracy": [0.6, 0.7, 0.65],
    "task_accuracy": [[0.5, 0.6, 0.7], [0.6, 0.8, 0.5], [0.6, 0.7, 0.65]],
    "hard_tasks": [[0, 1], [2, 0], [0, 2]],
    "scale_rms": [[0.003, 0.004], [0.03, 0.04], [0.3, 0.4]],
    "shift_rms": [[0.001, 0.001], [0.01, 0.01], [0.1, 0.1]],
    "best_epoch": 1,
}


def test_networks():
    plain, meta = pretraining_tables({"pretraining": [PLAIN, META]})["pretraining"]
    assert list(plain) == list(meta)
    assert (plain["learns"], meta["learns"]) == ("all weights", "scales and shifts")
    assert (plain["epochs"], plain["best_epoch"], plain["minutes"]) == (5, 3, 1.5)
    assert (plain["background_events"], plain["signal_events"]) == (300, 400)
    assert (plain["scale_rms_best"], plain["accuracy"]) == (None, None)
    assert (meta["epochs"], meta["best_epoch"], meta["accuracy"]) == (3, 2, 0.7)
    assert meta["scale_rms_first"] == pytest.approx(0.005 / 2**0.5)
    assert meta["scale_rms_best"] == pytest.approx(0.05 / 2**0.5)
    assert meta["shift_rms_best"] == pytest.approx(0.01)


def test_tasks_hardest_first():
    rows = pretraining_tables({"pretraining": [PLAIN, META]})["meta_tasks"]
    assert [row["task"] for row in rows] == ["DD1", "ID1", "ID5"]
    assert [row["accuracy"] for row in rows] == [0.5, 0.6, 0.8]
    assert [row["accuracy_first"] for row in rows] == [0.7, 0.5, 0.6]
    assert [row["epochs_among_the_hard"] for row in rows] == [2, 3, 1]


def test_no_table_where_nothing_was_learnt():
    assert pretraining_tables({}) == pretraining_tables({"pretraining": []}) == {}


@pytest.mark.parametrize("networks", [[PLAIN], [META], [PLAIN, META]])
def test_they_are_in_the_report(networks, tmp_path):
    results = nothing() | {"pretraining": networks}
    html = write_report(save(results, tmp_path)).read_text()
    for network in networks:
        assert f"<td>{network['name']}</td>" in html
    assert ("<td>DD1</td><td>0.500</td><td>0.700</td><td>2</td>" in html) == (META in networks)
    assert ("0.035<small>0.0035 in the first epoch" in html) == (META in networks)
    rows = json.loads((tmp_path / "tables" / "pretraining.json").read_text())
    assert [row["file"] for row in rows] == [network["hash"] for network in networks]
    assert (tmp_path / "hepdata" / "pretraining.yaml").exists()


def test_no_heading_where_nothing_was_learnt(tmp_path):
    html = write_report(save(nothing(), tmp_path)).read_text()
    assert "Pretrained networks" not in html
    assert 'id="note-8"' not in html
