"""Names of things by what decides them.

What is None does not count: an option that is added later, None where it is not used, leaves the
names of everything else as they are.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["DIGITS", "digest"]

DIGITS = 16


def digest(made_of: Mapping[str, Any]) -> str:
    """First 16 hex digits of the SHA-256 of the canonical JSON of values that are not None."""
    text = json.dumps(_present(made_of), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _present(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _present(v) for key, v in value.items() if v is not None}
    return [_present(v) for v in value] if isinstance(value, (list, tuple)) else value
