"""Kinematics of two jets where they can be written down."""

import math

import awkward as ak
import numpy as np
import pytest

from fivesigma.representations import REPRESENTATIONS
from fivesigma.representations.dijet import COLUMNS, Dijet


def dijets(*events):
    """From pairs of (pt, eta, phi, mass)."""
    values = np.array(events, np.float32).reshape(-1, 2, 4)
    names = ("pt", "eta", "phi", "mass")
    return ak.zip({name: ak.Array(values[..., k]) for k, name in enumerate(names)})


def test_dijet():
    """Back to back m = 2 pT cosh(eta difference / 2); at one place, the sum of the masses."""
    jets = dijets(
        [(1000, 1.5, 0.5, 0), (1000, -0.5, 0.5 - math.pi, 0)],
        [(900, 0.3, 3.0, 40), (450, 0.3, 3.0, 20)],
    )
    expected = [[2000 * math.cosh(1), 1000, 1.5, 1000, -0.5], [60, 900, 0.3, 450, 0.3]]
    got = Dijet()(jets)
    np.testing.assert_allclose(got, expected, rtol=1e-4)
    assert got.dtype == np.float32
    assert Dijet().shape == got.shape[1:] == (len(COLUMNS),)
    assert COLUMNS == ("m_jj", "pt_1", "eta_1", "pt_2", "eta_2")
    np.testing.assert_array_equal(Dijet()(jets[::-1]), got[::-1])
    assert Dijet()(jets[:0]).shape == (0, 5)
    assert Dijet().name == "dijet"
    assert REPRESENTATIONS["dijet"]() == Dijet()


@pytest.mark.parametrize("field", ["pt", "eta", "phi", "mass"])
def test_missing_field(field):
    jets = dijets([(900, 0.3, 3.0, 40), (450, 0.3, 3.0, 20)])
    with pytest.raises(ValueError, match=f"expected jets with a field '{field}'; got"):
        Dijet()(jets[[name for name in jets.fields if name != field]])


def test_not_two_jets():
    jets = dijets([(900, 0.3, 3.0, 40), (450, 0.3, 3.0, 20)])
    with pytest.raises(ValueError, match="expected two jets in every event; got an event with 1"):
        Dijet()(ak.concatenate([jets, jets[:, :1]]))
