"""Workspaces that pyhf evaluates as this package does, and tables that HEPData accepts."""

import json
import math
import warnings

import numpy as np
import pytest
import yaml

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import pyhf

from fivesigma.export import Column, Table, hepdata, workspace
from fivesigma.likelihood import Model, q0, q_mu
from fivesigma.limits import discovery, exclusion, upper_limit

TOLERANCE = 1e-6  # relative, of q, p and CLs: what the fits of pyhf reach

B = np.array([100.0, 50.0, 20.0])
S = np.array([2.0, 6.0, 9.0])
N = np.array([105.0, 60.0, 33.0])
CORRELATED = np.outer(0.05 * B, 0.05 * B) + np.diag([30.0, 8.0, 2.0])
MODELS = {  # with data and the number of shifts
    "counting": (Model.independent([5.0], [10.0], 2.0), [15.0], 1),
    "known": (Model.independent(S, B), N, 0),
    "shape": (Model.independent(S, B, 0.1, kind="relative"), N, 3),
    "closure": (Model(S, B, np.outer(0.1 * B, 0.1 * B)), N, 1),
    "correlated": (Model(S, B, CORRELATED), N, 3),
    "deficit": (Model(S, B, CORRELATED), [92.0, 44.0, 15.0], 3),
}
every_model = pytest.mark.parametrize(("model", "n", "shifts"), MODELS.values(), ids=MODELS.keys())


@pytest.fixture(autouse=True)
def precise():
    """Fits of pyhf go on to 1e-12, not 1e-6, in the objective."""
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer(tolerance=1e-12, maxiter=10_000))
    yield
    pyhf.set_backend("numpy")


def opened(specification):
    """pyhf's model of a workspace, its data, and the settings of its fits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        read = pyhf.Workspace(specification)
        model = read.model()
    config = model.config
    bounds = config.suggested_bounds()
    return model, read.data(model), (config.suggested_init(), bounds, config.suggested_fixed())


@every_model
def test_workspace_says_what_the_model_says(model, n, shifts):
    text = json.dumps(workspace(model, n, "region"))
    specification = json.loads(text)
    signal, background = specification["channels"][0]["samples"]
    assert specification["observations"] == [{"name": "region", "data": list(n)}]
    assert signal["data"] == model.signal.tolist()
    assert background["data"] == model.background.tolist()
    assert len(background["modifiers"]) == shifts
    templates = [m["data"] for m in background["modifiers"]]
    up = np.array([t["hi_data"] for t in templates]).reshape(-1, len(n)) - model.background
    down = np.array([t["lo_data"] for t in templates]).reshape(-1, len(n)) - model.background
    np.testing.assert_allclose(up, -down)
    np.testing.assert_allclose(up.T @ up, model.covariance, atol=1e-9)
    assert specification["measurements"][0]["config"]["poi"] == "mu"


@every_model
def test_pyhf_finds_the_same_in_a_workspace(model, n, shifts):
    reference, data, settings = opened(workspace(model, n, "region"))
    assert len(reference.config.auxdata) == shifts
    found = pyhf.infer.test_statistics.q0(0.0, data, reference, *settings)
    assert q0(model, n)[0] == pytest.approx(float(found), rel=TOLERANCE, abs=1e-8)
    p = pyhf.infer.hypotest(0.0, data, reference, test_stat="q0")
    assert discovery(model, n).p == pytest.approx(float(p), rel=TOLERANCE, abs=1e-4 * (p > 0.499))
    for mu in (0.7, 2.5):
        found = pyhf.infer.test_statistics.qmu_tilde(mu, data, reference, *settings)
        assert q_mu(model, n, mu)[0] == pytest.approx(float(found), rel=TOLERANCE, abs=1e-8)
        observed, expected = pyhf.infer.hypotest(mu, data, reference, return_expected_set=True)
        result = exclusion(model, n, mu)
        assert result.cls == pytest.approx(float(observed), rel=TOLERANCE)
        np.testing.assert_allclose(result.expected, np.array(expected, float), rtol=TOLERANCE)


def test_limits_are_those_of_pyhf():
    model, n, _ = MODELS["correlated"]
    reference, data, _ = opened(workspace(model, n, "region"))
    limit = upper_limit(model, n)
    for i, mu in enumerate((*limit.expected, limit.observed)):
        observed, expected = pyhf.infer.hypotest(mu, data, reference, return_expected_set=True)
        assert [*map(float, expected), float(observed)][i] == pytest.approx(0.05, rel=TOLERANCE)


def test_statistic_without_a_border_at_zero():
    model, n, _ = MODELS["deficit"]
    reference, data, settings = opened(workspace(model, n, "region"))
    settings[1][reference.config.poi_index] = (-5, 20)
    found = pyhf.infer.test_statistics.qmu(1.3, data, reference, *settings)
    assert q_mu(model, n, 1.3, "q")[0] == pytest.approx(float(found), rel=TOLERANCE)
    assert q_mu(model, n, 1.3)[0] < 0.999 * float(found)


def test_gaussian_errors_in_each_bin_are_staterror():
    """The same likelihood in another form of pyhf's, written by hand."""
    model, n, _ = MODELS["shape"]
    specification = workspace(model, n, "region")
    sigma = np.sqrt(np.diag(model.covariance)).tolist()
    background = specification["channels"][0]["samples"][1]
    background["modifiers"] = [{"name": "error", "type": "staterror", "data": sigma}]
    reference, data, settings = opened(specification)
    found = pyhf.infer.test_statistics.q0(0.0, data, reference, *settings)
    assert q0(model, n)[0] == pytest.approx(float(found), rel=TOLERANCE)
    for mu in (0.7, 2.5):
        observed, expected = pyhf.infer.hypotest(mu, data, reference, return_expected_set=True)
        result = exclusion(model, n, mu)
        assert result.cls == pytest.approx(float(observed), rel=TOLERANCE)
        np.testing.assert_allclose(result.expected, np.array(expected, float), rtol=TOLERANCE)


