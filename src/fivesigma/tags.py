r"""Tags of which an event needs one: how probable that is, and tags that are drawn given it.

Jet $i$ is tagged, $b_i = 1$, with the probability $\varepsilon_i$, whatever the others are. Of the
jets $1 \dots n$ that are eligible at least one is tagged with the probability

$$ w = 1 - \prod_{i=1}^n (1 - \varepsilon_i) = R_1 , \qquad
   R_i = \varepsilon_i + (1 - \varepsilon_i) \, R_{i+1} , \quad R_{n+1} = 0 . $$

An event of this weight stands for all that its jets could have been, if its tags are drawn given
that one of them is there, which is done jet by jet,

$$ P \Big( b_i = 1 \,\Big|\, b_1, \dots, b_{i-1}, \textstyle\sum_j b_j \ge 1 \Big) =
   \begin{cases} \varepsilon_i / R_i & b_1 = \dots = b_{i-1} = 0 \\
   \varepsilon_i & \text{otherwise.} \end{cases} $$

The product of these is $\prod_i \varepsilon_i^{b_i} (1 - \varepsilon_i)^{1 - b_i} / w$. Jets that
are not eligible are tagged as without the condition.
"""

import awkward as ak
import numpy as np
from numpy.typing import NDArray

__all__ = ["given_one", "probability"]

Doubles = NDArray[np.float64]


def probability(efficiency: ak.Array, eligible: ak.Array) -> Doubles:
    """w, shape (N,), of the efficiencies of jets, N * var, and whether they are eligible."""
    eps = _padded(ak.where(eligible, efficiency, 0.0))
    return _remaining(eps)[:, 0]


def given_one(efficiency: ak.Array, draw: ak.Array, eligible: ak.Array) -> ak.Array:
    """Tags, N * var * bool, drawn given that at least one of the eligible jets of an event is.

    Args:
        efficiency: Probabilities of tags, N * var.
        draw: Numbers that decide, N * var, uniform in [0, 1).
        eligible: N * var; of an event where none can be tagged, none of them is.
    """
    eps, u = (_padded(values) for values in (efficiency, draw))
    of_condition = _padded(eligible) > 0
    R = _remaining(np.where(of_condition, eps, 0.0))[:, :-1]
    first = u < np.divide(eps, R, out=np.zeros_like(eps), where=of_condition & (R > 0))
    # 0 up to the first eligible jet with a tag
    before: NDArray[np.int64] = np.cumsum(first, axis=1) - first
    b = np.where(of_condition & (before == 0), first, u < eps)
    return ak.unflatten(b[_there(efficiency)], ak.num(efficiency))


def _remaining(eps: Doubles) -> Doubles:
    """R of each jet and those behind it, shape (N, J + 1)."""
    R = np.zeros((len(eps), eps.shape[1] + 1))
    for i in reversed(range(eps.shape[1])):
        R[:, i] = eps[:, i] + (1 - eps[:, i]) * R[:, i + 1]
    return R


def _padded(values: ak.Array) -> Doubles:
    """Lists of numbers with zeros behind, shape (N, J)."""
    there = _there(values)
    padded = np.zeros(there.shape)
    padded[there] = ak.to_numpy(ak.flatten(values))
    return padded


def _there(values: ak.Array) -> NDArray[np.bool_]:
    """Where lists have a value, shape (N, J) with J the length of the longest."""
    number = ak.to_numpy(ak.num(values))
    return np.asarray(np.arange(number.max(initial=0)) < number[:, None])
