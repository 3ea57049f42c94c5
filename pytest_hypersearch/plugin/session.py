"""The smoke test of a sweep: one trial at the centre of the space, nothing owned, nothing kept."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.engine.link import ChannelLink, DirectLink
from pytest_hypersearch.engine.records import trial_seed
from pytest_hypersearch.plugin.isolation import apart
from pytest_hypersearch.plugin.junit import SuiteProperties, wants_junit
from pytest_hypersearch.plugin.order import Order
from pytest_hypersearch.plugin.runner.runner import Runner
from pytest_hypersearch.plugin.statuses import Words
from pytest_hypersearch.plugin.xdist import workers as xdist
from pytest_hypersearch.plugin.xdist.sharing import Booker

if TYPE_CHECKING:
    import pytest

    from pytest_hypersearch.engine.link import Link
    from pytest_hypersearch.engine.messages import Message


class SmokeLink:
    """Answers a runner as an owner would who has one trial for each study."""

    def __init__(self) -> None:
        self._sweeps: dict[str, Sweep] = {}
        self._root: Path | None = None

    def call(self, message: Message) -> Message:
        """Answer from the plan; outcomes are left to pytest's own report."""
        match message["op"]:
            case "hello":
                return {"known": False}
            case "plan":
                for study in message["studies"]:
                    sweep = Sweep.from_json(study["sweeps"][0])
                    self._sweeps.update((slot, sweep) for slot, *_ in study["slots"])
            case "ask":
                return self._centre(self._sweeps[message["slot"]])
            case "review":
                return {"prune": ""}
            case "tell":
                return {"best": False}
        return {}

    def send(self, message: Message) -> None:
        """Reports are not kept."""

    def close(self) -> None:
        """Remove what the trials wrote."""
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)

    def _centre(self, sweep: Sweep) -> Message:
        self._root = self._root or Path(tempfile.mkdtemp(prefix="pytest-hypersearch-"))
        return {
            "do": "run",
            "params": sweep.space.centre(),
            "seed": trial_seed(sweep.seed, 0),
            "attempt": 1,
            "path": tempfile.mkdtemp(dir=self._root),
        }


def start(config: pytest.Config) -> Runner | None:
    """Register the owner's and the runner's hooks, as far as this process has them.

    Returns:
        The runner, None in a process that leaves all tests to workers.
    """
    manager = config.pluginmanager
    if hasattr(config, "workerinput"):
        runner = Runner(config, ChannelLink(xdist.channel(config)))
        if xdist.THREADS in config.workerinput:
            manager.register(xdist.WorkerThreads(config), "hypersearch_threads")
        if config.workerinput.get(xdist.SHARED) and not apart(config):
            manager.register(Booker(runner.link, manager), "hypersearch_booker")
        _register(config, runner)
        return runner
    from pytest_hypersearch.plugin.controller import Controller
    from pytest_hypersearch.plugin.tracking import register as register_trackers

    register_trackers(config)
    controller = Controller(config)
    manager.register(controller, "hypersearch_controller")
    manager.register(Words(), "hypersearch_words")
    if wants_junit(config):
        manager.register(SuiteProperties(config, controller.owner), "hypersearch_junit")
    if config.option.sweep_report is not None:
        from pytest_hypersearch.plugin.report import ReportFile

        manager.register(ReportFile(config, controller), "hypersearch_report")
    if xdist.distributes(config):
        manager.register(xdist.Distribution(config, controller.owner), "hypersearch_xdist")
        return None
    runner = Runner(config, DirectLink(controller.owner))
    _register(config, runner)
    return runner


def _register(config: pytest.Config, runner: Runner) -> None:
    config.pluginmanager.register(runner, "hypersearch_runner")
    config.pluginmanager.register(runner.timers, "hypersearch_timers")
    config.pluginmanager.register(Order(), "hypersearch_order")


def start_smoke(config: pytest.Config) -> Runner | None:
    """Register a runner whose trials are at the centre of their spaces and are not kept."""
    link: Link
    if apart(config):
        link = ChannelLink(xdist.channel(config))
    else:
        link = SmokeLink()
        config.add_cleanup(link.close)
    runner = Runner(config, link)
    _register(config, runner)
    config.pluginmanager.register(Words(), "hypersearch_words")
    return runner
