"""Events of a file: read once, selected, and searched like simulated ones."""

import json

import awkward as ak
import fabricated
import h5py
import numpy as np
import pytest
from fabricated import VALLEY, silent, study
from fabricated_searches import CHANGES

from fivesigma.configuration import Observed
from fivesigma.observed import take_in
from fivesigma.plan import Plan
from fivesigma.samples import Samples, prepare


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Back-to-back pairs of narrow jets, without a label."""
    rng, n, P = np.random.default_rng(3), 900, 12
    m = rng.uniform(4200, 6000, n)
    eta, phi = rng.uniform(-0.5, 0.5, (n, 1, 1)), rng.uniform(-1.4, 1.4, (n, 1, 1))
    axis = np.array([0, 1])[None, :, None]
    share = rng.dirichlet(np.ones(P), (n, 2))
    pt = share * m[:, None, None] / 2
    parts = [
        pt,
        (eta + 0 * axis + rng.normal(0, 0.05, pt.shape)),
        (phi + axis * np.where(phi > 0, -np.pi, np.pi) + rng.normal(0, 0.05, pt.shape)),
    ]
    rows = np.stack([p.reshape(n, -1) for p in parts], axis=2).reshape(n, -1)
    path = tmp_path_factory.mktemp("file") / "events.h5"
    with h5py.File(path, "w") as out:
        out.create_dataset("events", data=np.pad(rows, ((0, 0), (0, 2100 - rows.shape[1]))))
    return path


def asked(file, **options):
    return Observed(path=file, reader="lhco", options=options)


def test_events_become_a_sample(file, tmp_path):
    sample = take_in(asked(file), VALLEY, folder=tmp_path, report=silent)
    assert sample.n_generated == 900
    assert 700 < sample.n_selected <= 900
    (events,) = sample.batches()
    assert ak.fields(events) == ["m_jj", "jets"]
    counts = {row.cut: row.count for row in sample.cutflow}
    mass = ak.to_numpy(events.m_jj).astype(float)
    assert counts["signal_region"] == ((mass >= 4700) & (mass < 5500)).sum() > 300
    assert sample.summary()["process"] == "events.h5"


def test_a_file_is_read_once(file, tmp_path, monkeypatch):
    first = take_in(asked(file), VALLEY, folder=tmp_path, report=silent)
    monkeypatch.setattr("fivesigma.readers.LHCOlympics.batches", None)
    again = take_in(asked(file), VALLEY, folder=tmp_path, report=silent)
    assert again == first


def test_other_jets_are_another_sample(file, tmp_path):
    one = take_in(asked(file), VALLEY, folder=tmp_path, report=silent)
    wide = asked(file, definition={"radius": 1.0})
    assert take_in(wide, VALLEY, folder=tmp_path, report=silent).folder != one.folder


BAD = {
    "reader": ({"reader": "root"}, r"expected a reader of \['delphes', 'lhco'\]; got 'root'"),
    "field": ({"options": {"chunks": 5}}, "expected fields of lhco: .*; got chunks"),
    "jets": ({"options": {"definition": {"R": 1}}}, "search.data.options.definition: .*'R'"),
    "no jets": ({"options": {"definition": 1.0}}, "definition: expected fields of jets; got 1.0"),
    "file": ({"path": "no.h5"}, "search.data.path: expected a file; got no.h5"),
    "kind": ({"reader": "delphes"}, "expected a whole ROOT file; got .*events.h5"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD.keys())
def test_bad_requests(changes, message, file, tmp_path):
    request = Observed.model_validate({"path": file, "reader": "lhco"} | changes)
    with pytest.raises(ValueError, match=message):
        take_in(request, VALLEY, folder=tmp_path, report=silent)
    assert not list(tmp_path.iterdir())


def test_a_file_without_pairs_of_jets(tmp_path):
    """Said before anything is generated, with what is left by each cut."""
    path = tmp_path / "single.h5"
    with h5py.File(path, "w") as out:
        rows = np.zeros((30, 2100))
        rows[:, 0] = 900.0
        out.create_dataset("events", data=rows)
    data = {"path": path, "reader": "lhco"}
    wanted = study(**CHANGES | {"search": CHANGES["search"] | {"data": data}})
    message = r"search.data.path: expected 4 events or more in the signal_region .*all: 30.*>= 2: 0"
    with pytest.raises(ValueError, match=message):
        prepare(wanted, store=tmp_path / "store", workers=1, report=silent)
    assert not list((tmp_path / "store").rglob("*.lock"))
    assert [f.name[:5] for f in (tmp_path / "store").iterdir()] == ["data-"]


@pytest.mark.slow
def test_a_search_in_a_file(file, tmp_path):
    """As many simulated background events as observed, unless a luminosity is said."""
    made = fabricated.samples(tmp_path / "samples")
    observed = take_in(asked(file), VALLEY, folder=tmp_path, report=silent)
    made = Samples(**(vars(made) | {"observed": observed}))
    wanted = study(**CHANGES)
    plan = Plan(wanted, made, tmp_path / "store", silent)
    task, *others = plan.searches()
    assert task.title == "trees, data"
    assert {t.data for t in others} == {None}
    assert task.task.n_background == 136
    (found,) = task.run()["sets"]
    counts = {row.cut: row.count for row in observed.cutflow}
    assert found["n_events"] == counts["signal_region"]
    checks = {f["check"]: f for f in found["outcomes"]["interpolation"]["doctor"]}
    assert checks["duplicate events"]["value"] == 0
    assert found["outcomes"]["template"]["n_signal"] == [0, 0]
    json.dumps(found, allow_nan=False)
    free = Plan(wanted.model_copy(update={"luminosity_fb": None}), made, tmp_path / "s", silent)
    assert free.searches()[0].task.n_background == counts["signal_region"]
    luminosity = made.luminosity_fb(free.study)
    assert round(luminosity * VALLEY.background_cross_section_fb) == counts["signal_region"]
