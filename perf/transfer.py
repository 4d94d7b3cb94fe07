"""CPU time of fine-tuning a grid of heads, against fine-tuning each with the tower in every step.

Both ways train the same heads on the same numbers of events for the same epochs with a frozen
tower. Together: the tower embeds all events of the pool once, and all heads of the grid train in
batched matrix products. One by one: `fit` on a network whose tower is frozen, so that every epoch
passes every event through the tower. The times per head, event and epoch are measured on less than
the grid and multiplied up; time is CPU time, so that other load does not count.

    python perf/transfer.py --network cnn cloud --events 4000

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fivesigma.datasets import Dataset
from fivesigma.heads import Chosen, fit_heads
from fivesigma.losses import CrossEntropy
from fivesigma.networks import NETWORKS
from fivesigma.prediction import apply
from fivesigma.schedule import TrainingSettings
from fivesigma.training import fit

GRID = 11 * 10
"""Signal strengths times repeats."""
DATA = 38_000
"""Events of a data set."""
POOL = 200_000
"""Events that the data sets are drawn from, and test events."""
EPOCHS = 20
TOGETHER = 16

SHAPES: dict[str, tuple[int, ...]] = {"cnn": (2, 25, 25), "cloud": (2, 80, 3)}


@dataclass(frozen=True)
class Result:
    """Times of the whole grid [CPU s]."""

    one_by_one: float
    embedding: float
    heads: float

    @property
    def ratio(self) -> float:
        """One by one over together."""
        return self.one_by_one / (self.embedding + self.heads)


def events(shape: tuple[int, ...], n: int) -> NDArray[np.float32]:
    """Numbers of the right shape: falling momenta of 50 constituents, or images with as many."""
    rng = np.random.default_rng(1)
    x = np.zeros((n, *shape), np.float32)
    if shape[-1] == 3:
        x[:, :, :50, 0] = -np.sort(-rng.exponential(20, (n, 2, 50)))
        x[:, :, :50, 1:] = rng.normal(0, 0.2, (n, 2, 50, 2))
        return x
    hit = rng.integers(0, shape[1] * shape[2], (n, 2, 50))
    np.put_along_axis(x.reshape(n, 2, -1), hit, rng.exponential(20, hit.shape), axis=2)
    return x


def seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(name: str, n: int) -> Result:
    shape = SHAPES[name]
    network: Any = NETWORKS[name](shape, seed=1)
    x = events(shape, n)
    y = (np.arange(n) % 2).astype(np.float32)
    data = Dataset(x, y, y, np.ones(n))
    held_out = data.subset(slice(0, n // 5))
    settings = TrainingSettings(max_epochs=2)
    for part in network.parameters():
        part.requires_grad_(requires_grad=False)
    network.head.requires_grad_()
    loss = CrossEntropy()
    alone = seconds(lambda: fit(network, data, held_out, loss=loss, settings=settings, seed=1))
    embedded: list[torch.Tensor] = []
    once = seconds(lambda: embedded.append(apply(network.tower, network, x).bfloat16()))
    heads = [network.new_head(seed) for seed in range(TOGETHER)]
    label, weight = torch.from_numpy(y), torch.ones(n)
    train = [Chosen(torch.randperm(n), label, weight) for _ in heads]
    validation = [chosen.pick(torch.arange(n // 5)) for chosen in train]
    together = seconds(
        lambda: fit_heads(
            heads,
            embedded[0],
            train,
            validation,
            loss=loss,
            settings=settings,
            seeds=range(TOGETHER),
        )
    )
    epochs = GRID * DATA * EPOCHS / (n * settings.max_epochs)
    return Result(alone * epochs, once * POOL / n, together / TOGETHER * epochs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--events", type=int, default=4000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for name in options.network:
        result = measure(name, options.events)
        found[name] = {**asdict(result), "ratio": result.ratio}
        print(
            f"{name:6s} one by one {result.one_by_one:9.0f} s; together {result.embedding:6.0f} s "
            f"for the tower and {result.heads:6.0f} s for the heads: {result.ratio:.0f} times less"
        )
    print(json.dumps({"grid": [GRID, DATA, EPOCHS], "cpu_seconds": found}))


if __name__ == "__main__":
    main()
