"""Properties that every benchmark has, then numbers of the published ones."""

from itertools import pairwise

import numpy as np
import pytest

from fivesigma.benchmarks import BENCHMARKS
from fivesigma.benchmarks.hidden_valley import HIDDEN_VALLEY, VETOES, lhe, masses, qcd, signal
from fivesigma.detector import respond
from fivesigma.events import Process, generate
from fivesigma.jets import cluster
from fivesigma.quantities import QUANTITIES
from fivesigma.selection import VARIABLES


@pytest.fixture(params=BENCHMARKS.values(), ids=BENCHMARKS.keys())
def benchmark_record(request):
    return request.param


def defaults(factory):
    return factory.__kwdefaults__ or {}


class TestAnyBenchmark:
    def test_it_is_called_what_it_is(self, benchmark_record):
        assert BENCHMARKS[benchmark_record.name] is benchmark_record
        assert benchmark_record.title
        assert benchmark_record.source

    def test_processes_build_with_their_defaults(self, benchmark_record):
        b = benchmark_record
        assert {b.signal, b.background} <= set(b.processes)
        assert b.signal != b.background
        for name, factory in b.processes.items():
            if "file" in defaults(factory):
                continue
            process = b.process(name, {})
            assert isinstance(process, Process)
            assert process == factory()
            assert process == b.process(name, defaults(factory))
            assert process.settings
            assert hash(process) == hash(factory())

    def test_points_build(self, benchmark_record):
        b = benchmark_record
        assert b.points
        made = [b.process(b.signal, point) for point in b.points.values()]
        assert len(set(made)) == len(b.points)
        assert len({process.name for process in made}) == len(b.points)

    def test_unknown_process(self, benchmark_record):
        b = benchmark_record
        expected = f"expected a process of {b.name}: .*'{b.signal}'.*; got 'signale'"
        with pytest.raises(ValueError, match=expected):
            b.process("signale", {})

    def test_unknown_parameter(self, benchmark_record):
        b = benchmark_record
        for name, factory in b.processes.items():
            known = next(iter(defaults(factory)))
            with pytest.raises(
                ValueError, match=f"expected parameters of {name}: .*'{known}'.*; got colour"
            ):
                b.process(name, {"colour": 3})

    def test_regions(self, benchmark_record):
        """Both are there, on the same variable, and share no value; a counting search has none."""
        if benchmark_record.selection.quantities:
            assert benchmark_record.selection.regions == ()
            return
        inside, outside = map(benchmark_record.selection.region, ("signal_region", "sideband"))
        assert inside.variable == outside.variable
        windows = sorted((*inside.windows, *outside.windows))
        assert all(low < high for low, high in windows)
        assert all(high <= low for (_, high), (low, _) in pairwise(windows))
        x = np.linspace(windows[0][0], windows[-1][1], 10_001)
        assert not np.any(inside(x) & outside(x))
        assert inside(x).any()
        assert outside(x).any()

    def test_cuts(self, benchmark_record):
        cuts = (*benchmark_record.selection.cuts, *benchmark_record.selection.regions)
        kept = benchmark_record.selection.quantities
        assert {cut.variable for cut in cuts} <= set(QUANTITIES if kept else VARIABLES)
        assert set(kept or ()) <= set(QUANTITIES)
        assert len({cut.name for cut in cuts}) == len(cuts)

    def test_background(self, benchmark_record):
        b = benchmark_record
        assert b.n_background == pytest.approx(
            b.luminosity_fb * b.background_cross_section_fb, abs=0.5
        )
        assert b.n_background > 0


# Hidden valley


def test_background_of_the_papers():
    """18 922 events in the signal region at 139/fb (arXiv 2412.00198)."""
    assert HIDDEN_VALLEY.n_background == 18922


def test_points_of_the_papers():
    assert len(HIDDEN_VALLEY.points) == 14
    assert HIDDEN_VALLEY.points["DD30"] == {"lambda_d": 30.0, "decay": "DD"}


def test_selection_of_the_papers():
    """arXiv 2312.06152, section 3; sidebands of 2412.00198."""
    s = HIDDEN_VALLEY.selection
    assert HIDDEN_VALLEY.jets.algorithm == "anti-kt"
    assert HIDDEN_VALLEY.jets.radius == 0.8
    assert [(cut.variable, cut.windows[0]) for cut in s.cuts] == [
        ("n_jets", (2, float("inf"))),
        ("lowest pt", (750.0, float("inf"))),
        ("largest abs eta", (0.0, 2.0)),
    ]
    assert s.region("signal_region").windows == ((4700.0, 5500.0),)
    assert s.region("sideband").windows == ((4400.0, 4700.0), (5500.0, 5800.0))
    assert s.region("wide_sideband").windows == ((4300.0, 4700.0), (5500.0, 5900.0))


