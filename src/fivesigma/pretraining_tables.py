"""The tables of what a study learnt before it looked at the data."""

from collections.abc import Mapping, Sequence
from typing import Any

from .series import Results
from .tables import Row

__all__ = ["pretraining_tables"]


def pretraining_tables(results: Results) -> dict[str, list[Row]]:
    """Rows of plain numbers with units in the keys; no table where nothing was learnt before.

    `pretraining`, one row a network, and `meta_tasks`, one row a task of a meta-training.
    """
    networks = results.get("pretraining") or []
    if not networks:
        return {}
    tasks = [row for network in networks if "tasks" in network for row in _tasks(network)]
    return {"pretraining": [_network(network) for network in networks], "meta_tasks": tasks}


def _network(record: Mapping[str, Any]) -> Row:
    row = {"network": record["name"], "file": record["hash"]}
    row |= {f"{label}_events": n for label, n in record["n_events"].items()}
    meta, best = "tasks" in record, record["best_epoch"]
    row |= {
        "learns": "scales and shifts" if meta else "all weights",
        "epochs": len(record["loss"]) if meta else record["epochs"],
        "best_epoch": 1 + best,
        "minutes": record["seconds"] / 60,
    }
    for name in ("scale_rms", "shift_rms"):
        for when, epoch in (("first", 0), ("best", best)):
            row[f"{name}_{when}"] = _mean(record[name][epoch]) if meta else None
    return row | {"accuracy": record["accuracy"][best] if meta else None}


def _mean(rms: Sequence[float]) -> float:
    """Root mean square of those of the layers."""
    return float((sum(x**2 for x in rms) / len(rms)) ** 0.5)


def _tasks(record: Mapping[str, Any]) -> list[Row]:
    """Of the best epoch, the hardest first."""
    best = record["best_epoch"]
    rows = [
        {
            "network": record["name"],
            "task": task,
            "accuracy": record["task_accuracy"][best][k],
            "accuracy_first": record["task_accuracy"][0][k],
            "epochs_among_the_hard": sum(k in hard for hard in record["hard_tasks"]),
        }
        for k, task in enumerate(record["tasks"])
    ]
    return sorted(rows, key=lambda row: float(row["accuracy"]))
