"""Results of studies as they are written, with numbers that are made up."""

import json

import numpy as np

STRENGTHS = (1.0, 2.0, 3.0, 4.0, 5.0, 7.0)
CUTS = {"0.1": 0.1, "0.01": 0.01, "0.001": 0.001}
GRID = np.concatenate([[0], np.geomspace(1e-4, 1, 60)])


def asimov(s, b):
    return float(np.sqrt(2 * ((s + b) * np.log1p(s / b) - s)))


def training(method, label, strength, repeat, rng, *, collapsed=False):
    power = 0.1 if label == "supervised" else 0.12 + 0.88 / (1 + (strength / 2.5) ** 3)
    power = 1.0 if collapsed else min(1.0, power * rng.uniform(0.9, 1.1))
    b, s, epochs = 18922, strength * np.sqrt(18922), int(rng.integers(8, 20))
    loss = 0.69 * (1 - (1 - power) * 0.4 * (1 - np.exp(-np.arange(epochs) / 5)))
    marks = {
        key: {
            "eps_b": e,
            "eps_b_error": 0.1 * e,
            "eps_s": e**power,
            "eps_s_error": 0.01,
            "z_before": asimov(s, b),
            "z_after": asimov(s * e**power, b * e),
            "n_background_behind": int(20000 * e),
            "threshold": 0.7,
        }
        for key, e in CUTS.items()
    }
    return {
        "method": method,
        "label": label,
        "representation": "images-25-logarithmic" if "log" in method else "images-25-linear",
        "s_over_sqrt_b": strength,
        "repeat": repeat,
        "seed": 100 + repeat,
        "auc": 1 / (1 + power),
        "auc_error": 0.004,
        "accuracy": 0.5 + 0.05 / (1 + power),
        "true_accuracy": 1 / (1 + power),
        "n_signal": round(s),
        "n_background": b,
        "n_test_signal": 20000,
        "n_test_background": 20000,
        "collapsed": collapsed,
        "best_epoch": epochs - 3,
        "seconds": 12.5,
        "train_loss": list(loss),
        "validation_loss": list(loss + 0.01 * rng.normal(size=epochs)),
        "roc": {"eps_b": list(GRID), "eps_s": list(GRID**power)},
        "eps_b": marks,
    }


def cutflow(n):
    names = ("all", "n_jets >= 2", "pT > 750 GeV", "|eta| < 2", "4400 < m_jj < 5800 GeV")
    counts = [int(n * f) for f in (1, 0.99, 0.5, 0.3, 0.1)]
    return [
        {
            "cut": cut,
            "count": c,
            "efficiency": c / n,
            "error": float(np.sqrt(c / n * (1 - c / n) / n)),
        }
        for cut, c in zip(names, counts, strict=True)
    ]


def image(width, rng):
    x = (np.arange(25) + 0.5) / 12.5 - 1
    r2 = x[:, None] ** 2 + x[None, :] ** 2
    return (
        300 * np.exp(-np.sqrt(r2) / width) * rng.uniform(0.8, 1.2, r2.shape) * (r2 < 1.2)
    ).tolist()


