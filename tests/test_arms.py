"""What the words of an arm stand for, and what is said to words that stand for nothing."""

from dataclasses import fields

import pytest

from fivesigma.arms import LOSSES, PARTICLES, Built, build
from fivesigma.augmentations import PixelNoise, Rotation, View
from fivesigma.configuration import Arm
from fivesigma.contrast import Contrast
from fivesigma.lovasz import LovaszSignificance
from fivesigma.representations import REPRESENTATIONS, JetClouds, JetFeatures, JetImages
from fivesigma.schedule import TrainingSettings
from fivesigma.strategies import STRATEGIES
from fivesigma.strategies.direct import Direct
from fivesigma.strategies.experts import Experts
from fivesigma.strategies.transfer import Transfer
from fivesigma.strategies.trees import Trees

IMAGES = {"kind": "images", "pixels": 8}
BASE = {"name": "plain", "label": "cwola", "representation": IMAGES}
NETWORK = {  # a network that fits, by representation
    "images": {"network": "cnn"},
    "clouds": {"network": "cloud"},
    "features": {"network": "mlp"},
    "dijet": {"network": "mlp"},
    "mixed": {"network": "mixed", "architecture": {"pixels": 25}},
}


def arm(**changes):
    return Arm.model_validate(BASE | changes)


def test_defaults():
    built = build(arm())
    assert built.strategy == Direct()
    assert built.stored == built.seen == JetImages(pixels=8)
    assert built.settings == built.pretraining == TrainingSettings()
    assert built.contrast == Contrast()
    assert built.augmentation is None


def test_fields():
    built = build(
        arm(
            strategy="transfer",
            options={"head": "source", "schedule": "probe first"},
            network="cloud",
            representation={"kind": "clouds", "particles": 30},
            training={"learning_rate": 1, "anchor": 0.1},
            pretraining={"max_epochs": 3, "precision": "float32"},
            contrast={"sidebands": "balanced", "kinematics": "common"},
        )
    )
    assert built.strategy == Transfer(head="source", schedule="probe first")
    assert built.stored == built.seen == JetClouds(particles=30)
    assert built.settings == TrainingSettings(learning_rate=1, anchor=0.1)
    assert built.pretraining == TrainingSettings(max_epochs=3, precision="float32")
    assert built.contrast == Contrast(sidebands="balanced", kinematics="common")
    assert build(arm(strategy="experts", options={"prior": 7})).strategy == Experts(prior=7)
    trees = build(
        arm(strategy="trees", options={"members": 3}, representation={"kind": "features"})
    )
    assert (trees.strategy, trees.seen) == (Trees(members=3), JetFeatures())


@pytest.mark.parametrize("strategy", ["direct", "boosted"])
@pytest.mark.parametrize("kind", LOSSES)
def test_the_loss_of_an_arm(strategy, kind):
    loss = build(arm(strategy=strategy, options={"loss": {"kind": kind}})).strategy.loss
    assert loss == LOSSES[kind]()


