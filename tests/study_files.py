"""The content of a small study file, and what is said of bad ones."""

import pytest
import yaml

from fivesigma.loading import load

IMAGES = {"kind": "images", "pixels": 10}
CONTENT = {
    "name": "small",
    "title": "Small",
    "benchmark": "hidden_valley",
    "signal": {"process": "signal", "events": 1000, "parameters": {"multiparton": "off"}},
    "background": {"process": "qcd", "events": 2000},
    "held_out": {"signal": 100, "background": 200},
    "grid": {"s_over_sqrt_b": [0, 5]},
    "arms": [
        {"name": "CWoLa", "label": "cwola", "representation": IMAGES},
        {"name": "supervised", "label": "supervised", "representation": IMAGES},
    ],
}


def file(tmp_path):
    return write(tmp_path, CONTENT)


def write(folder, content):
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def complaint(path, overrides=()):
    """The one line that a bad file or override gives."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        load(path, overrides)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message
