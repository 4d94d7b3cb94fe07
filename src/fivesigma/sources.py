"""What is learnt, with labels, from other samples before the data are looked at.

A pretrained network lies in a file named by the hash of all that decides it: the samples, what they
are represented as, the network, the training and the seed. It is written to a temporary name and
renamed, and tells what it is.
"""

import dataclasses
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from . import __version__
from .datasets import Dataset
from .digest import digest
from .losses import Categorical, CrossEntropy, Loss
from .networks import NETWORKS
from .prediction import logits
from .rows import Blocks, Rows
from .schedule import TrainingSettings
from .strategies.metatransfer import MetaSettings, meta_train
from .training import Progress, fit, silent
from .writing import written

__all__ = [
    *("AGAIN", "SIGNAL_REGION", "Source"),
    *("learnt", "load_control", "load_network", "opened", "pretrain"),
]

AGAIN = "; delete it and run again"
"""What to do about a broken file of the store."""
LEARNT = ("learns", "names", "representation")
"""What a file says of the source that its network learnt from."""
SIGNAL_REGION = "signal_region"


@dataclass(frozen=True)
class Source:
    """Samples to learn from, and how."""

    signals: tuple[Path, ...]
    """Folders of the represented events of each signal."""
    background: Path
    """Folder of the represented background events."""
    regions: tuple[str, ...]
    """Where the events are taken from."""
    network: str
    """Name of a network."""
    architecture: tuple[tuple[str, Any], ...]
    """Its keyword arguments."""
    learns: str
    """`signal`: all signals against background; `process`: every process against the others."""
    settings: TrainingSettings
    """How to train."""
    seed: int
    """Seed of weights, split and training."""
    meta: MetaSettings | None = None
    """How the network is meta-trained after that; None if it is not."""
    reserved: float = 0.0
    """Share of the events of each process that is not learnt, but left for a meta-training."""
    names: tuple[str, ...] = ()
    """Names of the signals."""
    representation: str = ""
    """Name of what the events are represented as."""

    @property
    def hash(self) -> str:
        """Digest of all fields; names follow from the folders."""
        made_of = dataclasses.asdict(self) | {"version": __version__}
        made_of |= {"names": None, "representation": None, "reserved": self.reserved or None}
        made_of["signals"] = ["/".join(path.parts[-2:]) for path in self.signals]
        made_of["background"] = "/".join(self.background.parts[-2:])
        for name in ("best_by", "weight_decay"):  # as before there was a choice
            if getattr(self.settings, name) == getattr(TrainingSettings, name):
                made_of["settings"][name] = None
        return digest(made_of)

    @property
    def base(self) -> "Source":
        """What the meta-training starts from: the same, learnt from the events that it is not."""
        assert self.meta is not None
        return dataclasses.replace(self, meta=None, reserved=self.meta.reserved)

    @property
    def outputs(self) -> int:
        """Logits of an event."""
        return 1 if self.learns == "signal" else 1 + len(self.signals)


def pretrain(source: Source, path: Path, *, progress: Progress = silent) -> dict[str, Any]:
    """Train a network on the sources, with equal total weight of all signals and of background.

    Args:
        source: what to learn from.
        path: file of the network.
        progress: told of each epoch.

    Returns:
        What happened: the numbers of events, losses, epochs and seconds.

    Raises:
        ValueError: a signal or the background without events.
    """
    if source.meta is not None:
        return _meta_train(source, path, progress=progress)
    data = _data(source)
    data = data.subset(~_reserved(data, source.reserved, source.seed))
    counts = _counts(data)
    if source.learns == "signal":
        data = dataclasses.replace(data, y=data.y > 0)
    rng = np.random.default_rng(source.seed)
    train, validation = data.split(1 - source.settings.validation_fraction, rng=rng)
    shape = data.x.shape[1:]
    made_as = {**dict(source.architecture), "seed": source.seed, "outputs": source.outputs}
    loss: Loss = CrossEntropy() if source.learns == "signal" else Categorical()
    network, history = fit(
        NETWORKS[source.network](shape, **made_as),
        train,
        validation,
        loss=loss,
        settings=source.settings,
        seed=source.seed,
        progress=progress,
    )
    record = {
        "hash": source.hash,
        "n_events": counts,
        **history.summary(),
        "collapsed": history.collapsed,
    }
    content: dict[str, Any] = {"network": source.network, "shape": tuple(shape), "made_as": made_as}
    content |= {key: getattr(source, key) for key in LEARNT}
    content |= {"state": network.state_dict(), "control": _control(source, network, validation)}
    _save(content, path)
    return record


def _control(source: Source, network: nn.Module, held_out: Dataset) -> Tensor | None:
    """Logits of background events of the signal region among those held out."""
    if source.learns != "process" or SIGNAL_REGION not in source.regions:
        return None
    assert isinstance(held_out.x, Rows)
    sizes = [len(opened(source.background / f"{region}.npy")) for region in source.regions]
    i = source.regions.index(SIGNAL_REGION)
    first = sum(sizes[:i])
    inside = (held_out.x.index >= first) & (held_out.x.index < first + sizes[i])
    return logits(network, held_out.subset(inside).x, precision=source.settings.precision)