def test_the_fields_of_a_loss():
    said = {"kind": "significance", "error": "hinge", "epsilon": 10.0}
    assert build(arm(options={"loss": said})).strategy == Direct(
        LovaszSignificance(error="hinge", epsilon=10.0)
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", REPRESENTATIONS)
def test_every_pair_of_strategy_and_representation(strategy, kind):
    label = "sources" if strategy == "zero_shot" else "cwola"
    named = {"strategy": strategy, "label": label, "representation": {"kind": kind}}
    built = build(arm(**named, **NETWORK[kind]))
    assert isinstance(built.strategy, STRATEGIES[strategy])
    assert built.seen == REPRESENTATIONS[kind]()
    assert all(hasattr(built, field.name) for field in fields(Built))


def test_augmentation_keeps_clouds_and_shows_what_is_asked_for():
    """Events are augmented before they are aligned, so unaligned clouds are what is kept."""
    noise = {"name": "pixel_noise", "sigma": 0.2}
    for copies in (None, 3):
        built = build(arm(augmentation={"maps": ["rotation", noise], "copies": copies}))
        assert built.seen == JetImages(pixels=8)
        assert built.stored == JetClouds(particles=PARTICLES, alignment="none")
        assert built.augmentation.view == View(built.seen, (Rotation(), PixelNoise(0.2)))
        assert built.augmentation.copies == copies
    built = build(arm(augmentation={}))
    assert (built.augmentation.view, built.augmentation.copies) == (View(built.seen), None)


CLOUDS = {"representation": {"kind": "clouds"}, "network": "cloud"}
FEATURES = {"representation": {"kind": "features"}, "network": "mlp"}
TURN = {"augmentation": {"maps": ["rotation"]}}
BAD = {  # changes, what the message says
    "trees by a measure": (
        {"strategy": "trees", "training": {"best_by": "argos"}},
        "training.best_by: expected loss, by which trees are stopped; got 'argos'",
    ),
    "boosted trees by a measure": (
        {"strategy": "boosted", "training": {"best_by": "argos"}},
        "training.best_by: expected loss, by which trees are stopped; got 'argos'",
    ),
    "depth": (
        {"strategy": "boosted", "options": {"depth": [2, 0]}},
        r"options: expected depth to be at least 1; got \[2, 0\]",
    ),
    "best by": ({"training": {"best_by": "truth"}}, r"training: expected best_by one of .*'argos'"),
    "data not learnt from": (
        {"strategy": "zero_shot"},
        "label: expected sources for a strategy that learns nothing .*; got 'cwola' with 'zero_",
    ),
    "data learnt from": ({"label": "sources"}, "label: .*; got 'sources' with 'direct'"),
    "contrast of the truth": (
        {"contrast": {"sidebands": "balanced"}, "label": "supervised"},
        "contrast: expected label cwola, as it is one of regions; got 'supervised'",
    ),
    "pretrained": (
        {"pretrained": "network.pt"},
        "pretrained: expected a strategy that starts from a pretrained network; got 'direct'",
    ),
    "strategy": (
        {"strategy": "transfr"},
        r"strategy: expected one of \['boosted', .*\]; got 'transfr'",
    ),
    "network": ({"network": "rnn"}, r"network: expected one of \['cloud', .*\]; got 'rnn'"),
    "kind": (
        {"representation": {"kind": "x"}},
        r"representation.kind: expected one of \['clouds', .*\]; got 'x'",
    ),
    "no kind": ({"representation": {"pixels": 8}}, r"representation.kind: expected .*; got None"),
    "value of a field": ({"representation": {"kind": "images", "pixels": 0}}, "; got 0"),
    "loss": (
        {"options": {"loss": {"kind": "hinge"}}},
        r"options.loss.kind: expected one of \['asimov_significance', .*\]; got 'hinge'",
    ),
    "field of a loss": (
        {"options": {"loss": {"kind": "significance", "error": "square"}}},
        "options.loss: expected error to be one of .*; got 'square'",
    ),
    "no loss": ({"options": {"loss": 3}}, "options: expected loss to be a loss; got 3"),
    "loss of another": (
        {"strategy": "trees", "options": {"loss": {"kind": "significance"}}},
        "options: .*'loss'",
    ),
    "option of another": (
        {"strategy": "zero_shot", "options": {"head": "new"}},
        "options: .*'head'",
    ),
    "value of an option": (
        {"strategy": "transfer", "options": {"head": "old"}},
        "options: expected head 'new' or 'source'; got 'old'",
    ),
    "prior": (
        {"strategy": "experts", "options": {"prior": 0}},
        "options: expected a finite prior > 0; got 0",
    ),
    "members": (
        {"strategy": "trees", "options": {"members": 0}},
        "options: expected members of at least 1; got 0",
    ),
    **{
        f"{name} for members": (
            {"strategy": strategy, "options": {"members": members}},
            rf"options\.members: expected a whole number; got {members!r}",
        )
        for strategy in ("trees", "direct")
        for name, members in {
            f"{strategy}, text": "x",
            f"{strategy}, half": 2.5,
            strategy: True,
        }.items()
    },
    "text for a network": (
        {**FEATURES, "architecture": {"dropout": "x"}},
        "architecture.dropout: expected a number; got 'x'",
    ),
    "half of a size": (
        {"representation": {"kind": "images", "pixels": 2.5}},
        "representation.pixels: expected a whole number; got 2.5",
    ),
    "training": (
        {"training": {"epochs": 9}},
        r"training: expected keys of \[.*\]; got \['epochs'\]",
    ),
    "pretraining": (
        {"pretraining": {"epochs": 9}},
        r"pretraining: expected keys of .*\['epochs'\]",
    ),
    "value": (
        {"training": {"anchor": -1}},
        "training: expected anchor at least 0 and finite; got -1",
    ),
    "type": (
        {"pretraining": {"patience": "x"}},
        "pretraining.patience: expected a whole number; got 'x'",
    ),
    "truth value": ({"training": {"anchor": True}}, "training.anchor: expected a number; got True"),
    "contrast": ({"contrast": {"sideband": "equal"}}, "contrast: .*'sideband'"),
    "value of a contrast": (
        {"contrast": {"kinematics": "same"}},
        r"contrast: expected kinematics of \('natural', 'common', 'planed'\); got 'same'",
    ),
    "map": (
        {"augmentation": {"maps": ["turn"]}},
        r"augmentation: expected an augmentation of \['eta_phi_smearing', .*\]; got 'turn'",
    ),
    "field of a map": (
        {"augmentation": {"maps": [{"name": "rotation", "angle": 5}]}},
        r"augmentation: expected rotation.*range_degrees.*; got {'angle': 5}",
    ),
    "map twice": ({"augmentation": {"maps": ["rotation", "rotation"]}}, "expected each kind once"),
    "pixels of clouds": (
        {**CLOUDS, "augmentation": {"maps": [{"name": "pixel_noise", "sigma": 0.1}]}},
        r"expected images \(2, P, P\) to change pixels",
    ),
    "augmented features": (
        {**FEATURES, **TURN},
        "augmentation: expected a representation that is drawn from constituents; got 'features",
    ),
    "augmented events of a frozen tower": (
        {"strategy": "transfer", **TURN},
        "augmentation: expected a strategy that trains the whole network; got 'transfer'",
    ),
    "augmented events of a network as it is": (
        {"strategy": "zero_shot", **TURN},
        "augmentation: expected a strategy that trains the whole network; got 'zero_shot'",
    ),
    "augmented events of experts": ({"strategy": "experts", **TURN}, "trains the whole network"),
    "augmented events of trees": ({"strategy": "trees", **TURN}, "augmentation: .* got 'trees'"),
    "argument of the network": (
        {**CLOUDS, "architecture": {"depth": 3}},
        r"architecture: expected keys of \['momentum'\]; got \['depth'\]",
    ),
    "arguments of no study": (
        {"architecture": {"outputs": 5, "seed": 1, "shape": [4]}},
        r"architecture: expected no keys; got \['outputs', 'seed', 'shape'\]",
    ),
    "option": (
        {"options": {"los": 3}},
        r"options: expected keys of \['loss', 'members'\]; got \['los'\]",
    ),
    "key of a loss": (
        {"options": {"loss": {"kind": "significance", "gamma": 3}}},
        r"options.loss: expected keys of \['epsilon', .*\]; got \['gamma'\]",
    ),
    "field": (
        {"representation": {"kind": "images", "pixel": 3}},
        r"representation: expected keys of \['half_width', .*\]; got \['pixel'\]",
    ),
    "field of several": (
        {"representation": {"kind": "mixed", "pixel": 3}, "network": "mixed"},
        r"representation: expected fields of \[.*\]; got \['pixel'\]",
    ),
    "value of an argument": (
        {**CLOUDS, "architecture": {"momentum": "x"}},
        "architecture: expected momentum, one of .*; got 'x'",
    ),
    "network for other events": (
        {**CLOUDS, "network": "cnn"},
        r"expected events of shape \(2, P, P\)",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD.keys())
def test_bad_words(changes, message):
    """One line that names the arm and the key."""
    with pytest.raises(ValueError, match=message) as caught:
        build(arm(**changes))
    assert str(caught.value).startswith("arms: plain: ")
    assert "\n" not in str(caught.value)
