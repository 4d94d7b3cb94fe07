"""What a study file may say of a projection: what a counting search with a classifier would reach.

The simulated processes are weighted to a luminosity. A file with the key `backgrounds` is one.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from .configuration import Headed, Method, Positive, SampleRequest, Strict
from .thresholds import SPREAD

__all__ = [
    *("Column", "Projection", "ProjectionArm", "PublishedTable"),
    *("SplitShares", "Totals", "TrainShare", "Weights"),
]

Share = Annotated[float, Field(gt=0, le=1)]
Column = Literal["z_max", "z_0.3", "z_0.5", "z_0.8", "z_0.95", "area", "r_10"]
"""Numbers of the significance against the threshold, as in `thresholds`."""


class SplitShares(Strict):
    """Shares of the hard events of each process, in any unit."""

    train: Annotated[float, Field(gt=0)] = 1
    """To train on, and to decide when to stop."""
    validation: Annotated[float, Field(gt=0)] = 1
    """To choose the threshold on."""
    test: Annotated[float, Field(gt=0)] = 1
    """To measure on."""


class TrainShare(Strict):
    """How much of what is there to train on is used."""

    signal: Share = 1.0
    """Share of the signal."""
    background: Share = 1.0
    """Share of each background."""


class Weights(Strict):
    """Weights of a process in the loss, as in `losses.ProcessWeights`.

    Within a process, slices keep the rates of nature.
    """

    size: float | Literal["log"] = 1.0
    """The exponent 1/n of 1/N, N events to train on, or 1 / ln N."""
    cross_section: float | Literal["log", "lifted"] = 1.0
    """The exponent 1/n of the cross section after the selection, or ln of it in ab, or U of it."""


class ProjectionArm(Method):
    """One method of a projection."""

    strategy: Literal["direct", "boosted"] = "direct"
    """Name of a strategy."""
    network: str = "mlp"
    """Name of a network."""
    weights: Weights | Literal["equal", "expected"] = "equal"
    """Weights in the loss: by process; equal for all processes' events on average; or the events
    that they stand for at the luminosity. With these, a significance as a loss is that of the whole
    luminosity in each batch, unless the loss says another number of events."""


class PublishedTable(Strict):
    """Numbers of others to print beside ours."""

    source: str
    """Where they are printed."""
    train_share: TrainShare = TrainShare()
    """They are shown where the projection's is this one."""
    numbers: dict[str, dict[Column, tuple[float, float]]]
    """By method: mean and standard deviation."""


class Totals(Strict):
    """Cross sections of all of a process, without limits on the phase space, vetoes or cuts."""

    source: str
    """Where they are from."""
    fb: dict[str, Annotated[float, Field(gt=0)]]
    """By process [fb], some of those of a projection, `signal` for the signal."""


class Projection(Headed):
    """What significance a search would have, by methods that learn from simulated processes."""

    points: list[str | dict[str, Any]] = Field(default_factory=list)
    """Parameter points of the signal to scan, by their names or their parameters, which `signal`
    does not set then; by default the one that the parameters of `signal` say."""
    backgrounds: Annotated[
        dict[str, Annotated[list[SampleRequest], Field(min_length=1)]], Field(min_length=1)
    ]
    """Processes by name, each in slices of its phase space that do not overlap."""
    selected_fb: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Cross sections after the selection [fb], by process, `signal` for the signal; by default
    those of the simulation. All slices of a process are scaled alike."""
    totals: Totals | None = None
    """What cutflows begin with."""
    shares: SplitShares = SplitShares()
    """How events are split."""
    train_share: TrainShare = TrainShare()
    """How much of the events to train on is used."""
    spread: Share = SPREAD
    """Largest relative error of the background behind a threshold that may be chosen, by the
    validation events."""
    repeats: Positive = 3
    """Splits and seeds, drawn anew each time."""
    arms: Annotated[list[ProjectionArm], Field(min_length=1)]
    """Methods."""
    published: list[PublishedTable] = Field(default_factory=list)
    """Numbers to print beside ours."""

    @model_validator(mode="after")
    def _names_fit(self) -> "Projection":
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"expected arms of different names; got {names}")
        if "signal" in self.backgrounds:
            raise ValueError("backgrounds: expected other names than signal; got signal")
        processes = [*([] if self.points else ["signal"]), *self.backgrounds]
        totals = self.totals.fb if self.totals else {}
        for key, numbers in (("selected_fb", self.selected_fb), ("totals.fb", totals)):
            if unknown := set(numbers) - set(processes):
                raise ValueError(f"{key}: expected some of {processes}; got {sorted(unknown)}")
        if any(point in self.points[:i] for i, point in enumerate(self.points)):
            raise ValueError(f"points: expected points that differ; got {self.points}")
        for table in self.published:
            if unknown := set(table.numbers) - set(names):
                raise ValueError(f"published: expected arms of {names}; got {sorted(unknown)}")
        return self
