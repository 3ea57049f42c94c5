"""Which hooks each process of a session needs, to run sweeps or to check them by a trial each."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from threading import current_thread, main_thread
from typing import Any

import pytest

from pytest_hypersearch.engine.link import ChannelLink, DirectLink
from pytest_hypersearch.plugin.collect import SettingsCheck
from pytest_hypersearch.plugin.isolation import is_isolated
from pytest_hypersearch.plugin.junit import SuiteProperties, wants_junit
from pytest_hypersearch.plugin.plan import Order
from pytest_hypersearch.plugin.runner.runner import Runner
from pytest_hypersearch.plugin.statuses import ReportStatuses
from pytest_hypersearch.plugin.xdist import workers as xdist
from pytest_hypersearch.plugin.xdist.assignment import WorkSharing
from pytest_hypersearch.plugin.xdist.events import WorkerEvents


class Terminated(KeyboardInterrupt):
    """Ends the session as Ctrl-C does."""


Terminated.__module__ = "builtins"  # pytest shows the name of the exception


class Termination:
    """Hooks that end the session by SIGTERM with a summary, as by SIGINT, and then the process.

    Batch systems and CI send this signal some seconds before they kill. A handler of the project's
    own is left alone.

    Args:
        config: Of the session.
        end_workers: Ends other processes of the session that may be busy.
    """

    def __init__(self, config: pytest.Config, end_workers: Callable[[], None]) -> None:
        self._end_workers = end_workers
        self._received = False
        config.add_cleanup(self._end)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Wait for the signal."""
        in_main_thread = current_thread() is main_thread()
        if in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._terminate)

    def _terminate(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends the process at once
        self._received = True
        raise Terminated("SIGTERM")

    def pytest_keyboard_interrupt(self) -> None:
        """Let nobody wait for tests that still run."""
        if self._received:
            self._end_workers()

    def _end(self) -> None:
        """End by the signal, so that whoever sent it sees that."""
        if signal.getsignal(signal.SIGTERM) == self._terminate:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._received:
            sys.stdout.flush()
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGTERM)


def start(config: pytest.Config, *, checks: bool) -> Runner | None:
    """Register the owner's and the runner's hooks, as far as this process has them.

    Args:
        config: Of the session.
        checks: Whether the best of a baseline is checked instead of running the sweeps.

    Returns:
        The runner, None in a process that leaves all tests to workers.
    """
    manager = config.pluginmanager
    if hasattr(config, "workerinput"):
        return _start_worker(config)
    from pytest_hypersearch.plugin.controller import Controller, ReportFile
    from pytest_hypersearch.plugin.tracking import register as register_trackers

    if not checks:
        register_trackers(config)
    launcher = None
    if config.option.sweep_on and not config.option.collectonly:
        from pytest_hypersearch.plugin.remote.gateway import launch

        launcher = launch(config)
    controller = Controller(config, checks=checks, elsewhere=launcher is not None)
    manager.register(controller, "hypersearch_controller")
    manager.register(controller.gates, "hypersearch_gates")
    manager.register(ReportStatuses(), "hypersearch_statuses")
    if wants_junit(config):
        manager.register(SuiteProperties(config, controller.owner), "hypersearch_junit")
    if config.option.sweep_report is not None:
        manager.register(ReportFile(config, controller), "hypersearch_report")
    if xdist.distributes(config):
        files = None
        if launcher is not None:
            from pytest_hypersearch.plugin.remote.files import RunFiles

            files = RunFiles()
        distribution = xdist.Distribution(config, controller.owner, files)
        manager.register(distribution, "hypersearch_xdist")
        # Before the launcher's: the process ends by the signal when all else has been cleaned up.
        termination = Termination(config, distribution.terminate)
        manager.register(termination, "hypersearch_termination")
        if launcher is not None and files is not None:
            from pytest_hypersearch.plugin.remote.gateway import RemoteWorkers

            remote = RemoteWorkers(config, launcher, controller.owner, files)
            manager.register(remote, "hypersearch_remote")
            controller.follower.workers = remote.status
        return None
    manager.register(Termination(config, lambda: None), "hypersearch_termination")
    runner = Runner(config, DirectLink(controller.owner))
    _register(config, runner)
    return runner


def _start_worker(config: pytest.Config) -> Runner:
    """Register a runner whose owner is at the other end of a channel."""
    manager = config.pluginmanager
    given: dict[str, Any] = config.workerinput  # type: ignore[attr-defined]
    runner = _distant_runner(config)
    if xdist.THREADS in given:
        manager.register(xdist.WorkerThreads(config), "hypersearch_threads")
    if not is_isolated(config):
        runner.assignments.events = WorkerEvents.of(manager)
        runner.assignments.most_claims = given.get(xdist.CLAIMS, 0)
    if runner.assignments.most_claims:
        sharing = WorkSharing(runner.link, runner.assignments, manager)
        manager.register(sharing, "hypersearch_sharing")
    _register(config, runner)
    return runner


def _distant_runner(config: pytest.Config) -> Runner:
    """A runner whose owner is at the other end of a channel, maybe on another machine."""
    from pytest_hypersearch.plugin.remote.files import SCRATCH, NodeFiles

    link = ChannelLink(xdist.channel(config))
    given: dict[str, str] = config.workerinput  # type: ignore[attr-defined]
    return Runner(config, link, NodeFiles(link, given[SCRATCH]) if SCRATCH in given else None)


def _register(config: pytest.Config, runner: Runner) -> None:
    shard = config.option.sweep_shard
    if shard is not None:
        from pytest_hypersearch.plugin.shard import Sharding

        sharding = Sharding(config, *shard)
        config.pluginmanager.register(sharding, "hypersearch_shard")
        runner.elsewhere = sharding.elsewhere
    config.pluginmanager.register(runner, "hypersearch_runner")
    config.pluginmanager.register(runner.timers, "hypersearch_timers")
    config.pluginmanager.register(runner.child_reports, "hypersearch_child_reports")
    config.pluginmanager.register(Order(), "hypersearch_order")
    settings = config.option.sweep_set
    if settings and not is_isolated(config):
        check = SettingsCheck(settings, sharded=shard is not None)
        config.pluginmanager.register(check, "hypersearch_settings")


def start_smoke(config: pytest.Config) -> Runner:
    """Register a runner whose trials are at the centre of their spaces and are not kept."""
    if is_isolated(config):
        runner = _distant_runner(config)
    else:
        from pytest_hypersearch.plugin.controller import temporary_owner

        runner = Runner(config, DirectLink(temporary_owner(config)))
    _register(config, runner)
    config.pluginmanager.register(ReportStatuses(), "hypersearch_statuses")
    return runner
