"""The objects behind the fixtures: `Trial`, one execution of a test, and `Sweeps`, all studies."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_hypersearch.given import scalar_of, shown
from pytest_hypersearch.outcomes import Pruned
from pytest_hypersearch.proposals import Suggestion
from pytest_hypersearch.ranking import best, pareto
from pytest_hypersearch.reports import Reports
from pytest_hypersearch.results import StudyResults
from pytest_hypersearch.study import storable
from pytest_hypersearch.trial import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from pytest_hypersearch.curves import Packed
    from pytest_hypersearch.link import Link
    from pytest_hypersearch.marks import Sweep
    from pytest_hypersearch.ranking import Ranked
    from pytest_hypersearch.space import Space
    from pytest_hypersearch.trial import Config, Raw, TrialRecord

PLAIN = (int, float, str)


class Trial(Reports):
    """One execution of a test: one configuration, one replicate.

    Attributes:
        params: The configuration, read-only.
        number: Index of the configuration in its sweep, from 0.
        replicate: Index of the repetition of this configuration, from 0.
        seed: 32 bits that depend on the sweep's seed and the replicate alone, so that all
            configurations meet the same luck and can be compared in pairs.
    """

    def __init__(
        self,
        sweep: Sweep,
        params: Config,
        *,
        number: int,
        replicate: int,
        seed: int,
        path: str,
        send: Callable[[dict[str, Packed]], None],
        review: Callable[[dict[str, Packed]], str] | None,
    ) -> None:
        super().__init__(sweep.metric, send=send, review=review)
        self.params: Mapping[str, Any] = MappingProxyType(sweep.space.decode(params))
        self.number = number
        self.replicate = replicate
        self.seed = seed
        self.logged: dict[str, Raw] = {}
        self._sweep = sweep
        self._path = path

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        return f"<Trial {self.number} replicate {self.replicate}: {params}>"

    @cached_property
    def config(self) -> dict[str, Any]:
        """The sweep's ``base`` patched by the parameters; this trial's own copy."""
        config = copy.deepcopy(dict(self._sweep.base or {}))
        for name, value in self.params.items():
            *parents, leaf = name.split(".")
            level = config
            for parent in parents:
                level = level.setdefault(parent, {})
            level[leaf] = value
        return config

    @cached_property
    def rng(self) -> np.random.Generator:
        """A generator seeded by `seed`."""
        import numpy as np

        return np.random.default_rng(self.seed)

    @cached_property
    def path(self) -> Path:
        """The trial's own directory, kept with the run's results."""
        path = Path(self._path)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log(self, values: Mapping[str, Raw] | None = None, /, **named: Raw) -> None:
        """Keep values with the trial that are no metrics: texts, flags, counts.

        Raises:
            TypeError: A value is neither a number nor a text, a bool or None.
            RuntimeError: The trial has ended: this is a fixture's teardown.
        """
        __tracebackhide__ = True
        self._refuse_if_ended("log")
        for name, value in {**(values or {}), **named}.items():
            plain = scalar_of(value)
            if not isinstance(name, str) or not (plain is None or isinstance(plain, PLAIN)):
                raise TypeError(
                    f"trial.log({name}={shown(value)}): expected a number, a text, a bool or None"
                )
            self.logged[name] = storable(plain) if isinstance(plain, float) else plain

    def prune(self, reason: str = "") -> NoReturn:
        """End this trial here: it is not worth going on with. Its test is no failure."""
        __tracebackhide__ = True
        raise Pruned(reason or "pruned by the test")


@dataclass(frozen=True, slots=True)
class ParetoPoint:
    """A configuration on the Pareto front.

    Attributes:
        params: The configuration, as the tests get it.
        metrics: Means over its complete replicates of the metrics that are optimised, by name.
        trial: Its trial with the best score.
    """

    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    trial: TrialRecord


@dataclass(frozen=True, slots=True)
class StudyView:
    """A study as it stands: what a test sees of it.

    Attributes:
        results: Its trials, with the parameters as JSON scalars.
        suggestions: What adaptive samplers proposed: when, from how many results, still pending?
        best: A trial of the best configuration by the first metric, None before any is complete and
            feasible.
        best_params: That configuration, as the tests get it.
        best_score: Its mean score over complete replicates.
        pareto: The Pareto front, by the first metric; of a single metric it is the best.
    """

    results: StudyResults
    suggestions: tuple[Suggestion, ...]
    best: TrialRecord | None
    best_params: Mapping[str, Any] | None
    best_score: float | None
    pareto: tuple[ParetoPoint, ...] = ()

    @property
    def trials(self) -> tuple[TrialRecord, ...]:
        """Every trial, in the order of sweep, configuration and replicate."""
        return self.results.trials


class Sweeps:
    """The studies of this session."""

    def __init__(self, link: Link, space: Callable[[str, str], Space]) -> None:
        self._link = link
        self._space = space

    def study(self, test: str, *, wait: bool = True) -> StudyView:
        """A test's study.

        Args:
            test: The test's name, or as much of its node id as makes it unique.
            wait: Wait for trials that other workers still run; without, show what is known.

        Raises:
            LookupError: There is no such study in this session, or several.
        """
        running = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        message = {"op": "view", "slot": running, "study": test, "wait": wait}
        answer = self._link.call(message)
        if "found" in answer:
            what = f"{answer['count']} studies" if answer["count"] else "no such study"
            known = ", ".join(answer["found"])
            hint = f"expected one of {known}" if known else "no sweep was collected"
            raise LookupError(f"sweeps: {test!r}: {what}; {hint}")
        results = StudyResults.from_json(answer["results"])
        ranked = best(results)
        suggestions = tuple(Suggestion(**each) for each in answer["suggestions"])
        if ranked is None:
            return StudyView(results, suggestions, None, None, None)
        front = tuple(self._point(results, one) for one in pareto(results))
        params = self._params(results, ranked)
        return StudyView(results, suggestions, ranked.top, params, ranked.value, front)

    def _point(self, results: StudyResults, ranked: Ranked) -> ParetoPoint:
        names = (goal.metric for goal in ranked.sweep.goals)
        metrics = MappingProxyType(dict(zip(names, ranked.values, strict=True)))
        return ParetoPoint(self._params(results, ranked), metrics, ranked.top)

    def _params(self, results: StudyResults, ranked: Ranked) -> Mapping[str, Any]:
        space = self._space(results.nodeid, ranked.sweep.name)
        return MappingProxyType(space.decode(ranked.params))

    def best_params(self, test: str, *, wait: bool = True) -> dict[str, Any]:
        """The parameters of a test's best configuration.

        Raises:
            LookupError: There is no such study, or it has no complete trial, or none that keeps the
                constraints.
        """
        view = self.study(test, wait=wait)
        if view.best_params is None:
            raise _no_best(test, view)
        return dict(view.best_params)

    def best_score(self, test: str, *, wait: bool = True) -> float:
        """The score of a test's best configuration: the mean over replicates, or as ``pick`` says.

        Raises:
            LookupError: There is no such study, or it has no complete trial, or none that keeps the
                constraints.
        """
        view = self.study(test, wait=wait)
        if view.best_score is None:
            raise _no_best(test, view)
        return view.best_score


def _no_best(test: str, view: StudyView) -> LookupError:
    complete = any(trial.state is State.COMPLETE for trial in view.trials)
    what = "feasible configuration" if complete else "complete trial"
    return LookupError(f"sweeps: {test!r}: expected a {what}; it has none")
