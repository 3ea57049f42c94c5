"""Tracking: calls the hooks of trackers and other plugins without delaying trials."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from importlib import import_module
from importlib.util import find_spec
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import Any, Final, TypeAlias

import pytest

from pytest_hypersearch import trackers
from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.secrets import masked
from pytest_hypersearch.core.study import Name, StudyResults
from pytest_hypersearch.core.trial import Key, TrialRecord
from pytest_hypersearch.core.values import error_text
from pytest_hypersearch.engine.owner import Owner
from pytest_hypersearch.engine.study import Study
from pytest_hypersearch.engine.study_run import Event, Reported, Started, SweepRun
from pytest_hypersearch.plugin import setting
from pytest_hypersearch.stats.gate import Judgement
from pytest_hypersearch.stats.ranking import rank_study
from pytest_hypersearch.store.curves import Packed, Series, TimedSeries, unpack
from pytest_hypersearch.trackers import OFFERS

Later: TypeAlias = Callable[[], Mapping[str, Series]]


def register(config: pytest.Config) -> None:
    """Register the trackers that the command line asks for, or else the configuration file.

    Raises:
        UsageError: One is unknown, or its library is not installed.
    """
    given = config.option.sweep_track
    source = "--sweep-track" if given is not None else "sweep_track"
    names = _names(setting(config, "sweep_track") if given is None else given)
    for name in names:
        _check(source, name)
    for name in names:
        tracker = getattr(import_module(f"{trackers.__name__}.{name}"), OFFERS[name].plugin)
        config.pluginmanager.register(tracker(config.rootpath), f"hypersearch_{name}")
    if not config.option.collectonly:
        config.pluginmanager.register(LibraryImport(config, names), "hypersearch_trackers")


def _names(given: Iterable[str]) -> list[str]:
    parts = (name.strip() for text in given for name in text.split(","))
    return list(dict.fromkeys(name for name in parts if name))


def _check(source: str, name: str) -> None:
    if name not in OFFERS:
        raise pytest.UsageError(f"{source}={name}: expected one of {', '.join(OFFERS)}")
    # A directory of a library's name, such as W&B's for runs, has no origin.
    specs = {library: find_spec(library) for library in OFFERS[name].needs}
    missing = [library for library, spec in specs.items() if spec is None or spec.origin is None]
    if missing:
        raise pytest.UsageError(
            f"{source}={name}: {', '.join(missing)} not installed; expected "
            f'pip install "pytest-hypersearch[{name}]"'
        )


class LibraryImport:
    """Imports the trackers' libraries, which takes seconds, before trials start."""

    def __init__(self, config: pytest.Config, names: Iterable[str]) -> None:
        self._manager = config.pluginmanager
        self._names = names

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Import in the main thread, quietly; what fails ends the session with its reason."""
        for name in self._names:
            tracker = self._manager.getplugin(f"hypersearch_{name}")
            try:
                tracker.start()
            except ImportError as error:
                raise pytest.UsageError(str(error)) from error


HOOK: Final = "pytest_hypersearch_"
HOOKS: Final = (
    "sweep_started",
    "trial_started",
    "trial_reported",
    "trial_finished",
    "gate",
    "sweep_finished",
)
PATIENCE_SECONDS: Final = 60.0
SILENT_SECONDS: Final = 2.0
_TRIES: Final = 5
_OF_PYTEST: Final = "PYTEST_CURRENT_TEST"


class Tracking:
    """Turns the events of a session into calls of hooks."""

    def __init__(self, manager: pytest.PytestPluginManager, owner: Owner) -> None:
        self._calls = Calls(manager)
        self._owner = owner
        self._stored: dict[str, Mapping[tuple[Key, int], Mapping[str, TimedSeries]]] = {}
        self._sweeps: dict[tuple[str, str], SweepRun] = {}
        self._running: dict[tuple[str, Key], SweepRun] = {}

    def take(self, event: Event) -> None:
        """Take an event of the owner's, only the first one if no plugin has any of the hooks."""
        if not self._calls.are_wanted:
            self._owner.ignore(self.take)
            return
        trial = _copy(event.trial)
        key = event.study.nodeid, trial.key
        if isinstance(event, Started):
            self._running[key] = self._sweep(event.study, trial.sweep)
            self._calls.put("trial_started", dict, sweep=self._running[key], trial=trial)
        elif isinstance(event, Reported):
            if sweep := self._running.get(key):
                series = partial(_unpacked, event.series)
                self._calls.put("trial_reported", series, sweep=sweep, trial=trial)
        elif sweep := self._running.pop(key, None):
            self._calls.put("trial_finished", dict, sweep=sweep, trial=trial)
        elif trial.cached:
            sweep = self._sweep(event.study, trial.sweep)
            series = partial(self._replayed, event.study.nodeid, (trial.key, trial.attempt))
            self._calls.put("trial_finished", series, sweep=sweep, trial=trial)

    def _replayed(self, study: str, stored: tuple[Key, int]) -> Mapping[str, Series]:
        """What a replayed trial reported, by the key and attempt under which it was stored."""
        if study not in self._stored:
            self._stored[study] = {}
            with suppress(StoreError):
                self._stored[study] = self._owner.stored_curves(study)
        known = self._stored[study].get(stored, {})
        return {name: (each.steps, each.values) for name, each in known.items()}

    def judged(self, nodeid: str, sweep: str, verdict: Judgement[Name]) -> None:
        """Tell of the verdict of a gate."""
        if known := self._sweeps.get((nodeid, sweep)):
            self._calls.put("gate", sweep=known, verdict=verdict)

    def finish(self, studies: Iterable[StudyResults], tell: Callable[[str], None]) -> list[str]:
        """Tell of the end of all sweeps, and wait for the plugins.

        Args:
            studies: Their results.
            tell: Shows a line to a user who has to wait.

        Returns:
            What a user must be warned of.
        """
        for results in studies:
            for trial in results.trials:
                key = results.nodeid, trial.key
                if sweep := self._running.pop(key, None):
                    self._calls.put("trial_finished", dict, sweep=sweep, trial=_copy(trial))
            for info in results.sweeps:
                if sweep := self._sweeps.get((results.nodeid, info.name)):
                    self._calls.put("sweep_finished", sweep=sweep, results=_part(results, sweep))
        return [*self._calls.drain(tell)]

    def _sweep(self, study: Study, name: str) -> SweepRun:
        key = study.nodeid, name
        if key not in self._sweeps:
            self._sweeps[key] = sweep = self._owner.sweep_run(study.nodeid, name)
            self._calls.put("sweep_started", sweep=sweep)
        return self._sweeps[key]


