"""What all readers have in common."""

import awkward as ak
import pytest
from test_readers_delphes import energy_flow, leaves_of
from test_readers_delphes import write as write_root
from test_readers_lhco import PARTICLES, ROWS
from test_readers_lhco import write as write_hdf5

from fivesigma.jets import JetDefinition, cluster
from fivesigma.readers import READERS, Delphes, LHCOlympics, reader
from fivesigma.representations import REPRESENTATIONS
from fivesigma.selection import Cut, Selection

SELECTION = Selection(
    (Cut("two jets", "n_jets", ((2, 99),)), Cut("hard", "lowest pt", ((50, 9e9),))),
    (Cut("region", "m_jj", ((200, 9e9),)),),
)
SMALL = {"particles": PARTICLES}
INSTANCES = {
    "delphes": (
        reader("delphes", jets="cluster"),
        lambda p: write_root(p, leaves_of(energy_flow())),
    ),
    "lhco": (reader("lhco", **SMALL), lambda p: write_hdf5(p, {"events": ROWS})),
    "lhco, many": (reader("lhco", **SMALL, leading=3), lambda p: write_hdf5(p, {"events": ROWS})),
}
instances = pytest.mark.parametrize(("read", "make"), INSTANCES.values(), ids=INSTANCES.keys())


@instances
def test_selection_and_representations_take_a_batch(tmp_path, read, make):
    (batch,) = read.batches(make(tmp_path / "some"))
    selected = SELECTION(batch)
    assert 0 < len(selected.events) < len(batch)
    assert batch.event[selected.mask].tolist() == [i for i, x in enumerate(selected.mask) if x]
    for kind in REPRESENTATIONS.values():
        representation = kind()
        assert representation(selected.events.jets).shape[1:] == representation.shape


@instances
def test_the_layout_is_that_of_clusters(tmp_path, read, make):
    (batch,) = read.batches(make(tmp_path / "some"))
    assert batch.fields[:3] == ["event", "n_jets", "jets"]
    assert set(batch.fields[3:]) <= {"label"}
    clustered = cluster(energy_flow(), JetDefinition())
    assert batch[["n_jets", "jets"]].type.content == clustered.type.content


@instances
def test_a_file_can_be_read_again(tmp_path, read, make):
    path = make(tmp_path / "some")
    (first,), (second,) = read.batches(path), read.batches(path)
    assert ak.array_equal(first, second)


def with_content(content):
    return lambda path, make: path.write_bytes(content)


def truncated(share):
    def write(path, make):
        content = make(path).read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return write


BAD = {
    "missing": (lambda path, make: None, "expected a (ROOT|HDF5) file; got no file"),
    "folder": (lambda path, make: path.mkdir(), "expected a (ROOT|HDF5) file; got no file"),
    "empty": (with_content(b""), "expected a whole (ROOT|HDF5) file; got"),
    "text": (with_content(b"root, or HDF5\n" * 99), "expected a whole (ROOT|HDF5) file; got"),
    **{
        f"truncated at {share}": (truncated(share), "expected a whole (ROOT|HDF5) file; got")
        for share in (0.01, 0.3, 0.6, 0.9, 0.999)
    },
}


@instances
@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD.keys())
def test_bad_files(tmp_path, read, make, spoil, message):
    path = tmp_path / "some"
    spoil(path, make)
    with pytest.raises(ValueError, match=message) as error:
        next(read.batches(path))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


FIELDS = {
    "reader": (("root", {}), r"a reader of \['delphes', 'lhco'\]; got 'root'"),
    "field": (("lhco", {"size": 1}), r"fields of lhco: \['definition', 'dataset', .*; got size"),
    "jets": (("delphes", {"jets": "Jet"}), "expected jets branch or cluster; got 'Jet'"),
    "leading": (("delphes", {"leading": 0}), "expected leading, a whole number >= 1; got 0"),
    "chunk": (("lhco", {"chunk": 1.5}), r"expected chunk, a whole number >= 1; got 1\.5"),
    "particles": (("lhco", {"particles": True}), "particles, a whole number >= 1; got True"),
}


@pytest.mark.parametrize(("arguments", "message"), FIELDS.values(), ids=FIELDS.keys())
def test_wrong_names_and_values(arguments, message):
    name, fields = arguments
    with pytest.raises(ValueError, match=message):
        reader(name, **fields)


def test_names():
    assert sorted(READERS) == ["delphes", "lhco"]
    assert reader("lhco") == LHCOlympics()
    assert reader("delphes", branch="FatJet") == Delphes(branch="FatJet")
