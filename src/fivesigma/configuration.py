"""What a study file may say."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from .entries import Efficiencies, Named, Width, columns, different

__all__ = [
    *("Arm", "Grid", "Headed", "Held", "Method", "Positive", "Published", "SampleRequest"),
    *("Search", "Sources", "Strict", "Study", "Windows"),
]

Positive = Annotated[int, Field(gt=0)]


class Strict(BaseModel):
    """Of which every key is known, and no value changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SampleRequest(Strict):
    """Events of one process."""

    process: str
    """Name of a process of the benchmark."""
    events: Positive
    """Number of generated events."""
    parameters: dict[str, Any] = {}
    """Parameters of the process."""


class Grid(Strict):
    """What is scanned."""

    s_over_sqrt_b: Annotated[
        list[Annotated[float, Field(ge=0)]], Field(min_length=1), AfterValidator(different)
    ]
    """Signal strength S/sqrt(B) in the signal region, before any cut on the score."""
    repeats: Positive = 3
    """Pseudo-data sets at each strength, drawn anew each time."""
    restarts: Positive = 1
    """Trainings on each pseudo-data set, from different seeds."""
    eps_b: Efficiencies = [0.1, 0.01, 0.001]
    """Background efficiencies of the cut."""


class Held(Strict):
    """Events of the signal region that no training sees; the rest is for training."""

    signal: Positive
    """Signal events."""
    background: Positive
    """Background events."""


class Augmenting(Strict):
    """How the events to train on are augmented, after those to validate on are split off."""

    maps: list[str | dict[str, Any]] = []
    """Names of augmentations, or mappings of `name` and fields; none for exact copies."""
    copies: Positive | None = None
    """Fixed copies beside each event; by default another augmented one in its place each epoch."""


class Interpreting(Strict):
    """What a trained network looks at: integrated gradients of the first data set's trainings."""

    events: Positive = 200
    """Signal events."""
    baselines: Positive = 8
    """Background events that each is compared with."""


class Method(Strict):
    """What learns, and how."""

    name: str
    """Name in tables and figures."""
    strategy: str = "direct"
    """Name of a strategy."""
    options: dict[str, Any] = {}
    """Fields of the strategy."""
    network: str = "cnn"
    """Name of a network."""
    architecture: dict[str, Any] = {}
    """Keyword arguments of the network."""
    training: dict[str, Any] = {}
    """Fields of `TrainingSettings`."""
    interpret: Interpreting | None = None
    """Whether the report shows what the network looks at; by default it does not."""


class Arm(Method):
    """One method of a study."""

    label: Literal["cwola", "supervised", "sources"]
    """What is learnt of the data: signal region against sideband, the truth, or nothing, where all
    is known from other samples."""
    representation: dict[str, Any]
    """`kind`, and the fields of that representation."""
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


class Sources(Strict):
    """Other samples, with labels, to learn from before the data are looked at."""

    points: Annotated[Literal["others"] | list[str], AfterValidator(different)] = "others"
    """Named parameter points of the signal; the target's is always left out."""
    events: Positive
    """Number of generated signal events of each point."""
    parameters: dict[str, Any] = {}
    """Parameters of the signal process besides those of the point."""
    background: SampleRequest
    """Background events; they follow those of the study in the same sample, so none is in both."""
    regions: Annotated[
        list[Literal["signal_region", "sideband"]], Field(min_length=1), AfterValidator(different)
    ] = ["signal_region"]
    """Where the events are taken from."""


class Observed(Strict):
    """Events to search in that are not simulated by the study."""

    path: Path
    """File."""
    reader: str
    """Name of a reader of such files."""
    options: dict[str, Any] = {}
    """Fields of the reader."""


class Windows(Strict):
    """Sliding windows in the resonance mass, each a signal region with its own sidebands."""

    range: tuple[float, float]
    """Least and largest mass of windows with their sidebands, within the regions of the benchmark
    [GeV]."""
    half_width: Width
    """Of a signal region [GeV]."""
    step: Width
    """Between two centres [GeV]."""
    sideband: Width
    """Width of each sideband [GeV]."""
    eps_b: Efficiencies | None = None
    """Background efficiencies of the cuts; by default those of the grid. A window has fewer events
    than the whole, and cuts as tight may leave none."""

    @model_validator(mode="after")
    def _fit(self) -> "Windows":
        needed = 2 * (self.half_width + self.sideband)
        if self.range[1] - self.range[0] < needed:
            raise ValueError(
                f"expected a range of {needed:g} GeV, a window with sidebands, or more"
            )
        return self


