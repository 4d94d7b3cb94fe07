"""Represented events of sources whose densities are known, and networks that learn from them."""

from dataclasses import replace

import pytest

from fivesigma.sources import Source, load_network
from fivesigma.training import TrainingSettings

SETTINGS = TrainingSettings(
    learning_rate=3e-3, batch_size=256, max_epochs=6, patience=3, precision="float32"
)


def source(folder, **changes):
    made = Source(
        signals=(folder / "one" / "features", folder / "two" / "features"),
        background=folder / "background" / "features",
        regions=("signal_region", "sideband"),
        network="mlp",
        architecture=(),
        learns="signal",
        settings=SETTINGS,
        seed=1,
        names=("one", "two"),
        representation="features-4",
    )
    return replace(made, **changes)


def complaint(path, shape=(4,), hint=""):
    with pytest.raises(ValueError, match=r"expected a .*network") as caught:
        load_network(path, shape, hint=hint)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message
