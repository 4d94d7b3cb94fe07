"""Imports descend the trunk, doors are where they are said to be, and files stay small."""

import ast
import io
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

from fivesigma.benchmarks import BENCHMARKS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "fivesigma"
TRUNK = (
    "digest", "writing", "kinematics", "vetoes", "les_houches", "events",
    "calorimeter", "tracker", "isolation", "detector", "jets", "objects",
    "jet_shapes", "tags", "candidates", "quantities",
    "selection", "sample", "store", "readers", "constituents", "augmentations", "representations",
    "rows", "datasets", "mixtures", "yields", "contrast", "networks", "losses", "lovasz",
    "argos", "schedule", "prediction",
    "training", "heads", "strategies", "folds", "decorrelation", "evaluation", "statistics",
    "reach", "thresholds", "measurement", "attribution", "importance", "interpretation",
    "counting", "likelihood", "limits", "export", "background", "search", "doctor", "calibration",
    "windows", "hunt", "findings", "resemblance", "hunts", "benchmarks", "entries", "configuration",
    "projection", "observed",
    "loading", "costs", "arms", "sources", "tasks", "searches", "projections", "pretrained",
    "demands", "samples", "represented", "plan",
    "projection_coverage", "projection_plan", "studies", "searched", "results", "series",
    "projection_reach", "projected",
    "plots", "tables", "pretraining_tables", "projection_tables", "captions", "submission",
    "report", "progress", "cli",
)  # fmt: skip
SHELVES = ("readers", "representations", "networks", "strategies", "benchmarks", "plots")
BUILD_ON_EACH_OTHER = ("networks", "strategies", "benchmarks")
FREE = ("rows", "networks", "losses", "argos", "evaluation", "statistics")
ONLY = {"lovasz": {"losses"}, "schedule": {"argos"}}
DOORS = {
    "pythia8mc": {"events", "vetoes"},
    "pylhe": {"les_houches"},
    "fastjet": {"jets"},
    "matplotlib": {"plots"},
    "mplhep": {"plots"},
    "torch": {
        *("networks", "losses", "lovasz", "schedule", "prediction", "training", "heads"),
        *("strategies", "sources", "attribution", "interpretation"),
    },
    "captum": {"attribution"},
    "pyarrow": {"sample", "store"},
    "typer": {"cli"},
    "xgboost": {"strategies"},
    "uproot": {"readers"},
    "h5py": {"readers"},
    "pyhf": {"export"},
}
PHYSICS = (*TRUNK[: TRUNK.index("store") + 1], "benchmarks")
LEARNING = (
    *("rows", "datasets", "mixtures", "contrast", "networks", "losses", "lovasz", "argos"),
    *(
        "schedule",
        "prediction",
        "training",
        "heads",
        "strategies",
        "evaluation",
        "statistics",
        "attribution",
        "importance",
        "sources",
    ),
)
BLIND = (*LEARNING[LEARNING.index("contrast") : LEARNING.index("strategies") + 1], "sources")
LINES: dict[str, int] = {}

FILES = sorted(SOURCE.rglob("*.py"))
NAMES = [str(path.relative_to(SOURCE)) for path in FILES]
every_file = pytest.mark.parametrize("path", FILES, ids=NAMES)


def parts(path):
    """("store",), ("networks", "cnn"), ("networks",) for a shelf's __init__, () for the root."""
    names = path.relative_to(SOURCE).with_suffix("").parts
    return names[:-1] if names[-1] == "__init__" else names


def imports(path):
    """Own modules as tuples of names below the package, and top-level names of others."""
    package = path.relative_to(SOURCE).parent.parts
    own, other = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [(node.module or "").split(".")]
        elif isinstance(node, ast.ImportFrom):
            base = (*package[: len(package) - node.level + 1], *(node.module or "").split("."))
            base = tuple(name for name in base if name)
            inside = [(*base, alias.name) for alias in node.names if exists((*base, alias.name))]
            own.update(inside or [base])
            continue
        else:
            continue
        for module in modules:
            if module[0] == "fivesigma":
                own.add(tuple(module[1:]))
            else:
                other.add(module[0])
    return own, other


