"""Networks that are pretrained on known samples."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from known_sources import SETTINGS, complaint, source
from toys import SHIFTS, auc

from fivesigma import sources
from fivesigma.prediction import logits, predict
from fivesigma.sources import learnt, load_control, load_network, opened, pretrain
from fivesigma.strategies.metatransfer import MetaSettings

COUNTS = {"background": (700, 300), "one": (400, 100), "two": (150, 50)}
MEANS = {"background": np.zeros(4), "one": SHIFTS[0], "two": SHIFTS[1]}


def write(folder, counts=COUNTS):
    """Represented events of two regions of a background and two signals."""
    rng = np.random.default_rng(1)
    for name, (inside, outside) in counts.items():
        place = folder / name / "features"
        place.mkdir(parents=True)
        for region, n in (("signal_region", inside), ("sideband", outside)):
            x = rng.normal(size=(n, 4)) + MEANS[name]
            np.save(place / f"{region}.npy", x.astype("<f4"))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("represented"))


@pytest.fixture(scope="module")
def file(folder, tmp_path_factory):
    """A pretrained network and what was said of it."""
    path = tmp_path_factory.mktemp("networks") / "new" / "network.pt"
    return path, pretrain(source(folder), path)


@pytest.fixture
def fitted(monkeypatch):
    """Each call of `fit`, and the network that it returned."""
    calls, fit = [], sources.fit

    def spy(network, train, validation, **options):
        result, history = fit(network, train, validation, **options)
        calls.append((train, validation, options, result))
        return result, history

    monkeypatch.setattr(sources, "fit", spy)
    return calls


def processes(folder, regions=("signal_region", "sideband")):
    """All events by the name of their process."""
    return {
        name: np.concatenate([np.load(folder / name / "features" / f"{r}.npy") for r in regions])
        for name in COUNTS
    }


X = np.random.default_rng(2).normal(0.5, 1.5, (400, 4)).astype("f4")


def test_what_is_written_is_read(folder, tmp_path, fitted):
    path = tmp_path / "new" / "network.pt"
    pretrain(source(folder), path)
    read = load_network(path, (4,))
    assert not read.training
    np.testing.assert_array_equal(predict(read, X), predict(fitted[0][3], X))
    assert [p.name for p in path.parent.iterdir()] == ["network.pt"]


def test_the_record(folder, file):
    _, record = file
    assert record["hash"] == source(folder).hash
    assert record["n_events"] == {"background": 1000, "signal": 700}
    assert len(record["train_loss"]) == len(record["validation_loss"]) == record["epochs"]
    assert record["best_epoch"] == int(np.argmin(record["validation_loss"]))
    assert record["seconds"] > 0
    assert not record["collapsed"]


def test_it_learns(file):
    """Of a Gaussian at 2 and one at 0, the better known signal: AUC = Phi(2 / sqrt(2))."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(8000, 4)).astype("f4")
    y = np.arange(8000) < 4000
    x[y] += SHIFTS[0]
    area = auc(predict(load_network(file[0], (4,)), x), y)
    assert 0.87 < area < 0.5 * (1 + math.erf(1))


def test_same_source_same_network(folder, file, tmp_path):
    pretrain(source(folder), tmp_path / "again.pt")
    one, again = (load_network(path, (4,)) for path in (file[0], tmp_path / "again.pt"))
    np.testing.assert_array_equal(predict(one, X), predict(again, X))
    pretrain(source(folder, seed=2), tmp_path / "other.pt")
    assert not np.array_equal(
        predict(load_network(tmp_path / "other.pt", (4,)), X), predict(one, X)
    )


@pytest.mark.parametrize("learns", ["signal", "process"])
def test_classes_weigh_the_same(learns, folder, fitted, tmp_path):
    """All signals together as much as the background, and each signal as much as another."""
    settings = replace(SETTINGS, max_epochs=1)
    pretrain(source(folder, learns=learns, settings=settings), tmp_path / "network.pt")
    ((train, validation, _, _),) = fitted
    assert (len(train), len(validation)) == (1360, 340)
    x, y, weight = (
        np.concatenate([np.asarray(getattr(part, key)[:]) for part in (train, validation)])
        for key in ("x", "y", "weight")
    )
    total = {}
    for number, (name, events) in enumerate(processes(folder).items()):
        mine = np.isin(x[:, 0], events[:, 0])
        assert mine.sum() == len(events)
        assert set(y[mine]) == {min(number, 1) if learns == "signal" else number}
        total[name] = weight[mine].sum()
    assert total == pytest.approx({"background": 850, "one": 425, "two": 425}, rel=1e-5)


