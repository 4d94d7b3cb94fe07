r"""Mixed samples: classification without labels.

The signal region (1) and the sidebands (2) hold the same two processes in different fractions,

$$ p_{M_1}(x) = f_1 \, p_S(x) + (1 - f_1) \, p_B(x), \qquad
   p_{M_2}(x) = f_2 \, p_S(x) + (1 - f_2) \, p_B(x), \qquad f_1 > f_2 . $$

The optimal classifier of $M_1$ against $M_2$ is their likelihood ratio. With
$L(x) = p_S(x) / p_B(x)$,

$$ \frac{p_{M_1}}{p_{M_2}} = \frac{f_1 L + 1 - f_1}{f_2 L + 1 - f_2}, \qquad
   \frac{\partial}{\partial L} \frac{p_{M_1}}{p_{M_2}}
   = \frac{f_1 - f_2}{(f_2 L + 1 - f_2)^2} > 0 , $$

so it orders events as $L$ does: it is the optimal classifier of signal against background,
learnt without the label of a single event. This needs $p_S$ and $p_B$ to be the same in both
regions; what differs between them is learnt as well.

CWoLa is thus a labelling: `mix` labels by region, `pure` by truth.

References:
    Classification without labels: learning from mixed samples in high energy physics
    (Metodiev, Nachman, Thaler, 2017) https://arxiv.org/abs/1708.02949
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .datasets import Dataset
from .rows import Rows, joined

__all__ = ["Counts", "Mixture", "Pool", "mix", "pure"]

FloatArray: TypeAlias = NDArray[np.float32]
Counts: TypeAlias = Literal["fixed", "poisson"]


@dataclass(frozen=True, eq=False)
class Pool:
    """Represented events of one process, to draw pseudo-data sets from.

    The arrays may be memory maps: only events that are drawn are read.

    Raises:
        ValueError: if the events of the two regions have different shapes.
    """

    signal_region: FloatArray | Rows
    """Events in the signal region, shape (N, *shape), float32."""

    sideband: FloatArray | Rows
    """Events in the sidebands, shape (N', *shape), float32."""

    measured: tuple[int, int] | None = None
    """Events counted in (signal region, sidebands) of one sample, dimensionless, from which the
    sideband ratio follows; by default the lengths of the two arrays."""

    def __post_init__(self) -> None:
        shapes = [self.signal_region.shape[1:], self.sideband.shape[1:]]
        if shapes[0] != shapes[1]:
            raise ValueError(f"expected events of one shape in both regions; got {shapes}")

    @property
    def counts(self) -> tuple[int, int]:
        """Events counted in (signal region, sidebands)."""
        return self.measured or (len(self.signal_region), len(self.sideband))

    @property
    def sideband_ratio(self) -> float:
        """Events in the sidebands per event in the signal region, as measured.

        Raises:
            ValueError: if no event was counted in the signal region.
        """
        m, k = self.counts
        if m == 0:
            raise ValueError("expected events in the signal region; got none")
        return k / m

    @property
    def sideband_ratio_error(self) -> float:
        """Its standard deviation, r sqrt(1/m + 1/k), the same for Poisson and binomial counts."""
        m, k = self.counts
        return self.sideband_ratio * math.sqrt(1 / m + 1 / k) if k else 0.0

    def split(self, n: int, *, rng: np.random.Generator) -> tuple[Pool, Pool]:
        """Hold out exactly `n` events of the signal region for testing.

        No event is copied or read. Both parts keep the sideband ratio of the whole.

        Returns:
            (test, rest): `n` events of the signal region and no sideband; all other events.

        Raises:
            ValueError: if there are fewer than `n` events in the signal region, or n < 0.
        """
        available = len(self.signal_region)
        if not 0 <= n <= available:
            raise ValueError(f"expected 0 to {available} events to hold out; got {n}")
        inside, outside = _rows(self.signal_region), _rows(self.sideband)
        order = rng.permutation(available)
        test = Pool(inside.select(np.sort(order[:n])), outside.select(order[:0]), self.counts)
        rest = Pool(inside.select(np.sort(order[n:])), outside, self.counts)
        return test, rest


@dataclass(frozen=True)
class Mixture:
    """How much signal is in the data.

    Raises:
        ValueError: if a number is negative or not finite.
    """

    n_signal: float
    """S, signal events expected in the signal region."""

    n_background: float
    """B, background events expected in the signal region."""

    def __post_init__(self) -> None:
        _not_negative(n_signal=self.n_signal, n_background=self.n_background)

    @classmethod
    def from_significance(cls, s_over_sqrt_b: float, n_background: float) -> Mixture:
        """S = (S/sqrt(B)) sqrt(B), in the signal region and before any cut on the score."""
        _not_negative(s_over_sqrt_b=s_over_sqrt_b, n_background=n_background)
        return cls(s_over_sqrt_b * math.sqrt(n_background), n_background)

    @classmethod
    def from_ratio(cls, s_over_b: float, n_background: float) -> Mixture:
        """S = (S/B) B, in the signal region."""
        _not_negative(s_over_b=s_over_b, n_background=n_background)
        return cls(s_over_b * n_background, n_background)

    @classmethod
    def from_luminosity(
        cls, luminosity: float, *, signal_cross_section: float, background_cross_section: float
    ) -> Mixture:
        """S = L sigma_S and B = L sigma_B.

        Args:
            luminosity: L [fb^-1].
            signal_cross_section: sigma_S after selection in the signal region [fb].
            background_cross_section: sigma_B after selection in the signal region [fb].
        """
        L, sigma_S, sigma_B = luminosity, signal_cross_section, background_cross_section
        _not_negative(luminosity=L, signal_cross_section=sigma_S, background_cross_section=sigma_B)
        return cls(L * sigma_S, L * sigma_B)


def mix(
    signal: Pool,
    background: Pool,
    mixture: Mixture,
    *,
    rng: np.random.Generator,
    counts: Counts = "fixed",
) -> Dataset:
    """One pseudo-data set, labelled by region: y = 1 in the signal region, 0 in the sidebands.

    S and B events are expected in the signal region and S r_S and B r_B in the sidebands, where r
    is the sideband ratio of the process. Fixed counts are these, rounded to the nearest integer, as
    in the papers; Poisson counts vary about them, as those of data do. Which events fill them is
    drawn from the pools without replacement, and anew in each call: two data sets from one pool
    share events. Rows are not shuffled: signal and background of the signal region, then of the
    sidebands.

    Raises:
        ValueError: if a pool has too few events.
    """
    S, B = mixture.n_signal, mixture.n_background
    outside = [n and n * p.sideband_ratio for n, p in ((S, signal), (B, background))]
    expected = [S, B, *outside]
    n = [round(x) for x in expected] if counts == "fixed" else rng.poisson(expected).tolist()
    blocks = [
        _draw(signal.signal_region, n[0], rng=rng, name="signal in the signal region"),
        _draw(background.signal_region, n[1], rng=rng, name="background in the signal region"),
        _draw(signal.sideband, n[2], rng=rng, name="signal in the sideband"),
        _draw(background.sideband, n[3], rng=rng, name="background in the sideband"),
    ]
    return _dataset(blocks, y=(1, 1, 0, 0), truth=(1, 0, 1, 0))


def pure(signal: Pool, background: Pool, n: int, *, rng: np.random.Generator) -> Dataset:
    """The supervised data set: `n` signal, then `n` background events, y = truth.

    All are from the signal region, drawn without replacement and not shuffled.

    Raises:
        ValueError: if a pool has too few events, or n < 0.
    """
    _not_negative(n=n)
    blocks = [
        _draw(signal.signal_region, n, rng=rng, name="signal in the signal region"),
        _draw(background.signal_region, n, rng=rng, name="background in the signal region"),
    ]
    return _dataset(blocks, y=(1, 0), truth=(1, 0))


def _rows(events: FloatArray | Rows) -> Rows:
    return events if isinstance(events, Rows) else Rows(events, np.arange(len(events)))


def _draw(events: FloatArray | Rows, n: int, *, rng: np.random.Generator, name: str) -> Rows:
    if n > len(events):
        raise ValueError(f"expected at least {n} events of {name}; got {len(events)}")
    # In ascending order, since the events may be on disk.
    return _rows(events).select(np.sort(rng.choice(len(events), n, replace=False, shuffle=False)))


def _dataset(blocks: list[Rows], *, y: tuple[int, ...], truth: tuple[int, ...]) -> Dataset:
    lengths = [len(block) for block in blocks]
    labels, truths = np.repeat(y, lengths), np.repeat(truth, lengths)
    return Dataset(joined(blocks), labels, truths, np.ones(len(labels)))


def _not_negative(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"expected {name} to be finite and not negative; got {value}")
