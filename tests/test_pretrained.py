"""What a study is told of its pretrained networks and its sources before it spends any time."""

import fabricated
import pytest
import torch
from fabricated import CLOUDS, SOURCES, TRANSFER, arm, silent, study
from generated import ENERGIES, les_houches

from fivesigma import samples as module
from fivesigma.pretrained import check_pretrained, enough_to_meta_train
from fivesigma.samples import prepare

EXPERTS = arm(TRANSFER, name="experts", strategy="experts")
ONE_EXPERT = arm(TRANSFER, name="one expert", strategy="one_expert")


@pytest.fixture
def own(plan, tmp_path):
    """A network that has learnt from ID5 and DD5."""
    ours = plan(study(arms=[TRANSFER], sources=SOURCES))
    (pretraining,) = ours.pretraining()
    pretraining.run()
    return pretraining.path.rename(tmp_path / "mine.pt")


def test_a_network_that_fits(own):
    check_pretrained(study(arms=[fabricated.CWOLA, arm(TRANSFER, pretrained=own)]), ["ID10"])


NARROW = CLOUDS | {"particles": 5}
MISFITS = {  # changes of the arm, targets, what the message says
    "shape": (
        {"representation": NARROW},
        ["ID10"],
        r"events of shape \(2, 5, 3\); got \(2, 8, 3\)",
    ),
    "representation": (
        {"representation": CLOUDS | {"alignment": "none"}},
        ["ID10"],
        "network of representation '.*none.*'; got '.*'",
    ),
    "learns": ({"strategy": "experts"}, ["ID10"], "network that learns 'process'; got 'signal'"),
    "target": ({}, ["DD5"], "has not learnt from the targets; got one that has from DD5 in"),
    "targets": ({}, ["ID10", "ID5", "DD5"], "got one that has from ID5, DD5 in"),
}


@pytest.mark.parametrize(("changes", "targets", "message"), MISFITS.values(), ids=MISFITS)
def test_networks_that_do_not_fit(changes, targets, message, own):
    made = study(arms=[arm(TRANSFER, pretrained=own, **changes)])
    with pytest.raises(ValueError, match=f"^arms: transfer: pretrained: .*{message}.*") as caught:
        check_pretrained(made, targets)
    assert "mine.pt" in str(caught.value)


def test_a_network_without_background_that_it_did_not_learn(plan, tmp_path):
    (pretraining,) = plan(study(arms=[EXPERTS], sources=SOURCES)).pretraining()
    pretraining.run()
    mine = pretraining.path.rename(tmp_path / "mine.pt")
    made = study(arms=[arm(ONE_EXPERT, pretrained=mine)])
    check_pretrained(made, ["ID10"])
    torch.save(torch.load(mine, weights_only=True) | {"control": None}, mine)
    with pytest.raises(ValueError, match=r"^arms: one expert: pretrained: .*learn from; got none"):
        check_pretrained(made, ["ID10"])


def test_sources_without_the_signal_region():
    made = study(arms=[ONE_EXPERT], sources=SOURCES | {"regions": ["sideband"]})
    with pytest.raises(ValueError, match=r"^sources.regions: expected signal_region .*; got side"):
        check_pretrained(made, ["ID10"])
    check_pretrained(study(arms=[EXPERTS], sources=SOURCES | {"regions": ["sideband"]}), ["ID10"])


def refuse(*_, **__):
    raise AssertionError("expected nothing to be generated")


def test_it_is_said_before_anything_is_generated(own, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "make", refuse)
    own.write_bytes(own.read_bytes()[:1000])
    broken = study(arms=[arm(TRANSFER, pretrained=own)])
    with pytest.raises(ValueError, match="arms: transfer: pretrained: expected a whole file"):
        prepare(broken, store=tmp_path, workers=1, report=silent)


def test_showers_of_one_hard_event_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "make", refuse)
    (tmp_path / "dijets.lhe").write_text(les_houches(ENERGIES))
    parameters = {"file": str(tmp_path / "dijets.lhe"), "showers": 3}
    background = {"process": "lhe", "events": 600, "parameters": parameters}
    with pytest.raises(
        ValueError, match="showers: expected 1, as showers share hard events; got 3"
    ):
        prepare(study(background=background), store=tmp_path, workers=1, report=silent)


# Events for a meta-training

META = arm(
    TRANSFER, name="meta", strategy="metatransfer", options={"meta": {"events": 5, "reserved": 0.5}}
)


def kept(sample, regions):
    return sum(row.count for row in sample.cutflow if row.cut in regions)


@pytest.mark.parametrize("regions", [["signal_region"], ["signal_region", "sideband"]])
@pytest.mark.parametrize("key", ["sources.events", "sources.background.events"])
def test_sources_that_are_too_small_say_what_makes_them(regions, key, tmp_path):
    """The command makes enough, by no more than a tenth and a thousand."""
    signal, background = (fabricated.sample(tmp_path / name, 400) for name in ("DD5", "qcd"))
    least = min(kept(signal, regions), kept(background, regions))
    events = least // 10
    options = {"meta": {"events": events, "reserved": 0.5}}
    few = study(arms=[arm(META, options=options)], sources=SOURCES | {"regions": regions})
    enough_to_meta_train(few, {"DD5": signal}, background)
    tiny = fabricated.sample(tmp_path / "tiny", 40)
    given = [tiny, background] if key == "sources.events" else [signal, tiny]
    with pytest.raises(ValueError, match=rf"^{key}: expected {10 * events} events of ") as caught:
        enough_to_meta_train(few, {"DD5": given[0]}, given[1])
    assert f"got {kept(tiny, regions)} from 40 generated" in str(caught.value)
    n = int(str(caught.value).split(f"--set {key}=")[1].split()[0])
    assert 10 * events <= n * kept(tiny, regions) / 40 < 1.1 * 10 * events + 1000


def test_without_a_meta_training_any_number_will_do(tmp_path):
    tiny = fabricated.sample(tmp_path / "tiny", 4)
    enough_to_meta_train(study(arms=[TRANSFER], sources=SOURCES), {"DD5": tiny}, tiny)
    enough_to_meta_train(study(), {}, None)
    own = arm(META, pretrained="mine.pt", options={"meta": {"events": 500}})
    enough_to_meta_train(study(arms=[own], sources=SOURCES), {"DD5": tiny}, tiny)