def exists(module):
    path = SOURCE.joinpath(*module)
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def allowed(importer, imported):
    """Whether a file may import another; () is the package itself, which holds its version."""
    if not imported:
        return True
    if not importer:
        return False
    here, there = importer[0], imported[0]
    if here == there:
        shelf = here in SHELVES
        from_door = len(importer) == 1
        return shelf and (from_door or imported[-1] == "base" or here in BUILD_ON_EACH_OTHER)
    if here in ONLY:
        return there in ONLY[here]
    return here not in FREE and TRUNK.index(there) < TRUNK.index(here)


CASES = {  # the rule itself
    "down the trunk": (("store",), ("events",), True),
    "up the trunk": (("events",), ("store",), False),
    "shelf on trunk": (("benchmarks", "hidden_valley"), ("jets",), True),
    "member on base": (("benchmarks", "hidden_valley"), ("benchmarks", "base"), True),
    "member on member": (("representations", "clouds"), ("representations", "images"), False),
    "member on its shelf": (("representations", "images"), ("representations",), False),
    "shelf on member": (("representations",), ("representations", "images"), True),
    "network on network": (("networks", "clouds"), ("networks", "cnn"), True),
    "network on trunk": (("networks", "cnn"), ("kinematics",), False),
    "losses on trunk": (("losses",), ("kinematics",), False),
    "lovasz on losses": (("lovasz",), ("losses",), True),
    "lovasz on another": (("lovasz",), ("rows",), False),
    "schedule on argos": (("schedule",), ("argos",), True),
    "schedule on another": (("schedule",), ("losses",), False),
    "package on trunk": ((), ("events",), False),
    "version": (("studies",), (), True),
}


@pytest.mark.parametrize(("importer", "imported", "expected"), CASES.values(), ids=CASES.keys())
def test_the_rule(importer, imported, expected):
    assert allowed(importer, imported) is expected


def test_all_files_are_on_the_trunk():
    assert {parts(path)[0] for path in FILES if parts(path)} <= set(TRUNK)
    assert {parts(path)[0] for path in FILES if len(parts(path)) > 1} <= set(SHELVES)
    assert len(FILES) > 15


@every_file
def test_imports_descend(path):
    own, _ = imports(path)
    assert [module for module in own if not allowed(parts(path), module)] == []


def test_imports_are_seen():
    """What the parser has to find, in every form it is written."""
    own, other = imports(SOURCE / "store.py")
    assert {("detector",), ("events",), ("jets",), ("selection",)} <= own
    assert {"awkward", "pyarrow", "json"} <= other
    assert ("benchmarks", "base") in imports(SOURCE / "benchmarks" / "hidden_valley.py")[0]
    assert ("detector",) in imports(SOURCE / "benchmarks" / "base.py")[0]


@every_file
@pytest.mark.parametrize("library", DOORS)
def test_doors(path, library):
    if library in imports(path)[1]:
        assert parts(path)[0] in DOORS[library]


@pytest.mark.parametrize("library", ["pythia8mc", "fastjet", "matplotlib", "torch"])
def test_doors_are_used(library):
    assert any(library in imports(path)[1] for path in FILES)


@pytest.mark.parametrize(
    ("modules", "blocked"),
    [(PHYSICS, ["torch", "sklearn"]), (LEARNING, ["pythia8mc", "fastjet", "matplotlib"])],
    ids=["physics without torch", "learning without Pythia"],
)
def test_each_half_works_without_the_libraries_of_the_other(modules, blocked):
    there = [name for name in modules if exists((name,))]
    assert len(there) > 3
    code = "import importlib, sys\n"
    code += f"for name in {blocked}: sys.modules[name] = None\n"
    code += f"for name in {there}: importlib.import_module('fivesigma.' + name)\n"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr


WORDS = {*BENCHMARKS, *(name.replace("_", " ") for name in BENCHMARKS), "qcd"}


@every_file
def test_no_benchmark_is_named_outside_its_shelf(path):
    if parts(path)[:1] != ("benchmarks",):
        text = path.read_text().lower()
        assert [word for word in WORDS if word in text] == []


@every_file
def test_truth_is_for_evaluation(path):
    """No name, attribute or string of the training side is `truth`; documentation may say it."""
    if parts(path) and parts(path)[0] in BLIND:
        tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
        assert [t for t in tokens if t.type == tokenize.NAME and t.string == "truth"] == []
        tree = ast.parse(path.read_text())
        texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
        assert "truth" not in texts


@every_file
def test_files_are_short(path):
    limit = LINES.get(path.stem, 300)
    assert len(path.read_text().splitlines()) <= limit
