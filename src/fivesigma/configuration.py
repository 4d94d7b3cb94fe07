"""What a study file may say.

A key that is misspelt, missing or out of range is an error that names the key.
"""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

__all__ = [
    "Arm",
    "Grid",
    "Held",
    "Published",
    "SampleRequest",
    "Sources",
    "Study",
    "load",
    "parse",
]

Positive = Annotated[int, Field(gt=0)]
Efficiency = Annotated[float, Field(gt=0, lt=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SampleRequest(_Strict):
    """Events of one process."""

    process: str
    """Name of a process of the benchmark."""
    events: Positive
    """Number of generated events."""
    parameters: dict[str, Any] = {}
    """Parameters of the process."""


class Grid(_Strict):
    """What is scanned."""

    s_over_sqrt_b: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)]
    """Signal strength S/sqrt(B) in the signal region, before any cut on the score."""
    repeats: Positive = 3
    """Pseudo-data sets at each strength, drawn anew each time."""
    restarts: Positive = 1
    """Trainings on each pseudo-data set, from different seeds."""
    eps_b: Annotated[list[Efficiency], Field(min_length=1)] = [0.1, 0.01, 0.001]
    """Background efficiencies of the cut."""

    @field_validator("s_over_sqrt_b", "eps_b")
    @classmethod
    def _differ(cls, values: list[float]) -> list[float]:
        if len(set(values)) < len(values):
            raise ValueError("expected values that differ")
        return values


class Held(_Strict):
    """Events of the signal region that no training sees; the rest is for training."""

    signal: Positive
    """Signal events."""
    background: Positive
    """Background events."""


class Augmenting(_Strict):
    """How the events to train on are augmented, after those to validate on are split off."""

    maps: list[str | dict[str, Any]] = []
    """Names of augmentations, or mappings of `name` and fields; none for exact copies."""
    copies: Positive | None = None
    """Fixed copies beside each event; by default another augmented one in its place each epoch."""


class Arm(_Strict):
    """One method."""

    name: str
    """Name in tables and figures."""
    label: Literal["cwola", "supervised", "sources"]
    """What is learnt of the data: signal region against sideband, the truth, or nothing, where all
    is known from other samples."""
    strategy: str = "direct"
    """Name of a strategy."""
    options: dict[str, Any] = {}
    """Fields of the strategy."""
    network: str = "cnn"
    """Name of a network."""
    architecture: dict[str, Any] = {}
    """Keyword arguments of the network."""
    representation: dict[str, Any]
    """`kind`, and the fields of that representation."""
    training: dict[str, Any] = {}
    """Fields of `TrainingSettings`."""
    pretraining: dict[str, Any] = {}
    """Fields of `TrainingSettings` for what is learnt from other samples."""
    contrast: dict[str, Any] = {}
    """Fields of `Contrast`."""
    augmentation: Augmenting | None = None
    """How events are augmented; by default they are not."""
    luminosity: Annotated[float, Field(gt=0)] | None = None
    """Times the study's; by default 1. S/sqrt(B) is that of the larger data."""
    pretrained: Path | None = None
    """File of a network to start from; by default one is learnt from the sources."""
    supervised_events: Positive | None = None
    """Signal and as many background events of a supervised training; by default as many background
    events as in the data."""


class Sources(_Strict):
    """Other samples, with labels, to learn from before the data are looked at."""

    points: Literal["others"] | list[str] = "others"
    """Named parameter points of the signal; the target's is always left out."""
    events: Positive
    """Number of generated signal events of each point."""
    parameters: dict[str, Any] = {}
    """Parameters of the signal process besides those of the point."""
    background: SampleRequest
    """Background events; they follow those of the study in the same sample, so none is in both."""
    regions: Annotated[list[Literal["signal_region", "sideband"]], Field(min_length=1)] = [
        "signal_region"
    ]
    """Where the events are taken from."""


