"""Reports for other programs: every plotted number is there, and pyhf opens the models."""

import json
import warnings

import numpy as np
import pytest
import yaml
from fabricated_results import fabricated
from fabricated_searches import record

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import pyhf

from fivesigma.findings import Null, power
from fivesigma.submission import plotted, submission, workspaces
from fivesigma.tables import make_tables, search_tables


def columns(text):
    """The values of a HEPData table by header."""
    content = yaml.safe_load(text)
    return {
        variable["header"]["name"]: [cell["value"] for cell in variable["values"]]
        for kind in ("independent_variables", "dependent_variables")
        for variable in content[kind]
    }


@pytest.fixture(scope="module")
def searched():
    rng = np.random.default_rng(0)
    null = Null([record(rng) for _ in range(100)], "template")
    hits = [record(rng, strength=s, excess=5 * s) for s in (0.5, 1.0) for _ in range(6)]
    found = {
        "null": null.summary(),
        "power": {"ID10": power(hits, null, rng=rng)},
        "data": null.of_data(record(rng, excess=3.0)),
    }
    about = {"title": "a search", "config_hash": "abc", "points": [], "m_jj": {}}
    return about | {"search": {"Trees, template": found}}


def test_tables_of_a_study_are_submitted():
    results = fabricated(repeats=2)
    files = submission(make_tables(results), results)
    documents = list(yaml.safe_load_all(files["submission.yaml"]))
    named = {d["data_file"] for d in documents if "data_file" in d}
    assert named | {"submission.yaml"} == set(files)
    assert {"reach.yaml", "working_points.yaml", "cutflow.yaml", "mass_spectrum.yaml"} <= named
    rows = make_tables(results)["working_points"]
    found = columns(files["working_points.yaml"])
    assert found["z_after_median"] == pytest.approx([row["z_after_median"] for row in rows])
    axes = yaml.safe_load(files["working_points.yaml"])["independent_variables"]
    assert [a["header"]["name"] for a in axes] == ["method", "s_over_sqrt_b", "eps_b"]


def test_what_figures_show_is_submitted():
    results = fabricated(repeats=2)
    rows = plotted(results)
    point = results["points"][0]
    first = [row for row in rows["learning"] if row["seed"] == point["seed"]]
    assert first[0]["train_loss"] == point["train_loss"][0]
    curve = [row["eps_s"] for row in rows["roc"][: len(point["roc"]["eps_s"])]]
    assert curve == point["roc"]["eps_s"]
    m = results["m_jj"]
    background = [row["events"] for row in rows["mass spectrum"] if row["process"] == "background"]
    assert background == pytest.approx(np.array(m["background"]) * m["background_scale"])


def test_each_data_set_of_a_search_is_submitted(searched):
    files = submission(search_tables(searched), searched)
    found, one = columns(files["null_sets.yaml"]), searched["search"]["Trees, template"]
    shape = [n == "shape" for n in found["p_value"]]
    for kind in ("local", "calibrated"):
        expected = one["null"][kind]["shape"]["p"]
        assert np.array(found[f"p_{kind}"])[shape] == pytest.approx(expected)
    strengths = columns(files["power_sets.yaml"])["s_over_sqrt_b"]
    assert len(strengths) == 2 * 6 * len(one["power"]["ID10"])


def test_pyhf_opens_the_model_of_data(searched):
    ((name, text),) = workspaces(searched).items()
    assert name == "trees_template.json"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        read = pyhf.Workspace(json.loads(text))
        data = read.data(read.model(), include_auxdata=False)
    cuts = searched["search"]["Trees, template"]["data"]["cuts"]
    assert sum(data) == sum(cut["n"] for cut in cuts)  # intervals of this record are its cuts
    assert workspaces(searched | {"search": {}}) == {}