@pytest.mark.parametrize("n", [[1.0, 2.0], [1.0, 2.0, -3.0], [1.0, 2.0, math.nan]])
def test_workspace_rejects(n):
    with pytest.raises(ValueError, match="expected 3 finite counts >= 0"):
        workspace(MODELS["shape"][0], n, "region")


MASS = Column("Dijet mass", "GeV", edges=("from", "to"))
EVENTS = Column("Events", error="sigma", qualifiers={"SQRT(S) [GeV]": 13000, "Selection": "tight"})
LIMIT = Column("Limit", "fb", error=("down", "up"))
ROWS = [
    {"from": 4000, "to": 4300.0, "Events": np.int64(12), "sigma": np.float64(3.5)}
    | {"Limit": 0.1 + 0.2, "down": 0.25, "up": np.float32(0.5)},
    {"from": 4300.0, "to": 4600.0, "Events": math.nan, "sigma": 1.0}
    | {"Limit": "> 10", "down": None, "up": math.nan},
]
STRENGTH = Column("S/√B")
REACH = [{"S/√B": 1, "Z": 0.5, "Method": "images"}, {"S/√B": 2, "Z": 2.5, "Method": "trees"}]
TABLES = {
    "Figure 2a: limits": Table([MASS], [EVENTS, LIMIT], ROWS, "Counts.", {"cmenergies": [13000]}),
    "Figure 3": Table([STRENGTH, Column("Method")], [Column("Z")], REACH, "Reach: αβ."),
}