def test_mass_rules():
    """m_rho / Lambda is 2.69444 and 3.25883, m_q / Lambda 1.033058 and 1.107107 (ID and DD)."""
    assert masses(1.0, "ID") == pytest.approx((1.033058, 1.0, 2.694439), abs=1e-6)
    assert masses(1.0, "DD") == pytest.approx((1.107107, 1.8, 3.258834), abs=1e-6)
    assert masses(7.0, "DD") == pytest.approx([7 * m for m in masses(1.0, "DD")])


def test_rho_to_two_pions_is_open_in_indirect_decays_only():
    for decay, is_open in (("ID", True), ("DD", False)):
        _, m_pion, m_rho = masses(10.0, decay)
        assert (m_rho > 2 * m_pion) is is_open


@pytest.mark.parametrize("multiparton", ["on", "off"])
def test_the_underlying_event_is_a_setting_of_every_process(multiparton):
    for factory in (signal, qcd):
        assert f"PartonLevel:MPI = {multiparton}" in factory(multiparton=multiparton).settings


def test_signal_and_background_have_the_same_underlying_event_by_default():
    assert (
        defaults(signal)["multiparton"]
        == defaults(qcd)["multiparton"]
        == defaults(lhe)["multiparton"]
        == "on"
    )


@pytest.mark.parametrize("veto", VETOES)
def test_vetoes(veto):
    assert qcd(veto=veto).veto == VETOES[veto]


def test_the_veto_is_looser_than_the_selection():
    veto = VETOES["dijet"]
    regions = [w for region in HIDDEN_VALLEY.selection.regions for w in region.windows]
    assert veto.pt_min < 750
    assert veto.eta_max > 2
    assert veto.mass_min < min(low for low, _ in regions) - 100
    assert veto.mass_max > max(high for _, high in regions) + 500


WRONG = {
    "decay": (signal, {"decay": "IDD"}, r"expected decay in \['DD', 'ID'\]; got 'IDD'"),
    "scale": (signal, {"lambda_d": 0}, "expected 0 < lambda_d <= 500 GeV; got 0"),
    "scale as text": (signal, {"lambda_d": "ten"}, "lambda_d.*got 'ten'"),
    "no number": (signal, {"lambda_d": float("nan")}, "lambda_d.*got nan"),
    "switch": (
        signal,
        {"multiparton": "maybe"},
        r"expected multiparton in \['off', 'on'\]; got 'maybe'",
    ),
    "boolean": (qcd, {"multiparton": True}, "got True"),
    "veto": (qcd, {"veto": "tight"}, r"expected veto in \['dijet', 'none'\]; got 'tight'"),
    "mass": (qcd, {"mass_min": 13000.0}, "expected 0 <= mass_min < 13000 GeV; got 13000"),
    "mass beyond the veto": (
        qcd,
        {"veto": "dijet", "mass_min": 7000.0},
        "expected 0 <= mass_min < 7000 GeV; got 7000",
    ),
    "closed decays": (
        signal,
        {"lambda_d": 0.3, "decay": "DD"},
        "expected dark pions above 0.66 GeV, two d quarks; got '0.54 GeV'",
    ),
    "no file": (lhe, {}, "expected file = a Les Houches event file; got ''"),
    "folder": (lhe, {"file": "."}, "expected file = a Les Houches event file; got '.'"),
}


@pytest.mark.parametrize(("factory", "parameters", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_values(factory, parameters, message):
    with pytest.raises(ValueError, match=message):
        factory(**parameters)


def test_whole_numbers_make_the_samples_of_others():
    assert qcd(mass_min=3600, veto="dijet") == qcd(mass_min=3600.0, veto="dijet")
    assert "PhaseSpace:mHatMin = 3600.0" in qcd(mass_min=3600).settings


def test_an_event_file_of_other_beams(tmp_path):
    path = tmp_path / "events.lhe"
    head = "<init>\n2212 2212 7000. 7000. 0 0 247000 247000 3 1\n7. 0.1 1. 1\n</init>\n"
    path.write_text(f'<LesHouchesEvents version="3.0">\n{head}</LesHouchesEvents>\n')
    with pytest.raises(ValueError, match=r"expected two beams of protons \(2212\) of 6500 GeV in"):
        lhe(file=str(path))


@pytest.mark.slow
def test_efficiencies_of_the_papers():
    """ID10, multiparton off (2412.00198): 0.909 after the pT cut, 0.898 after the eta cut as well.

    0.136 in the sideband; it would be 0.167 with the dark coupling fixed at 0.1.
    """
    n = 600
    events = generate(signal(multiparton="off"), n, seed=100)
    clustered = cluster(respond(events, HIDDEN_VALLEY.detector, seed=100), HIDDEN_VALLEY.jets)
    efficiency = {row.cut: row.efficiency for row in HIDDEN_VALLEY.selection(clustered).cutflow}
    for cut, expected in (
        ("n_jets >= 2", 0.99996), ("pT > 750 GeV", 0.909), ("|eta| < 2", 0.898), ("sideband", 0.136)
    ):  # fmt: skip
        error = (expected * (1 - expected) / n) ** 0.5
        assert efficiency[cut] == pytest.approx(expected, abs=3 * error + 0.002), cut
