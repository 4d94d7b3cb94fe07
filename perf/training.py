"""Events per second of a training step, against the same network in a plain loop.

Plain means float32, default memory layout, ReLU before pooling, whole batches: as one writes it
first. Both start from the same weights, see the same batches and take turns, so that other load
on the machine hits both; the median step counts.

    python perf/training.py --pixels 25 75 --seconds 60

The last line is JSON. The two validation losses are those after the same number of steps.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fivesigma.losses import CrossEntropy
from fivesigma.networks.cnn import CNN
from fivesigma.schedule import gains_from_bfloat16
from fivesigma.training import predict, step

BATCH_SIZE = 512
LEARNING_RATE = 1e-4


class Plain(nn.Module):
    """The papers' network, written plainly."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(1, eps=1e-3, momentum=None) for _ in range(2))
        self.tower = nn.Sequential(
            *[nn.Conv2d(1, 64, 5, padding="same"), nn.ReLU(), nn.MaxPool2d(2)],
            *[nn.Conv2d(64, 64, 5, padding="same"), nn.ReLU(), nn.MaxPool2d(2)],
            *[nn.Conv2d(64, 128, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)],
            *[nn.Conv2d(128, 128, 3, padding="same"), nn.ReLU(), nn.Flatten()],
            *[nn.Linear(128 * (pixels // 8) ** 2, 128), nn.ReLU()],
            *[nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 1)],
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits of events, shape (N,)."""
        a, b = (self.tower(norm(x[:, j : j + 1]))[:, 0] for j, norm in enumerate(self.norms))
        log_p = F.logsigmoid(a) + F.logsigmoid(b)
        return log_p - torch.log(-torch.expm1(log_p))

    def copy_weights(self, network: CNN) -> None:
        """Start from the weights of `network`."""
        ours = [*network.convolutions.parameters(), *network.head.parameters()]
        for mine, other in zip(self.tower.parameters(), ours, strict=True):
            mine.data = other.data.clone(memory_format=torch.contiguous_format)


def plain_step(network: nn.Module, optimizer: torch.optim.Optimizer, batch: list[Tensor]) -> None:
    x, y, _ = batch
    network.train()
    optimizer.zero_grad()
    torch.autograd.backward(F.binary_cross_entropy_with_logits(network(x), y))
    optimizer.step()


def plain_loss(network: nn.Module, batch: list[Tensor]) -> float:
    network.eval()
    with torch.no_grad():
        z = torch.cat([network(x) for x in torch.split(batch[0], 64)])
    return F.binary_cross_entropy_with_logits(z, batch[1]).item()


def our_loss(network: nn.Module, batch: list[Tensor]) -> float:
    p = torch.from_numpy(predict(network, batch[0].numpy())).clamp(1e-7, 1 - 1e-7)
    return F.binary_cross_entropy(p, batch[1]).item()


def jets(n: int, pixels: int, rng: np.random.Generator) -> list[Tensor]:
    """Sparse images with a core: one prong (y = 0) or two (y = 1), in units of a pixel's mean."""
    y = rng.integers(0, 2, n)
    i = rng.normal(0, 0.1, (n, 2, 30, 2)) + rng.exponential(0.1, (n, 2, 30, 2))
    i[..., 0] += (y[:, None, None] * rng.integers(0, 2, (n, 2, 30))) * 0.3 - 0.1
    event, jet, _ = np.indices(i.shape[:3])
    cell = ((i + 1) / 2 * pixels).astype(int).clip(0, pixels - 1)
    x = np.zeros((n, 2, pixels, pixels), dtype=np.float32)
    np.add.at(x, (event, jet, cell[..., 0], cell[..., 1]), rng.exponential(1, i.shape[:3]))
    return [torch.from_numpy(a.astype(np.float32)) for a in (np.log1p(x), y, np.ones(n))]


@dataclass(frozen=True)
class Measurement:
    """One line of the result."""

    events_per_second: float
    plain_events_per_second: float
    ratio: float
    initial_validation_loss: float
    validation_loss: float
    plain_validation_loss: float
    steps: int


def measure(pixels: int, *, seconds: float) -> Measurement:
    rng = np.random.default_rng(pixels)
    ours, plain = CNN((2, pixels, pixels), seed=1), Plain(pixels)
    plain.copy_weights(ours)
    optimizer = torch.optim.Adam(ours.parameters(), lr=LEARNING_RATE)
    plain_optimizer = torch.optim.Adam(plain.parameters(), lr=LEARNING_RATE)
    times: list[float] = []
    plain_times: list[float] = []
    held_out = jets(2 * BATCH_SIZE, pixels, rng)
    initial_loss = our_loss(ours, held_out)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        batch = jets(BATCH_SIZE, pixels, rng)
        start = time.perf_counter()
        plain_step(plain, plain_optimizer, batch)
        middle = time.perf_counter()
        step(ours, optimizer, (batch[0], batch[1], batch[2]), loss=CrossEntropy())
        times.append(time.perf_counter() - middle)
        plain_times.append(middle - start)
    rate, plain_rate = (BATCH_SIZE / median(t[1:]) for t in (times, plain_times))
    return Measurement(
        events_per_second=round(rate, 1),
        plain_events_per_second=round(plain_rate, 1),
        ratio=round(rate / plain_rate, 2),
        initial_validation_loss=round(initial_loss, 4),
        validation_loss=round(our_loss(ours, held_out), 4),
        plain_validation_loss=round(plain_loss(plain, held_out), 4),
        steps=len(times),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Events per second of a training step.")
    parser.add_argument("--pixels", type=int, nargs="+", default=[25, 75], help="pixels per side")
    parser.add_argument("--seconds", type=float, default=60.0, help="time for each size [s]")
    arguments = parser.parse_args()
    amx = torch.cpu._is_amx_tile_supported()
    precision = "bfloat16" if gains_from_bfloat16() else "float32"
    result: dict[str, object] = {}
    for pixels in arguments.pixels:
        result[str(pixels)] = asdict(measure(pixels, seconds=arguments.seconds))
        print(f"{pixels} x {pixels}: {result[str(pixels)]}", flush=True)
    print(json.dumps(result | {"precision": precision, "amx": amx}))


if __name__ == "__main__":
    main()
