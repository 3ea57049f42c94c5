"""Pruners: which trials to stop early. Importing this package imports neither numpy nor scipy.

A pruner is a pure function of the curves that trials have reported: no state, no random numbers,
so that the same curves lead to the same decision in any process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Final, TypeAlias

from pytest_hypersearch.core.contracts import Curve, Pruner
from pytest_hypersearch.core.values import shown
from pytest_hypersearch.search.pruners.bounds import Patience, Threshold
from pytest_hypersearch.search.pruners.forecast import Forecast
from pytest_hypersearch.search.pruners.halving import Halving, Hyperband
from pytest_hypersearch.search.pruners.median import Median, Percentile, Wilcoxon

__all__ = [
    "Curve",
    "Forecast",
    "Halving",
    "Hyperband",
    "Median",
    "Patience",
    "Percentile",
    "Pruner",
    "Threshold",
    "Wilcoxon",
    "pruner",
]

BuiltIn: TypeAlias = (
    "Forecast | Halving | Hyperband | Median | Patience | Percentile | Threshold | Wilcoxon"
)
KINDS: Final[dict[str, type[BuiltIn]]] = {
    "forecast": Forecast,
    "median": Median,
    "percentile": Percentile,
    "halving": Halving,
    "hyperband": Hyperband,
    "threshold": Threshold,
    "patience": Patience,
    "wilcoxon": Wilcoxon,
}
_EXAMPLES: Final = (
    "'forecast', 'median', 'percentile:25', 'halving', 'hyperband', 'threshold:>10', "
    "'patience:20', 'wilcoxon'"
)
_TRUTHS: Final = {"true": True, "false": False}


def pruner(spec: object) -> Pruner:
    """Return the pruner that a user asked for.

    A text is the name of a rule, with options after a colon, separated by commas:
    ``"median:warmup_steps=10,nan"``, ``"percentile:25"``, ``"halving:min_step=5,factor=3"``,
    ``"threshold:<0.1,>10"`` (values below 0.1 and above 10 prune, in the metric's own direction),
    ``"patience:20,min_delta=0.01"``, ``"wilcoxon:p=0.05"``. An option without a value is true.

    Args:
        spec: Such a text, or an object with a method ``verdict``, which is returned as it is.

    Raises:
        ValueError: It is neither, or an option is unknown or out of its bounds.
    """
    if not isinstance(spec, str):
        if isinstance(spec, Pruner) and not isinstance(spec, type):
            return spec
        raise ValueError(f"{shown(spec)}: expected {_EXAMPLES} or an object with verdict()")
    name, _, options = spec.partition(":")
    kind = KINDS.get(name.strip())
    if kind is None:
        raise ValueError(f"{shown(spec)}: expected {_EXAMPLES} or an object with verdict()")
    try:
        parts = [part.strip() for part in options.split(",") if part.strip()]
        return _built(kind, [_option(kind, part) for part in parts])
    except ValueError as error:
        raise ValueError(f"{shown(spec)}: {error}") from None


def _option(kind: type[BuiltIn], part: str) -> tuple[str, object]:
    if kind is Threshold and part[0] in "<>":
        return ("below" if part[0] == "<" else "above"), _value(part[1:])
    key, equals, value = (piece.strip() for piece in part.partition("="))
    if equals:
        return key, _value(value)
    if key[0] in "0123456789.+-":
        return next(iter(_required(kind)), key), _value(key)
    return key, True


def _required(kind: type[BuiltIn]) -> list[str]:
    return [field.name for field in fields(kind) if field.default is MISSING]


def _value(text: str) -> object:
    text = text.strip()
    if text.lower() in _TRUTHS:
        return _TRUTHS[text.lower()]
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a number") from None
    return int(number) if number.is_integer() else number


def _built(kind: type[BuiltIn], options: Sequence[tuple[str, object]]) -> BuiltIn:
    names, given = [field.name for field in fields(kind)], dict(options)
    if twice := [name for n, (name, _) in enumerate(options) if name in dict(options[:n])]:
        raise ValueError(f"{twice[0]} is given twice")
    if unknown := [name for name in given if name not in names]:
        raise ValueError(f"no option {shown(unknown[0])}; expected {', '.join(names)}")
    if missing := [name for name in _required(kind) if name not in given]:
        raise ValueError(f"expected a number for {missing[0]}")
    return kind(**given)  # type: ignore[arg-type]