def _unpacked(series: Mapping[str, Packed]) -> Mapping[str, Series]:
    return {name: unpack(packed) for name, packed in series.items()}


def _part(results: StudyResults, sweep: SweepRun) -> StudyResults:
    """The results of one of a study's sweeps."""
    name = sweep.info.name
    leader = rank_study(results).best
    return replace(
        results,
        saved=results.saved if leader and leader.sweep.name == name else "",
        sweeps=tuple(info for info in results.sweeps if info.name == name),
        trials=tuple(_copy(trial) for trial in results.trials if trial.sweep == name),
    )


def _copy(trial: TrialRecord) -> TrialRecord:
    """A trial for plugins: what they do to it stays with them."""
    return replace(
        trial, params=dict(trial.params), metrics=dict(trial.metrics), logged=dict(trial.logged)
    )


class Calls:
    """Calls of hooks, made by one thread in the order in which they were asked for."""

    def __init__(self, manager: pytest.PytestPluginManager) -> None:
        self._manager = manager
        self._queue: SimpleQueue[tuple[str, Later | None, dict[str, Any]] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._callers: dict[str, dict[str, Callable[..., object]]] = {}
        self._first_errors: dict[str, str] = {}
        self._errors: Counter[str] = Counter()
        self._made = 0
        self._at = ""

    @cached_property
    def are_wanted(self) -> bool:
        """Whether any plugin had any of the hooks when the first event came."""
        return any(getattr(self._manager.hook, HOOK + name).get_hookimpls() for name in HOOKS)

    def put(self, name: str, series: Later | None = None, **arguments: object) -> None:
        """Ask for a call of a hook.

        Args:
            name: The hook without what the names of all have in common.
            series: Gives the argument of this name, which may take a while.
            arguments: The others.
        """
        self._queue.put((name, series, arguments))
        if self._thread is None:
            self._thread = Thread(target=self._work, name="hypersearch-trackers", daemon=True)
            _overlook_unraisable(self._thread)
            self._thread.start()

    def drain(self, tell: Callable[[str], None]) -> Iterator[str]:
        """Wait until all calls are made, as long as they get on; yield warnings."""
        if self._thread is not None:
            self._queue.put(None)
            try:
                self._join(self._thread, tell)
            except KeyboardInterrupt:
                tell("not waiting for trackers")
            if self._thread.is_alive():
                yield f"{self._at} did not finish, {self._left()} hook calls were skipped"
        for plugin, count in self._errors.items():
            more = f" ({count} errors in all)" if count > 1 else ""
            yield f"{plugin} failed in {self._first_errors[plugin]}{more}"

    def _join(self, thread: Thread, tell: Callable[[str], None]) -> None:
        thread.join(SILENT_SECONDS)
        if thread.is_alive():
            tell(f"waiting for {self._at}, {self._left()} hook calls left; Ctrl-C to skip")
        made = -1
        while thread.is_alive() and self._made != made:
            made = self._made
            thread.join(PATIENCE_SECONDS)

    def _left(self) -> int:
        return max(0, self._queue.qsize() - 1)

    def _work(self) -> None:
        while (call := self._queue.get()) is not None:
            name, series, arguments = call
            if series is not None:
                arguments = {**arguments, "series": series()}
            self._call(name, arguments)
            self._made += 1

    def _call(self, name: str, arguments: Mapping[str, Any]) -> None:
        for plugin, caller in self._implementations(name).items():
            self._at = f"{plugin}'s {HOOK}{name}"
            try:
                _call_unraced(caller, arguments)
            except BaseException as error:  # noqa: BLE001  pytest's outcomes are no Exceptions
                text = f"{HOOK}{name}: {type(error).__name__}: {error_text(error)}"
                self._first_errors.setdefault(plugin, masked(" ".join(text.split()))[:500])
                self._errors[plugin] += 1

    def _implementations(self, name: str) -> Mapping[str, Callable[..., object]]:
        """A caller for each plugin that has the hook: an error of one must not stop the others."""
        if name not in self._callers:
            plugins = [
                each.plugin for each in getattr(self._manager.hook, HOOK + name).get_hookimpls()
            ]
            self._callers[name] = {
                _name_of(self._manager, plugin): self._manager.subset_hook_caller(
                    HOOK + name, [other for other in plugins if other is not plugin]
                )
                for plugin in reversed(plugins)
            }
        return self._callers[name]


def _call_unraced(caller: Callable[..., object], arguments: Mapping[str, Any]) -> None:
    """Call, and call again if it went through the environment while pytest changed that.

    Whoever looks for a proxy does so first; pytest takes its variable away after each item.
    """
    for _ in range(_TRIES - 1):
        try:
            caller(**arguments)
        except KeyError as error:
            if error.args != (_OF_PYTEST,):
                raise
        else:
            return
    caller(**arguments)


def _overlook_unraisable(thread: Thread) -> None:
    """Keep what a tracker leaves open from failing the test that runs meanwhile, as pytest would.

    pytest puts the hook back when the session ends.
    """
    others = sys.unraisablehook

    def unraisable(what: sys.UnraisableHookArgs) -> None:
        if current_thread() is not thread:
            others(what)

    sys.unraisablehook = unraisable


def _name_of(manager: pytest.PytestPluginManager, plugin: object) -> str:
    return str(manager.get_name(plugin)).removeprefix("hypersearch_")
