"""The command line: parse, call one function, write."""

import json
import sys
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.exceptions import TyperException

from . import __version__
from .benchmarks import BENCHMARKS
from .configuration import SampleRequest, Study
from .costs import estimate
from .loading import load, parse
from .progress import Display
from .projected import save_projection
from .projection import Projection
from .report import write_report
from .results import name_in, save
from .samples import normalised, recipe
from .selection import table
from .store import check_writable, default_folder, lacking, make
from .studies import Projected, Run, project, run

__all__ = ["app", "main"]

app = typer.Typer(
    help="Weakly supervised searches for new physics at colliders.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a value; may be repeated."),
]
Store = Annotated[
    Path | None,
    typer.Option(help="Folder of the samples; by default $FIVESIGMA_STORE or ~/.cache/fivesigma."),
]
INTERRUPTED = 130  # what Typer makes of an interrupt, too
Workers = Annotated[int, typer.Option(min=0, help="Processes; 0 for one per core.")]
Scheduler = Annotated[str | None, typer.Option(help="Address of a Dask scheduler.")]
Out = Annotated[Path | None, typer.Option(help="Folder of the results; by default runs/NAME.")]


@app.command()
def benchmarks() -> None:
    """List what physics is there."""
    for benchmark in BENCHMARKS.values():
        typer.echo(f"{benchmark.name}: {benchmark.title}")
        typer.echo(f"  source: {benchmark.source}")
        typer.echo(
            f"  luminosity: {benchmark.luminosity_fb:g} /fb; background in the signal region: "
            f"{benchmark.background_cross_section_fb:g} fb, {benchmark.n_background} events"
        )
        for name, factory in benchmark.processes.items():
            role = {benchmark.signal: " (signal)", benchmark.background: " (background)"}.get(
                name, ""
            )
            defaults = ", ".join(f"{k}={v}" for k, v in (factory.__kwdefaults__ or {}).items())
            typer.echo(f"  process {name}{role}: {defaults}")
        typer.echo(f"  points of the signal: {', '.join(benchmark.points)}")
        for cut in benchmark.selection.cuts:
            typer.echo(f"  cut {cut.name}")
        for region in benchmark.selection.regions:
            windows = " or ".join(
                f"{low:g} <= {region.variable} < {high:g} GeV" for low, high in region.windows
            )
            typer.echo(f"  region {region.name}: {windows}")


@app.command()
def generate(
    benchmark: Annotated[str, typer.Argument(help="Name of a benchmark.")],
    process: Annotated[str, typer.Argument(help="Name of one of its processes.")],
    n: Annotated[
        int,
        typer.Option(
            "-n", help="Generated events, before the selection; rounded up to whole thousands."
        ),
    ],
    assignments: Set = None,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 1,
    workers: Workers = 0,
    store: Store = None,
) -> None:
    """Generate, simulate, cluster and select events; go on where an earlier run stopped."""
    if benchmark not in BENCHMARKS:
        raise ValueError(f"expected a benchmark of {sorted(BENCHMARKS)}; got {benchmark!r}")
    if n < 1:
        raise ValueError(f"expected a number of events >= 1; got {n}")
    parameters = dict(parse(assignment) for assignment in assignments or ())
    request = SampleRequest(process=process, events=n, parameters=parameters)
    made_by, folder = recipe(BENCHMARKS[benchmark], request, seed=seed), store or default_folder()
    note = estimate(BENCHMARKS[benchmark], request, lacking(made_by, n, folder=folder))
    with Display() as display:
        sample = make(
            made_by,
            n,
            folder=folder,
            workers=workers,
            progress=lambda done, total: display(f"generate {process} (shards)", done, total, note),
        )
    summary = normalised(sample, made_by.process).summary()
    told = ("cross_section_fb", "cross_section_error_fb", "k_factor")
    value, error, k = (summary[name] for name in told)
    typer.echo(table(sample.cutflow))
    typer.echo(
        f"cross section: {value:.5g} +- {error:.2g} fb (the generator's times {k:.4g})"
        if summary["cross_section"] == "physical"
        else "cross section: arbitrary"
    )
    typer.echo(f"sample: {sample.folder}")


