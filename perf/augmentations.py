"""CPU time of augmentation on the fly, against the training step that it feeds.

A batch of clouds becomes images with and without augmentation; the step is that of the papers'
network on these images. Memory is the growth of the process over an epoch of "+n fixed copies".

    python perf/augmentations.py --pixels 25 --copies 33

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fivesigma.augmentations import Augmented, PtSmearing, Rotation, View, keys
from fivesigma.losses import CrossEntropy
from fivesigma.networks.cnn import CNN
from fivesigma.representations import JetImages
from fivesigma.training import step

BATCH_SIZE = 512


def clouds(n: int, particles: int = 55) -> NDArray[np.float32]:
    """Constituents of jets of a TeV, falling in momentum, shape (n, 2, P, 3)."""
    rng = np.random.default_rng(1)
    x = np.empty((n, 2, particles, 3), np.float32)
    x[..., 0] = -np.sort(-rng.exponential(20, (n, 2, particles)))
    x[..., 1:] = rng.normal(0, 0.2, (n, 2, particles, 2))
    return x


def seconds(work: Callable[[], Any], times: int) -> float:
    found = []
    for _ in range(times):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pixels", type=int, default=25)
    parser.add_argument("--copies", type=int, default=33)
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = JetImages(pixels=options.pixels)
    plain, smeared = View(images), View(images, (PtSmearing(), Rotation()))
    x, numbers = clouds(BATCH_SIZE), np.arange(BATCH_SIZE)
    without = seconds(lambda: plain(x), 20)
    augmented = seconds(lambda: smeared(x, keys(1, 1, numbers)), 20)
    network = CNN(images.shape, seed=1)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    y = torch.from_numpy((numbers % 2).astype(np.float32))
    batch = torch.from_numpy(plain(x)), y, torch.ones(BATCH_SIZE)
    training = seconds(lambda: step(network, optimizer, batch, loss=CrossEntropy()), 5)
    sample = Augmented(clouds(2000), smeared, options.copies, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for index in np.array_split(np.arange(len(sample)), len(sample) // BATCH_SIZE):
        sample[index]
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    share = augmented / training
    print(f"step {1e3 * training:.0f} ms; images {1e3 * without:.1f} ms, {1e3 * augmented:.1f} ms")
    print(
        json.dumps(
            {
                "pixels": options.pixels,
                "share_of_step": share,
                "copies": options.copies,
                "memory_growth_mb": growth,
            }
        )
    )


if __name__ == "__main__":
    main()