@pytest.mark.parametrize("regions", [("signal_region",), ("sideband",)])
def test_regions(regions, folder, fitted, tmp_path):
    settings = replace(SETTINGS, max_epochs=1)
    record = pretrain(source(folder, regions=regions, settings=settings), tmp_path / "network.pt")
    ((train, validation, _, _),) = fitted
    x = np.concatenate([np.asarray(part.x[:]) for part in (train, validation)])
    expected = np.concatenate(list(processes(folder, regions).values()))
    assert sorted(x[:, 0].tolist()) == sorted(expected[:, 0].tolist())
    assert record["n_events"]["background"] == len(processes(folder, regions)["background"])


def test_processes_have_a_logit_each(tmp_path):
    """From which the ratios of their densities follow, however many events there are of each."""
    many = write(tmp_path, {"background": (5000, 1), "one": (4000, 1), "two": (1500, 1)})
    learner = source(many, learns="process")
    assert (source(many).outputs, learner.outputs) == (1, 3)
    pretrain(learner, tmp_path / "network.pt")
    network = load_network(tmp_path / "network.pt", (4,))
    rng = np.random.default_rng(4)
    x = rng.normal(0.5, 1.2, size=(6000, 4)).astype("f4")
    exact = x @ SHIFTS.T - (SHIFTS**2).sum(axis=1) / 2
    x, exact = (a[np.abs(exact).max(axis=1) < 2] for a in (x, exact))
    z = logits(network, x, precision="float32").numpy().astype(float)
    assert z.shape == (len(x), 3)
    differences = z[:, 1:] - z[:, :1] + math.log(2) - exact
    assert differences.mean(axis=0) == pytest.approx([0, 0], abs=0.25)
    assert np.abs(differences).mean() < 0.4


def test_architecture(folder, tmp_path):
    """Keyword arguments of the network are kept in the file."""
    clouds = tmp_path / "clouds"
    for name in COUNTS:
        (clouds / name / "c").mkdir(parents=True)
        x = np.random.default_rng(0).random((60, 2, 5, 3)).astype("<f4")
        np.save(clouds / name / "c" / "signal_region.npy", x)
    made = source(
        folder,
        signals=(clouds / "one" / "c",),
        background=clouds / "background" / "c",
        regions=("signal_region",),
        network="cloud",
        architecture=(("momentum", "absolute"),),
        settings=replace(SETTINGS, max_epochs=1),
    )
    pretrain(made, tmp_path / "network.pt")
    assert load_network(tmp_path / "network.pt", (2, 5, 3)).momentum == "absolute"


# Meta-training

META = MetaSettings(events=10, batch_size=20, max_epochs=2, reserved=0.4, precision="float32")


def test_a_meta_training_has_events_of_its_own(folder, tmp_path, fitted, monkeypatch):
    """A share of each process, all of the signals against the same background."""
    given = []

    def spy(network, tasks, *args, **options):
        given.append(tasks)
        return meta_train(network, tasks, *args, **options)

    meta_train = sources.meta_train
    monkeypatch.setattr(sources, "meta_train", spy)
    made = source(folder, meta=META, settings=replace(SETTINGS, max_epochs=1))
    record = pretrain(made, tmp_path / "network.pt")
    ((train, validation, _, _),), ((one, two),) = fitted, given
    learnt_before = {x for part in (train, validation) for x in part.x[:][:, 0].tolist()}
    meta = [{y: set(task.x[:][task.y == y][:, 0].tolist()) for y in (0, 1)} for task in (one, two)]
    assert meta[0][0] == meta[1][0]
    everything = processes(folder)
    for name, events in zip(COUNTS, (meta[0][0], meta[0][1], meta[1][1]), strict=True):
        assert not events & learnt_before
        assert len(events) == 0.4 * len(everything[name])
        assert events | learnt_before >= set(everything[name][:, 0].tolist())
    assert record["n_events"] == {"background": 400, "signal": 280}
    assert np.shape(record["task_accuracy"]) == (2, 2)
    assert record["tasks"] == ["one", "two"]
    assert {p.stem for p in tmp_path.iterdir()} == {"network", made.base.hash}
    assert made.base.hash != source(folder, settings=made.settings).hash


