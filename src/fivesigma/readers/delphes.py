r"""Events of Delphes: the tree of a ROOT file, without ROOT.

A jet names its constituents by references to the identities $u$ of objects, which are unique in an
event and begin anew in the next. With the key $k = 2^{24} e + u$ of an object in event $e$, the
object of a reference is found among the sorted keys of many events together,

$$ i : \quad k_i = 2^{24} e + u_\text{reference} . $$

DELPHES 3, a modular framework for fast simulation (de Favereau et al., 2014)
https://arxiv.org/abs/1307.6346
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from .base import Where, batch, check, positive, readable, refuse, twice
from ..jets import JetDefinition, cluster
from ..kinematics import Columns
from ..tracker import SPECIES, species_of

__all__ = ["Delphes", "Jets", "energy_flow", "referenced", "resolve"]

Jets = Literal["branch", "cluster"]
Arrays: TypeAlias = dict[str, ak.Array]
Branches: TypeAlias = dict[str, Any]
Ints: TypeAlias = NDArray[np.int64]

AGAIN = JetDefinition()
PION = 0.13957  # [GeV]; the mass of tracks in files of Delphes before 3.5, which have none
BITS = 24  # of an identity; ROOT has the number of a process in the others


class Collection(NamedTuple):
    """How Delphes writes one kind of object."""

    pt: str
    """Leaf with the transverse momentum or energy [GeV]."""
    species: int | None
    """Code of `SPECIES`; None if the PDG code tells."""

    @property
    def leaves(self) -> dict[str, str]:
        """Leaves by the names that they have here."""
        pdg = {"pdgid": "PID"} if self.species is None else {}
        return {"pt": self.pt, "eta": "Eta", "phi": "Phi"} | pdg


FLOW = {
    "EFlowTrack": Collection("PT", None),
    "EFlowPhoton": Collection("ET", SPECIES["photon"]),
    "EFlowNeutralHadron": Collection("ET", SPECIES["neutral hadron"]),
}
OTHERS = {"Track": Collection("PT", None), "Tower": Collection("ET", SPECIES["neutral hadron"])}
JET = {"pt": "PT", "eta": "Eta", "phi": "Phi", "mass": "Mass"}


@dataclass(frozen=True)
class Delphes:
    """Reads the tree that Delphes writes.

    Raises:
        ValueError: A value that a field cannot have.
    """

    jets: Jets = "branch"
    """`branch`: the jets of a branch, with the constituents to which they refer; `cluster`: all
    energy-flow objects, clustered again."""
    branch: str = "Jet"
    """The branch of the jets, such as `Jet` or `FatJet`."""
    definition: JetDefinition = AGAIN
    """How energy-flow objects are clustered again."""
    isolated: tuple[str, ...] = ("Photon", "Electron", "Muon")
    """Branches of objects that stand alone: when clustered again, jets with one are left out."""
    leading: int = 2
    """Number of jets that are kept, in falling transverse momentum."""
    chunk: int = 1000
    """Events that are read together."""
    tree: str = "Delphes"
    """Name of the tree."""

    def __post_init__(self) -> None:
        if self.jets not in get_args(Jets):
            raise ValueError(f"expected jets {' or '.join(get_args(Jets))}; got {self.jets!r}")
        positive("leading", self.leading)
        positive("chunk", self.chunk)

    def batches(self, path: Path) -> Iterator[ak.Array]:
        """Read a file; see `Reader.batches`. There are no labels.

        Constituents of jets are energy-flow objects; where a reference is to none of them, also
        tracks and towers. The species of a tower is that of a neutral hadron.

        Raises:
            ValueError: No ROOT file or a broken one, no such tree or branch, no events, impossible
                momenta, a jet without constituents, or a reference to something else.
        """
        with readable(path, "ROOT file"):
            file = uproot.open(path, array_cache=None, handler=uproot.MemmapSource)
        with file:
            n, branches = _open(file, self.tree, path)
            for first, seen in twice(lambda: self._parts(n, branches, path)):
                again = self.jets == "cluster"
                jets = cluster(seen, self.definition, leading=self.leading) if again else seen
                yield batch(jets, first=first)

    def _parts(self, n: int, branches: Branches, path: Path) -> Iterator[tuple[int, ak.Array]]:
        see = self._flow if self.jets == "cluster" else self._referenced
        for first in range(0, n, self.chunk):
            yield first, see(branches, Where(path, "event", first))

    def _flow(self, branches: Branches, where: Where) -> ak.Array:
        names = _names(FLOW) + ["EFlowTrack.Mass"] * ("EFlowTrack.Mass" in branches)
        names += [f"{name}.{leaf}" for name in self.isolated for leaf in ("Eta", "Phi")]
        return energy_flow(_read(branches, names, where, self.chunk), self.isolated, where)

    def _referenced(self, branches: Branches, where: Where) -> ak.Array:
        def read(names: list[str], kinds: dict[str, Collection]) -> Arrays:
            there = {name: kind for name, kind in kinds.items() if f"{name}.fUniqueID" in branches}
            return _read(branches, names + _names(there, "fUniqueID"), where, self.chunk)

        jets = [f"{self.branch}.{leaf}" for leaf in (*JET.values(), "Constituents")]
        arrays = read(jets, FLOW)
        return referenced(arrays, self.branch, self.leading, lambda: read([], OTHERS), where)


def _open(file: Any, name: str, path: Path) -> tuple[int, Branches]:
    """Number of events and branches of a tree."""
    with readable(path, "ROOT file"):
        trees = sorted(set(file.keys(filter_classname="TTree", cycle=False)))
    if name not in trees:
        raise ValueError(f"expected a tree {name!r}; got {trees} in {path}")
    with readable(path, "ROOT file"):
        n, branches = file[name].num_entries, {x.name: x for x in file[name].itervalues()}
    if n == 0:
        raise ValueError(f"expected events; got none in {path}")
    return n, branches


def _names(kinds: dict[str, Collection], *more: str) -> list[str]:
    return [f"{name}.{x}" for name, kind in kinds.items() for x in (*kind.leaves.values(), *more)]


def _read(branches: Branches, names: list[str], where: Where, n: int) -> Arrays:
    """Up to n events of some branches."""
    for name in names:
        if name not in branches:
            raise ValueError(f"expected a branch {name!r}; got none in {where.path}")
        with readable(where.path, "ROOT file"):
            form, kind = branches[name].interpretation, branches[name].typename
        numbers = isinstance(form, uproot.AsJagged) and isinstance(form.content, uproot.AsDtype)
        wanted = "references" if name.endswith(".Constituents") else "numbers"
        if not (kind == "TRefArray[]" if wanted == "references" else numbers):
            raise ValueError(f"expected lists of {wanted}; got {kind} in {where.path}, {name}")
    with readable(where.path, "ROOT file"):
        return {name: branches[name].array(None, where.first, where.first + n) for name in names}


def referenced(
    arrays: Arrays, branch: str, leading: int, others: Callable[[], Arrays], where: Where
) -> ak.Array:
    """Leading jets with the objects to which they refer.

    Args:
        arrays: Leaves of the jets and of energy-flow objects by name, N * var each.
        branch: Name of the jets.
        leading: Number of jets that are kept.
        others: Gives those of tracks and towers; called if a reference is to no energy flow.
        where: Where they were read.

    Returns:
        What `jets.cluster` gives: N * {n_jets, jets: var * {pt, eta, phi, mass, constituents}}.

    Raises:
        ValueError: Impossible momenta, a jet without constituents, or a reference to nothing.
    """
    references = arrays[f"{branch}.Constituents"]["refs"]
    leaves = {name: arrays[f"{branch}.{leaf}"] for name, leaf in JET.items()}
    flat, counts = _flat(leaves | {"number": ak.num(references, axis=2)}, where)
    check(flat, branch, where)
    flat["mass"] = np.maximum(flat["mass"], 0)  # Delphes writes -sqrt(-m^2)
    order = ak.argsort(ak.unflatten(flat["pt"], counts), ascending=False)[:, :leading]
    jets = ak.zip({name: ak.unflatten(flat[name], counts)[order] for name in JET})
    jets = ak.with_field(jets, _pick(references[order], arrays, others, where), "constituents")
    return ak.zip({"n_jets": counts, "jets": jets}, depth_limit=1)


def _pick(
    references: ak.Array, arrays: Arrays, others: Callable[[], Arrays], where: Where
) -> ak.Array:
    """Constituents, N * var * var * {pt, eta, phi, species}, from references, N * var * var."""
    jets, members = ak.num(references), ak.to_numpy(ak.flatten(ak.num(references, axis=2)))
    event_of_jet = np.repeat(np.arange(len(jets)), ak.to_numpy(jets))
    refuse(members == 0, "jets with constituents", members, lambda i: where(event_of_jet[i]))
    event, uid = np.repeat(event_of_jet, members), ak.to_numpy(ak.flatten(references, axis=None))
    objects = _objects(arrays, FLOW, where)
    place = resolve(event, uid, objects["event"], objects["uid"])
    if (place < 0).any():
        more = _objects(others(), OTHERS, where)
        objects = {k: np.concatenate([objects[k], more[k]]) for k in objects}
        place = resolve(event, uid, objects["event"], objects["uid"])
    known = f"references to objects of {', '.join((*FLOW, *OTHERS))}"
    refuse(place < 0, known, uid, lambda i: where(event[i]))
    found = {name: objects[name][place] for name in ("pt", "eta", "phi", "species")}
    return ak.unflatten(ak.unflatten(ak.zip(found), members), jets)


def resolve(event: Ints, uid: Ints, event_of: Ints, uid_of: Ints) -> Ints:
    """Places of objects from references to them.

    Args:
        event: Event of each reference, shape (R,), from 0.
        uid: Identity to which it refers, shape (R,).
        event_of: Event of each object, shape (P,).
        uid_of: Its identity, shape (P,).

    Returns:
        Place of each reference among the objects, shape (R,); -1 if it is to none.
    """
    if len(event_of) == 0:
        return np.full(len(event), -1)
    pairs = ((event, uid), (event_of, uid_of))
    wanted, key = ((e << BITS) | (u.astype(np.int64) & ((1 << BITS) - 1)) for e, u in pairs)
    order = np.argsort(key, kind="stable")
    place = order[np.minimum(np.searchsorted(key[order], wanted), len(key) - 1)]
    return np.where(key[place] == wanted, place, -1)


def energy_flow(arrays: Arrays, isolated: tuple[str, ...], where: Where) -> ak.Array:
    """Energy-flow objects for `jets.cluster`.

    Args:
        arrays: Leaves of energy-flow and isolated objects by name, N * var each.
        isolated: Names of the isolated objects: they have the directions of energy-flow objects.
        where: Where they were read.

    Returns:
        N * var * {pt, eta, phi, mass [GeV], species, isolated}.

    Raises:
        ValueError: Impossible momenta.
    """
    columns = _objects(arrays, FLOW, where)
    n = len(arrays["EFlowTrack.PT"])
    order = np.argsort(columns["event"], kind="stable")
    counts = np.bincount(columns["event"], minlength=n)
    names = ("pt", "eta", "phi", "mass", "species")
    objects = ak.zip({name: ak.unflatten(columns[name][order], counts) for name in names})
    alone = ak.zeros_like(objects.pt, dtype=bool)
    for name in isolated:
        eta, phi = (ak.values_astype(arrays[f"{name}.{k}"], np.float32) for k in ("Eta", "Phi"))
        same = objects.eta[:, :, None] == eta[:, None]
        alone = alone | ak.any(same & (objects.phi[:, :, None] == phi[:, None]), axis=2)
    return ak.with_field(objects, alone, "isolated")


def _objects(arrays: Arrays, kinds: dict[str, Collection], where: Where) -> Columns:
    """The objects of those collections that are there, one collection after the other."""
    there = [name for name, kind in kinds.items() if f"{name}.{kind.pt}" in arrays]
    parts = [_columns(name, kinds[name], arrays, where) for name in there]
    empty = dict.fromkeys(("event", "uid"), np.int64) | {"species": np.int8}
    names = ("event", "uid", "pt", "eta", "phi", "mass", "species")
    nothing = {name: np.empty(0, empty.get(name, np.float32)) for name in names}
    return {name: np.concatenate([part[name] for part in (nothing, *parts)]) for name in names}


def _columns(name: str, kind: Collection, arrays: Arrays, where: Where) -> Columns:
    leaves = kind.leaves | {"uid": "fUniqueID", "mass": "Mass"}
    there = {k: arrays[f"{name}.{x}"] for k, x in leaves.items() if f"{name}.{x}" in arrays}
    flat, _ = _flat(there, where)
    check(flat, name, where)
    n, track = len(flat["pt"]), kind.species is None
    flat.setdefault("uid", np.zeros(n, np.int64))
    flat.setdefault("mass", np.full(n, PION if track else 0, np.float32))
    species = species_of(flat["pdgid"], np.ones(n)) if track else np.full(n, kind.species, np.int8)
    return flat | {"species": species}


def _flat(leaves: Arrays, where: Where) -> tuple[Columns, Ints]:
    """Leaves N * var as columns (P,), with the event of each object; and their numbers (N,)."""
    counts = ak.to_numpy(ak.num(next(iter(leaves.values()))))
    columns: Columns = {"event": np.repeat(np.arange(len(counts)), counts)}
    for name, values in leaves.items():
        others = ak.to_numpy(ak.num(values))
        refuse(others != counts, f"leaves of one length with {name}", others, where)
        flat = ak.to_numpy(ak.flatten(values))
        with np.errstate(over="ignore"):  # `check` finds what is infinite then
            columns[name] = flat.astype(np.float32) if flat.dtype.kind == "f" else flat
    return columns, counts
