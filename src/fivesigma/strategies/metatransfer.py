r"""Meta-transfer learning: scales and shifts of a frozen tower that make many tasks easy to learn.

A network of tower and head has learnt to tell signals from background. Each layer of its tower, of
weights $W$ and biases $b$, computes from now on with

$$ W' = W \, \phi_1 , \qquad b' = b + \phi_2 . $$

$W$ and $b$ stay. There is a $\phi_1$, at first 1, for each pair of channels of a convolution or
output of a dense layer, and a $\phi_2$, at first 0, for each output. In a meta epoch the tasks $k$,
one for each source, follow in random order, and with $\theta$ the weights of head and norms,

$$ \text{(a)} \quad \theta \leftarrow \text{Adam}(\theta, \nabla_\theta L_k^\text{support}), \qquad
   \text{(b)} \quad (\phi, \theta) \leftarrow
   \text{Adam}((\phi, \theta), \nabla_{\phi, \theta} L_k^\text{query}), \qquad
   \text{(c)} \quad L_k = L_k^\text{evaluation} . $$

Both $\phi$ and $\theta$ go on from task to task; in (a) $\phi$ is applied, but frozen. The scales
of the lowest mean of $L_k$ are merged into the weights. Hard tasks, those of lowest accuracy, are
learnt once more at the beginning of the next meta epoch, with events that the last did not use.

References:
    Improving the performance of weak supervision searches using transfer and meta-learning
    (Beauchesne, Chen, Chiang, 2023) https://arxiv.org/abs/2312.06152

    Meta-transfer learning for few-shot learning (Sun, Liu, Chua, Schiele, 2019)
    https://arxiv.org/abs/1812.02391
"""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Adam

from .episodes import Episodes
from ..datasets import Dataset
from ..losses import CrossEntropy
from ..networks import Sliceable, Towered
from ..prediction import apply, logits, tensor
from ..schedule import Precision, Trace, TrainingSettings
from ..training import Progress, silent, step

__all__ = ["MetaHistory", "MetaSettings", "Scaled", "meta_train"]