# What it says of itself


def test_what_a_network_has_learnt(folder, file, tmp_path):
    told = {"learns": "signal", "names": ("one", "two"), "representation": "features-4"}
    assert learnt(file[0]) == told
    made = source(folder, meta=META, settings=replace(SETTINGS, max_epochs=1))
    pretrain(made, tmp_path / "network.pt")
    assert learnt(tmp_path / "network.pt") == told


def test_a_network_that_does_not_say_what_it_has_learnt(file, tmp_path):
    content = torch.load(file[0], weights_only=True)
    del content["names"], content["learns"]
    torch.save(content, tmp_path / "network.pt")
    with pytest.raises(ValueError, match=r"a network that tells its learns, names; got .*\.pt"):
        learnt(tmp_path / "network.pt")
    (tmp_path / "network.pt").write_bytes(b"")
    with pytest.raises(ValueError, match="expected a whole file of a network"):
        learnt(tmp_path / "network.pt")


def test_background_of_the_signal_region_that_was_not_learnt(folder, tmp_path, fitted):
    inside = np.load(folder / "background" / "features" / "signal_region.npy")
    pretrain(
        source(folder, learns="process", regions=("sideband", "signal_region")), tmp_path / "n"
    )
    _, held_out, _, network = fitted[0]
    known = {x.tobytes() for x in inside}
    x = np.array([x for x in held_out.x[:] if x.tobytes() in known])
    assert 0.15 * len(inside) < len(x) < 0.25 * len(inside)
    np.testing.assert_array_equal(load_control(tmp_path / "n"), logits(network, x))


@pytest.mark.parametrize("change", [{"learns": "signal"}, {"regions": ("sideband",)}])
def test_networks_without_such_background(change, folder, tmp_path):
    made = source(folder, **{"learns": "process", "settings": replace(SETTINGS, max_epochs=1)})
    pretrain(replace(made, **change), tmp_path / "network.pt")
    assert load_control(tmp_path / "network.pt") is None


# Files that are none


def test_truncated_files(file, tmp_path):
    whole = file[0].read_bytes()
    for n in (1, 100, len(whole) // 2, len(whole) - 100, len(whole) - 1):
        (tmp_path / "network.pt").write_bytes(whole[:n])
        complaint(tmp_path / "network.pt")


def test_a_network_for_other_events(file):
    message = complaint(file[0], shape=(5,))
    assert message.startswith("expected a network for events of shape (5,); got (4,) in ")


@pytest.mark.parametrize("end", [0, 3, 20, 100, -1])
def test_broken_events_are_named(end, folder, tmp_path):
    whole = (folder / "one" / "features" / "sideband.npy").read_bytes()
    path = tmp_path / "sideband.npy"
    path.write_bytes(whole[:end])
    message = (
        r"whole file of represented events; got .*sideband.npy \(.*\); delete it and run again"
    )
    with pytest.raises(ValueError, match=message):
        opened(path)
    path.write_bytes(whole)
    assert np.array_equal(opened(path), np.load(path))


def test_a_source_without_events(tmp_path):
    for name in COUNTS:
        folder = write(tmp_path / name, COUNTS | {name: (0, 0)})
        with pytest.raises(
            ValueError, match=rf"expected events of each source; got none in .*{name}"
        ):
            pretrain(source(folder), tmp_path / "network.pt")
    assert not (tmp_path / "network.pt").exists()


def test_a_full_disk_leaves_nothing(folder, tmp_path, monkeypatch):
    def save(_content, path):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(OSError, match="No space"):
        pretrain(source(folder, settings=replace(SETTINGS, max_epochs=1)), tmp_path / "n.pt")
    assert list(tmp_path.iterdir()) == []
