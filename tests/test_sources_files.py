"""Names of pretrained networks, and files that are none."""

from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from known_sources import SETTINGS, complaint, source

from fivesigma import __version__
from fivesigma.digest import digest
from fivesigma.sources import AGAIN, Source
from fivesigma.strategies.metatransfer import MetaSettings

# The name of a network

CHANGES = {
    "signals": ((Path("/store/1/f"),), (Path("/store/1/f"), Path("/store/2/g"))),
    "background": (Path("/store/3/f"), Path("/store/2/g")),
    "regions": (("signal_region",), ("sideband", "signal_region")),
    "network": ("cnn", "cloud"),
    "architecture": ((("momentum", "absolute"),), (("part", "images"),)),
    "learns": ("process",),
    "settings": (
        replace(SETTINGS, max_epochs=7),
        replace(SETTINGS, best_by="argos"),
        replace(SETTINGS, weight_decay=1e-4),
    ),
    "seed": (2, 3),
    "meta": (MetaSettings(), MetaSettings(max_epochs=5), MetaSettings(reserved=0.4)),
    "reserved": (0.3, 0.4),
}
WORDS = {"names", "representation"}  # those of the folders


def test_everything_that_decides_a_network_is_in_its_hash():
    assert set(CHANGES) == {field.name for field in fields(Source)} - WORDS
    base = source(Path("/store"))
    others = [
        replace(base, **{name: value}) for name, values in CHANGES.items() for value in values
    ]
    hashes = {base.hash, *(other.hash for other in others)}
    assert len(hashes) == 1 + len(others)
    assert source(Path("/elsewhere")).hash == base.hash


def test_networks_keep_the_names_that_they_had():
    """Those with the lowest loss in the best epoch and no decay, from before there was a choice."""
    base = source(Path("/store"))
    settings = asdict(SETTINGS)
    del settings["best_by"], settings["weight_decay"]
    later = dict.fromkeys((*WORDS, "reserved"))
    folders = {"signals": ["one/features", "two/features"], "background": "background/features"}
    named = asdict(base) | later | folders | {"settings": settings, "version": __version__}
    assert base.hash == digest(named)


# Files that are none

CONTENT = {"network": "mlp", "shape": (4,), "made_as": {"seed": 1, "outputs": 1}, "state": {}}
OBJECTS = {
    "a list": [1, 2],
    "no state": {key: value for key, value in CONTENT.items() if key != "state"},
    "state of another": CONTENT | {"state": {"weight": torch.zeros(3)}},
    "network": CONTENT | {"network": "rnn"},
    "argument": CONTENT | {"made_as": {"depth": 3}},
    "code": torch.nn.Linear(2, 2),
}
BYTES = {
    "no bytes": b"",
    "text": b"this is no network\n",
    "pickle": b"\x80\x02]q\x00.",
    "other pickle": b"\x80\xabX",
}


@pytest.mark.parametrize("name", [*OBJECTS, *BYTES])
def test_other_files(name, tmp_path):
    if name in OBJECTS:
        torch.save(OBJECTS[name], tmp_path / "network.pt")
    else:
        (tmp_path / "network.pt").write_bytes(BYTES[name])
    assert complaint(tmp_path / "network.pt").endswith(")")
    assert complaint(tmp_path / "network.pt", hint=AGAIN).endswith("); delete it and run again")


def test_no_file(tmp_path):
    message = complaint(tmp_path / "network.pt", hint=AGAIN)
    assert message.endswith(f"got no such file: {tmp_path / 'network.pt'}")


@pytest.mark.parametrize("start", [b"", b"\x80\x02", b"PK\x03\x04"])
def test_random_bytes(start, tmp_path):
    rng = np.random.default_rng(0)
    for n in rng.integers(1, 60, 150):
        (tmp_path / "network.pt").write_bytes(start + rng.bytes(n))
        complaint(tmp_path / "network.pt")
