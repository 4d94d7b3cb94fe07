"""Records of what a network looks at, of networks whose attributions are known."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from fivesigma.importance import Ranking
from fivesigma.interpretation import interpret
from fivesigma.representations import JetClouds, JetImages

NAMES = ("a", "b", "c")


class Linear(nn.Module):
    """A logit that is linear in the inputs, so that attributions are w (x - b)."""

    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w, dtype=torch.float32))

    def forward(self, x):
        return x.flatten(1) @ self.w


def shifted(n=400):
    rng = np.random.default_rng(1)
    background = rng.normal(0, 1, (n, 3)).astype(np.float32)
    return background + np.float32([2, 1, 0]), background


def test_a_linear_network():
    """w is (1, -1, 0), and the means of signal and background differ by (2, 1, 0)."""
    found = interpret(
        Linear([1, -1, 0]), shifted(), NAMES, events=400, baselines=8, rng=np.random.default_rng(1)
    )
    assert json.loads(json.dumps(found)) == found
    assert (found["events"], found["baselines"]) == (400, 8)
    assert found["largest_error"] < 1e-5
    assert found["ranking"]["names"] == ["a", "b", "c"]
    assert found["ranking"]["mean"] == pytest.approx([2, -1, 0], abs=0.2)
    assert set(found["ranking"]) == {*vars(Ranking((), *[np.zeros(0)] * 6))}
    assert "maps" not in found


def test_events_and_baselines_are_drawn_by_their_weights():
    """Only events of weight are drawn: signal at (3, 0, 0), background at 0."""
    signal, background = np.zeros((2, 50, 3), np.float32)
    signal[10:, 0], background[:25] = 3, 100
    weights = np.arange(50) >= 10, np.arange(50) >= 25
    found = interpret(
        Linear([1, 1, 1]),
        (signal, background),
        NAMES,
        rng=np.random.default_rng(1),
        events=100,
        baselines=2,
        weights=tuple(w.astype(float) for w in weights),
    )
    assert found["events"] == 40
    assert found["ranking"]["mean"] == pytest.approx([3, 0, 0])


def test_a_rare_process_is_a_rare_baseline():
    """Half of the background are events of a hundredth of the weight, which lie at 1, not at 0."""
    background = np.zeros((600, 3), np.float32)
    background[300:, 0] = 1
    found = interpret(
        Linear([1, 0, 0]),
        (np.ones((200, 3), np.float32), background),
        NAMES,
        rng=np.random.default_rng(1),
        events=200,
        baselines=32,
        weights=(None, np.repeat([1.0, 0.01], 300)),
    )
    rare = 1 - found["ranking"]["mean"][0]
    assert rare == pytest.approx(0.01 / 1.01, abs=4 * (0.01 / 6400) ** 0.5)


SEEN = {"images": JetImages(pixels=4), "clouds": JetClouds(particles=5)}


@pytest.mark.parametrize("name", SEEN)
def test_maps_of_images_and_clouds(name):
    """What the signal has more of lies where it is: in the last pixel of the leading jet."""
    seen, rng = SEEN[name], np.random.default_rng(1)
    signal, background = np.zeros((2, 30, *seen.shape), np.float32)
    if name == "images":
        signal[:, 0, 3, 3] = 2
    else:
        signal[:, :, :2] = background[:, :, :2] = 1, 0.99, 0.99
        signal[:, 0, 1, 0] = 3
    weights = np.ones(seen.shape)
    if name == "clouds":
        weights[..., 1:] = 0
    found = interpret(
        Linear(weights.ravel()), (signal, background), seen, rng=rng, events=20, baselines=2
    )
    maps, n = {k: np.array(found["maps"][k]) for k in ("signal", "background")}, -1
    assert found["maps"]["half_width"] == 1.0
    assert maps["signal"][0, n, n] == pytest.approx(2)
    assert np.abs(maps["signal"]).sum() == pytest.approx(2)
    assert not maps["background"].any()
    assert found["ranking"]["mean"][0] == pytest.approx(2)
    assert "leading jet" in found["ranking"]["names"][0]
