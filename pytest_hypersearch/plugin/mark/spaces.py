"""The search space among the arguments of a mark, and what refers to its parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

from pytest_hypersearch.core.base import has, is_base
from pytest_hypersearch.core.errors import SweepError
from pytest_hypersearch.core.space import (
    Choice,
    Distribution,
    Normal,
    Scipy,
    Space,
    as_distribution,
)
from pytest_hypersearch.core.trial import Config
from pytest_hypersearch.core.values import encodable, number_of, shown


def wrong(argument: str, value: object, expected: str) -> SweepError:
    """What to raise about the value of an argument."""
    return SweepError(f"sweep({argument}={shown(value)}): {expected}")


def text(given: Mapping[str, Any], argument: str, default: str) -> str:
    """A non-empty string."""
    value = given.get(argument, default)
    if not isinstance(value, str) or not value.strip():
        raise wrong(argument, value, "expected a non-empty string")
    return encoded(argument, value)


def encoded(argument: str, value: str) -> str:
    """A string that is stored as it is."""
    if encodable(value) != value:
        raise wrong(argument, value, "expected a string that UTF-8 can encode")
    return value


def integer(given: Mapping[str, Any], argument: str, default: int, *, least: int) -> int:
    """An integer that is large enough."""
    value = given.get(argument, default)
    number = number_of(value)
    if not isinstance(number, int) or number < least:
        raise wrong(argument, value, f"expected an integer of at least {least}")
    return number


def flag(given: Mapping[str, Any], argument: str) -> bool:
    """True or False, which is the default."""
    value = given.get(argument, False)
    if not isinstance(value, bool):
        raise wrong(argument, value, "expected True or False")
    return value


def one_of(given: Mapping[str, Any], argument: str, options: tuple[str, ...], default: str) -> Any:  # noqa: ANN401  one of several Literal types
    """One of several words."""
    value = given.get(argument, default)
    if not isinstance(value, str) or value not in options:
        raise wrong(argument, value, f"expected one of {', '.join(map(repr, options))}")
    return value


def identifier(argument: str, value: object, *, also: str = "") -> str:
    """A name that is fit for ids, file names and options."""
    pattern = rf"[A-Za-z_][\w.\-{also}]*"
    if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
        raise wrong(argument, value, "expected ASCII letters, digits, '-', '_' and '.'")
    return value


def files(value: object) -> tuple[str, ...]:
    """The paths in ``depends_on``, as strings."""
    files = (value,) if isinstance(value, (str, PathLike)) else value
    if not isinstance(files, (list, tuple)) or not all(
        isinstance(file, (str, PathLike)) for file in files
    ):
        raise wrong("depends_on", value, "expected a path or a list of paths")
    return tuple(str(fspath(file)) for file in files)


RESERVED = ("request", "sweeps", "trial")


def space_of(argument: str, value: object, strategy: str) -> Space:
    """The search space that an argument such as ``grid`` holds."""
    branches = [value] if isinstance(value, Mapping) else value
    if not isinstance(branches, (list, tuple)) or not branches:
        raise wrong(argument, value, "expected a dict of parameters, or a non-empty list of dicts")
    try:
        space = Space(tuple(_branch(argument, branch, strategy) for branch in branches))
    except SweepError:
        raise
    except ValueError as error:
        raise SweepError(f"sweep({argument}=...): {error}") from None
    for name, entry in (pair for branch in space.branches for pair in branch.items()):
        if problem := _unsuited(entry, strategy):
            raise SweepError(f"sweep({argument}=...): {name}: {entry}: {problem}")
    if strategy == "grid" and space.uncounted:
        raise SweepError(f"sweep({argument}=...): {space.uncounted}")
    return space


def _branch(argument: str, branch: object, strategy: str) -> dict[str, Distribution]:
    if not isinstance(branch, Mapping) or not branch:
        raise wrong(argument, branch, "expected a non-empty dict of parameter name to values")
    for name in branch:
        for outer in branch:
            if f"{name}".startswith(f"{outer}."):
                raise wrong(argument, name, f"conflicts with the parameter {outer!r}")
    return {
        _parameter(argument, name): _distribution(argument, name, values, strategy)
        for name, values in branch.items()
    }


def _parameter(argument: str, name: object) -> str:
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
        raise wrong(argument, name, "expected parameter names that are (dotted) identifiers")
    if name in RESERVED:
        raise wrong(argument, name, "the name is reserved for a fixture")
    return name


def _distribution(argument: str, name: str, values: object, strategy: str) -> Distribution:
    try:
        entry = as_distribution(values, is_grid=strategy == "grid")
        return entry.veiled(name) if isinstance(entry, Choice) else entry
    except ValueError as error:
        raise SweepError(f"sweep({argument}=...): {name}: {error}") from None


def _unsuited(entry: Distribution, strategy: str) -> str:
    """Why a strategy cannot search a distribution, empty if it can."""
    if strategy == "grid" and entry.size is None:
        return "a grid takes lists of values and distributions with step="
    if strategy == "bayes" and isinstance(entry, Scipy):
        return "bayes= takes no scipy.stats distributions; use uniform, loguniform, normal, ..."
    if strategy.startswith("optuna:") and isinstance(entry, (Normal, Scipy)):
        return "Optuna has no such distribution; use uniform, loguniform, randint, ..."
    return ""


def points_of(given: Mapping[str, Any], space: Space) -> tuple[Config, ...]:
    """The configurations of ``points``, as JSON scalars."""
    points = given.get("points", ())
    if isinstance(points, str):
        return ()
    if not isinstance(points, (list, tuple)):
        expected = "a list of dicts, each a complete configuration, or a run such as 'test_mlp@-1'"
        raise wrong("points", points, f"expected {expected}")
    configs: dict[str, Config] = {}
    for number, point in enumerate(points):
        if not isinstance(point, Mapping):
            raise wrong(f"points[{number}]", point, "expected a dict, a complete configuration")
        try:
            config = space.validate_config(point)
        except (TypeError, ValueError) as error:
            raise wrong(f"points[{number}]", point, str(error)) from None
        if space.key(config) in configs:
            raise wrong(f"points[{number}]", point, "expected distinct points")
        configs[space.key(config)] = config
    n_trials = given.get("n_trials")
    if isinstance(n_trials, int) and len(configs) > n_trials:
        raise wrong(
            "points", points, f"{len(configs)} points; expected at most n_trials={n_trials}"
        )
    return tuple(configs.values())


def start_from_of(given: Mapping[str, Any], strategy: str) -> str:
    """The stored run that ``points`` names, empty if it names none."""
    points = given.get("points", ())
    if not isinstance(points, str):
        return ""
    if strategy == "grid":
        raise wrong("points", points, "not accepted by grid=, which tries every combination")
    if not points.partition("@")[0].strip() or points.endswith("@"):
        raise wrong("points", points, "expected a test, or a test and a run: 'test_mlp@-1'")
    return points


def names_of(given: Mapping[str, Any], argument: str, space: Space) -> tuple[str, ...]:
    """The names in an argument that lists parameters of the space."""
    value = given.get(argument, ())
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or any(name not in space.names for name in names):
        raise wrong(argument, value, f"expected names among {', '.join(space.names)}")
    return tuple(names)


def indirect_of(given: Mapping[str, Any], space: Space) -> tuple[str, ...]:
    """The parameters that go through fixtures of their names."""
    if isinstance(given.get("indirect"), bool):
        return space.names if given["indirect"] else ()
    return names_of(given, "indirect", space)


def base_of(value: object, space: Space) -> object:
    """The nested configuration that dotted parameters patch, with a place for each of them."""
    if value is None:
        return None
    if not is_base(value):
        kinds = "a (nested) dict, a dataclass, a pydantic model or a config of OmegaConf"
        raise wrong("base", value, f"expected {kinds}")
    for name in space.names:
        path = tuple(name.split("."))
        if len(path) > 1 and not has(value, path):
            raise wrong(
                "base", value, f"expected a value for each dotted parameter; {name!r} is missing"
            )
    return value