def test_hepdata_writes_every_number():
    files = hepdata(TABLES, comment="All figures.")
    assert list(files) == ["submission.yaml", "figure_2a_limits.yaml", "figure_3.yaml"]
    comment, first, second = yaml.safe_load_all(files["submission.yaml"])
    assert comment == {"comment": "All figures."}
    assert first == {
        "name": "Figure 2a: limits",
        "description": "Counts.",
        "keywords": [{"name": "cmenergies", "values": [13000]}],
        "data_file": "figure_2a_limits.yaml",
    }
    assert second["description"] == "Reach: αβ."
    table = yaml.safe_load(files["figure_2a_limits.yaml"])
    assert table["independent_variables"] == [
        {
            "header": {"name": "Dijet mass", "units": "GeV"},
            "values": [{"low": 4000, "high": 4300}, {"low": 4300, "high": 4600}],
        }
    ]
    events, limit = table["dependent_variables"]
    assert events["qualifiers"] == [
        {"name": "SQRT(S) [GeV]", "value": 13000},
        {"name": "Selection", "value": "tight"},
    ]
    assert events["values"] == [{"value": 12, "errors": [{"symerror": 3.5}]}, {"value": "-"}]
    error = {"asymerror": {"minus": -0.25, "plus": 0.5}}
    assert limit["values"] == [{"value": 0.1 + 0.2, "errors": [error]}, {"value": "> 10"}]
    strength, method = yaml.safe_load(files["figure_3.yaml"])["independent_variables"]
    assert strength["header"] == {"name": "S/√B"}
    assert [v["value"] for v in method["values"]] == ["images", "trees"]


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)  # of the validator, which leaves files open
def test_hepdata_accepts_the_files(tmp_path):
    validator = pytest.importorskip("hepdata_validator.full_submission_validator")
    for name, text in hepdata(TABLES, comment="All figures.").items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    check = validator.FullSubmissionValidator()
    assert check.validate(directory=str(tmp_path)), check.get_messages()
    wrong = (tmp_path / "figure_3.yaml").read_text(encoding="utf-8").replace("header", "head")
    (tmp_path / "figure_3.yaml").write_text(wrong, encoding="utf-8")
    assert not validator.FullSubmissionValidator().validate(directory=str(tmp_path))


def table(row, *, independent=STRENGTH, dependent=Column("Z")):  # noqa: B008
    return Table([independent], [dependent], [row], "")


GOOD = {"S/√B": 1.0, "Z": 2.0, "e": 0.1}
BAD = {
    "long": ({"a" * 65: table(GOOD)}, "1 to 64 characters; got 'aaa"),
    "same file": ({"Figure 1": table(GOOD), "figure-1": table(GOOD)}, "got 'figure-1'"),
    "reserved": ({"Submission": table(GOOD)}, "expected distinct names of tables"),
    "no letters": ({"√": table(GOOD), "": table(GOOD)}, "expected distinct names of tables"),
    "no rows": ({"a": Table([STRENGTH], [Column("Z")], [], "")}, "got table 'a' without"),
    "no columns": ({"a": Table([STRENGTH], [], [GOOD], "")}, "got table 'a' without"),
    "key": ({"a": table({"Z": 1.0})}, r"expected 'S/√B' in every row; got \['Z'\]"),
    "infinite": ({"a": table(GOOD | {"Z": math.inf})}, "expected finite numbers, NaN or words"),
    "list": ({"a": table(GOOD | {"Z": [1, 2]})}, r"expected numbers and words; got \[1, 2\]"),
    "negative": (
        {"a": table(GOOD | {"e": -0.1}, dependent=Column("Z", error="e"))},
        r"expected errors >= 0 of 'Z'; got \[-0.1\]",
    ),
    "edge": (
        {"a": table(GOOD | {"e": "x"}, independent=Column("S/√B", edges=("S/√B", "e")))},
        "expected a number of 'e'; got 'x'",
    ),
}


@pytest.mark.parametrize(("tables", "message"), BAD.values(), ids=BAD.keys())
def test_hepdata_rejects(tables, message):
    with pytest.raises(ValueError, match=message):
        hepdata(tables)
