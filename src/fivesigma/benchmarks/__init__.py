"""Which physics. Adding a benchmark touches its own file and one line here."""

from .base import Benchmark
from .heavy_quark import HEAVY_QUARK
from .hidden_valley import HIDDEN_VALLEY

__all__ = ["BENCHMARKS", "Benchmark"]

BENCHMARKS: dict[str, Benchmark] = {b.name: b for b in (HIDDEN_VALLEY, HEAVY_QUARK)}