Index: TypeAlias = NDArray[np.intp]
Rng: TypeAlias = np.random.Generator
Table: TypeAlias = tuple[tuple[float, ...], ...]
LAYERS = (nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class MetaSettings:
    """How to meta-train; the defaults are those of the papers, but for the hard tasks (6).

    Raises:
        ValueError: if a value is out of range.
    """

    events: int = 2500
    """Signal events, and as many background events, in each of support, query and evaluation."""
    base_learning_rate: float = 1e-3
    """Step size of Adam in (a), dimensionless."""
    base_epochs: int = 3
    """Passes over the support events in (a): all of them. In the papers one fifth is looked at
    only, and decides nothing."""
    meta_learning_rate: float = 1e-4
    """Step size of Adam in (b), dimensionless: about how far a scale moves with a batch."""
    batch_size: int = 500
    """Largest number of events in a step."""
    max_epochs: int = 100
    """Largest number of meta epochs."""
    patience: int = 20
    """Meta epochs without a lower mean evaluation loss after which training stops."""
    hard_tasks: int = 0
    """Number of tasks that are learnt once more."""
    reserved: float = 0.5
    """Share of the events of each process that the pretraining leaves for this."""
    precision: Precision = "auto"
    """Arithmetic of matrix products; "auto" is bfloat16 where the processor has it."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name == "precision":
                expected, fulfilled = f"one of {get_args(Precision)}", value in get_args(Precision)
            elif name.endswith("rate"):
                expected, fulfilled = "positive and finite", 0 < value < math.inf
            elif name == "reserved":
                expected, fulfilled = "within (0, 1)", 0 < value < 1
            else:
                least = 0 if name == "hard_tasks" else 1
                expected, fulfilled = f"at least {least}", value >= least
            if not fulfilled:
                raise ValueError(f"expected {name} {expected}; got {value!r}")


@dataclass(frozen=True)
class MetaHistory:
    """What happened in E meta epochs on K tasks, and to the L layers of a tower."""

    layers: tuple[str, ...]
    """Names of the layers, (L,)."""
    loss: tuple[float, ...]
    """Evaluation loss, averaged over tasks, (E,) [nat]."""
    accuracy: tuple[float, ...]
    """Fraction of the evaluation events whose logit has the right sign, over all tasks, (E,)."""
    task_accuracy: Table
    """That of each task, (E, K)."""
    hard_tasks: tuple[tuple[int, ...], ...]
    """Indices of the tasks of lowest accuracy, hardest first, (E, hard_tasks)."""
    scale_rms: Table
    """Root mean square of phi_1 - 1, (E, L)."""
    shift_rms: Table
    """Root mean square of phi_2, (E, L)."""
    best_epoch: int
    """Index of the lowest mean evaluation loss, whose scales were kept."""
    seconds: tuple[float, ...]
    """Time of each meta epoch, (E,) [s]."""


class Scaled(nn.Module):
    """A copy of a network that computes with W phi_1 and b + phi_2 in its tower; `Sliceable`.

    The tower is in evaluation mode always, as it is when the network is used: the running
    statistics of its norms stay those of the pretraining, and events are not coupled.

    Raises:
        ValueError: if there is not a tower of convolutions or dense layers, with biases, and head.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not isinstance(network, Towered):
            raise ValueError(f"expected a network of tower and head; got {type(network).__name__}")
        self.network: Any = copy.deepcopy(network)
        self.slice_size = network.slice_size if isinstance(network, Sliceable) else sys.maxsize
        head, modules = {*self.network.head.modules()}, self.network.named_modules()
        layers = {n: m for n, m in modules if isinstance(m, LAYERS) and m not in head}
        b = [layer.bias for layer in layers.values() if layer.bias is not None]
        if not layers or len(b) < len(layers):
            raise ValueError(f"expected a tower of layers with biases; got {list(layers)}")
        self.layers = tuple(layers)
        W = [layer.weight for layer in layers.values()]
        one = [W_l[:, :, :1, :1] if W_l.ndim > 2 else W_l[:, :1] for W_l in W]
        self.phi_1 = nn.ParameterList(map(torch.ones_like, one))
        self.phi_2 = nn.ParameterList(map(torch.zeros_like, b))
        self.theta = [p for p in self.network.parameters() if p.requires_grad and p not in {*W, *b}]
        self.trains_norms = not {*self.theta} <= {*self.network.head.parameters()}

    def weights(self) -> dict[str, Tensor]:
        """W phi_1 and b + phi_2 of each layer, by name; no gradient reaches W and b."""
        scaled: dict[str, Tensor] = {}
        for name, phi_1, phi_2 in zip(self.layers, self.phi_1, self.phi_2, strict=True):
            W, b = (self.network.get_parameter(f"{name}.{kind}") for kind in ("weight", "bias"))
            scaled |= {f"{name}.weight": W.detach() * phi_1, f"{name}.bias": b.detach() + phi_2}
        return scaled

    def merged(self) -> Any:
        """A copy of the network with these weights, in evaluation mode."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.weights(), strict=False)
        return network.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Logits of events x, shape (N, *shape), each for itself."""
        z: Tensor = functional_call(self.network, self.weights(), (x,))
        return z

    logits = forward

    def standardise(self, x: Tensor) -> Tensor:
        """The events themselves."""
        return x

    def train(self, mode: bool = True) -> Scaled:  # noqa: FBT001, FBT002
        """Training mode of the head."""
        super().train(mode)
        self.network.eval().head.train(mode)
        return self


def meta_train(
    network: nn.Module,
    tasks: Sequence[Dataset],
    settings: MetaSettings,
    *,
    seed: int,
    progress: Progress = silent,
) -> tuple[nn.Module, MetaHistory]:
    """Learn scales and shifts of a copy of a pretrained network on many tasks.

    One fifth of the events of each task is for evaluation only, the same in all epochs, and learnt
    in no other task that has it too; from it and from the others, events are drawn anew in each
    epoch. Weights that require no gradient are not trained at all; if the tower has no other ones
    than those of its layers, (a) embeds its events once.

    Args:
        network: pretrained network of tower and head.
        tasks: signal (y = 1) and background (y = 0) of each source, x of shape (N, *shape).
        settings: how to meta-train.
        seed: seed of the split, of the draws and orders of events and tasks, and of random layers.
        progress: called with (epoch from 1, max_epochs, mean loss of (b), mean loss of (c)).

    Returns:
        The network of the best epoch, in evaluation mode; the history.

    Raises:
        ValueError: if the network cannot be scaled, if there are fewer tasks than one or than hard
            ones, or if a task has fewer events of a label, of positive weight, than 5 x `events`.
        FloatingPointError: if the loss of an epoch is not finite.
    """
    if len(tasks) < (least := max(1, settings.hard_tasks)):
        raise ValueError(f"expected at least {least} tasks; got {len(tasks)}")
    meta = _Meta(Scaled(network), tasks, settings, np.random.default_rng(seed))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        while not meta.trace.stopped:
            meta.epoch()
            progress(len(meta.trace.losses), settings.max_epochs, *meta.trace.losses[-1])
    return meta.best()


class _Meta:
    def __init__(self, scaled: Scaled, tasks: Sequence[Dataset], s: MetaSettings, rng: Rng) -> None:
        self.scaled, self.tasks, self.settings, self.rng = scaled, tasks, s, rng
        self.episodes, self.records = Episodes(tasks, s.events, rng), list[Any]()
        stop = TrainingSettings(s.meta_learning_rate, s.batch_size, s.max_epochs, s.patience)
        self.trace, self.hard = Trace(stop), dict[int, list[Index]]()

    def epoch(self) -> None:
        """All tasks, after the hard ones of the last epoch."""
        start = time.perf_counter()
        for k, events in self.hard.items():
            self._learn(k, *events)
        spare, result = {}, np.empty((len(self.tasks), 3))
        for k in self.rng.permutation(len(self.tasks)).tolist():
            support, query, *spare[k], evaluation = self.episodes.draw(k)
            result[k] = self._learn(k, support, query), *self._evaluate(k, evaluation)
        L_b, L_c, accuracy = result.mean(axis=0).tolist()
        hardest = np.argsort(result[:, 2], kind="stable")[: self.settings.hard_tasks].tolist()
        self.hard = {k: spare[k] for k in hardest}
        moved = [phi - 1 for phi in self.scaled.phi_1], self.scaled.phi_2
        rms = (tuple(a.detach().square().mean().sqrt().item() for a in phi) for phi in moved)
        self.records.append((L_c, accuracy, tuple(result[:, 2].tolist()), tuple(hardest), *rms))
        self.trace.record(self.scaled.state_dict(), (L_b, L_c), seconds=time.perf_counter() - start)

    def best(self) -> tuple[nn.Module, MetaHistory]:
        self.scaled.load_state_dict(self.trace.best)
        epochs: list[Any] = [*zip(*self.records, strict=True)]
        epochs += [self.trace.best_epoch, tuple(self.trace.seconds)]
        return self.scaled.merged(), MetaHistory(self.scaled.layers, *epochs)

    def _read(self, k: int, index: Index) -> list[Tensor]:
        return [tensor(getattr(self.tasks[k], name)[index]) for name in ("x", "y", "weight")]

    def _learn(self, k: int, support: Index, query: Index) -> float:
        """Steps (a) and (b) on task k; returns the mean loss of (b)."""
        scaled, s = self.scaled, self.settings
        network, events = scaled, self._read(k, support)
        if not scaled.trains_norms:
            merged, network = scaled.merged(), scaled.network.head
            events[0] = apply(merged.tower, merged, events[0], precision=s.precision)
        phi = nn.ParameterList([*scaled.phi_1, *scaled.phi_2]).requires_grad_(requires_grad=False)
        base = Adam(scaled.theta, lr=s.base_learning_rate)
        for _ in range(s.base_epochs):
            self._pass(network, base, events)
        meta = Adam([*phi.requires_grad_(), *scaled.theta], lr=s.meta_learning_rate)
        return self._pass(scaled, meta, self._read(k, query))

    def _pass(self, network: nn.Module, optimizer: Adam, events: list[Tensor]) -> float:
        """One pass over events (x, y, weight); returns the mean loss of its steps."""
        n, s, loss, L = len(events[0]), self.settings, CrossEntropy(), []
        for i in np.array_split(self.rng.permutation(n), math.ceil(n / s.batch_size)):
            x, y, weight = (a[i] for a in events)
            L.append(step(network, optimizer, (x, y, weight), loss=loss, precision=s.precision))
        return sum(L) / len(L)

    def _evaluate(self, k: int, index: Index) -> tuple[float, float]:
        """Step (c) on task k: loss and accuracy."""
        x, y, weight = self._read(k, index)
        z = logits(self.scaled, x, precision=self.settings.precision)
        return CrossEntropy()(z, y, weight).item(), ((z > 0) == (y > 0)).float().mean().item()