@app.command()
def study(
    file: Annotated[Path, typer.Argument(help="Study file (YAML).")],
    assignments: Set = None,
    workers: Workers = 0,
    scheduler: Scheduler = None,
    out: Out = None,
    store: Store = None,
    missing: Annotated[
        Literal["run", "leave"],
        typer.Option(help="Run what is missing, or leave it and report on what is there."),
    ] = "run",
) -> None:
    """Run a study or a projection, or what is missing of it, and write its report."""
    wanted = load(file, assignments or [])
    if isinstance(wanted, Study) and wanted.search:
        raise ValueError(f"expected a study; got a search in {file}: fivesigma search {file}")
    _study(
        wanted,
        out=out,
        store=store,
        workers=workers,
        scheduler=scheduler,
        missing=missing,
    )


@app.command()
def search(
    file: Annotated[Path, typer.Argument(help="Study file (YAML) with a search in it.")],
    assignments: Set = None,
    workers: Workers = 0,
    scheduler: Scheduler = None,
    out: Out = None,
    store: Store = None,
) -> None:
    """Search, calibrated on data sets without a signal, and write the report."""
    wanted = load(file, assignments or [])
    if not (isinstance(wanted, Study) and wanted.search):
        raise ValueError(f"search: expected how to search in {file}; got none")
    _study(
        wanted,
        out=out,
        store=store,
        workers=workers,
        scheduler=scheduler,
    )


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("fivesigma-demo"),
    workers: Workers = 0,
    store: Store = None,
) -> None:
    """The whole chain, small, on freshly generated collisions."""
    with as_file(files(__package__) / "templates" / "demo.yaml") as file:
        _study(load(file), out=out, store=store or out / "samples", workers=workers)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="Folder with a results.json.")]) -> None:
    """Write the HTML report, figures and tables of a study again."""
    typer.echo(f"report: {write_report(folder)}")


def _study(
    wanted: Study | Projection,
    *,
    out: Path | None,
    store: Path | None,
    workers: int,
    scheduler: str | None = None,
    missing: Literal["run", "leave"] = "run",
) -> None:
    out, store = _folder(wanted.name, out), store or default_folder()
    with Display() as display:
        options: dict[str, Any] = {"scheduler": scheduler, "missing": missing, "report": display}
        options |= {"out": out, "store": store, "workers": workers}
        if isinstance(wanted, Projection):
            made: Run | Projected = project(wanted, **options)
        else:
            made = run(wanted, **options)
    results = save(made, out) if isinstance(made, Run) else save_projection(made, out)
    page = write_report(out)
    for sentence in _sentences(results):
        typer.echo(sentence)
    for failure in made.failures:
        sys.stderr.write(f"fivesigma: {failure['task']}: {failure['error']}\n")
    typer.echo(f"report: {page.resolve()}")
    if made.failures and missing == "run":
        raise typer.Exit(1)


def _folder(name: str, out: Path | None) -> Path:
    """Where the results go; made when there are any."""
    if out is None:
        if name.strip() in ("", ".", "..") or {"/", "\\"} & set(name):
            raise ValueError(
                f"name: expected the name of a folder, without / and \\, or --out; got {name!r}"
            )
        out = Path("runs") / name
    check_writable(out / "records")
    there = name_in(out)
    if there not in (None, name):
        raise ValueError(f"expected a folder of {name}; got results of {there} in {out}")
    return out


def _sentences(results: Path) -> list[str]:
    return list(json.loads(results.read_text())["summary"])


def _version(value: bool) -> None:  # noqa: FBT001
    if value:
        typer.echo(f"fivesigma {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; what a user can cause is one line and exit code 2."""
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except (TyperException, ValueError, OSError, FloatingPointError, MemoryError) as error:
        text = error.format_message() if isinstance(error, TyperException) else str(error)
        sys.stderr.write(f"fivesigma: {' '.join(text.split()) or 'out of memory'}\n")
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:
        sys.stderr.write(
            "fivesigma: interrupted; what is done is kept, run the same command again to go on\n"
        )
    sys.exit(code)
