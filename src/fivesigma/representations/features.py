r"""Observables of jets: mass, multiplicity, shapes, N-subjettiness and energy-flow polynomials.

The constituents of a jet have $z_i = p_{T,i} / \sum p_T$, distances $\Delta R_i$ from the axis of
the jet and $\theta_{ij} = \Delta R_{ij} / R$ from each other, with $R = 0.8$.

$$ \text{LHA} = \sum_i z_i \sqrt{\Delta R_i / R} , \qquad
   \text{width} = \sum_i z_i \, \Delta R_i , \qquad p_T^D = \Big( \sum_i z_i^2 \Big)^{1/2} $$
$$ \tau_N = \sum_i z_i \min_{k \le N} \Delta R_{ik} / R , \qquad
   \tau_{21} = \tau_2 / \tau_1 , \qquad \tau_{32} = \tau_3 / \tau_2 $$

where $k$ runs over the axes of the $N$ exclusive $k_T$ subjets, in which the winner takes all.
Azimuths are taken from the axis of the jet, where no two constituents lie $\pi$ apart. For a
connected multigraph $G$ with $v$ vertices, the energy-flow polynomial ($\beta = 1$) is

$$ \text{EFP}_G = \sum_{i_1} \cdots \sum_{i_v} z_{i_1} \cdots z_{i_v}
   \prod_{(k, l) \in G} \theta_{i_k i_l} . $$

All eight $G$ of up to three edges are sums over one vertex, from which hang

$$ a_i = \sum_j z_j \theta_{ij} , \quad b_i = \sum_j z_j \theta_{ij}^2 , \quad
   c_i = \sum_j z_j \theta_{ij}^3 , \quad d_i = \sum_j z_j \theta_{ij} a_j , \quad
   t_i = \sum_{jk} z_j z_k \, \theta_{ij} \theta_{jk} \theta_{ki} . $$

References:
    Systematics of quark/gluon tagging (Gras et al., 2017)
    https://arxiv.org/abs/1704.03878

    Identifying Boosted Objects with N-subjettiness (Thaler, Van Tilburg, 2010)
    https://arxiv.org/abs/1011.2268

    Energy flow polynomials: A complete linear basis for jet substructure
    (Komiske, Metodiev, Thaler, 2017) https://arxiv.org/abs/1712.07124
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ..constituents import chunks, constituents, to_clouds
from ..jets import subjet_axes

__all__ = ["OBSERVABLES", "JetFeatures", "Observable", "Shower"]

Floats = NDArray[np.float32]

R = np.float32(0.8)
# Jets in one pass over pairs: few enough that the arrays of most stay in the cache of a core.
_PAIRS = 8


@dataclass(frozen=True, eq=False)
class Shower:
    """J jets with P padded constituents, and the sums that observables share."""

    pt: Floats
    """(J,) transverse momentum of the jet [GeV]."""
    mass: Floats
    """(J,) mass of the jet [GeV]."""
    clouds: Floats
    """(J, P, 3) constituents, hardest first, in the frame of the jet: pT [GeV], x, y; padding has
    no pT."""

    @cached_property
    def z(self) -> Floats:
        """(J, P) share of the constituents in their scalar sum of pT."""
        pt = self.clouds[..., 0]
        return _ratio(pt, pt.sum(axis=1, keepdims=True))

    @cached_property
    def r(self) -> Floats:
        """(J, P) distance from the axis of the jet."""
        r: Floats = np.hypot(self.clouds[..., 1], self.clouds[..., 2])
        return r

    @cached_property
    def tau(self) -> Floats:
        """(4, J) the N-subjettiness for N = 1, 2 and 3 under the index N; nothing under 0."""
        pt, x, y = (self.clouds[..., k] for k in range(3))
        real = pt > 0
        flat = {"pt": pt[real], "eta": x[real], "phi": y[real]}
        jagged = ak.unflatten(ak.zip(flat), real.sum(axis=1))
        tau = np.zeros((4, len(pt)), np.float32)
        for axes in subjet_axes(jagged, (1, 2, 3)):
            N = axes.shape[1]
            r = [np.hypot(x - axes[:, k, :1], y - axes[:, k, 1:]) for k in range(N)]
            tau[N] = (self.z * np.min(r, axis=0)).sum(axis=1) / R
        return tau

    @cached_property
    def vertices(self) -> Floats:
        """(5, J, P) the sums a, b, c, d and t that hang from a vertex."""
        sums = np.zeros((5, *self.z.shape), np.float32)
        particles = (self.z > 0).sum(axis=1)
        # Jets of like multiplicity go together, since the padding costs time.
        for jets in np.split(order := np.argsort(particles), range(_PAIRS, len(order), _PAIRS)):
            P = particles[jets].max(initial=0)
            x, y = (self.clouds[jets, :P, k] / R for k in (1, 2))
            sums[:, jets, :P] = _hang(self.z[jets, :P], x, y)
        return sums

    def graph(self, *hanging: str) -> Floats:
        """(J,) the sum over one vertex from which the named sums hang."""
        product = self.z
        for name in hanging:
            product = product * self.vertices["abcdt".index(name)]
        total: Floats = product.sum(axis=1)
        return total


@dataclass(frozen=True)
class Observable:
    """A number for each jet."""

    unit: str
    """Unit; 1 if dimensionless."""
    formula: Callable[[Shower], Floats]
    """From J jets to (J,)."""


OBSERVABLES: dict[str, Observable] = {
    "mass": Observable("GeV", lambda jets: jets.mass),
    "mass_ratio": Observable("1", lambda jets: _ratio(jets.mass, jets.pt)),
    "multiplicity": Observable("1", lambda jets: (jets.z > 0).sum(axis=1, dtype=np.float32)),
    "lha": Observable("1", lambda jets: (jets.z * np.sqrt(jets.r / R)).sum(axis=1)),
    "width": Observable("1", lambda jets: (jets.z * jets.r).sum(axis=1)),
    "ptd": Observable("1", lambda jets: np.sqrt((jets.z**2).sum(axis=1))),
    "tau21": Observable("1", lambda jets: _ratio(jets.tau[2], jets.tau[1])),
    "tau32": Observable("1", lambda jets: _ratio(jets.tau[3], jets.tau[2])),
    "efp_line": Observable("1", lambda jets: jets.graph("a")),
    "efp_double_line": Observable("1", lambda jets: jets.graph("b")),
    "efp_path": Observable("1", lambda jets: jets.graph("a", "a")),
    "efp_triple_line": Observable("1", lambda jets: jets.graph("c")),
    "efp_double_path": Observable("1", lambda jets: jets.graph("a", "b")),
    "efp_long_path": Observable("1", lambda jets: jets.graph("a", "d")),
    "efp_star": Observable("1", lambda jets: jets.graph("a", "a", "a")),
    "efp_triangle": Observable("1", lambda jets: jets.graph("t")),
}
"""Observables by name. Of the polynomials, a path has two edges and a long path three; in a double
path one of the two is a double line; a star has three edges from one vertex."""


@dataclass(frozen=True)
class JetFeatures:
    """Observables of the two leading jets, (2, F): jet, observable.

    The mass of a jet goes with the dijet mass, which defines the regions; `mass_ratio`, m / pT,
    does so less.
    """

    observables: tuple[str, ...] = tuple(OBSERVABLES)
    """Names of `OBSERVABLES`, in the order of the columns; a list will do."""

    def __post_init__(self) -> None:
        names: Any = self.observables
        if isinstance(names, str) or not names:
            raise ValueError(f"expected a list of observables; got {names!r}")
        object.__setattr__(self, "observables", tuple(names))
        if unknown := [name for name in names if name not in OBSERVABLES]:
            raise ValueError(f"expected observables of {list(OBSERVABLES)}; got {unknown}")
        if len(set(names)) < len(names):
            raise ValueError(f"expected each observable once; got {list(names)}")

    @property
    def name(self) -> str:
        """The observables, for files and tables; their number and a hash if they are many."""
        text = "-".join(self.observables)
        if len(text) > 60:
            text = f"{len(self.observables)}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        return f"features-{text}"

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of one event: jet, observable."""
        return (2, len(self.observables))

    @property
    def columns(self) -> tuple[str, ...]:
        """Observable and jet of each number."""
        jets = ("leading", "subleading")
        return tuple(f"{name}, {jet} jet" for jet in jets for name in self.observables)

    def __call__(self, jets: Any) -> Floats:
        """Compute the observables of N events.

        A jet without constituents gives 0 for all but `mass` and `mass_ratio`. With at most N
        constituents τ_N is 0, and a ratio of which both are 0 is 0.

        Args:
            jets: awkward array `N * 2 * {pt, eta, phi, mass, constituents: var * {pt, eta, phi}}`;
                pT and mass in GeV, phi in radians. Further fields are ignored.

        Returns:
            Array (N, 2, F), float32: event, jet, observable in its unit.

        Raises:
            ValueError: a field is missing, or an event has not two jets.
        """
        for field in ("pt", "mass"):
            if field not in ak.fields(jets):
                raise ValueError(f"expected jets with a field '{field}'; got {ak.fields(jets)}")
        flat = constituents(jets)
        pt, mass = (
            ak.to_numpy(ak.flatten(jets[field])).astype(np.float32) for field in ("pt", "mass")
        )
        features = np.empty((len(pt), len(self.observables)), np.float32)
        # Threads of so small products wait for each other: 30 times as long on a busy machine.
        with threadpool_limits(1, user_api="blas"):
            for chunk, part in chunks(flat):
                P = max(1, part.counts.max())
                shower = Shower(pt[chunk], mass[chunk], to_clouds(part, P).reshape(-1, P, 3))
                for k, name in enumerate(self.observables):
                    features[chunk, k] = OBSERVABLES[name].formula(shower)
        return features.reshape(-1, *self.shape)


def _hang(z: Floats, x: Floats, y: Floats) -> Floats:
    """The sums a, b, c, d, t (5, J, P) of constituents z at x, y in units of R, each (J, P)."""
    theta2 = (x[:, :, None] - x[:, None]) ** 2 + (y[:, :, None] - y[:, None]) ** 2
    theta = np.sqrt(theta2)
    a, b, c = (_apply(power, z) for power in (theta, theta2, theta * theta2))
    d = _apply(theta, z * a)
    z_theta = theta * z[:, None]
    t = np.einsum("jpq,jpq->jp", z_theta @ theta, z_theta)
    return np.stack([a, b, c, d, t])


def _apply(matrix: Floats, vector: Floats) -> Floats:
    product: Floats = (matrix @ vector[..., None])[..., 0]
    return product


def _ratio(a: Floats, b: Floats) -> Floats:
    """The quotient a / b, and 0 where b vanishes to rounding."""
    ratio: Floats = np.divide(a, b, out=np.zeros_like(a), where=b > 1e-9)
    return ratio
