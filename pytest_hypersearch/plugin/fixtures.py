"""The objects behind the fixtures: `Trial`, one execution of a test, and `Sweeps`, all studies."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_hypersearch.core.base import config_of
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.secrets import MASK, Secrets, is_secret
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.study import Configuration, StudyResults, Suggestion, called
from pytest_hypersearch.core.trial import Key, Raw, State, TrialRecord, storable
from pytest_hypersearch.core.values import encodable, real_of, scalar_of, shown
from pytest_hypersearch.engine import messages
from pytest_hypersearch.engine.link import Link
from pytest_hypersearch.plugin.collect import Slot
from pytest_hypersearch.plugin.runner.reports import Reports, TrialPruned
from pytest_hypersearch.stats.ranking import rank_study
from pytest_hypersearch.store.curves import Packed

if TYPE_CHECKING:
    import numpy as np

    from pytest_hypersearch.plugin.remote.files import NodeFiles
    from pytest_hypersearch.results.results import Results


PLAIN = (int, float, str)


class Trial(Reports):
    """One execution of a test: one configuration, one replicate.

    Attributes:
        number: Index of the configuration in its sweep, from 0.
        replicate: Index of the repetition of this configuration, from 0.
        seed: A 32-bit number that depends only on the sweep's seed and the replicate. All
            configurations of a replicate use the same random numbers, and can be compared in pairs.
    """

    def __init__(
        self,
        slot: Slot,
        assignment: messages.RunTrial,
        *,
        send: Callable[[dict[str, Packed]], None],
        review: Callable[[dict[str, Packed]], str] | None,
        directory: Callable[[str], Path] = Path,
    ) -> None:
        super().__init__(slot.sweep.metric, send=send, review=review)
        self._params = slot.sweep.space.decode(assignment.params)
        self.number = slot.number
        self.replicate = slot.replicate
        self.seed = assignment.seed
        self.logged: dict[str, Raw] = {}
        self._sweep = slot.sweep
        self._config: Any = None
        self._assignment = assignment
        self._directory = directory
        self._logged_secrets: list[str] = []

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self._assignment.params.items())
        return f"<Trial {self.number} replicate {self.replicate}: {params}>"

    @property
    def params(self) -> dict[str, Any]:
        """The configuration, by name of the parameter; a copy."""
        return dict(self._params)

    @property
    def config(self) -> Any:  # noqa: ANN401  of the kind of ``base``
        """The sweep's ``base`` patched by the parameters; this trial's own copy.

        It is of the kind of ``base``: a dict, a dataclass, a pydantic model or a config of
        OmegaConf. Dataclasses and models are constructed again, and may raise an error about a
        value.
        """
        __tracebackhide__ = True
        if self._config is None:
            base = {} if self._sweep.base is None else self._sweep.base
            self._config = config_of(base, self._params)
        return self._config

    @cached_property
    def rng(self) -> np.random.Generator:
        """A generator seeded by `seed`."""
        import numpy as np

        return np.random.default_rng(self.seed)

    @cached_property
    def path(self) -> Path:
        """The directory of this trial; those of the best configurations are kept.

        A trial that is restarted because its process died finds the files that it had saved.
        """
        path = self._directory(self._assignment.path)
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def saved(self) -> bool:
        """Whether `path` was used and is there."""
        return "path" in self.__dict__ and self.path.is_dir()

    @cached_property
    def secrets(self) -> Secrets:
        """What no text may show, the secrets of all trials of the sweep and those logged."""
        return Secrets([*self._sweep.secrets, *self._logged_secrets])

    def log(self, values: Mapping[str, Raw] | None = None, /, **named: Raw) -> None:
        """Store values other than metrics with the trial: strings, flags, counts.

        A string under the name of a secret, such as ``api_key``, is stored as ``***``. In other
        strings, the sweep's secrets, passages such as ``password=...``, and credentials in URLs are
        masked.

        Raises:
            TypeError: A value is not a number, string, bool or None; then none is stored.
            RuntimeError: The trial has ended, as in the teardown of a fixture; or this process was
                forked by the test.
        """
        __tracebackhide__ = True
        plain: dict[str, Raw] = {}
        for name, value in {**(values or {}), **named}.items():
            plain[name] = _plain(name, value)
        with self._lock:  # a thread may log while the trial ends
            self._refuse_if_closed("log")
            for name, each in plain.items():
                self.logged[name] = (
                    self._open(name, each) if isinstance(each, str) else storable(each)
                )

    def _open(self, name: str, text: str) -> str:
        """A logged text without secrets."""
        if not is_secret(name):
            return self.secrets.masked(text)
        self._logged_secrets.append(text)
        self.__dict__.pop("secrets", None)
        return MASK

    def prune(self, reason: str = "") -> NoReturn:
        """End this trial as pruned, which is not a failure.

        Raises:
            RuntimeError: The trial has ended, or this process was forked by the test.
        """
        __tracebackhide__ = True
        self._refuse_if_closed("prune")
        raise TrialPruned(self.secrets.masked(encodable(reason)) or "pruned by the test")


def _plain(name: object, value: object) -> Raw:
    """A logged value as Python's own, of which JSON knows all."""
    __tracebackhide__ = True
    plain = scalar_of(value)
    if not isinstance(plain, PLAIN) and (number := real_of(plain)) is not None:
        plain = number
    if isinstance(name, str) and (plain is None or isinstance(plain, PLAIN)):
        return plain
    raise TypeError(f"trial.log({name}={shown(value)}): expected a number, a text, a bool or None")


