"""Weakly supervised searches for new physics at colliders."""

from importlib.metadata import version

__version__ = version("fivesigma")
