"""From the arguments of a ``sweep`` mark to a validated sweep."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, cast

from pytest_hypersearch.given import shown
from pytest_hypersearch.goals import Constraint, Goal, constraint_of
from pytest_hypersearch.space import Normal, Scipy, Space, as_distribution
from pytest_hypersearch.sweep import sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.space import Distribution
    from pytest_hypersearch.sweep import Mode, ScopeName
    from pytest_hypersearch.trial import Config

SHORTHANDS = ("grid", "random", "bayes")
MODES = ("min", "max")
SCOPES = ("session", "package", "module", "class", "function")
RESERVED = ("request", "sweeps", "trial")
MOST_TRIALS = 1_000_000


class SweepError(ValueError):
    """A mark or option that cannot be carried out; the message says what was given and expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One strategy over one search space, as a mark asks for it.

    Attributes:
        name: Unique among the marks of a test; the strategy's name unless given.
        strategy: ``grid``, ``random``, ``bayes`` or a name that a plugin's sampler answers to.
        space: What is searched.
        n_trials: Configurations to try, points included.
        metric: Which of the test's metrics is the score.
        mode: Whether lower or higher scores are better.
        others: Further metrics to optimise; with any, the sweep is after a Pareto front.
        constraints: Bounds that a configuration's metrics must keep to be feasible.
        seed: Decides the sampler's choices and, with the replicate, every trial's seed.
        replicates: Trials per configuration, each under a seed of its own.
        points: Configurations tried before the sampler is asked.
        group_by: Parameters by which the summary groups.
        retries: How often a trial is started again after its process died.
        parallel: Configurations in flight at most, which makes an adaptive sampler reproducible.
        raises: Exceptions that make a trial failed without failing the run.
        base: Nested configuration that the parameters patch to make ``trial.config``.
        scope: Scope of the parameters, as in ``parametrize``.
        indirect: Parameters that go through fixtures of their names, as in ``parametrize``.
        depends_on: Files whose change makes stored trials stale, relative to the test's file.
    """

    name: str
    strategy: str
    space: Space
    n_trials: int
    metric: str = "score"
    mode: Mode = "min"
    others: tuple[Goal, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    seed: int = 0
    replicates: int = 1
    points: tuple[Config, ...] = ()
    group_by: tuple[str, ...] = ()
    retries: int = 1
    parallel: int | None = None
    raises: tuple[type[BaseException], ...] = ()
    base: Mapping[str, Any] | None = None
    scope: ScopeName = "function"
    indirect: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()

    @property
    def goals(self) -> tuple[Goal, ...]:
        """All that it optimises, the score first."""
        return Goal(self.metric, self.mode), *self.others

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that every complete trial has, the score first."""
        names = [*(goal.metric for goal in self.goals), *(each.metric for each in self.constraints)]
        return tuple(dict.fromkeys(names))

    def to_json(self) -> dict[str, Any]:
        """The part that the owner of the study needs, as JSON values."""
        plain = {name: getattr(self, name) for name in _OWNED}
        seldom = {name: value for name in _SELDOM if (value := getattr(self, name))}
        return plain | seldom | {"space": self.space.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sweep:
        """The inverse of `to_json`; what only the test's process uses is left at its default."""
        known = {name: data[name] for name in _OWNED}
        known["points"] = tuple(known["points"])
        known["group_by"] = tuple(known["group_by"])
        known["others"] = tuple(Goal(*each) for each in data.get("others", ()))
        known["constraints"] = tuple(Constraint(*each) for each in data.get("constraints", ()))
        return cls(**known, space=Space.from_json(data["space"]))


_SELDOM = ("others", "constraints")
_OWNED = tuple(
    field.name
    for field in fields(Sweep)
    if field.name not in {"space", "raises", "base", "scope", "indirect", "depends_on", *_SELDOM}
)


_ARGUMENTS = frozenset(cast("dict[str, Any]", sweep.__kwdefaults__))


def from_mark(args: Sequence[object], kwargs: Mapping[str, Any]) -> Sweep:
    """Validate the arguments of a ``sweep`` mark.

    Raises:
        SweepError: Anything is missing, unknown, contradictory or of the wrong kind.
    """
    if args:
        raise SweepError(
            f"sweep({shown(args[0])}, ...): expected keyword arguments only, such as grid={{...}}"
        )
    for name in kwargs:
        if name not in _ARGUMENTS:
            near = difflib.get_close_matches(name, sorted(_ARGUMENTS), n=1)
            hint = (
                f"did you mean {near[0]}?" if near else f"expected {', '.join(sorted(_ARGUMENTS))}"
            )
            raise _wrong(name, kwargs[name], f"no such argument; {hint}")
    given = {name: value for name, value in kwargs.items() if value is not None}
    strategy, argument = _strategy(given)
    space = _space(argument, given[argument], strategy)
    (metric, mode), *others = _goals(given, strategy)
    return Sweep(
        name=_name("name", given.get("name", strategy.replace(":", "-"))),
        strategy=strategy,
        space=space,
        n_trials=_n_trials(given, strategy, space),
        metric=metric,
        mode=mode,
        others=tuple(others),
        constraints=_constraints(given, strategy),
        seed=_integer(given, "seed", 0, least=0),
        replicates=_integer(given, "replicates", 1, least=1),
        points=_points(given, space),
        group_by=_known(given, "group_by", space),
        retries=_integer(given, "retries", 1, least=0),
        parallel=_parallel(given, strategy),
        raises=_raises(given.get("raises", ())),
        base=_base(given.get("base"), space),
        scope=_one_of(given, "scope", SCOPES, "function"),
        indirect=_indirect(given, space),
        depends_on=_files(given.get("depends_on", ())),
    )


def _strategy(given: Mapping[str, Any]) -> tuple[str, str]:
    """The strategy and the name of the argument that holds its space."""
    named = [name for name in (*SHORTHANDS, "strategy") if name in given]
    if len(named) != 1:
        what = " and ".join(f"{name}=..." for name in named) or "no strategy"
        raise SweepError(
            f"sweep: given {what}; expected exactly one of grid={{...}}, random={{...}}, "
            "bayes={...} or strategy='...' with space={...}"
        )
    if named[0] != "strategy":
        if "space" in given:
            raise _wrong("space", given["space"], f"expected it in {named[0]}=")
        return named[0], named[0]
    if "space" not in given:
        raise _wrong("strategy", given["strategy"], "expected space={...} beside it")
    strategy = _text(given, "strategy", "")
    return _name("strategy", strategy, also=":"), "space"


def _space(argument: str, value: object, strategy: str) -> Space:
    branches = [value] if isinstance(value, Mapping) else value
    if not isinstance(branches, (list, tuple)) or not branches:
        raise _wrong(argument, value, "expected a dict of parameters, or a non-empty list of dicts")
    try:
        space = Space(tuple(_branch(argument, branch) for branch in branches))
    except SweepError:
        raise
    except ValueError as error:
        raise SweepError(f"sweep({argument}=...): {error}") from None
    for name, entry in (pair for branch in space.branches for pair in branch.items()):
        if problem := _unsuited(entry, strategy):
            raise SweepError(f"sweep({argument}=...): {name}: {entry}: {problem}")
    return space


def _branch(argument: str, branch: object) -> dict[str, Distribution]:
    if not isinstance(branch, Mapping) or not branch:
        raise _wrong(argument, branch, "expected a non-empty dict of parameter name to values")
    for name in branch:
        for outer in branch:
            if f"{name}".startswith(f"{outer}."):
                raise _wrong(argument, name, f"expected another name: {outer!r} is a parameter")
    return {
        _parameter(argument, name): _distribution(argument, name, values)
        for name, values in branch.items()
    }


def _parameter(argument: str, name: object) -> str:
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
        raise _wrong(argument, name, "expected parameter names that are (dotted) identifiers")
    if name in RESERVED:
        raise _wrong(argument, name, "expected another name: this is a fixture")
    return name


def _distribution(argument: str, name: str, values: object) -> Distribution:
    try:
        return as_distribution(values)
    except ValueError as error:
        raise SweepError(f"sweep({argument}=...): {name}: {error}") from None


def _unsuited(entry: Distribution, strategy: str) -> str:
    """What a strategy misses in a distribution, empty if nothing."""
    if strategy == "grid" and entry.size is None:
        return "expected a list of values, or a distribution with a step, in a grid"
    if strategy == "bayes" and isinstance(entry, Scipy):
        return "expected uniform, loguniform, normal, ... with bayes=; scipy's go with random="
    if strategy.startswith("optuna:") and isinstance(entry, (Normal, Scipy)):
        return "Optuna has no such distribution; expected uniform, loguniform, randint, ..."
    return ""


def _goals(given: Mapping[str, Any], strategy: str) -> list[Goal]:
    metric, mode = given.get("metric", "score"), given.get("mode", "min")
    if not isinstance(metric, (list, tuple)):
        return [Goal(_text(given, "metric", "score"), _one_of(given, "mode", MODES, "min"))]
    for each in metric:
        if not isinstance(each, str) or not each.strip():
            raise _wrong("metric", metric, "expected non-empty strings in the list")
    if len(metric) < 2:  # noqa: PLR2004 - one metric is no list
        raise _wrong("metric", metric, "expected a name, or a list of two or more names")
    if len(set(metric)) < len(metric):
        raise _wrong("metric", metric, "expected each name once")
    modes = [mode] * len(metric) if "mode" not in given else mode
    if not isinstance(modes, (list, tuple)) or len(modes) != len(metric):
        raise _wrong("mode", mode, f"expected a list of {len(metric)}, one for each metric")
    if any(each not in MODES for each in modes):
        raise _wrong("mode", mode, f"expected only {' or '.join(map(repr, MODES))} in the list")
    _refuse_optuna(given, "metric", strategy)
    return [Goal(*pair) for pair in zip(metric, modes, strict=True)]


def _constraints(given: Mapping[str, Any], strategy: str) -> tuple[Constraint, ...]:
    value = given.get("constraints", {})
    if not isinstance(value, Mapping):
        raise _wrong("constraints", value, "expected a dict such as {'latency': '<= 50'}")
    found = []
    for metric, text in value.items():
        if not isinstance(metric, str) or not metric.strip():
            raise _wrong("constraints", metric, "expected names of metrics")
        try:
            found.append(constraint_of(metric, text))
        except ValueError as error:
            raise SweepError(f"sweep(constraints=...): {error}") from None
    if found:
        _refuse_optuna(given, "constraints", strategy)
    return tuple(found)


def _refuse_optuna(given: Mapping[str, Any], argument: str, strategy: str) -> None:
    if strategy.startswith("optuna:"):
        what = "Optuna's samplers are told one score; expected bayes, random or grid beside it"
        raise _wrong(argument, given[argument], what)


def _n_trials(given: Mapping[str, Any], strategy: str, space: Space) -> int:
    size = space.size
    if strategy == "grid":
        if "n_trials" in given:
            raise _wrong(
                "n_trials", given["n_trials"], "expected none: a grid tries every combination"
            )
        wanted = size or 0
    else:
        if "n_trials" not in given:
            raise SweepError(
                f"sweep({strategy}=...): expected n_trials=, the configurations to try"
            )
        wanted = _integer(given, "n_trials", 1, least=1)
        wanted = wanted if size is None else min(wanted, size)
    total = wanted * _integer(given, "replicates", 1, least=1)
    if total > MOST_TRIALS:
        raise SweepError(
            f"sweep({strategy}=...): {total:,} trials; expected at most {MOST_TRIALS:,}"
        )
    return wanted


def _points(given: Mapping[str, Any], space: Space) -> tuple[Config, ...]:
    points = given.get("points", ())
    if not isinstance(points, (list, tuple)):
        raise _wrong("points", points, "expected a list of dicts, each a complete configuration")
    configs: dict[str, Config] = {}
    for number, point in enumerate(points):
        if not isinstance(point, Mapping):
            raise _wrong(f"points[{number}]", point, "expected a dict, a complete configuration")
        try:
            config = space.validate_config(point)
        except (TypeError, ValueError) as error:
            raise _wrong(f"points[{number}]", point, str(error)) from None
        if space.key(config) in configs:
            raise _wrong(
                f"points[{number}]", point, "expected each point once; it is there already"
            )
        configs[space.key(config)] = config
    n_trials = given.get("n_trials")
    if isinstance(n_trials, int) and len(configs) > n_trials:
        raise _wrong(
            "points", points, f"{len(configs)} points; expected at most n_trials={n_trials}"
        )
    return tuple(configs.values())


def _parallel(given: Mapping[str, Any], strategy: str) -> int | None:
    if "parallel" not in given:
        return None
    if strategy in {"grid", "random"}:
        raise _wrong(
            "parallel", given["parallel"], f"expected none: {strategy} is reproducible without"
        )
    return _integer(given, "parallel", 1, least=1)


def _raises(value: object) -> tuple[type[BaseException], ...]:
    kinds = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
        raise _wrong("raises", value, "expected an exception class or a tuple of them")
    return kinds


def _base(value: object, space: Space) -> Mapping[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _wrong("base", value, "expected a (nested) dict")
    for name in space.names:
        *parents, leaf = name.split(".")
        level: object = value
        for parent in parents:
            level = level.get(parent) if isinstance(level, Mapping) else None
        if parents and not (isinstance(level, Mapping) and leaf in level):
            raise _wrong(
                "base", value, f"expected every dotted parameter in it; it has no {name!r}"
            )
    return value


def _known(given: Mapping[str, Any], argument: str, space: Space) -> tuple[str, ...]:
    value = given.get(argument, ())
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or any(name not in space.names for name in names):
        raise _wrong(argument, value, f"expected names among {', '.join(space.names)}")
    return tuple(names)


def _indirect(given: Mapping[str, Any], space: Space) -> tuple[str, ...]:
    if isinstance(given.get("indirect"), bool):
        return space.names if given["indirect"] else ()
    return _known(given, "indirect", space)


def _files(value: object) -> tuple[str, ...]:
    from os import PathLike, fspath

    files = (value,) if isinstance(value, (str, PathLike)) else value
    if not isinstance(files, (list, tuple)) or not all(
        isinstance(file, (str, PathLike)) for file in files
    ):
        raise _wrong("depends_on", value, "expected a path or a list of paths")
    return tuple(str(fspath(file)) for file in files)


def _name(argument: str, value: object, *, also: str = "") -> str:
    pattern = rf"[A-Za-z_][\w.\-{also}]*"
    if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
        raise _wrong(argument, value, "expected ASCII letters, digits, '-', '_' and '.'")
    return value


def _text(given: Mapping[str, Any], argument: str, default: str) -> str:
    value = given.get(argument, default)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(argument, value, "expected a non-empty string")
    return value


def _integer(given: Mapping[str, Any], argument: str, default: int, *, least: int) -> int:
    value = given.get(argument, default)
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        raise _wrong(argument, value, f"expected an integer of at least {least}")
    return int(value)


def _one_of(given: Mapping[str, Any], argument: str, options: tuple[str, ...], default: str) -> Any:  # noqa: ANN401  one of several Literal types
    value = given.get(argument, default)
    if not isinstance(value, str) or value not in options:
        raise _wrong(argument, value, f"expected one of {', '.join(map(repr, options))}")
    return value


def _wrong(argument: str, value: object, expected: str) -> SweepError:
    return SweepError(f"sweep({argument}={shown(value)}): {expected}")