class Search(Strict):
    """How data are searched, and in how many data sets without a signal that is calibrated."""

    folds: Annotated[int, Field(ge=2)] = 5
    """Folds; events of one are scored by models of the others."""
    members: Positive = 1
    """Models of a fold, whose ranks are averaged."""
    degree: Annotated[int, Field(ge=0, le=3)] = 1
    """Of the polynomial in the mass that interpolates the logit of the efficiency of a cut."""
    score: Literal["standardised"] | None = None
    """Whether scores are standardised in the mass, by polynomials of that degree, before they are
    cut; by default they are not."""
    background: Annotated[
        list[Literal["interpolation", "template", "spectrum"]],
        Field(min_length=1),
        AfterValidator(different),
    ] = ["interpolation", "template"]
    """Where the background behind a cut is taken from: the efficiency in the sidebands, simulated
    events of the signal region, those held out, or a fit to the spectrum of what passes in the
    sidebands, which needs three events in each. Each is calibrated by itself."""
    windows: Windows | None = None
    """Where else than in the signal region is searched, with the background interpolated from the
    sidebands of each window: there is no simulated template outside the signal region. By default
    nowhere."""
    data: Observed | None = None
    """Events to search in. The data sets that it is calibrated with are of the study's luminosity;
    if it says none, they have as many events in the signal region."""
    null_sets: Annotated[int, Field(ge=40)] = 200
    """Data sets without a signal."""
    sets_per_task: Positive = 10
    """Data sets that are done together."""
    naive: Literal["beside", "left out"] = "beside"
    """Whether the common recipe, trained and tested on the same events, is run on the same data."""


class Published(Strict):
    """Numbers to draw beside ours."""

    label: str
    """Name in figures."""
    source: str
    """Where they are printed."""
    s_over_sqrt_b: list[float]
    """Signal strength of the columns."""
    z_after: dict[Named, dict[Literal["mean", "std"], list[float]]]
    """By eps_b: significance after the cut."""
    auc: dict[Literal["s_over_sqrt_b", "mean", "std"], list[float]] | None = None
    """Area under the ROC curve."""
    reach: dict[Named, float] = {}
    """By eps_b: S/sqrt(B) for 5 sigma after the cut."""
    arm: str | None = None
    """Name of the method that they are numbers of; by default of none of them."""
    target: str | None = None
    """Name of the target that they are numbers of; by default beside all."""

    _columns = field_validator("z_after", "auc")(columns)


class Headed(Strict):
    """What all kinds of study say."""

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


class Study(Headed):
    """A grid of trainings on samples of one benchmark."""

    targets: Annotated[list[str], AfterValidator(different)] = []
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
    search: Search | None = None
    """What makes a calibrated search of the study: the grid is its power."""
    published: list[Published] = []
    """Numbers to draw beside ours."""

    @model_validator(mode="after")
    def _names_fit(self) -> "Study":
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"expected arms of different names; got {names}")
        known = [arm.name for arm in self.arms if arm.label == "supervised"]
        if self.search and known:
            raise ValueError(f"search: expected arms that learn without the truth; got {known}")
        interpreted = [arm.name for arm in self.arms if arm.interpret]
        if self.search and interpreted:
            raise ValueError(
                f"search: expected arms without interpret, which takes one network; got "
                f"{interpreted}"
            )
        labels = [published.label for published in self.published]
        if len({*labels, *names}) < len(labels) + len(names):
            raise ValueError(
                f"published: expected labels other than each other and arms; got {labels}"
            )
        for key, known in (("arm", names), ("target", self.targets)):
            for got in (getattr(published, key) for published in self.published):
                if got not in (None, *known):
                    raise ValueError(f"published: expected {key}s of {known}; got {got!r}")
        return self
