"""Trials on pytest-xdist's workers: a private channel to each, and what to do when one dies."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from pytest_hypersearch.core.trial import State, TrialRecord
from pytest_hypersearch.core.values import monotonic
from pytest_hypersearch.engine import messages
from pytest_hypersearch.engine.resources.machine import THREAD_VARIABLES, cores, limit_threads
from pytest_hypersearch.plugin.statuses import attach, set_status
from pytest_hypersearch.plugin.xdist.assignment import TrialClaims, name_of
from pytest_hypersearch.plugin.xdist.events import unpack_events

if TYPE_CHECKING:  # see `pytest_hypersearch.engine.link`
    from pytest_hypersearch.engine.owner import Owner
    from pytest_hypersearch.engine.request_queue import Answer
    from pytest_hypersearch.plugin.remote.files import RunFiles

CHANNEL = "hypersearch_channel"
THREADS = "hypersearch_threads"
CLAIMS = "hypersearch_claims"
MOST_CLAIMS: Final = {"load": 8, "worksteal": 1}
"""How many trials a worker claims ahead; with ``worksteal``, xdist takes others from it again."""
POLL_SECONDS = 0.2
STUCK_POLLS = 10
QUIET_POLLS = 50
BOOTS = 3
REPLACEMENT_SECONDS = 30.0
BOOTING = "booting"


def distributes(config: pytest.Config) -> bool:
    """Whether tests are handed to workers; xdist's own plugin says so only later."""
    if config.option.collectonly or not getattr(config.option, "tx", None):
        return False
    return bool(config.option.dist != "no")