class Published(_Strict):
    """Numbers to draw beside ours."""

    label: str
    """Name in figures."""
    source: str
    """Where they are printed."""
    s_over_sqrt_b: list[float]
    """Signal strength of the columns."""
    z_after: dict[str, dict[Literal["mean", "std"], list[float]]]
    """By eps_b: significance after the cut."""
    auc: dict[Literal["s_over_sqrt_b", "mean", "std"], list[float]] | None = None
    """Area under the ROC curve."""
    reach: dict[str, float] = {}
    """By eps_b: S/sqrt(B) for 5 sigma after the cut."""
    arm: str | None = None
    """Name of the method that they are numbers of; by default of none of them."""


class Study(_Strict):
    """A grid of trainings on samples of one benchmark."""

    name: str
    """Name of the output folder."""
    title: str
    """Title of the report."""
    benchmark: str
    """Name of a benchmark."""
    seed: Annotated[int, Field(ge=0, lt=90_000)] = 1
    """Seed of everything."""
    luminosity_fb: Annotated[float, Field(gt=0)] | None = None
    """Integrated luminosity [1/fb]; by default the benchmark's."""
    signal: SampleRequest
    """Signal events."""
    targets: list[str] = []
    """Named parameter points of the signal to run the study for; by default the one that the
    parameters of `signal` say."""
    background: SampleRequest
    """Background events."""
    held_out: Held
    """Test events."""
    grid: Grid
    """What is scanned."""
    arms: Annotated[list[Arm], Field(min_length=1)]
    """Methods."""
    sources: Sources | None = None
    """What some strategies learn from before."""
    published: list[Published] = []
    """Numbers to draw beside ours."""

    @model_validator(mode="after")
    def _names_fit(self) -> "Study":
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"expected arms of different names; got {names}")
        for published in self.published:
            if published.arm not in (None, *names):
                raise ValueError(f"published: expected arms of {names}; got {published.arm!r}")
        return self


MODELS: tuple[type[BaseModel], ...] = (
    *(SampleRequest, Grid, Held, Augmenting, Arm, Sources, Published, Study),
)


def load(path: Path, overrides: Sequence[str] = ()) -> Study:
    """Read a study file.

    Args:
        path: YAML file.
        overrides: "key=value" with dots between the levels, such as "grid.repeats=5"; values are
        YAML.

    Raises:
        ValueError: Unreadable, not YAML, or not a study; one line with the key, what was expected
        and what was got.
    """
    try:
        content = yaml.load(path.read_text(), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"expected a readable study file; got {path} ({error})") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that does not exist
        raise ValueError(f"expected YAML in {path}; got {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ValueError(f"expected keys and values in {path}; got {type(content).__name__}")
    for override in overrides:
        _override(content, override)
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"{path}: {_one_line(error)}") from error


def parse(assignment: str) -> tuple[str, Any]:
    """Split "key=value"; the value is read as YAML.

    Raises:
        ValueError: No equals sign, or no YAML behind it.
    """
    key, equals, value = assignment.partition("=")
    if not equals or not key:
        raise ValueError(f"expected key=value; got {assignment!r}")
    try:
        return key.strip(), yaml.load(value, _Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"expected a YAML value for {key}; got {value!r}") from error


class _Loader(yaml.SafeLoader):
    """YAML that reads on, off, yes and no as words, and 1e-4 as a number."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?([0-9]+\.?|[0-9]*\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def _override(content: dict[str, Any], assignment: str) -> None:
    """Set a value behind a path of keys and list positions, such as arms.0.network."""
    key, value = parse(assignment)
    *path, last = key.split(".")
    place: Any = content
    try:
        for name in path:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        place[int(last) if isinstance(place, list) else last] = value
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"expected keys and list positions that exist; got {key!r}") from error


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = sorted({name for model in MODELS for name in model.model_fields})
        near = get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"{key}: expected a key that exists{hint}; got {first['loc'][-1]!r}"
    if first["type"] == "missing":
        return f"{key}: expected a value; got none"
    message = first["msg"].removeprefix("Value error, ")
    return f"{key}: {message[0].lower() + message[1:]}; got {first['input']!r}" if key else message
