"""Particles in the magnetic field: straight lines, circles, small steps, and what is lost."""

import math

import numpy as np
import pytest
from responses import IDEAL, KAON, PHOTON, PION, events_of, particles

from fivesigma.detector import (
    CMS,
    propagate,
    respond,
)
from fivesigma.kinematics import delta_phi


def carried(flat, detector=CMS):
    return propagate({"event": np.zeros(len(flat["px"]), int)} | flat, detector)


@pytest.mark.parametrize("eta", [0.0, 0.5, -1.5, 1.7, -2.5, 4.0])
@pytest.mark.parametrize("phi", [0.0, 1.0, math.pi, -3.0])
def test_neutral_particles_from_the_origin_keep_their_direction(eta, phi):
    p = carried(particles(PHOTON, 10.0, eta, phi))
    assert p["face_eta"] == pytest.approx(eta, abs=1e-12)
    assert delta_phi(p["face_phi"], phi) == pytest.approx(0.0, abs=1e-12)


def test_neutral_particle_from_aside():
    """From (0.5 m, 0, 1 m) along y: leaves at y = sqrt(1.29^2 - 0.5^2)."""
    p = carried(particles(KAON, 7.0, 0.0, 0.5 * math.pi, vertex=(500.0, 0.0, 1000.0)))
    y = math.sqrt(1.29**2 - 0.5**2)
    assert p["face_phi"] == pytest.approx(math.atan2(y, 0.5))
    assert p["face_eta"] == pytest.approx(math.asinh(1.0 / 1.29))
    assert p["eta"] == pytest.approx(0.0)


def test_neutral_particle_through_the_end_cap():
    """From z = 2 m at 45 degrees: z = 3 m is reached 1 m from the axis."""
    p = carried(particles(KAON, 7.0, math.asinh(1.0), 0.3, vertex=(0.0, 0.0, 2000.0)))
    assert p["face_eta"] == pytest.approx(math.asinh(3.0))
    back = carried(particles(KAON, 7.0, -math.asinh(1.0), 0.3, vertex=(0.0, 0.0, 2000.0)))
    assert back["face_eta"] == pytest.approx(math.asinh(0.71 / 1.29))


@pytest.mark.parametrize("pt", [0.8, 2.0, 10.0, 500.0])
@pytest.mark.parametrize("code", [PION, -PION])
def test_bend_of_a_charged_particle(pt, code):
    """sin(d_phi) = R / (2 r) with r = pt / (0.3 B), clockwise if positive; z = r tau sinh(eta)."""
    r = pt / (0.299792458 * 3.8)
    bend = math.asin(1.29 / (2 * r))
    p = carried(particles(code, pt, 0.3, 0.4))
    assert delta_phi(p["face_phi"], 0.4) == pytest.approx(-math.copysign(bend, code), rel=1e-9)
    assert p["face_eta"] == pytest.approx(
        math.asinh(r * 2 * bend * math.sinh(0.3) / 1.29), rel=1e-9
    )
    assert p["phi"] == pytest.approx(0.4)
    assert p["eta"] == pytest.approx(0.3)


def test_loopers_reach_the_end_cap():
    """2 r < R: z = 3 m at the angle tau = 3 m / (r sinh eta), 2 r sin(tau / 2) from the axis."""
    r = 0.3 / (0.299792458 * 3.8)
    tau = 3.0 / (r * math.sinh(1.0))
    p = carried(particles(PION, 0.3, [1.0, -1.0], 0.0))
    rho = abs(2 * r * math.sin(tau / 2))
    assert p["face_eta"] == pytest.approx(np.array([1, -1]) * math.asinh(3.0 / rho))
    assert np.cos(p["face_phi"] + 0.5 * tau) ** 2 == pytest.approx([1.0, 1.0])


def displaced(n=300, seed=5):
    rng = np.random.default_rng(seed)
    codes = rng.choice([KAON, PION, -PION], n)
    rho, around = 1000 * rng.random(n), rng.uniform(-np.pi, np.pi, n)
    vertex = (rho * np.cos(around), rho * np.sin(around), rng.uniform(-2000, 2000, n))
    # outwards within a right angle: where the helix comes closest lies behind or just ahead
    phi = around + rng.uniform(-0.5 * np.pi, 0.5 * np.pi, n)
    return particles(
        codes, 2.0 + rng.exponential(5.0, n), rng.uniform(-2.5, 2.5, n), phi, vertex=vertex
    )