def fabricated(methods=("CWoLa, linear", "CWoLa, logarithmic"), strengths=STRENGTHS, repeats=6):
    rng = np.random.default_rng(1)
    edges = np.arange(4000, 6501, 50)
    points = []
    for method in methods:
        for strength in strengths:
            for repeat in range(repeats):
                dead = repeat == 0 and strength < 3
                points.append(training(method, "cwola", strength, repeat, rng, collapsed=dead))
            ceiling = method.replace("CWoLa", "supervised")
            points.append(training(ceiling, "supervised", strength, 0, rng))
    reach = {
        method: {
            "0.1": {"value": 2.8142, "low": 2.6053, "high": 3.1271, "status": "measured"},
            "0.01": {"value": 3.4567, "low": 3.1, "high": None, "status": "measured"},
            "0.001": {"value": None, "low": None, "high": None, "status": "above grid"},
        }
        for method in methods
    }
    reach |= {
        method.replace("CWoLa", "supervised"): {
            key: {"value": None, "low": None, "high": None, "status": "below grid"} for key in CUTS
        }
        for method in methods
    }
    samples = {
        process: {
            "hash": f"{process[:2]}c0ffee12",
            "process": name,
            "seed": 7,
            "cross_section_fb": sigma,
            "cross_section_error_fb": sigma / 100,
            "n_generated": 100000,
            "n_kept": 10000,
            "cutflow": cutflow(100000),
        }
        for process, name, sigma in (
            ("signal", "hidden valley, q qbar -> Z' -> dark quarks", 12.3),
            ("background", "QCD dijets", 136000.0),
        )
    }
    falling = 2e5 * np.exp(-(edges[:-1] - 4000) / 500)
    peak = 3000 * np.exp(-(((edges[:-1] - 5000) / 300) ** 2))
    x = np.array(STRENGTHS)
    return {
        "name": "hidden_valley_cwola",
        "title": "Hidden valley: weakly supervised jet images",
        "benchmark": "hidden_valley",
        "config": {"benchmark": "hidden_valley", "seed": 1, "methods": list(methods)},
        "config_hash": "ab12cd34",
        "versions": {"fivesigma": "0.1.0", "pythia8mc": "8.317.2", "torch": "2.13.0"},
        "created": "2025-05-04T12:00:00+00:00",
        "luminosity_fb": 139.0,
        "n_background_signal_region": 18922,
        "regions": {"signal_region": [[4700, 5500]], "sideband": [[4400, 4700], [5500, 5800]]},
        "samples": samples,
        "m_jj": {
            "edges_gev": edges.tolist(),
            "signal": rng.poisson(peak).tolist(),
            "background": rng.poisson(falling / 20).tolist(),
            "signal_scale": 0.05,
            "background_scale": 0.6,
        },
        "average_images": {
            kind: {
                "signal": [image(0.15, rng), image(0.18, rng)],
                "background": [image(0.06, rng), image(0.08, rng)],
            }
            for kind in ("linear", "logarithmic")
        },
        "points": points,
        "reach": reach,
        "published": [
            {
                "label": "published (FY, 25 × 25, mean ± std of 10 trainings)",
                "s_over_sqrt_b": x.tolist(),
                "z_after": {
                    key: {"mean": (x**1.6 * 0.9).tolist(), "std": (0.2 * x).tolist()}
                    for key in CUTS
                },
                "auc": {
                    "s_over_sqrt_b": x.tolist(),
                    "mean": (0.5 + 0.3 * x / 7).tolist(),
                    "std": [0.02] * len(x),
                },
                "reach": {"0.1": 2.98, "0.01": 3.73, "0.001": 4.06},
                "source": "training_results-2.csv, original",
            }
        ],
        "summary": [
            "CWoLa on linear images needs S/√B = 2.81 for five sigma.",
            "The supervised ceiling is below the grid.",
            "Two trainings collapsed.",
        ],
    }


def nothing():
    empty = fabricated(methods=(), repeats=0) | {"points": [], "reach": {}}
    del empty["published"], empty["m_jj"], empty["average_images"]
    return empty


def all_collapsed():
    results = fabricated(methods=("CWoLa, linear",), strengths=(2.0, 4.0), repeats=2)
    for point in results["points"]:
        point |= {"collapsed": True, "auc": None, "roc": None, "train_loss": []}
        for cut in point["eps_b"].values():
            cut |= {"eps_s": None, "z_after": None, "threshold": None}
    return results | {"average_images": {}}


def without_reference():
    results = fabricated(methods=("CWoLa, linear",), strengths=(3.0, 0.0), repeats=2)
    return results | {"published": [], "average_images": {}}


RESULTS = {
    "full": fabricated,
    "one training": lambda: fabricated(
        methods=("CWoLa, linear", "transfer, linear"), strengths=(3.0,), repeats=1
    ),
    "nothing": nothing,
    "all collapsed": all_collapsed,
    "without reference": without_reference,
}


def save(results, folder):
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    return folder