def _meta_train(source: Source, path: Path, *, progress: Progress) -> dict[str, Any]:
    base = path.with_name(f"{source.base.hash}.pt")
    if not base.exists():
        pretrain(source.base, base, progress=progress)
    data = _data(source)
    assert source.meta is not None
    data = data.subset(_reserved(data, source.meta.reserved, source.seed))
    content, network = _read(base, AGAIN)
    network, history = meta_train(
        network, _tasks(data), source.meta, seed=source.seed, progress=progress
    )
    _save(content | {"state": network.state_dict()}, path)
    record = {"hash": source.hash, "n_events": _counts(data), "tasks": list(source.names)}
    return record | dataclasses.asdict(history) | {"seconds": sum(history.seconds)}


def load_network(path: Path, shape: tuple[int, ...], *, hint: str = "") -> nn.Module:
    """A pretrained network, in evaluation mode.

    Args:
        path: file of the network.
        shape: shape of an event it is to be used on.
        hint: what to do about a file that is broken.

    Raises:
        ValueError: no whole file of a network, or one for events of another shape.
    """
    content, network = _read(path, hint)
    if tuple(content["shape"]) != tuple(shape):
        got = tuple(content["shape"])
        raise ValueError(f"expected a network for events of shape {shape}; got {got} in {path}")
    return network


def load_control(path: Path) -> Tensor | None:
    """Logits of the events that tell a pretrained network's ratios of the background.

    Returns:
        Of background events of the signal region that it did not learn from, shape (M, classes);
        None for a network of signal and background, or one that learnt from other regions.

    Raises:
        ValueError: no whole file of a network.
    """
    content, _ = _read(path)
    control: Tensor | None = content.get("control")
    return control


def learnt(path: Path) -> dict[str, Any]:
    """What a pretrained network has learnt: `learns`, `names` and `representation` of its source.

    Raises:
        ValueError: no whole file of a network, or one that does not say.
    """
    content, _ = _read(path)
    if missing := [key for key in LEARNT if key not in content]:
        raise ValueError(f"expected a network that tells its {', '.join(missing)}; got {path}")
    return {key: content[key] for key in LEARNT}


def _read(path: Path, hint: str = "") -> tuple[dict[str, Any], nn.Module]:
    """The content of a file, and its network in evaluation mode."""
    try:
        with zipfile.ZipFile(path) as file:
            if broken := file.testzip():
                raise ValueError(f"{broken} does not match its checksum")
        content = torch.load(path, weights_only=True)
        network = NETWORKS[content["network"]](content["shape"], **content["made_as"])
        network.load_state_dict(content["state"])
    except FileNotFoundError as error:
        raise ValueError(f"expected a whole file of a network; got no such file: {path}") from error
    except (OSError, RuntimeError, LookupError, TypeError, EOFError, ValueError) as error:
        raise _broken(path, error, hint) from error
    except (pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise _broken(path, error, hint) from error
    return content, network.eval()


def _broken(path: Path, error: Exception, hint: str) -> ValueError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ValueError(f"expected a whole file of a network; got {path} ({reason}){hint}")


def _reserved(data: Dataset, share: float, seed: int) -> NDArray[np.bool_]:
    """The events, a share of each process, that are for a meta-training."""
    rng, reserved = np.random.default_rng([seed, 1]), np.zeros(len(data), bool)
    for k in np.unique(data.y):
        index = rng.permutation(np.flatnonzero(data.y == k))
        reserved[index[: round(share * len(index))]] = True
    return reserved


def _counts(data: Dataset) -> dict[str, int]:
    signal = int((data.y > 0).sum())
    return {"background": len(data) - signal, "signal": signal}


def _tasks(data: Dataset) -> list[Dataset]:
    """Each signal against the background."""
    tasks = []
    for k in np.unique(data.y[data.y > 0]):
        task = data.subset(np.flatnonzero((data.y == k) | (data.y == 0)))
        tasks.append(dataclasses.replace(task, y=task.y > 0, weight=np.ones(len(task))))
    return tasks


def _data(source: Source) -> Dataset:
    """All events, y = 0 for the background and 1, 2, ... for the signals."""
    folders = (source.background, *source.signals)
    arrays = [[opened(folder / f"{region}.npy") for region in source.regions] for folder in folders]
    counts = [sum(map(len, parts)) for parts in arrays]
    for folder, n in zip(folders, counts, strict=True):
        if n == 0:
            raise ValueError(f"expected events of each source; got none in {folder}")
    process = np.repeat(np.arange(len(folders)), counts)
    share = np.array([1.0, *[1 / len(source.signals)] * len(source.signals)])
    weight = (len(process) / 2 * share / counts)[process]
    events = Blocks(tuple(part for parts in arrays for part in parts))
    x = Rows(events, np.arange(len(events)))
    return Dataset(x, process, process > 0, weight)


def opened(path: Path) -> NDArray[Any]:
    """Represented events, still on disk.

    Raises:
        ValueError: no whole file of an array.
    """
    try:
        events: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError) as error:
        reason = " ".join(str(error).split())
        got = f"{path} ({reason}){AGAIN}"
        raise ValueError(f"expected a whole file of represented events; got {got}") from error
    return events


def _save(content: dict[str, Any], path: Path) -> None:
    with written(path) as temporary:
        torch.save(content, temporary)
