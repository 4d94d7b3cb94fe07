"""CPU time of a loss and its gradient in the logits, against plain cross entropy, on one batch.

Each loss takes its turn in every round, so that other load on the machine hits all; the median
round counts. The weights are those of events of three processes, in events expected.

    python perf/losses.py --events 4096 --rounds 300

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from statistics import median

import torch
from torch import Tensor

from fivesigma.losses import CrossEntropy, Loss
from fivesigma.lovasz import ERRORS, LovaszAsimov, LovaszSignificance

PLAIN = "cross entropy"
EXPECTED = torch.tensor([900.0, 270_000.0, 8000.0])
"""Events of the signal and of two backgrounds."""
EPSILON = 3000.0


def batch(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Logits that tell signal from background a bit, labels and weights [events]."""
    generator = torch.Generator().manual_seed(1)
    process = torch.randint(3, (n,), generator=generator)
    y = (process == 0).float()
    z = torch.randn(n, generator=generator) + y
    weight = EXPECTED[process] / torch.bincount(process)[process]
    return z.requires_grad_(), y, weight


def seconds(loss: Loss, z: Tensor, y: Tensor, weight: Tensor) -> float:
    z.grad = None
    start = time.process_time()
    torch.autograd.backward(loss(z, y, weight))
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    losses: dict[str, Loss] = {PLAIN: CrossEntropy()}
    for error in ERRORS:
        losses[f"Z, {error}"] = LovaszSignificance(error, epsilon=EPSILON)
        losses[f"zeta, {error}"] = LovaszAsimov(error, epsilon=EPSILON)
    events = batch(options.events)
    rounds = [
        {name: seconds(loss, *events) for name, loss in losses.items()}
        for _ in range(options.rounds)
    ][options.rounds // 10 :]
    microseconds = {name: 1e6 * median(times[name] for times in rounds) for name in losses}
    ratios = {name: t / microseconds[PLAIN] for name, t in microseconds.items()}
    for name, t in microseconds.items():
        print(f"{name:20s} {t:7.0f} us  {ratios[name]:5.1f} times plain cross entropy")
    print(json.dumps({"events": options.events, "microseconds": microseconds, "ratio": ratios}))


if __name__ == "__main__":
    main()
