"""Settings of meta-transfer learning, and networks before and after it."""

import torch

from fivesigma.strategies import metatransfer
from fivesigma.strategies.metatransfer import MetaSettings, Scaled

FAST = {"base_learning_rate": 0.1, "base_epochs": 1, "meta_learning_rate": 0.02}
SETTINGS = MetaSettings(events=100, **FAST, batch_size=50, max_epochs=3, precision="float32")


def same(first, second):
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def instances(monkeypatch):
    made = []
    monkeypatch.setattr(metatransfer, "Scaled", lambda net: made.append(Scaled(net)) or made[-1])
    return made
