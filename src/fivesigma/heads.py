r"""Many small networks on one embedding, trained together.

A frozen tower $e$ is evaluated once for all events. The heads $h = 1 \dots H$ of a whole grid of
data sets, each with its own weights $\theta_h$, events $i \in D_h$ and early stopping, are
independent problems,

$$ \theta_h^* = \arg \min_{\theta_h} \sum_{i \in D_h} w_{hi} \,
   \ell \big( f_{\theta_h}(e(x_i)), y_{hi} \big) , $$

but one batched matrix product: the gradient of the sum over heads is the gradient of each. Adam
acts on each weight by itself, so that every head goes the way it would go alone, up to the number
of steps in an epoch, which is that of the largest data set. Heads that stopped leave the batch.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from .losses import Batchwise, Loss
from .prediction import autocast
from .schedule import HeldOut, History, Trace, TrainingSettings
from .training import Batch, Progress, loop, optimiser, silent

__all__ = ["Chosen", "Stack", "fit_heads"]

VALIDATION_SLICE = 4096


@dataclass(frozen=True, eq=False)
class Chosen:
    """The events of one head, chosen from an embedding."""

    index: Tensor
    """Rows of the embedding, shape (N,), int64."""
    y: Tensor
    """Training labels, shape (N,), float32."""
    weight: Tensor
    """Event weights, shape (N,), float32, not all zero."""

    def __len__(self) -> int:
        return len(self.index)

    def pick(self, i: Tensor) -> Chosen:
        """Some of the events."""
        return Chosen(self.index[i], self.y[i], self.weight[i])


class Stack(nn.Module):
    """Heads of one architecture as one module: events (H, n, *E) to logits (H, n)."""

    def __init__(self, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        stacked, _ = stack_module_state(list(heads))
        self.names = list(stacked)
        self.values = nn.ParameterList(theta.detach().clone() for theta in stacked.values())
        self._shell = [copy.deepcopy(heads[0])]  # in a list, so that its weights are not ours

    def forward(self, x: Tensor) -> Tensor:
        """Logits (H, n) of the events (H, n, *E), those of each head for itself."""
        weights = dict(zip(self.names, self.values, strict=True))
        z: Tensor = vmap(lambda theta, x: functional_call(self._shell[0], theta, (x,)))(weights, x)
        return z

    def state(self, head: int) -> dict[str, Tensor]:
        """The weights of one head."""
        return {name: v[head] for name, v in zip(self.names, self.values, strict=True)}

    def only(self, heads: list[int]) -> Stack:
        """A copy of some of the heads."""
        stack = copy.copy(self)
        stack._modules = {"values": nn.ParameterList(v.detach()[heads] for v in self.values)}
        return stack


def fit_heads(
    heads: Sequence[nn.Module],
    embedding: Tensor,
    train: Sequence[Chosen],
    validation: Sequence[Chosen],
    *,
    loss: Loss,
    settings: TrainingSettings,
    seeds: Sequence[int],
    progress: Progress = silent,
) -> list[tuple[nn.Module, History]]:
    """Train copies of many heads, each on events of its own.

    Args:
        heads: H modules of one architecture: embedded events (n, *E) to logits (n,). Only weights
            with `requires_grad` in the first are trained.
        embedding: embedded events, shape (M, *E).
        train: events to train each head on.
        validation: events that decide when each head stops.
        loss: weighted mean over events of a function of logit and label.
        settings: how to train.
        seeds: seeds of the order of the events.
        progress: called after each epoch with the mean losses of the heads that are still trained.

    Returns:
        For each head a copy with the weights of its best epoch, and its history.

    Raises:
        ValueError: if the numbers of heads, data sets and seeds differ, or the loss is `Batchwise`.
        FloatingPointError: if the loss of an epoch is not finite.
    """
    if not len(heads) == len(train) == len(validation) == len(seeds) > 0:
        got = [len(a) for a in (heads, train, validation, seeds)]
        raise ValueError(f"expected as many heads as data sets and seeds, at least one; got {got}")
    if isinstance(loss, Batchwise):
        raise ValueError(f"expected a loss that is a mean over events; got {loss}")
    data = train, validation
    course = _Together(heads, embedding, data, loss=loss, settings=settings, seeds=seeds)
    loop(course, progress=progress)
    return course.best()


class _Each:
    """A loss of many heads: the sum of their losses, which it remembers."""

    def __init__(self, loss: Loss) -> None:
        self.of_one = loss
        self.values: list[Tensor] = []

    def __call__(self, logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        L: Tensor = vmap(self.of_one)(logits, y, weight)
        self.values.append(L.detach())
        return L.sum()


class _Together:
    """The course of many heads."""

    def __init__(
        self,
        heads: Sequence[nn.Module],
        embedding: Tensor,
        data: tuple[Sequence[Chosen], Sequence[Chosen]],
        *,
        loss: Loss,
        settings: TrainingSettings,
        seeds: Sequence[int],
    ) -> None:
        self.heads, self.embedding, (self.train, self.validation) = heads, embedding, data
        self.loss, self.settings = _Each(loss), settings
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.traces = [Trace(settings) for _ in heads]
        self.alive = list(range(len(heads)))
        self.network = Stack(heads)
        self.start = [theta.detach().clone() for theta in self.network.values]
        self.optimizer = self._optimizer()

    @property
    def stopped(self) -> bool:
        return not self.alive

    def batches(self) -> Iterator[Batch]:
        data = [self.train[h] for h in self.alive]
        steps = math.ceil(max(map(len, data)) / self.settings.batch_size)
        steps = min(steps, *map(len, data))  # no head has a batch without an event
        parts = [
            torch.randperm(len(chosen), generator=self.generators[h]).tensor_split(steps)
            for h, chosen in zip(self.alive, data, strict=True)
        ]
        for part in zip(*parts, strict=True):
            yield self._padded([c.pick(i) for c, i in zip(data, part, strict=True)])

    def record(self, L: list[float], *, start: float) -> tuple[int, float, float]:
        train_loss = torch.stack(self.loss.values).mean(dim=0)
        self.loss.values.clear()
        validation_loss, held_out = self._validate()
        seconds = (time.perf_counter() - start) / len(self.alive)
        for k, h in enumerate(self.alive):
            losses = train_loss[k].item(), validation_loss[k].item()
            self.traces[h].record(
                self.network.state(k),
                losses,
                seconds=seconds,
                held_out=(held_out[0][k], held_out[1][k], held_out[2][k]),
            )
        epoch = len(self.traces[self.alive[0]].losses)
        going = [k for k, h in enumerate(self.alive) if not self.traces[h].stopped]
        if len(going) < len(self.alive):
            self._keep(going)
        return epoch, train_loss.mean().item(), validation_loss.mean().item()

    def best(self) -> list[tuple[nn.Module, History]]:
        fitted = []
        for head, trace, held_out in zip(self.heads, self.traces, self.validation, strict=True):
            trained = copy.deepcopy(head).eval()
            trained.load_state_dict(trace.best)
            with torch.inference_mode(), autocast(self.settings.precision):
                z = trained(self.embedding[held_out.index])
            fitted.append((trained, trace.history(collapsed=bool(z.max() - z.min() < 1e-4))))
        return fitted

    def _validate(self) -> tuple[Tensor, HeldOut]:
        """Losses (H,) of the heads, and logits, labels and weights (H, n), 0 where padded."""
        data = [self.validation[h] for h in self.alive]
        parts = torch.split(torch.arange(max(map(len, data))), VALIDATION_SLICE)
        batches = [self._padded([c.pick(i[i < len(c)]) for c in data]) for i in parts]
        with torch.inference_mode(), autocast(self.settings.precision):
            z = torch.cat([self.network(x).float() for x, _, _ in batches], dim=1)
        y, weight = (torch.cat([batch[k] for batch in batches], dim=1) for k in (1, 2))
        L: Tensor = vmap(self.loss.of_one)(z, y, weight)
        return L, (z, y, weight)

    def _padded(self, chosen: Sequence[Chosen]) -> Batch:
        n = max(map(len, chosen))
        index = self.train[0].index[0].repeat(len(chosen), n)  # other rows may hold anything
        y, weight = torch.zeros(2, len(chosen), n)
        for k, c in enumerate(chosen):
            index[k, : len(c)], y[k, : len(c)], weight[k, : len(c)] = c.index, c.y, c.weight
        x = self.embedding.index_select(0, index.flatten())  # copies whole rows, unlike [index]
        return x.view(*index.shape, *x.shape[1:]), y, weight

    def _keep(self, going: list[int]) -> None:
        """Go on with some of the heads, and with what Adam knows of them."""
        known = [self.optimizer.state[theta] for theta in self.network.values]
        self.alive = [self.alive[k] for k in going]
        self.network = self.network.only(going)
        self.start = [theta_0[going] for theta_0 in self.start]
        self.optimizer = self._optimizer()
        for theta, state in zip(self.network.values, known, strict=True):
            kept = {k: v[going] if v.ndim == theta.ndim else v for k, v in state.items()}
            if kept:
                self.optimizer.state[theta] = kept

    def _optimizer(self) -> torch.optim.Optimizer:
        trained = [theta.requires_grad for theta in self.heads[0].parameters()]
        for theta, yes in zip(self.network.values, trained, strict=True):
            theta.requires_grad_(yes)
        weights = [theta for theta in self.network.values if theta.requires_grad]
        starts = [a for a, yes in zip(self.start, trained, strict=True) if yes]
        return optimiser(weights, starts, self.settings)
