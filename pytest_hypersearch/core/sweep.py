"""A sweep as its mark asks for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from pytest_hypersearch.core.demand import Demand
from pytest_hypersearch.core.goals import Constraint, Goal, StopRule, simplest_of
from pytest_hypersearch.core.space import Space

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_hypersearch.core.contracts import Pruner
    from pytest_hypersearch.core.goals import Mode, ScopeName
    from pytest_hypersearch.core.trial import Config


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
        pick: What makes a configuration the best, given its replicates' scores; see `picking`.
        points: Configurations tried before the sampler is asked.
        group_by: Parameters by which the summary groups.
        keep: How many of the best configurations keep what their trials saved; None for all.
        retries: How often a trial is started again after its process died.
        race: Whether further replicates are left out for configurations that are clearly worse.
        prune: What ends trials that do not promise enough.
        stop: What ends the sweep before its plan.
        timeout: Seconds that a trial may take; pytest-timeout sees to it.
        parallel: Configurations in flight at most, which makes an adaptive sampler reproducible.
        raises: Exceptions that make a trial failed without failing the run.
        base: Nested configuration that the parameters patch to make ``trial.config``.
        scope: Scope of the parameters, as in ``parametrize``.
        indirect: Parameters that go through fixtures of their names, as in ``parametrize``.
        depends_on: Files whose change makes stored trials stale, relative to the test's file.
        resources: What each trial holds of its machine while it runs.
        isolate: Whether each trial runs in a fresh process of its own.
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
    pick: str = "mean"
    points: tuple[Config, ...] = ()
    group_by: tuple[str, ...] = ()
    keep: int | None = 1
    retries: int = 1
    race: bool = False
    prune: Pruner | None = None
    stop: StopRule | None = None
    timeout: float | None = None
    parallel: int | None = None
    raises: tuple[type[BaseException], ...] = ()
    base: Mapping[str, Any] | None = None
    scope: ScopeName = "function"
    indirect: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    resources: Demand | None = None
    isolate: bool = False

    @property
    def goals(self) -> tuple[Goal, ...]:
        """All that it optimises, the score first."""
        return Goal(self.metric, self.mode), *self.others

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that every complete trial has, the score first."""
        names = [*(goal.metric for goal in self.goals), *(each.metric for each in self.constraints)]
        simplest = simplest_of(self.pick)
        if simplest and simplest not in self.space.names:
            names.append(simplest)
        return tuple(dict.fromkeys(names))

    def to_json(self) -> dict[str, Any]:
        """The part that the owner of the study needs, as JSON values."""
        plain = {name: getattr(self, name) for name in _OWNED}
        seldom = {name: value for name in _SELDOM if (value := getattr(self, name))}
        if self.resources is not None:
            seldom["resources"] = self.resources.to_json()
        if self.stop is not None:
            rules = asdict(self.stop).items()
            seldom["stop"] = {name: value for name, value in rules if value is not None}
        if self.prune is not None:
            seldom["prune"] = repr(self.prune)
        return plain | seldom | {"space": self.space.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sweep:
        """The inverse of `to_json`; what only the test's process uses is left at its default.

        So is the pruner, of which JSON has but a description.
        """
        known = {name: data[name] for name in _OWNED}
        known["points"] = tuple(known["points"])
        known["group_by"] = tuple(known["group_by"])
        known["others"] = tuple(Goal(*each) for each in data.get("others", ()))
        known["constraints"] = tuple(Constraint(*each) for each in data.get("constraints", ()))
        known["race"] = data.get("race", False)
        known["stop"] = StopRule(**data["stop"]) if "stop" in data else None
        known["isolate"] = data.get("isolate", False)
        known["timeout"] = data.get("timeout")
        if "resources" in data:
            known["resources"] = Demand.from_json(data["resources"])
        return cls(**known, space=Space.from_json(data["space"]))


_SELDOM = ("others", "constraints", "race", "isolate", "timeout")
_OWN = {"space", "prune", "stop", "resources"}
_RUNNERS = {"raises", "base", "scope", "indirect", "depends_on"}
_OWNED = tuple(
    field.name for field in fields(Sweep) if field.name not in {*_SELDOM, *_OWN, *_RUNNERS}
)


@dataclass(frozen=True, slots=True)
class SweepInfo:
    """What a reader must know of one sweep to rank and group its trials.

    Attributes:
        name: Unique within the study; the strategy's name unless the mark gives another.
        strategy: ``grid``, ``random``, ``bayes`` or a plugin's.
        metric: Name of the score among the metrics.
        mode: Whether lower (``min``) or higher (``max``) scores are better.
        others: Further metrics that are optimised.
        constraints: Bounds that make a configuration feasible.
        pick: What makes one of several replicates' scores the best; see `picking`.
        seed: The sweep's seed.
        replicates: Trials per configuration.
        planned: Trials in this run's plan.
        group_by: Parameters by which the summary groups.
        varied: Parameters with more than one possible value, in the order of the space.
        shape: Numbers of values of a grid's parameters, one tuple per grid; empty otherwise.
        elapsed: Wall time in seconds from its first trial's start to its last one's end.
        space: What it searches, None if that is not known.
    """

    name: str
    strategy: str
    metric: str
    mode: Literal["min", "max"]
    seed: int
    replicates: int
    planned: int
    group_by: tuple[str, ...]
    varied: tuple[str, ...]
    shape: tuple[tuple[int, ...], ...] = ()
    elapsed: float = 0.0
    others: tuple[Goal, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    pick: str = "mean"
    space: Space | None = None

    @property
    def goals(self) -> tuple[Goal, ...]:
        """All that it optimises, the score first."""
        return Goal(self.metric, self.mode), *self.others

    @classmethod
    def of(cls, sweep: Sweep, *, planned: int, elapsed: float = 0.0) -> SweepInfo:
        """What a reader must know of a sweep as its mark asks for it."""
        return cls(
            name=sweep.name,
            strategy=sweep.strategy,
            metric=sweep.metric,
            mode=sweep.mode,
            others=sweep.others,
            constraints=sweep.constraints,
            pick=sweep.pick,
            seed=sweep.seed,
            replicates=sweep.replicates,
            planned=planned,
            group_by=sweep.group_by,
            varied=sweep.space.varied,
            shape=_shape(sweep),
            elapsed=elapsed,
            space=sweep.space,
        )

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        space = None if self.space is None else self.space.to_json()
        return {**{name: getattr(self, name) for name in self.__slots__}, "space": space}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SweepInfo:
        """The inverse of `to_json`."""
        tuples: dict[str, Any] = {name: tuple(data[name]) for name in ("group_by", "varied")}
        tuples["shape"] = tuple(map(tuple, data["shape"]))
        tuples["others"] = tuple(Goal(*each) for each in data["others"])
        tuples["constraints"] = tuple(Constraint(*each) for each in data["constraints"])
        space = None if data["space"] is None else Space.from_json(data["space"])
        return cls(**{**data, **tuples, "space": space})


def _shape(sweep: Sweep) -> tuple[tuple[int, ...], ...]:
    """Numbers of values of a grid's parameters."""
    if sweep.strategy != "grid":
        return ()
    return tuple(tuple(d.size or 0 for d in branch.values()) for branch in sweep.space.branches)
