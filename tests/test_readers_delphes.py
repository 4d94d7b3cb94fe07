"""Delphes trees: references made by hand, files written by uproot, and Delphes' own events."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from test_jets import random_objects

from fivesigma.jets import JetDefinition, cluster
from fivesigma.readers.base import Where
from fivesigma.readers.delphes import Delphes, referenced, resolve
from fivesigma.tracker import SPECIES

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
WHERE = Where(Path("some.root"), "event", 100)
ANGLES = ("Eta", "Phi")
KINEMATICS = ("pt", "eta", "phi", "mass")
PLAIN = JetDefinition(energy_scale=None)

beside = pytest.mark.skipif(not REFERENCE.is_dir(), reason="no reference events beside")
both = pytest.mark.parametrize("sample", ["hvID10", "qcd"])


def read(path, **fields):
    return ak.concatenate(list(Delphes(**fields).batches(path)))


def test_identities_begin_anew_in_each_event():
    event, uid = np.array([0, 0, 1, 1, 2]), np.array([7, 3, 3, 9, 7])
    event_of, uid_of = np.array([0, 1, 0, 1, 2]), np.array([3, 9, 7, 3, 8])
    assert resolve(event, uid, event_of, uid_of).tolist() == [2, 0, 3, 1, -1]


def test_the_number_of_the_process_is_no_part_of_an_identity():
    zero, uid = np.zeros(2, int), np.array([5, (3 << 24) + 5], np.uint32)
    assert resolve(zero, uid, zero[:1], uid[1:]).tolist() == [0, 0]


@pytest.mark.parametrize(("n_references", "n_objects"), [(0, 0), (4, 0), (0, 4), (300, 200)])
def test_references_by_the_slow_reference(n_references, n_objects):
    rng = np.random.default_rng(1)
    event_of, uid_of = np.divmod(rng.permutation(5 * 80)[:n_objects], 80)
    event, uid = rng.integers(0, 5, n_references), rng.integers(0, 80, n_references)
    table = {pair: i for i, pair in enumerate(zip(event_of, uid_of, strict=True))}
    slow = [table.get(pair, -1) for pair in zip(event, uid, strict=True)]
    assert resolve(event, uid, event_of, uid_of).tolist() == slow


def collection(name, *events):
    """Leaves of a collection from events of (identity, pt, eta, phi[, PDG code])."""
    names = ("fUniqueID", "PT" if name.endswith("Track") else "ET", *ANGLES, "PID")
    types = (np.uint32, np.float32, np.float32, np.float32, np.int32)
    length = len(next(p for e in events for p in e))
    return {
        f"{name}.{leaf}": ak.values_astype(ak.Array([[p[i] for p in e] for e in events]), types[i])
        for i, leaf in enumerate(names[:length])
    }


def jets_of(*events):
    """Leaves of jets from events of (pt, eta, phi, mass, references)."""
    names = ("PT", *ANGLES, "Mass")
    leaves = {
        f"Jet.{x}": ak.Array([[j[i] for j in e] for e in events]) for i, x in enumerate(names)
    }
    return leaves | {"Jet.Constituents": ak.Array([[{"refs": j[4]} for j in e] for e in events])}


EVENTS = {
    **jets_of(
        [(50.0, 0.1, 3.0, 9.0, [5]), (80.0, -1.0, 0.5, -1e-4, [7, 2, 3]), (20.0, 0, 0, 1, [4])],
        [(30.0, 1.0, -2.0, 2.0, [2, 3])],
    ),
    **collection(
        "EFlowTrack",
        [(7, 40.0, -1.1, 0.4, -211), (5, 50.0, 0.1, 3.0, 13), (4, 20.0, 0.0, 0.0, 11)],
        [(2, 22.0, 1.1, -2.1, 321)],
    ),
    **collection("EFlowPhoton", [(3, 30.0, -0.9, 0.6)], []),
    **collection("EFlowNeutralHadron", [(2, 10.0, -1.0, 0.5)], [(3, 8.0, 0.9, -1.9)]),
}


def never():
    raise AssertionError("tracks and towers were read")


def test_jets_with_the_objects_to_which_they_refer():
    found = referenced(EVENTS, "Jet", 2, never, WHERE)
    assert found.n_jets.tolist() == [3, 1]
    assert found.jets.pt.tolist() == [[80, 50], [30]]
    assert found.jets.mass.tolist() == [[0, 9], [2]]
    constituents = found.jets.constituents
    assert constituents.pt.tolist() == [[[40, 10, 30], [50]], [[22, 8]]]
    assert constituents.eta[0, 0].tolist() == pytest.approx([-1.1, -1.0, -0.9])
    assert constituents.phi[0, 0].tolist() == pytest.approx([0.4, 0.5, 0.6])
    codes = [SPECIES[name] for name in ("charged hadron", "neutral hadron", "photon", "muon")]
    assert ak.flatten(constituents.species[0], axis=None).tolist() == codes


def test_one_jet_or_all():
    for leading, pt in ((1, [[80], [30]]), (9, [[80, 50, 20], [30]])):
        assert referenced(EVENTS, "Jet", leading, never, WHERE).jets.pt.tolist() == pt


def test_tracks_and_towers_are_taken_if_jets_refer_to_them():
    towers = collection("Tower", [(7, 1.0, 0, 0)], [(2, 2.0, 0, 0)])
    tracks = collection("Track", [(9, 5.0, 0, 0, 11), (3, 6.0, 0, 0, 1)], [(8, 7.0, 0, 0, 1)])
    arrays = jets_of([(9.0, 0, 0, 0, [3, 7])], [(9.0, 0, 0, 0, [8, 2])])
    found = referenced(arrays, "Jet", 2, lambda: towers | tracks, WHERE).jets.constituents
    assert found.pt.tolist() == [[[6, 1]], [[7, 2]]]
    assert found.species.tolist() == [[[0, 2]], [[0, 2]]]


IN = r"in some\.root, event"
WRONG = {
    "dangling": ("Jet.Constituents", [[[5], [7], [4]], [[2, 6]]], f"references .*; got 6 {IN} 101"),
    "alone": ("Jet.Constituents", [[[5], [7], []], [[2]]], f"with constituents; got 0 {IN} 100"),
    "infinite": ("Jet.PT", [[50, 80, 20], [np.inf]], f"a finite pt of Jet; got inf {IN} 101"),
    "nan": ("EFlowPhoton.Eta", [[np.nan], []], f"a finite eta of EFlowPhoton; got nan {IN} 100"),
    "negative": ("EFlowTrack.PT", [[1, 1, 1], [-8.0]], f"pt > 0 of EFlowTrack; got -8.0 {IN} 101"),
    "too large": ("EFlowTrack.PT", [[1, 1, 1], [1e300]], "a finite pt of EFlowTrack; got inf"),
    "direction": ("Jet.Eta", [[0, 0, 0], [-21]], r"\|eta\| <= 20 of Jet; got -21"),
    "degrees": ("Jet.Phi", [[0, 0, 0], [90]], r"\|phi\| <= 2 pi of Jet; got 90"),
    "lengths": ("Jet.Mass", [[0, 0, 0], [1, 2]], f"one length with mass; got 2 {IN} 101"),
}


@pytest.mark.parametrize(("leaf", "values", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_events(leaf, values, message):
    change = ak.Array(values)
    if leaf == "Jet.Constituents":
        change = ak.zip({"refs": change}, depth_limit=2)
    with pytest.raises(ValueError, match=message):
        referenced(EVENTS | {leaf: change}, "Jet", 3, dict, WHERE)


# Energy flow in files

FLOW = {"EFlowTrack": "PT", "EFlowPhoton": "ET", "EFlowNeutralHadron": "ET"}


def energy_flow(seed=1):
    """Tracks, then massless photons and neutral hadrons of 30 events; some first ones alone."""
    objects = random_objects(seed=seed)
    objects = objects[ak.argsort(objects.species, axis=1)]
    single = {name: ak.values_astype(objects[name], np.float32) for name in KINEMATICS}
    single["mass"] = ak.where(objects.species == 0, single["mass"], np.float32(0))
    alone = (ak.local_index(objects.species) == 0) & (np.arange(len(objects)) % 3 == 0)
    return ak.zip(single | {"species": objects.species, "isolated": alone})


def leaves_of(objects):
    """What Delphes writes of them; whatever is isolated is written as a photon."""
    leaves = {}
    for code, (name, pt) in enumerate(FLOW.items()):
        own = objects[objects.species == code]
        leaves |= {f"{name}.{pt}": own.pt, f"{name}.Eta": own.eta, f"{name}.Phi": own.phi}
    tracks = objects[objects.species == 0]
    leaves["EFlowTrack.PID"] = ak.values_astype(ak.full_like(tracks.species, 13), np.int32)
    leaves["EFlowTrack.Mass"] = tracks.mass
    alone, nothing = objects[objects.isolated], objects[objects.species == 9]
    for name, own in (("Photon", alone), ("Electron", nothing), ("Muon", nothing)):
        leaves |= {f"{name}.Eta": own.eta, f"{name}.Phi": own.phi}
    return leaves


def write(path, leaves, *, tree="Delphes", fill="all"):
    types = {name: f"var * {ak.flatten(x).type.content}" for name, x in leaves.items()}
    with uproot.recreate(path) as file:
        file.mktree(tree, types)
        if fill == "all":
            file[tree].extend(leaves)
    return path


@pytest.mark.parametrize("chunk", [7, 1000])
def test_energy_flow_is_clustered_again(tmp_path, chunk):
    objects = energy_flow()
    path = write(tmp_path / "some.root", leaves_of(objects))
    objects["species"] = ak.where(objects.species == 0, SPECIES["muon"], objects.species)
    for definition in (PLAIN, JetDefinition(radius=0.4, pt_min=5)):
        found = read(path, jets="cluster", definition=definition, chunk=chunk, leading=3)
        expected = cluster(objects, definition, leading=3)
        assert found.event.tolist() == list(range(30))
        assert found.n_jets.tolist() == expected.n_jets.tolist()
        assert {0, 1, 2} < set(ak.num(found.jets).tolist())
        for name in (*KINEMATICS, "constituents"):
            assert ak.array_equal(found.jets[name], expected.jets[name], dtype_exact=False)


def test_isolated_objects_are_as_their_branches_say(tmp_path):
    objects = energy_flow()
    path = write(tmp_path / "some.root", leaves_of(objects))
    objects["isolated"] = objects.isolated & False
    without = read(path, jets="cluster", isolated=()).n_jets.tolist()
    assert without == cluster(objects, JetDefinition()).n_jets.tolist()
    assert without != read(path, jets="cluster").n_jets.tolist()


def test_tracks_of_old_files_are_pions(tmp_path):
    objects, leaves = energy_flow(), leaves_of(energy_flow())
    del leaves["EFlowTrack.Mass"]
    found = read(write(tmp_path / "some.root", leaves), jets="cluster", definition=PLAIN)
    objects["mass"] = np.float32(0.13957) * (objects.species == 0)
    assert ak.array_equal(found.jets.mass, cluster(objects, PLAIN).jets.mass)
    assert not ak.array_equal(found.jets.mass, cluster(energy_flow(), PLAIN).jets.mass)


def last_is_bad(leaves):
    eta = ak.to_list(leaves["EFlowTrack.Eta"])
    eta[29][0] = np.nan
    return leaves | {"EFlowTrack.Eta": ak.values_astype(ak.Array(eta), np.float32)}


def no_lists(path, leaves):
    with uproot.recreate(path) as file:
        tree = file.mktree("Delphes", dict.fromkeys(leaves, "float64"))
        tree.extend(dict.fromkeys(leaves, np.ones(4)))
    return path


FILES = {
    "no tree": (lambda p, x: write(p, x, tree="Events"), r"a tree 'Delphes'; got \['Events'\] in"),
    "no events": (lambda p, x: write(p, x, fill="none"), "expected events; got none in"),
    "no branch": (
        lambda p, x: write(p, {k: v for k, v in x.items() if k != "EFlowPhoton.ET"}),
        r"expected a branch 'EFlowPhoton\.ET'; got none in",
    ),
    "no lists": (no_lists, "expected lists of numbers; got double in"),
    "last event": (lambda p, x: write(p, last_is_bad(x)), "a finite eta .* got nan in .*event 29"),
}


@pytest.mark.parametrize(("make", "message"), FILES.values(), ids=FILES.keys())
def test_bad_files_give_nothing(tmp_path, make, message):
    path = make(tmp_path / "some.root", leaves_of(energy_flow()))
    with pytest.raises(ValueError, match=message) as error:
        next(Delphes(jets="cluster", chunk=10).batches(path))
    assert str(path) in str(error.value)


def test_jets_without_references(tmp_path):
    path = write(tmp_path / "some.root", leaves_of(energy_flow()))
    with pytest.raises(ValueError, match=r"expected a branch 'Jet\.PT'; got none in"):
        next(Delphes().batches(path))
    leaves = {f"Jet.{x}": energy_flow().pt for x in ("PT", *ANGLES, "Mass", "Constituents")}
    with pytest.raises(ValueError, match=r"lists of references; got float\[\] in .*Constituents"):
        next(Delphes().batches(write(path, leaves)))


# Delphes' own events


@beside
@both
@pytest.mark.parametrize(("jets", "rel"), [("branch", 0), ("cluster", 1e-6)])
def test_jets_are_those_of_delphes(sample, jets, rel):
    """Taken as they are, or clustered again; one event has a jet with an isolated photon."""
    events = ak.from_parquet(REFERENCE / f"{sample}_delphes_events.parquet")[:25]
    parts = ak.from_parquet(REFERENCE / f"{sample}_delphes_jetconstituents.parquet")
    parts = parts[parts.event < 25]["constituents"]
    found = read(REFERENCE / f"{sample}_delphes_first25.root", jets=jets)
    assert found.n_jets.tolist() == events.n_j.tolist()
    for k in (0, 1):
        for name, theirs in zip(KINEMATICS, ("pt", "eta", "phi", "m"), strict=True):
            expected = pytest.approx(ak.to_numpy(events[f"j{k + 1}_{theirs}"]), rel=rel, abs=rel)
            assert ak.to_numpy(found.jets[name][:, k]) == expected
    ours = ak.flatten(found.jets.constituents)
    ours = ours[ak.argsort(ours.pt, ascending=False)]
    assert ak.num(ours).tolist() == ak.num(parts).tolist()
    assert ak.all(np.abs(ours.pt / parts.pt - 1) < 2**-12)  # as the tables are rounded
    for name in ("eta", "phi"):
        assert ak.all(np.abs(ours[name] - parts[name]) <= 2**-14)
    assert ak.all(ours.species == parts["type"])


@beside
@both
def test_other_jets_and_chunks(sample):
    """Fat jets are the same clusters without the energy scale."""
    path = REFERENCE / f"{sample}_delphes_first25.root"
    whole, fat = read(path, leading=1), read(path, leading=1, branch="FatJet", chunk=9)
    assert ak.all(fat.jets.pt < whole.jets.pt)
    assert ak.all(fat.jets.pt > 0.995 * whole.jets.pt)
    assert ak.array_equal(ak.sort(fat.jets.constituents.pt), ak.sort(whole.jets.constituents.pt))


@beside
@pytest.mark.parametrize("share", [0.1, 0.999])
def test_a_truncated_file_of_delphes(tmp_path, share):
    content = (REFERENCE / "hvID10_delphes_first25.root").read_bytes()
    path = tmp_path / "cut.root"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="expected a whole ROOT file; got"):
        next(Delphes().batches(path))
