"""The numbers that a record holds of one training."""

import dataclasses
from typing import Any

from numpy.typing import NDArray

from .evaluation import auc, roc, thin, working_point
from .statistics import asimov, significance_after

__all__ = ["evaluate"]


def evaluate(
    scores: NDArray[Any],
    truth: NDArray[Any],
    *,
    n_background: int,
    strengths: tuple[float, ...],
    eps_b: tuple[float, ...],
) -> dict[str, Any]:
    """Numbers of one training; `points` has one entry per signal strength.

    Args:
        scores: scores of the test events, shape (N,).
        truth: 1 for signal, 0 for background, shape (N,).
        n_background: background events in the signal region.
        strengths: signal strengths S/sqrt(B).
        eps_b: background efficiencies of the cut.
    """
    curve = roc(scores, truth)
    area, short = auc(curve), thin(curve)
    cuts = {f"{eps:g}": working_point(curve, eps) for eps in eps_b}
    points = []
    for strength in strengths:
        s, b = strength * n_background**0.5, n_background
        at_cut = {
            name: dataclasses.asdict(cut)
            | {
                "z_before": asimov(s, b),
                "z_after": significance_after(s, b, eps_s=cut.eps_s, eps_b=cut.eps_b),
            }
            for name, cut in cuts.items()
        }
        points.append(
            {"s_over_sqrt_b": strength, "n_signal": round(s), "n_background": b, "eps_b": at_cut}
        )
    return {
        "auc": area.value,
        "auc_error": area.error,
        "collapsed": curve.collapsed,
        "n_test_signal": curve.n_signal,
        "n_test_background": curve.n_background,
        "roc": {"eps_b": short.eps_b.tolist(), "eps_s": short.eps_s.tolist()},
        "points": points,
    }