@frozen
class StudyView:
    """The current state of a study, as a test sees it.

    Attributes:
        results: Its trials, with the parameters as JSON scalars.
        suggestions: The configurations that adaptive samplers proposed in this session, with the
            number of results that each is based on. Empty for stored runs.
        best: The best configuration by the first metric, None before any is complete and feasible.
        pareto: The Pareto front, by the first metric; of a single metric it is the best.
    """

    results: StudyResults
    suggestions: tuple[Suggestion, ...]
    best: Configuration | None = None
    pareto: tuple[Configuration, ...] = ()

    def __repr__(self) -> str:
        return repr(self.results)

    @property
    def trials(self) -> tuple[TrialRecord, ...]:
        """Every trial, in the order of sweep, configuration and replicate."""
        return self.results.trials


class Sweeps:
    """The studies of this session; of tests that it does not run, those of the newest runs.

    The report of a test that gets results of an earlier session says so.
    """

    def __init__(
        self,
        link: Link,
        spaces: Mapping[tuple[str, str], Space],
        note: Callable[[str], None],
        elsewhere: Sequence[str] = (),
        files: NodeFiles | None = None,
    ) -> None:
        self._link = link
        self._files = files
        self._spaces = spaces
        self._note = note
        self._elsewhere = elsewhere

    def best(self, test: str, *, wait: bool = True) -> Configuration:
        """A test's best configuration, with its ``score``, ``params``, ``metrics`` and ``path``.

        The files that it saved are in the study's directory ``best``, whose path is the same for
        all runs and which has the parameters in ``params.json``. Of several replicates, such as
        folds or seeds, ``path`` is the directory of the one with the best score; ``paths`` has all
        directories by index of the replicate.

        Args:
            test: The test's name, or the end of its node id if several tests have this name.
            wait: Whether to wait for trials that other workers still run; otherwise, the best so
                far.

        Raises:
            LookupError: There is no such study, or several; some of its trials come later in this
                session; it has no complete trial, or none that satisfies the constraints.
        """
        __tracebackhide__ = True
        view = self.study(test, wait=wait)
        if view.best is None:
            raise _no_best(test, view)
        return view.best

    def study(self, test: str, *, wait: bool = True) -> StudyView:
        """A test's study.

        Args:
            test: The test's name, or the end of its node id if several tests have this name.
            wait: Whether to wait for trials that other workers still run.

        Raises:
            LookupError: There is no such study, or several; some of its trials come later in this
                session, and ``wait`` is set.
        """
        __tracebackhide__ = True
        if others := called(self._elsewhere, test):
            pytest.skip(f"{', '.join(others)}: runs in another shard")
        running = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        state = self._link.call(messages.View(running, test, wait))
        if not isinstance(state, messages.StudyState):
            raise _no_study(test, state)
        results = state.results
        # The origin of stored results says how many trials they have.
        if note := state.origin or _missing(results):
            self._note(f"{results.nodeid}: {note}")
        paths = {key: Path(path) for key, path in state.paths}
        ranked = rank_study(results)
        best, front = ranked.best, [self._given(results, one, paths) for one in ranked.front]
        return StudyView(
            results,
            state.suggestions,
            None if best is None else self._given(results, best, paths),
            tuple(front),
        )

    def results(self, test: str, *, wait: bool = True) -> Results:
        """A test's trials, to be filtered, grouped, compared and exported.

        Args:
            test: The test's name, or the end of its node id if several tests have this name.
            wait: Whether to wait for trials that other workers still run.

        Raises:
            LookupError: There is no such study, or several; some of its trials come later in this
                session, and ``wait`` is set.
        """
        __tracebackhide__ = True
        from pytest_hypersearch.results.results import Results
        from pytest_hypersearch.store.find import Loaded

        study = self.study(test, wait=wait).results
        return Results([Loaded(study, (Path(study.run),) if study.run else ())])

    def _given(
        self, study: StudyResults, one: Configuration, paths: Mapping[Key, Path]
    ) -> Configuration:
        """A configuration with the objects that its trials were given, and what they saved."""
        __tracebackhide__ = True
        keys = {trial.replicate: trial.key for trial in one.trials}
        own = {replicate: paths[key] for replicate, key in keys.items() if key in paths}
        return replace(
            one,
            params=self._decoded(study.nodeid, one),
            paths=self._files.fetched_late(own) if self._files else own,
        )

    def _decoded(self, study: str, one: Configuration) -> dict[str, Any]:
        """What the trials of a configuration were given."""
        __tracebackhide__ = True
        for space in (self._spaces.get((study, one.sweep.name)), one.sweep.space):
            # The items' space may have changed since; a stored one has no objects.
            with suppress(ValueError, LookupError):
                if space is not None:
                    return space.decode(one.params)
        raise LookupError(
            f"sweeps: {study}: only its items have the objects among its options; select some of "
            "them as well, as by -k"
        )


