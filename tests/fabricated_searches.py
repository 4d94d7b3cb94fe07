"""Searches of the fabricated events, and records of them by hand."""

from fabricated import CWOLA, arm

TREES = arm(
    CWOLA,
    name="trees",
    strategy="trees",
    options={"members": 1, "max_iter": 5},
    representation={"kind": "features", "observables": ["width", "lha"]},
)
CHANGES = {
    "arms": [TREES],
    "luminosity_fb": 1.0,
    "held_out": {"signal": 40, "background": 60},
    "grid": {"s_over_sqrt_b": [0, 2, 4], "repeats": 3, "eps_b": [0.2, 0.1]},
    "search": {"folds": 2, "null_sets": 40, "sets_per_task": 20},
}

FITTED = CHANGES | {
    "grid": {"s_over_sqrt_b": [0], "eps_b": [0.6, 0.3]},
    "search": CHANGES["search"] | {"background": ["interpolation", "spectrum"]},
}


def record(rng, *, strength=0.0, excess=0.0, width=1.0):
    """Counts about 100 and 10 with an excess, in standard deviations."""
    cuts, intervals = [], []
    for eps, B in ((0.1, 100.0), (0.01, 10.0)):
        n = max(0, round(B + B**0.5 * (excess + width * rng.normal())))
        background = {"value": B, "error": 0.0}
        cuts.append({"eps_b": eps, "n": n, "background": background, "n_template": n})
        intervals.append({"n": n, "background": background})
    found = {"cuts": cuts, "intervals": intervals, "collapsed": 0}
    found["n_signal"] = [round(B**0.5 * excess) for B in (100.0, 10.0)]
    spectra = {"all": [600, 400], "0.1": [n, 0], "0.01": [0, n]}
    found["m_jj"] = {"edges_gev": [4500.0, 5000.0, 5500.0], "counts": spectra}
    naive = {"0.1": 5.0, "0.01": 3.0}
    outcomes = {"template": found}
    about = {"s_over_sqrt_b": strength, "n_events": 1000, "n_sideband": 1000, "naive": naive}
    return about | {"auc": 0.5, "repeat": 0, "outcomes": outcomes}
