"""A sweep: one strategy over one search space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, NamedTuple

from pytest_hypersearch.core.codec import read_fields
from pytest_hypersearch.core.contracts import Pruner
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.goals import (
    Constraint,
    Gate,
    Goal,
    Mode,
    ScopeName,
    StopRule,
    simplest_of,
)
from pytest_hypersearch.core.secrets import is_secret, secrets_in
from pytest_hypersearch.core.space import Choice, Space
from pytest_hypersearch.core.trial import Config, trial_seed

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_KIBI = 1024


@frozen
class Demand:
    """What a trial needs while it runs; what is zero is not counted for it.

    Attributes:
        cpus: Cores.
        gpus: GPUs: a whole number of them, or the fraction of one.
        memory: Bytes.
        named: Of what the session has by the user's names, such as licences.
    """

    cpus: int = 0
    gpus: float = 0
    memory: int = 0
    named: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Amounts by the names of resources."""
        return {"cpus": self.cpus, "gpus": self.gpus, "memory": self.memory, **self.named}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Demand:
        """The inverse of `to_json`."""
        own = {name: data[name] for name in ("cpus", "gpus", "memory") if name in data}
        return cls(**own, named={name: data[name] for name in data if name not in own})

    @property
    def devices(self) -> int:
        """On how many GPUs it runs; a fraction is of one."""
        return max(1, int(self.gpus)) if self.gpus else 0

    @property
    def portion(self) -> float:
        """What it takes of each of its GPUs."""
        return min(self.gpus, 1)

    def joined(self, other: Demand) -> Demand:
        """The greater of each resource."""
        return Demand(
            max(self.cpus, other.cpus),
            max(self.gpus, other.gpus),
            max(self.memory, other.memory),
            {
                name: max(self.named.get(name, 0), other.named.get(name, 0))
                for name in {**self.named, **other.named}
            },
        )


@frozen
class Share:
    """What a trial was given.

    Attributes:
        cpus: How many cores it may use, 0 if it did not ask for any.
        gpus: Its devices, as ``CUDA_VISIBLE_DEVICES`` names them.
    """

    cpus: int = 0
    gpus: tuple[str, ...] = ()


def size(number: int) -> str:
    """Write a number of bytes: ``4 GiB``."""
    value, power = float(number), 0
    while value >= _KIBI and power < len(_UNITS) - 1:
        value, power = value / _KIBI, power + 1
    return f"{value:.4g} {_UNITS[power]}"


