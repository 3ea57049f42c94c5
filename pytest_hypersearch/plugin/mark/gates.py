"""Gates among the arguments of a mark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_hypersearch.core.errors import SweepError
from pytest_hypersearch.core.goals import ALPHA, TOLERANCE, TOP, Gate, Goal, Mode, constraint_of
from pytest_hypersearch.core.values import number_of
from pytest_hypersearch.plugin.mark.spaces import flag, integer, one_of, wrong
from pytest_hypersearch.stats.gate import LEAST_SEEDS, Tolerance

MODES = ("min", "max")
KEYS = ("tolerance", "threshold", "mode", "top", "alpha", "strict")
_VALUES = "expected a loss such as '1%' or 0.005, a threshold such as '>= 0.95', or a dict"


def gates_of(given: Mapping[str, Any], goals: Sequence[Goal]) -> tuple[Gate, ...]:
    """The gates that ``gate`` asks for; ``goals`` are what the sweep optimises."""
    value = given.get("gate", False)
    if value is False:
        return ()
    metrics = {goals[0].metric: {}} if value is True else value
    if not isinstance(metrics, Mapping) or not metrics:
        raise wrong("gate", value, "expected True or a dict such as {'val_loss': '1%'}")
    if integer(given, "replicates", 1, least=1) < LEAST_SEEDS:
        hint = f"requires replicates= of at least {LEAST_SEEDS}; 8 find a loss of 1 std"
        raise wrong("gate", value, hint)
    modes: dict[object, Mode] = {goal.metric: goal.mode for goal in goals}
    return tuple(gate for metric, entry in metrics.items() for gate in _gates(metric, entry, modes))


def sequential_of(given: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """The arguments with the most replicates in place of a dict, and the least, None without."""
    value = given.get("replicates")
    if not isinstance(value, Mapping):
        return dict(given), None
    if set(value) != {"at_least", "at_most"}:
        raise wrong("replicates", value, "expected an integer, or a dict of at_least and at_most")
    named = _named("replicates", value)
    least = integer(named, "replicates['at_least']", LEAST_SEEDS, least=LEAST_SEEDS)
    most = integer(named, "replicates['at_most']", least, least=least + 1)
    gate = given.get("gate")
    if not gate or (isinstance(gate, Mapping) and all(map(_is_threshold, gate.values()))):
        raise wrong("replicates", value, "requires a gate= that compares with a baseline")
    if given.get("race"):
        raise wrong("replicates", value, "cannot be combined with race=True")
    return {**given, "replicates": most}, least


def _is_threshold(entry: object) -> bool:
    if isinstance(entry, Mapping):
        return "threshold" in entry and "tolerance" not in entry
    return isinstance(entry, str) and entry.strip()[:1] in {"<", ">"}


def _gates(metric: object, entry: object, modes: Mapping[object, Mode]) -> Iterator[Gate]:
    """A gate against the baseline, one against a threshold, or both."""
    if not isinstance(metric, str) or not metric.strip():
        raise wrong("gate", metric, "expected names of metrics")
    name = f"gate[{metric!r}]"
    options = entry if isinstance(entry, Mapping) else {_kind(name, entry): entry}
    if not set(options) <= set(KEYS):
        raise wrong(name, entry, f"expected a dict with some of {', '.join(KEYS)}")
    if "threshold" in options:
        if "tolerance" not in options and {"top", "strict"} & set(options):
            raise wrong(name, entry, "expected 'top' and 'strict' with a 'tolerance' only")
        yield _threshold(name, metric, options, modes.get(metric))
    if "threshold" not in options or "tolerance" in options:
        yield Gate(
            metric=metric,
            mode=_mode(name, options, modes.get(metric)),
            tolerance=_tolerance(name, options),
            top=_top(name, options),
            alpha=_alpha(name, options),
            strict=flag(_named(name, options), f"{name}['strict']"),
        )


def _kind(name: str, entry: object) -> str:
    """What an entry that is no dict says."""
    if _is_threshold(entry):
        return "threshold"
    if isinstance(entry, str) or number_of(entry) is not None:
        return "tolerance"
    raise wrong(name, entry, _VALUES)


def _named(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options by the names that messages give them."""
    return {f"{name}[{key!r}]": value for key, value in options.items()}


def _threshold(name: str, metric: str, options: Mapping[str, Any], mode: Mode | None) -> Gate:
    try:
        _, sign, bound = constraint_of(metric, options["threshold"])
    except ValueError as error:
        raise SweepError(f"sweep({name}): {error}") from None
    better: Mode = "max" if sign == ">=" else "min"
    if better != (mode or better):
        expected = f"expected {'>=' if mode == 'max' else '<='}: mode={mode!r} of the sweep"
        raise wrong(name, options["threshold"], expected)
    return Gate(metric=metric, mode=better, bound=bound, alpha=_alpha(name, options))


def _mode(name: str, options: Mapping[str, Any], mode: Mode | None) -> Mode:
    if mode is None and "mode" not in options:
        hint = "requires 'mode': 'min' or 'max' in a dict, as the sweep does not optimise it"
        raise SweepError(f"sweep({name}=...): {hint}")
    given: Mode = one_of(_named(name, options), f"{name}['mode']", MODES, mode or "min")
    if given != (mode or given):
        raise wrong(f"{name}['mode']", given, f"expected {mode!r} as in the sweep")
    return given


def _tolerance(name: str, options: Mapping[str, Any]) -> float | str:
    value = options.get("tolerance", TOLERANCE)
    number = number_of(value)
    tolerance = value if number is None else number
    try:
        Tolerance.of(tolerance)
    except ValueError:
        raise wrong(name, value, _VALUES) from None
    return tolerance.strip() if isinstance(tolerance, str) else tolerance


def _top(name: str, options: Mapping[str, Any]) -> int | None:
    if options.get("top") == "all":
        return None
    return integer(_named(name, options), f"{name}['top']", TOP, least=1)


def _alpha(name: str, options: Mapping[str, Any]) -> float:
    value = options.get("alpha", ALPHA)
    number = number_of(value)
    if number is None or not 0 < number < 0.5:  # noqa: PLR2004 - a coin is no test
        raise wrong(f"{name}['alpha']", value, "expected a number above 0 and below 0.5")
    return float(number)
