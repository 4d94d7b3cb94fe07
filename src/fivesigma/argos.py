r"""How well a score finds a signal, measured without the truth.

A cut keeps a fraction $\epsilon_{SR}$ of the events of the signal region and a fraction
$\epsilon_{BT}$ of a template of their background, such as the events of the sidebands,

$$ A = \frac{\epsilon_{SR}}{\sqrt{\epsilon_{BT}}} - \sqrt{\epsilon_{BT}}
     = f \, \bigg( \frac{\epsilon_S}{\sqrt{\epsilon_B}} - \sqrt{\epsilon_B} \bigg) , $$

the second where a fraction $f$ of the signal region is signal, and the template is like the rest.
At one efficiency $A$ thus grows with the significance improvement, whatever $f$ is. A constant
score has $A = 0$, and without a signal $A$ varies about 0 by
$\sqrt{(1 - \epsilon) (1 / N_{SR} + 1 / N_{BT})}$, nearly the same at each tight cut.

References:
    How to pick the best anomaly detector?
    (Hein, Kasieczka, Kraemer, Moureaux, Mueck, Shih, 2025) https://arxiv.org/abs/2511.14832
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["EFFICIENCIES", "LEAST", "argos", "at", "largest"]

Floats: TypeAlias = NDArray[np.float64]

EFFICIENCIES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
LEAST = 10.0
TINY = 1e-9


def argos(eps_sr: float, eps_bt: float) -> float:
    """A of the fractions of signal region and template that pass a cut.

    Raises:
        ValueError: if no event of the template passes.
    """
    if not eps_bt > 0:
        raise ValueError(f"expected a template efficiency above 0; got {eps_bt}")
    return eps_sr / math.sqrt(eps_bt) - math.sqrt(eps_bt)


def at(scores: ArrayLike, y: ArrayLike, weight: ArrayLike, eps: ArrayLike) -> Floats:
    """A at given template efficiencies.

    Events that share a score are kept with a common probability, as in `evaluation.roc`. A cut may
    lie anywhere between two scores of the template; the middle is taken of what that leaves.

    Args:
        scores: shape (N,); larger is more like the signal region.
        y: 1 in the signal region, else a template event, shape (N,).
        weight: event weights, shape (N,).
        eps: template efficiencies, shape (E,).

    Returns:
        Shape (E,).

    Raises:
        ValueError: if there are no events of one kind.
    """
    s, inside, w = _events(scores, y, weight)
    order = np.argsort(-s, kind="stable")
    s, inside, w = s[order], inside[order], w[order]
    last = np.append(np.flatnonzero(np.diff(s)), len(s) - 1)
    eps_sr, eps_bt = (
        np.append(0.0, np.cumsum(w * kind)[last] / w[kind].sum()) for kind in (inside, ~inside)
    )
    wanted = np.asarray(eps, dtype=np.float64)
    below, above = (np.interp(wanted * (1 + sign * TINY), eps_bt, eps_sr) for sign in (-1, 1))
    middle = (below + above) / 2
    return np.array([argos(sr, bt) for sr, bt in zip(middle, wanted, strict=True)])


def largest(scores: ArrayLike, y: ArrayLike, weight: ArrayLike) -> float:
    """The largest A at the fixed efficiencies that leave 10 template events or more.

    They are few and fixed, in steps of about two over the range in which searches cut, so that the
    maximum is not that of a fluctuation somewhere, and epochs and methods are compared at equal
    efficiencies. Behind fewer than 10 events A is decided by single ones: its error is no longer
    Gaussian, and the maximum would go to the tightest cut. Weighted events count as
    (sum w)^2 / sum w^2.

    Args:
        scores: shape (N,); larger is more like the signal region.
        y: 1 in the signal region, else a template event, shape (N,).
        weight: event weights, shape (N,).

    Raises:
        ValueError: if no event is in the signal region, or fewer than 50 are in the template.
    """
    _, inside, w = _events(scores, y, weight)
    n = w[~inside].sum() ** 2 / (w[~inside] ** 2).sum()
    eps = [e for e in EFFICIENCIES if e * n >= LEAST * (1 - TINY)]
    if not eps:
        least = math.ceil(LEAST / EFFICIENCIES[0])
        raise ValueError(f"expected {least} template events or more for ARGOS; got {n:.3g}")
    return float(at(scores, y, weight, eps).max())


def _events(
    scores: ArrayLike, y: ArrayLike, weight: ArrayLike
) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Scores of the events of weight above zero, whether they are inside, and their weights."""
    s, w = (np.asarray(a, dtype=np.float64) for a in (scores, weight))
    inside = np.asarray(y) == 1
    if s.ndim != 1 or not s.shape == inside.shape == w.shape:
        shapes = f"{s.shape}, {inside.shape} and {w.shape}"
        raise ValueError(f"expected a score, a label and a weight of each event; got {shapes}")
    there = w > 0
    s, inside, w = s[there], inside[there], w[there]
    if not inside.any() or inside.all():
        raise ValueError(
            "expected events of the signal region and of the template for ARGOS; got "
            f"{inside.sum()} and {(~inside).sum()}"
        )
    return s, inside, w
