"""Is a variable fit for a comparison of signal region and sidebands?

It should tell signal from background, and be the same for background in both samples. For each
observable of both jets: separation of signal and background in the signal region (area under the
ROC curve of the variable alone), Kolmogorov-Smirnov distance of background in the signal region
and in the sidebands with its probability, the shift of the mean in standard deviations with its
error, naturally and with balanced sidebands, and Spearman's correlation with m_jj of background.

    python validation/variables.py studies/hidden_valley_reach.yaml --out docs/results/variables

Makes the samples of the study where they are missing. Ends with one line of JSON.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import ks_2samp, spearmanr

from fivesigma.configuration import Study
from fivesigma.contrast import Contrast
from fivesigma.datasets import Dataset
from fivesigma.evaluation import auc, roc
from fivesigma.loading import load
from fivesigma.progress import Display
from fivesigma.representations import Dijet, JetFeatures
from fivesigma.represented import represent
from fivesigma.samples import prepare
from fivesigma.store import default_folder
from fivesigma.tasks import REGIONS

BINS = 50
LOOKS: dict[str, dict[str, Any]] = {
    "background, signal region": {"color": "#c3ccd5", "histtype": "stepfilled"},
    "background, sidebands": {"color": "#333333", "histtype": "step"},
    "signal, signal region": {"color": "#d55e00", "histtype": "step"},
}
DRAWN = ("mass", "multiplicity", "lha", "width", "tau21", "efp_line")
Floats = NDArray[np.float64]


def shift(inside: Floats, outside: Floats, w: Floats) -> tuple[float, float]:
    """Difference of the means in standard deviations, weights of those outside, and its error."""
    w = w / w.sum()
    mean, sigma = w @ outside, inside.std()
    spread = np.sqrt(w @ (outside - mean) ** 2)
    error = np.hypot(1 / np.sqrt(len(inside)), spread / sigma * np.sqrt((w**2).sum()))
    return float((inside.mean() - mean) / sigma), float(error)


def describe(
    signal: Floats, inside: Floats, outside: Floats, m: Floats, w: Floats
) -> dict[str, float]:
    truth = np.repeat([1, 0], [len(signal), len(inside)])
    area = auc(roc(np.concatenate([signal, inside]), truth)).value
    ks = ks_2samp(inside, outside)
    natural, error = shift(inside, outside, np.ones(len(outside)))
    balanced, balanced_error = shift(inside, outside, w)
    return {
        "auc": max(area, 1 - area),
        "ks": float(ks.statistic),
        "ks_p": float(ks.pvalue),
        "shift": natural,
        "shift_error": error,
        "shift_balanced": balanced,
        "shift_balanced_error": balanced_error,
        "spearman_m_jj": float(spearmanr(np.concatenate([inside, outside]), m).statistic),
    }


def draw(columns: dict[str, tuple[Floats, ...]], units: dict[str, str]) -> Figure:
    """Leading jet: background inside and outside, and signal, of each observable."""
    figure = Figure(figsize=(11, 6), layout="constrained")
    for axis, (name, samples) in zip(figure.subplots(2, 3).flat, columns.items(), strict=True):
        low, high = np.quantile(np.concatenate(samples), [0.002, 0.998]).tolist()
        if not np.any(samples[0] % 1):  # whole numbers, and as many of them in each bin
            high = low + BINS * np.ceil((high - low) / BINS)
        for values, (label, look) in zip(samples, LOOKS.items(), strict=True):
            axis.hist(values, bins=BINS, range=(low, high), density=True, label=label, **look)
        axis.set_xlabel(f"{name} {units[name]}".strip())
        axis.set_yticks([])
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure


def read(study: Path) -> dict[tuple[str, str], list[Floats]]:
    """Features and kinematics of the first target and of the background, by region."""
    arrays = {}
    wanted = load(study)
    if not isinstance(wanted, Study):
        raise ValueError(f"expected a study; got a projection in {study}")
    with Display() as display:
        samples = prepare(wanted, store=default_folder(), workers=0, report=display)
        roles = {"signal": next(iter(samples.targets.values())), "background": samples.background}
        for kind in (JetFeatures(), Dijet()):
            for role, sample in roles.items():
                folder = represent(sample, kind, samples.benchmark, display)
                events = [np.load(folder / f"{region}.npy") for region in REGIONS]
                arrays[role, kind.name] = [x.astype(float) for x in events]
    return arrays


def balance(dijet: Floats, y: NDArray[np.int64]) -> Floats:
    """Weights of the events in the balanced sidebands."""
    k = dijet.astype(np.float32)
    data = Dataset(k, y, np.zeros(len(y)), np.ones(len(y)))
    weighed = Contrast(sidebands="balanced")(data, k)
    return np.asarray(weighed.weight[y == 0], dtype=float)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, help="folder of the figure")
    options = parser.parse_args()
    arrays, features = read(options.study), JetFeatures()
    inside, outside = arrays["background", features.name]
    dijet = np.concatenate(arrays["background", "dijet"])
    w = balance(dijet, np.repeat([1, 0], [len(inside), len(outside)]))
    signal = arrays["signal", features.name][0]
    found = {
        f"j{jet + 1}_{name}": describe(
            signal[:, jet, k], inside[:, jet, k], outside[:, jet, k], dijet[:, 0], w
        )
        for jet in (0, 1)
        for k, name in enumerate(features.observables)
    }
    print("| observable | AUC | KS (p) | shift | balanced | Spearman with m_jj |")
    print("|---|---|---|---|---|---|")
    for name, row in found.items():
        print(
            f"| {name} | {row['auc']:.3f} | {row['ks']:.3f} ({row['ks_p']:.2g}) "
            f"| {row['shift']:+.3f} ± {row['shift_error']:.3f} "
            f"| {row['shift_balanced']:+.3f} ± {row['shift_balanced_error']:.3f} "
            f"| {row['spearman_m_jj']:+.3f} |"
        )
    if options.out:
        place = {name: features.observables.index(name) for name in DRAWN}
        samples = (inside[:, 0], outside[:, 0], signal[:, 0])
        columns = {name: tuple(x[:, k] for x in samples) for name, k in place.items()}
        units = {name: "[GeV]" if name == "mass" else "" for name in DRAWN}
        options.out.mkdir(parents=True, exist_ok=True)
        draw(columns, units).savefig(options.out / "variables.png", dpi=110)
    print(json.dumps({"n_background": [len(inside), len(outside)], "variables": found}))


if __name__ == "__main__":
    main()