class Distribution:
    """Hooks of the controlling process: connects workers with the owner.

    Args:
        config: Of the session.
        owner: Of the trials.
        files: What workers on other machines save; by default xdist starts all workers here.
    """

    def __init__(self, config: pytest.Config, owner: Owner, files: RunFiles | None = None) -> None:
        if config.option.dist == "each":
            raise pytest.UsageError(
                "--dist=each runs every trial on every worker; expected load, worksteal, "
                "loadscope, loadfile or loadgroup with --sweep"
            )
        self._owner = owner
        self._files = files
        self._verbosity = config.get_verbosity()
        self._plugins = config.pluginmanager
        self._most_claims = MOST_CLAIMS.get(config.option.dist, 0)
        self._claims = TrialClaims(owner.plans, owner.has_ended, owner.crash, owner.is_independent)
        self._threads = max(1, len(cores()) // len(config.option.tx))
        self._nodes: list[Any] = []
        self._starting: set[str] = set()
        self._up: set[str] = set()
        self._running: set[str] = set()
        self._phases: dict[str, str] = {}
        self._awaited_until = 0.0
        self._stopped: set[str] = set()
        self._over = Event()
        self._watch = Thread(target=self._release_stalled, daemon=True)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self) -> None:
        """Start a worker again that dies while it boots.

        xdist replaces workers that die once they are up; before that, the error of execnet ends the
        session. Its manager of nodes, which starts them all, has no hook around that.
        """
        if self._files is not None:
            return
        manager = self._plugins.getplugin("dsession").nodemanager
        start = manager.setup_node

        def setup_node(spec: Any, putevent: Any) -> Any:  # noqa: ANN401  xdist has no types
            for _ in range(BOOTS):
                self._starting.add(BOOTING)
                try:
                    return start(spec, putevent)
                except (AssertionError, EOFError, OSError) as error:
                    worker, said = spec.id, f"{type(error).__name__}: {error}".strip(": ")
                    self._starting.discard(worker)
                    spec.id = None  # for the next one, as xdist does for those that it replaces
                finally:
                    self._starting.discard(BOOTING)
            pytest.exit(f"workers die while they boot, {worker} of {said}", 1)

        manager.setup_node = setup_node

    def terminate(self) -> None:
        """End the workers of this machine, for whose tests xdist would wait."""
        for node in self._nodes:
            with contextlib.suppress(AttributeError, OSError):
                # Private to execnet: the process of a worker that popen has started.
                node.gateway._io.popen.terminate()  # noqa: SLF001  no public way

    @property
    def _stops(self) -> bool:
        """Whether xdist ends the session early, as after the first failure with ``-x``."""
        return bool(getattr(self._plugins.getplugin("dsession"), "shouldstop", False))

    @property
    def _starts(self) -> bool:
        """Whether a worker boots or collects that will get tests."""
        shuts_down = getattr(self._plugins.getplugin("dsession"), "shuttingdown", True)
        awaited = monotonic() < self._awaited_until
        return bool((self._starting or awaited) and not shuts_down)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # noqa: ANN401  xdist's controller of a worker
        """Give a worker its channel before it starts."""
        worker = name_of(node)
        channel = node.gateway.newchannel()
        self._starting.add(worker)
        self._nodes.append(node)

        def receive(text: str) -> None:
            number, message = messages.decode_message(text)

            def answer(reply: messages.Reply) -> None:
                # A worker that died meanwhile wants no reply.
                with contextlib.suppress(OSError):
                    channel.send(messages.encode(number, reply))

            if isinstance(message, messages.Notice):
                self._owner.note(message)
            elif isinstance(message, messages.Claim):
                self._claim(worker, message, answer)
            elif isinstance(message, messages.Tell):
                self._owner.handle(worker, message, self._followed(worker, message, answer))
            elif isinstance(message, messages.Deliver | messages.Fetch):
                if self._files is not None:
                    answer(self._files.answer(worker, message))
            else:
                self._owner.handle(worker, message, answer)

        channel.setcallback(receive)
        node.workerinput[CHANNEL] = channel
        node.workerinput.setdefault(THREADS, self._threads)
        node.workerinput[CLAIMS] = self._most_claims
        unpack_events(node)
        if not self._watch.is_alive() and not self._over.is_set():
            self._watch.start()

    def _claim(self, worker: str, claim: messages.Claim, answer: Answer) -> None:
        """Hand out a trial unless another worker has claimed it."""
        if not self._is_granted(claim.item, worker):
            # What the trial before holds would go back when this one is handed out.
            finish = messages.Finish(saved=False)
            self._owner.handle(worker, finish, lambda _: answer(messages.Elsewhere()))
        elif claim.hands_out:
            self._owner.handle(worker, claim, self._followed(worker, claim, answer))
        else:
            answer(messages.Done())

    def _followed(
        self, worker: str, request: messages.Tell | messages.Claim, answer: Answer
    ) -> Answer:
        """Answer with what is to be done with the next trials, too, if that need not wait."""

        def answer_with_next(reply: messages.Reply) -> None:
            if isinstance(reply, messages.Told | messages.ReplayTrial) and request.then:
                reply = replace(reply, ahead=tuple(self._ahead(worker, request.then)))
            answer(reply)

        return answer_with_next

    def _ahead(self, worker: str, items: Sequence[str]) -> Iterator[messages.Ahead]:
        """Hand out the first trial, and others as long as they are replayed."""
        for item in items:
            if item is not items[0] and not self._owner.is_stored(item):
                return
            if not self._is_granted(item, worker):
                return
            assignment = self._owner.ahead(worker, item)
            if assignment is None:
                self._claims.release(item)
                return
            yield messages.Ahead(item, assignment)
            if not isinstance(assignment, messages.ReplayTrial):
                return

    def _is_granted(self, item: str, worker: str) -> bool:
        return not self._stops and self._claims.claim(item, worker)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:  # noqa: ANN401  xdist has no types
        """Let no trial wait behind another, and no worker's death hang the session."""
        from pytest_hypersearch.plugin.xdist.schedulers import patched_scheduler

        return patched_scheduler(config, log, self._claims)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any) -> None:  # noqa: ANN401  see above
        """A worker is ready for tests."""
        self._awaited_until = 0.0
        self._starting.discard(name_of(node))
        self._up.add(name_of(node))

    # Before the scheduler hands the item of the dead worker to another one, which may ask for its
    # trial at once.
    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:  # noqa: ANN401  xdist's controller of a worker
        """A worker is gone, dead unless it has finished or was stopped."""
        worker = name_of(node)
        self._starting.discard(worker)
        self._up.discard(worker)
        if error == "keyboard-interrupt":
            self._stopped.add(worker)
        elif error is not None:
            # Replayed together with others, an item that ends its worker would not be named.
            self._most_claims = min(self._most_claims, 1)
            if self._files is None:
                self._starting.add(BOOTING)  # its replacement, unless the session shuts down
            else:
                self._files.forget(worker)
                self._awaited_until = monotonic() + REPLACEMENT_SECONDS  # it may never come
            is_node_lost = getattr(node.gateway, "is_node_lost", None)
            self._owner.died(worker, node_lost=bool(is_node_lost and is_node_lost()))

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(
        self,
        crashitem: str,
        report: pytest.TestReport,
        sched: Any,  # noqa: ANN401  any scheduler of xdist
    ) -> None:
        """Run the trial of a dead worker again, as often as its sweep allows."""
        self._running.discard(crashitem)
        phase = self._phases.pop(crashitem, "")
        worker = name_of(report.node)
        if worker in self._stopped:
            return
        if self._owner.crash(crashitem, worker):
            report.outcome = "rerun"  # type: ignore[assignment]
            set_status(report, "retried", "R", "RETRIED", "yellow")
            # The scope-wise schedulers run the item again by themselves.
            with contextlib.suppress(NotImplementedError):
                sched.mark_test_pending(crashitem)
        elif phase == "call" and self._owner.item_died(crashitem, worker):
            return
        elif record := self._owner.left(crashitem, worker):
            # The last report was lost with the worker: that of its death takes its place.
            self._show_lost(report, record, worker, "teardown" if phase == "call" else "call")

    def _show_lost(
        self,
        report: pytest.TestReport,
        record: TrialRecord,
        worker: str,
        when: Literal["call", "teardown"],
    ) -> None:
        """Make the report of a phase that ended well of the report of a worker's death."""
        report.when = when
        if when == "teardown" or record.state is State.COMPLETE:
            report.outcome, report.longrepr = "passed", None
        else:
            report.outcome = "skipped"
            report.longrepr = report.location[0], 0, f"Skipped: {record.reason}"
        attach(report, record, note=f"{worker} died afterwards", verbosity=self._verbosity)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Some worker is busy with an item, whose trial begins."""
        self._claims.begin(nodeid)
        self._owner.begin(nodeid)
        self._running.add(nodeid)
        self._phases.pop(nodeid, None)
        self._claims.reported.discard(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """See how far an item has come; reports of subtests come in mid-call."""
        if report.nodeid in self._running and type(report) is pytest.TestReport:
            # A setup that does not pass takes the place of the call.
            is_over = report.when == "setup" and not report.passed
            self._phases[report.nodeid] = "call" if is_over else report.when or ""
            if report.when == "teardown" and self._owner.plans(report.nodeid):
                self._claims.reported.add(report.nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """It is done with that."""
        self._running.discard(nodeid)
        self._phases.pop(nodeid, None)

    def pytest_sessionfinish(self) -> None:
        """Nobody waits any more."""
        self._over.set()

    def _release_stalled(self) -> None:
        """Serve trials that wait for others when no others can come.

        A retried item may queue behind the very trials that wait for it, and a scheduler that
        steals work may reorder it: then the waiting is given up rather than the session. A worker
        that is up and does not wait may be about to start what the others wait for, on a slow
        machine even seconds later.
        """
        quiet = 0
        while not self._over.wait(POLL_SECONDS):
            self._owner.poll()
            waiting = set(self._owner.waiting)
            running = self._running - waiting - self._claims.reported
            quiet = 0 if self._starts or running or not waiting else quiet + 1
            if quiet >= (STUCK_POLLS if len(waiting) >= len(self._up) else QUIET_POLLS):
                self._owner.release()
                quiet = 0


class WorkerThreads:
    """Hooks of a worker: linear algebra takes this worker's share of the cores, not all of them."""

    def __init__(self, config: pytest.Config) -> None:
        self._threads: int = config.workerinput[THREADS]  # type: ignore[attr-defined]
        self._chosen = any(variable in os.environ for variable in THREAD_VARIABLES)
        # All of these libraries go by OpenMP's variable unless their own is set.
        if "OMP_NUM_THREADS" not in os.environ:
            for variable in THREAD_VARIABLES:
                os.environ.setdefault(variable, str(self._threads))

    def pytest_collection_finish(self) -> None:
        """Libraries that were loaded before the variables were set are limited as well."""
        if not self._chosen and "numpy" in sys.modules:
            limit_threads(self._threads)


def channel(config: pytest.Config) -> Any:  # noqa: ANN401  execnet's channel
    """The worker's end of its channel to the owner."""
    return config.workerinput[CHANNEL]  # type: ignore[attr-defined]