class Prior(NamedTuple):
    """A configuration of an earlier search.

    Attributes:
        params: The configuration.
        scores: A score for each complete replicate; none if it failed.
    """

    params: Config
    scores: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One strategy over one search space, as a mark asks for it or as a run carried it out.

    What only the test's process needs (``raises``, ``base``, ``scope``, ``indirect``, ``absent``,
    ``depends_on``) and the pruner are left at their defaults in a sweep that comes with results.

    Attributes:
        name: Unique among the marks of a test; the strategy's name unless given.
        strategy: ``grid``, ``random``, ``bayes`` or a name that a plugin's sampler answers to.
        space: What is searched; without parameters if a journal had no room for it.
        n_trials: Configurations to try, points included.
        metric: Which of the test's metrics is the score.
        mode: Whether lower or higher scores are better.
        others: Further metrics to optimise; with any, a Pareto front is searched.
        constraints: Bounds that a configuration's metrics must keep to be feasible.
        seed: Decides the sampler's choices and, with the replicate, every trial's seed.
        replicates: Trials per configuration, each under a seed of its own.
        pick: What makes a configuration the best, given its replicates' scores; see `picking`.
        points: Configurations tried before the sampler is asked.
        start_from: The stored run whose best configurations become the points, such as
            ``test_mlp@-1``; empty for none.
        prior: Further results of that run, which samplers that look at results learn from.
        group_by: Parameters by which the summary groups.
        keep: How many of the best configurations keep what their trials saved; None for all.
        retries: How often a trial is started again after its process died.
        race: Whether further replicates are left out for configurations that are clearly worse.
        prune: What ends trials that do not promise enough.
        stop: What ends the sweep before its plan.
        timeout: Seconds that a trial may take; enforced by pytest-timeout.
        parallel: Configurations in flight at most, which makes an adaptive sampler reproducible.
        raises: Exceptions that make a trial failed without failing the run.
        base: Nested configuration that the parameters patch to make ``trial.config``; None without.
        scope: Scope of the parameters, as in ``parametrize``.
        indirect: Parameters that go through fixtures of their names, as in ``parametrize``.
        depends_on: Files whose change makes stored trials stale, relative to the test's file.
        resources: What each trial holds of its machine while it runs.
        isolate: Whether each trial runs in a fresh process of its own.
        gates: What fails a session if it got worse.
        at_least: Replicates that every configuration has; the further ones, up to ``replicates``,
            run for those that the gates judge, until they decide. None if all have all.
        options: Options of the command line that replaced arguments of the mark, such as
            ``--sweep-set=lr=0.1``.
        absent: Parameters that only branches have which such options left out.
        planned: Trials in the plan of the run; 0 in a mark and in results that were filtered.
        elapsed: Wall time in seconds from its first trial's start to its last one's end.
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
    start_from: str = ""
    prior: tuple[Prior, ...] = ()
    group_by: tuple[str, ...] = ()
    keep: int | None = 1
    retries: int = 1
    race: bool = False
    prune: Pruner | None = None
    stop: StopRule | None = None
    timeout: float | None = None
    parallel: int | None = None
    raises: tuple[type[BaseException], ...] = ()
    base: Any = None
    scope: ScopeName = "function"
    indirect: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    resources: Demand | None = None
    isolate: bool = False
    gates: tuple[Gate, ...] = ()
    at_least: int | None = None
    options: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    planned: int = 0
    elapsed: float = 0.0

    @cached_property
    def goals(self) -> tuple[Goal, ...]:
        """All that it optimises, the score first."""
        return Goal(self.metric, self.mode), *self.others

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that every complete trial has, the score first."""
        names = [*(goal.metric for goal in self.goals), *(each.metric for each in self.constraints)]
        names += [gate.metric for gate in self.gates]
        simplest = simplest_of(self.pick)
        if simplest and simplest not in self.space.names:
            names.append(simplest)
        return tuple(dict.fromkeys(names))

    @property
    def arguments(self) -> tuple[str, ...]:
        """The parameters that its test gets, by name; absent ones are None."""
        return *self.space.names, *self.absent

    @property
    def seeds(self) -> list[int]:
        """The seeds of its trials, by replicate."""
        return [trial_seed(self.seed, replicate) for replicate in range(self.replicates)]

    @property
    def varied(self) -> tuple[str, ...]:
        """Parameters with more than one possible value, in the order of the space."""
        return self.space.varied

    @property
    def shape(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of values of a grid's parameters, one tuple per branch; empty otherwise."""
        if self.strategy != "grid" or not self.space.names:
            return ()
        return tuple(tuple(d.size or 0 for d in branch.values()) for branch in self.space.branches)

    @cached_property  # every trial asks, and a grid may have thousands of options
    def secrets(self) -> tuple[str, ...]:
        """The texts among its parameters' values that are secrets."""
        texts = [*secrets_in(self.base)]
        for name, entry in (pair for branch in self.space.branches for pair in branch.items()):
            if isinstance(entry, Choice):
                texts += secrets_in(entry.objects, secret=is_secret(name))
        return tuple(texts)

    def to_json(self) -> dict[str, Any]:
        """The fields that a reader of results needs, as JSON values; empty ones are left out."""
        plain = {name: getattr(self, name) for name in _OWNED}
        seldom = {name: value for name in _SELDOM if (value := getattr(self, name))}
        if self.resources is not None:
            seldom["resources"] = self.resources.to_json()
        if self.gates:
            seldom["gates"] = [*map(asdict, self.gates)]
        if self.stop is not None:
            rules = asdict(self.stop).items()
            seldom["stop"] = {name: value for name, value in rules if value is not None}
        if self.prune is not None:
            seldom["prune"] = repr(self.prune)
        return plain | seldom | {"space": self.space.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sweep:
        """The inverse of `to_json`, but for the pruner, of which JSON has only a description."""
        given = {name: data[name] for name in _OWNED} | {"space": data.get("space", [{}])}
        seldom = (*_SELDOM, "stop", "resources", "gates")
        given |= {name: data[name] for name in seldom if name in data}
        return read_fields(cls, given)


_SELDOM = (
    *("others", "constraints", "race", "isolate", "timeout", "planned", "elapsed"),
    *("start_from", "prior", "at_least", "options"),
)
_OWN = {"space", "prune", "stop", "resources", "gates"}
_RUNNERS = {"raises", "base", "scope", "indirect", "absent", "depends_on"}
_OWNED = tuple(
    field.name for field in fields(Sweep) if field.name not in {*_SELDOM, *_OWN, *_RUNNERS}
)
