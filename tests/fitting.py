"""One training on two Gaussians, with settings that are quick."""

from toys import Tiny, gaussians

from fivesigma.losses import CrossEntropy
from fivesigma.training import TrainingSettings, fit

SETTINGS = TrainingSettings(
    learning_rate=3e-3, batch_size=200, max_epochs=30, patience=5, precision="float32"
)


def run(train=None, validation=None, *, network=None, settings=SETTINGS, seed=0, **options):
    return fit(
        network or Tiny(),
        gaussians(2000) if train is None else train,
        gaussians(500, seed=1) if validation is None else validation,
        loss=CrossEntropy(),
        settings=settings,
        seed=seed,
        **options,
    )
