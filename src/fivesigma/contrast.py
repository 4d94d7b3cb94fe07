r"""A clean contrast: weights under which signal region and sidebands differ by the signal alone.

CWoLa learns all that differs between the two samples. Dijet masses differ, and with them the jets'
momenta and everything that depends on those. Weights take back what can be known without labels.

*Sidebands.* The lower one holds more events than the upper one. With a fraction $u$ of the weight
in the upper one, a score that depends on the mass linearly has equal means in both samples if

$$ (1 - u) \langle m \rangle_\text{lower} + u \langle m \rangle_\text{upper}
   = \langle m \rangle_\text{signal region} , $$

which is `balanced`; `equal` is $u = 1/2$, `natural` leaves the numbers of events.

*Kinematics.* `common` weighs both samples to their overlap in the transverse momenta and
pseudorapidities of the jets, by the estimated probability $e(k)$ that an event with kinematics $k$
is in the signal region,

$$ w_\text{signal region} \propto 1 - e(k) , \qquad w_\text{sideband} \propto e(k) , $$

where $\log e / (1 - e)$ is a polynomial of second degree in $\log p_T$ and $|\eta|$ of each jet.
`planed` makes the sum of both transverse momenta flat in either sample: in each of its intervals,
which hold as many events of both samples together, the weights of a sample add up to the same.
Intervals with fewer than five events of a sample are left out of both.

Where both are asked for, one is computed with the weights of the other in turn, until those of the
sidebands stay, which come last: weighted masses balance, and kinematics do within the last change.

The weights of either sample add up to half of the number of events.

References:
    Balancing covariates via propensity score weighting (Li, Morgan, Zaslavsky, 2018)
    https://arxiv.org/abs/1404.1785

    What is the machine learning? (Chang, Cohen, Ostdiek, 2017) https://arxiv.org/abs/1709.10106
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .datasets import Dataset

__all__ = ["Contrast"]

Sidebands: TypeAlias = Literal["natural", "equal", "balanced"]
Kinematics: TypeAlias = Literal["natural", "common", "planed"]
FloatArray: TypeAlias = NDArray[np.float64]

INTERVALS, FEWEST = 20, 5
ROUNDS = 20


@dataclass(frozen=True)
class Contrast:
    """How the events of signal region and sidebands are weighed against each other.

    Raises:
        ValueError: if a value is not known.
    """

    sidebands: Sidebands = "natural"
    """Weight of the lower against the upper sideband."""

    kinematics: Kinematics = "natural"
    """Whether both samples are weighed to common transverse momenta and pseudorapidities, or to a
    flat sum of transverse momenta."""

    def __post_init__(self) -> None:
        for name, known in (("sidebands", Sidebands), ("kinematics", Kinematics)):
            if (value := getattr(self, name)) not in get_args(known):
                raise ValueError(f"expected {name} of {get_args(known)}; got {value!r}")

    def __call__(self, data: Dataset, dijet: NDArray[Any]) -> Dataset:
        """The same events with weights.

        Args:
            data: events labelled by region, y = 1 in the signal region.
            dijet: m_jj [GeV], pT [GeV] and eta of the first, then of the second jet, shape (N, 5).

        Raises:
            ValueError: if a sample that is needed has no events, or the shapes do not fit.
        """
        if self == Contrast():
            return data
        if dijet.shape != (len(data), 5):
            raise ValueError(f"expected kinematics of shape ({len(data)}, 5); got {dijet.shape}")
        inside, k = data.y == 1, dijet.astype(np.float64)
        w = data.weight.astype(np.float64)
        sidebands = self._of_sidebands(k[:, 0], inside, w)
        for _ in range(ROUNDS):
            kinematics = self._of_kinematics(k[:, 1:], inside, w * sidebands)
            before, sidebands = sidebands, self._of_sidebands(k[:, 0], inside, w * kinematics)
            if np.allclose(sidebands, before, rtol=1e-3):
                break
        w = w * kinematics * sidebands
        for sample in (inside, ~inside):
            w[sample] *= len(w) / 2 / w[sample].sum()
        return replace(data, weight=w)

    def _of_kinematics(
        self, jets: FloatArray, inside: NDArray[np.bool_], w: FloatArray
    ) -> FloatArray:
        """Factors on weights w; jets are pT and eta of the first and the second, shape (N, 4)."""
        if self.kinematics == "common":
            return _overlap(jets, inside, w)
        if self.kinematics == "planed":
            return _plane(jets[:, 0] + jets[:, 2], inside, w)
        return np.ones(len(w))

    def _of_sidebands(self, m: FloatArray, inside: NDArray[np.bool_], w: FloatArray) -> FloatArray:
        """Factors on weights w of events of mass m."""
        factors = np.ones(len(m))
        if self.sidebands == "natural":
            return factors
        if not inside.any():
            raise ValueError("expected events in the signal region; got none")
        lower, upper = (~inside & side for side in (m < m[inside].mean(), m >= m[inside].mean()))
        if not w[lower].any() or not w[upper].any():
            got = f"{np.count_nonzero(w[lower])} and {np.count_nonzero(w[upper])}"
            raise ValueError(f"expected events in the lower and the upper sideband; got {got}")
        u = 0.5
        if self.sidebands == "balanced":
            here, below, above = (np.average(m[i], weights=w[i]) for i in (inside, lower, upper))
            u = float((here - below) / (above - below))
        for sideband, share in ((lower, 1 - u), (upper, u)):
            factors[sideband] = share * w[~inside].sum() / w[sideband].sum()
        return factors


def _overlap(k: FloatArray, inside: NDArray[np.bool_], w: FloatArray) -> FloatArray:
    _both(inside)
    pt, eta = np.log(k[:, ::2]), np.abs(k[:, 1::2])
    terms = np.concatenate([pt, eta, pt**2, eta**2, pt * eta], axis=1)
    balance = np.where(inside, 1 / w[inside].sum(), 1 / w[~inside].sum())
    model = make_pipeline(StandardScaler(), LogisticRegression(C=100.0, max_iter=1000))
    model.fit(terms, inside, logisticregression__sample_weight=len(w) / 2 * w * balance)
    e = model.predict_proba(terms)[:, 1]
    overlap: FloatArray = np.where(inside, 1 - e, e)
    return overlap


def _plane(h: FloatArray, inside: NDArray[np.bool_], w: FloatArray) -> FloatArray:
    _both(inside)
    edges = np.quantile(h, np.linspace(0, 1, INTERVALS + 1)[1:-1])
    interval = np.searchsorted(edges, h, side="right")
    planed = np.zeros(len(h))
    for i in range(INTERVALS):
        samples = [(interval == i) & sample for sample in (inside, ~inside)]
        if min(w[sample].astype(bool).sum() for sample in samples) >= FEWEST:
            for sample in samples:
                planed[sample] = 1 / w[sample].sum()
    if not planed.any():
        raise ValueError(
            "expected signal region and sidebands that overlap in the sum of transverse momenta; "
            f"got {inside.sum()} and {(~inside).sum()} events apart"
        )
    return planed


def _both(inside: NDArray[np.bool_]) -> None:
    if not inside.any() or inside.all():
        raise ValueError(f"expected events of both samples; got {inside.sum()} of {len(inside)}")
