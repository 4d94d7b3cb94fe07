"""What values in a study file have to be like."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, ValidationInfo

__all__ = ["Efficiencies", "Efficiency", "Named", "Width", "columns", "different"]

T = TypeVar("T")


def different(values: T) -> T:
    """Ask for a list whose values differ, as they are written in names; a text will do as well.

    Raises:
        ValueError: if two are the same.
    """
    if isinstance(values, list):
        written = [f"{x:g}" if isinstance(x, float) else x for x in values]
        if len(set(written)) < len(written):
            raise ValueError("expected values that differ")
    return values


def columns(numbers: Any, info: ValidationInfo) -> Any:
    """Ask for a mean, and for lists as long as those of the strengths.

    Args:
        numbers: lists by name, or such by eps_b; what has no strengths of its own has those of all.
        info: what is validated, and the fields before.

    Raises:
        ValueError: if a list is missing, or of another length.
    """
    x = info.data.get("s_over_sqrt_b")
    if numbers is None or x is None:
        return numbers
    for one in [numbers] if info.field_name == "auc" else numbers.values():
        _see_columns(one, x)
    return numbers


def _see_columns(numbers: Mapping[Any, Sequence[float]], x: Sequence[float]) -> None:
    n = len(numbers.get("s_over_sqrt_b", x))
    if "mean" not in numbers or any(len(values) != n for values in numbers.values()):
        raise ValueError(f"expected a mean, and lists as long as s_over_sqrt_b, of {n}")


def _named(key: str) -> str:
    """Ask for an efficiency as it is written in names."""
    try:
        known = 0 < float(key) < 1 and key == f"{float(key):g}"
    except ValueError:
        known = False
    if not known:
        raise ValueError("expected an eps_b, such as 0.01")
    return key


Efficiency = Annotated[float, Field(gt=0, lt=1)]
Efficiencies = Annotated[list[Efficiency], Field(min_length=1), AfterValidator(different)]
Named = Annotated[str, AfterValidator(_named)]
Width = Annotated[float, Field(gt=0)]