def test_displaced_particles_against_small_steps():
    """Steps of 0.2 mm along dp/ds = q v x B until the cylinder is left."""
    flat = displaced()
    p = carried(flat)
    assert len(p["pt"]) == 300
    position = 1e-3 * np.stack([flat["vx"], flat["vy"], flat["vz"]])
    phi, pt = np.arctan2(flat["py"], flat["px"]), np.hypot(flat["px"], flat["py"])
    turn = -flat["charge"] * 0.299792458 * 3.8 / pt  # per metre of transverse path
    step = 2e-4
    for _ in range(20_000):
        inside = (np.hypot(position[0], position[1]) < 1.29) & (np.abs(position[2]) < 3.0)
        if not inside.any():
            break
        move = np.stack(
            [np.cos(phi + 0.5 * step * turn), np.sin(phi + 0.5 * step * turn), flat["pz"] / pt]
        )
        position += np.where(inside, step, 0.0) * move
        phi += np.where(inside, step, 0.0) * turn
    assert not inside.any()
    x, y, z = position
    assert p["face_eta"] == pytest.approx(np.arcsinh(z / np.hypot(x, y)), abs=2e-3)
    assert delta_phi(p["face_phi"], np.arctan2(y, x)) == pytest.approx(np.zeros(300), abs=2e-3)


def test_azimuth_of_a_track_is_that_at_closest_approach():
    """There the momentum is across the line from the beam to the centre of the circle."""
    flat = displaced()
    p = carried(flat)
    phi = np.arctan2(flat["py"], flat["px"])
    curved = flat["charge"] != 0
    r = p["pt"] / (0.299792458 * 3.8) * np.sign(flat["charge"])
    x, y = 1e-3 * flat["vx"] + r * np.sin(phi), 1e-3 * flat["vy"] - r * np.cos(phi)
    across = (np.cos(p["phi"]) * x + np.sin(p["phi"]) * y) / np.hypot(x, y)
    assert across[curved] == pytest.approx(np.zeros(curved.sum()), abs=1e-9)
    assert np.abs(delta_phi(p["phi"], phi)).max() <= 0.5 * np.pi
    assert p["phi"][~curved] == pytest.approx(phi[~curved])


def test_opposite_charges_are_mirror_images():
    flat = displaced()
    mirror = flat | {name: -flat[name] for name in ("py", "vy", "charge", "pdgid")}
    p, q = carried(flat), carried(mirror)
    assert q["face_eta"] == pytest.approx(p["face_eta"], abs=1e-9)
    assert delta_phi(q["face_phi"], -p["face_phi"]) == pytest.approx(np.zeros(300), abs=1e-9)


@pytest.mark.parametrize("angle", [0.4, 2.0, -3.0])
def test_rotation_about_the_beam(angle):
    c, s = math.cos(angle), math.sin(angle)
    flat = displaced()
    turned = flat | {
        f"{kind}{a}": value
        for kind in "pv"
        for a, value in (
            ("x", c * flat[f"{kind}x"] - s * flat[f"{kind}y"]),
            ("y", s * flat[f"{kind}x"] + c * flat[f"{kind}y"]),
        )
    }
    p, q = carried(flat), carried(turned)
    for name in ("face_eta", "eta", "pt", "energy"):
        assert q[name] == pytest.approx(p[name], rel=1e-9, abs=1e-9)
    for name in ("face_phi", "phi"):
        assert delta_phi(q[name], p[name] + angle) == pytest.approx(np.zeros(300), abs=1e-9)


@pytest.mark.parametrize(
    ("vertex", "kept"),
    [
        ((1280, 0, 0), 1),
        ((1291, 0, 0), 0),
        ((0, 0, 2700), 1),
        ((0, 0, -3001), 0),
        ((911, 911, 0), 1),
        ((913, 913, 0), 0),
    ],
)
@pytest.mark.parametrize("code", [PHOTON, PION])
def test_particles_made_outside_are_lost(code, vertex, kept):
    assert len(carried(particles(code, 5.0, 0.1, 0.1, vertex=vertex))["pt"]) == kept
    seen = respond(events_of(particles(code, 5.0, 0.1, 0.1, vertex=vertex)), IDEAL, seed=1)
    assert len(seen) == 1
    assert len(seen[0]) == kept