# Why a trial is missing from results that would have it, had the session gone on.
_CUT_OFF = ("budget exhausted: --sweep-timeout", "interrupted", "not started")


def _missing(results: StudyResults) -> str:
    """Say that results are partial, empty if they are not."""
    missing = sum(
        trial.state is State.RUNNING or trial.reason.startswith(_CUT_OFF)
        for trial in results.trials
    )
    return f"partial: {missing} of {len(results.trials)} trials missing" if missing else ""


_NOTHING = (
    "no sweep is selected and none is stored; select its test as well, or run it before: "
    "pytest --sweep"
)


def _no_study(
    test: str, reply: messages.NoSuchStudy | messages.Refused | messages.Unfinished
) -> LookupError:
    if isinstance(reply, messages.Refused):
        return LookupError(f"sweeps: {test!r}: {reply.reason}")
    if isinstance(reply, messages.Unfinished):
        come = "1 trial comes" if reply.trials == 1 else f"{reply.trials} trials come"
        return LookupError(
            f"sweeps: {test!r}: {come} later in this session; expected this test after those of "
            f"{reply.study}, or wait=False for the results so far"
        )
    what = f"{len(reply.matches)} studies" if reply.matches else "no such study"
    names = ", ".join(reply.matches or reply.studies)
    hint = f"expected one of {names}" if names else _NOTHING
    return LookupError(f"sweeps: {test!r}: {what}; {hint}")


def _no_best(test: str, view: StudyView) -> LookupError:
    complete = any(trial.state is State.COMPLETE for trial in view.trials)
    what = "feasible configuration" if complete else "complete trial"
    return LookupError(f"sweeps: {test!r}: expected a {what}; it has none")
