"""Workers of xdist over the pipes of a launcher: they join when they can, and are replaced.

The life of a worker, by its number in the session; ``start``, HELLO and the others are the steps of
`pytest_hypersearch.plugin.remote.protocol`::

    awaited ---+-- HELLO, packages as here, files there or sent -> up
               +-- HELLO, packages differ, or nothing could start it -> refused: not asked for again
               +-- pipe ends, at most `BOOTS` times -> awaited, then given up
               +-- session shuts down -> given up
    up --------+-- collected, its node can meet the demands -> gets tests, as all of xdist's
               +-- collected, packages of the tests differ -> refused: sent home
               +-- collected, its node cannot -> sent home; another one of the right size is awaited
               |   if the launcher can give that
               +-- pipe ends -> xdist's crash of a worker; another one is awaited
    given up, refused: when nobody is left nor awaited, the session ends

xdist starts workers one after another and waits for each, also within its loop when it replaces
one. Here a thread waits for each worker and hands it to that loop, which is never held up.

Private to xdist 3.8 and relied upon: ``DSession.queue``, ``_active_nodes`` (kept from being empty
while workers are awaited), ``_clone_node`` (replaced), ``shuttingdown``, ``NodeManager.setup_node``
and the schedulers' ``numnodes``; of execnet 2.1: ``Group.makegateway`` (replaced), ``_register``.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from tempfile import NamedTemporaryFile
from threading import Event, Thread
from typing import Any, Final

import execnet
import pytest
from xdist.dsession import Interrupted

from pytest_hypersearch.core.sweep import Demand
from pytest_hypersearch.core.values import plural
from pytest_hypersearch.engine.owner import Owner
from pytest_hypersearch.engine.resources.machine import Machine
from pytest_hypersearch.plugin import setting
from pytest_hypersearch.plugin.remote.command import CommandLauncher
from pytest_hypersearch.plugin.remote.files import LARGEST, MOST_FILES, Project, RunFiles
from pytest_hypersearch.plugin.remote.node import ROOTS, versions
from pytest_hypersearch.plugin.remote.protocol import (
    MOST_NOISE,
    Facts,
    Launcher,
    Pipe,
    Ready,
    Size,
    Welcome,
    encoded,
    read_message,
)
from pytest_hypersearch.plugin.remote.ray import RayLauncher
from pytest_hypersearch.plugin.xdist.assignment import name_of
from pytest_hypersearch.plugin.xdist.workers import POLL_SECONDS, THREADS

BOOTS: Final = 3
GRACE_SECONDS: Final = 0.3
JOINED: Final = "hypersearch_joined"
SETTLED: Final = "hypersearch_settled"
SHIPPED: Final = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")
"""Variables that decide what pytest does; others have to be named."""

_MISSING: Final = re.compile(r"No such file or directory: '([^']+)'")


class RefusedError(Exception):
    """A worker cannot be used, and no other one in its place could."""


class PipeIO:
    """A pipe as execnet reads from it and writes to it."""

    def __init__(self, pipe: Pipe, execmodel: Any) -> None:  # noqa: ANN401  execnet has no types
        self.execmodel = execmodel
        self.read, self.write = pipe.read, pipe.write
        self.close_read, self.close_write = lambda: None, pipe.close
        self.wait, self.kill = pipe.wait, pipe.kill


class RemoteGateway(execnet.Gateway):
    """A gateway to a worker elsewhere.

    Attributes:
        worker: Its name to the owner and in results: ``gw0@host``.
        machine: What of its node it may use.
    """

    def __init__(
        self,
        pipe: Pipe,
        spec: Any,  # noqa: ANN401  execnet has no types
        facts: Facts,
        root: str,
        execmodel: Any,  # noqa: ANN401  execnet has no types
    ) -> None:
        self.pipe, self.facts, self.root = pipe, facts, root
        self.machine = facts.machine
        self.worker = f"{spec.id}@{facts.host}"
        super().__init__(PipeIO(pipe, execmodel), spec)

    def is_node_lost(self) -> bool:
        """Whether the pipe has ended by no fault of the worker's process."""
        return self.pipe.lost_node()


@dataclass(eq=False)
class Awaited:
    """A worker that was asked for; it also keeps xdist's session going in the place of a worker."""

    spec: Any
    number: int
    pipe: Pipe | None = None
    is_given_up: bool = False

    def give_up(self) -> None:
        """Wait for it no more."""
        self.is_given_up = True
        if self.pipe is not None:
            self.pipe.kill()


class RemoteWorkers:
    """Hooks of the controlling process that start xdist's workers by a launcher.

    Args:
        config: Of the session.
        launcher: Starts the workers.
        owner: Is told which machines workers have, and tells what trials demand of them.
        files: What trials save.
    """

    def __init__(
        self, config: pytest.Config, launcher: Launcher, owner: Owner, files: RunFiles
    ) -> None:
        self._config = config
        self._launcher = launcher
        self._owner = owner
        self._files = files
        self._variables = [*SHIPPED, *shipped_names(config)]
        self._project = Project(config.rootpath)
        called_in = config.invocation_params.dir
        inside = called_in.is_relative_to(config.rootpath)
        self._below = str(called_in.relative_to(config.rootpath)) if inside else "."
        self._landmark = ""
        self._awaited: set[Awaited] = set()
        self._demand = Demand()
        self._later: list[Any] = []
        self._count = 0
        self._first = 0
        self._gateways: dict[str, RemoteGateway] = {}
        self._collected: set[Any] = set()
        self._sent_home: set[Any] = set()
        self._refusal = ""
        self._is_over = Event()
        config.add_cleanup(self._close)

    def _make_landmark(self) -> str:
        """Make the `landmark <Welcome>`, which is removed at the session's end."""
        cache = getattr(self._config, "cache", None)
        if cache is None:
            return ""
        try:
            file = NamedTemporaryFile(prefix=".landmark-", dir=cache.mkdir("hypersearch"))  # noqa: SIM115  see below
        except OSError:
            return ""
        self._config.add_cleanup(file.close)
        root, path = self._config.rootpath, Path(file.name)
        return str(path.relative_to(root)) if path.is_relative_to(root) else ""

    # What xdist calls at the start.

    @pytest.hookimpl(trylast=True)
    def pytest_xdist_setupnodes(self, specs: list[Any]) -> None:
        """Ask for workers, and leave in the list those that are up after the first has come.

        Raises:
            pytest.UsageError: None comes.
        """
        self._session = self._config.pluginmanager.getplugin("dsession")
        self._manager = self._session.nodemanager
        self._manager.group.makegateway = self._made
        self._session._clone_node = lambda node: self._replace(node.gateway.spec)  # noqa: SLF001  see above
        setattr(self._session, f"worker_{JOINED}", self._join)
        setattr(self._session, f"worker_{SETTLED}", self._schedule)
        self._landmark = self._make_landmark()
        self._count = len(specs)
        if self._launcher.shaped:
            self._later = specs[1:]
        for spec in specs[: len(specs) - len(self._later)]:
            self._ask(spec)
        specs[:] = self._come()
        self._first = len(specs)
        Thread(target=self._watch, daemon=True).start()

    def _come(self) -> list[Any]:
        """Wait for the first worker, and a moment longer for others."""
        specs: list[Any] = []
        reasons: list[str] = []
        while self._awaited:
            try:
                _, news = self._session.queue.get(timeout=GRACE_SECONDS if specs else None)
            except Empty:
                break
            self._forget(news["awaited"])
            if gateway := news["gateway"]:
                self._gateways[gateway.id] = gateway
                specs.append(gateway.spec)
            else:
                reasons.append(news["reason"])
        if not specs:
            raise pytest.UsageError(*["no worker came up:", *dict.fromkeys(reasons)])
        for reason in reasons:
            self._session.report_line(reason)
        return specs

    @pytest.hookimpl(wrapper=True, optionalhook=True)
    def pytest_xdist_make_scheduler(self) -> Any:  # noqa: ANN401  a scheduler of xdist
        """Do not wait for the tests that late workers collect."""
        scheduler = yield
        scheduler.numnodes = self._first
        return scheduler

    # Before that of `Distribution`, which lets these values stand.
    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # noqa: ANN401  xdist's controller of a worker
        """Tell a worker where it is."""
        gateway: RemoteGateway = node.gateway
        root = str(self._config.rootpath)
        same = gateway.root == root and gateway._rinfo().executable == sys.executable  # noqa: SLF001  see above
        node.workerinput["workercount"] = self._count
        node.workerinput[ROOTS] = root, gateway.root, same
        node.workerinput[THREADS] = self._threads(gateway)
        account = gateway.facts.host if self._launcher.shared else gateway.worker
        self._owner.shares.place(gateway.worker, gateway.machine, account)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_getremotemodule(self) -> Any:  # noqa: ANN401  a module
        """Let our module run xdist's on the node."""
        from pytest_hypersearch.plugin.remote import node

        return node

    def _threads(self, gateway: RemoteGateway) -> int:
        """Threads for linear algebra: what a worker is bound to is its own, a node is shared."""
        cores = len(gateway.machine.cores)
        if not self._launcher.shared or cores < gateway.facts.processors:
            return cores
        number = int(gateway.id.removeprefix("gw"))
        return max(1, cores // self._launcher.together(number, self._count))

    # Workers that come and go.

    def status(self) -> str:
        """Say how many workers are up, and how many are awaited."""
        up = len(self._session._active_nodes) - len(self._awaited)  # noqa: SLF001  see above
        awaited = f", {len(self._awaited)} awaited" if self._awaited else ""
        return plural(up, "worker") + awaited

    def _ask(self, spec: Any) -> None:  # noqa: ANN401  execnet has no types
        """Ask for a worker; wait for it in a thread."""
        awaited = Awaited(spec, int(spec.id.removeprefix("gw")))
        self._awaited.add(awaited)
        self._session._active_nodes.add(awaited)  # noqa: SLF001  see above
        Thread(target=self._await, args=(awaited,), daemon=True).start()

    def _await(self, awaited: Awaited) -> None:
        gateway: RemoteGateway | None = None
        reason = ""
        for _ in range(BOOTS):
            try:
                gateway = self._started(awaited)
                break
            except RefusedError as error:
                reason = str(error)
                break
            except (EOFError, OSError, ValueError) as error:
                reason = f"{awaited.spec.id}: {error}"
            except Exception as error:  # noqa: BLE001  else the session would wait for good
                reason = f"{awaited.spec.id}: {type(error).__name__}: {error}"
                break
            if awaited.is_given_up:
                break
        news = {"awaited": awaited, "gateway": gateway, "reason": reason}
        self._session.queue.put((JOINED, news))

    def _started(self, awaited: Awaited) -> RemoteGateway:
        """Start a worker and go through the handshake with it.

        Raises:
            RefusedError: It differs from the controller, or nothing could start it.
            EOFError, OSError, ValueError: It ends, or is no worker.
        """
        demand = self._demand
        try:
            pipe = awaited.pipe = self._launcher.start(awaited.number, demand)
        except OSError as error:
            raise RefusedError(f"{awaited.spec.id}: {error}") from None
        try:
            facts = read_message(pipe.read, Facts)
            _check(awaited.spec.id, facts)
            root = self._settle(pipe, awaited.spec.id)
            model = self._manager.group.execmodel
            gateway = RemoteGateway(pipe, awaited.spec, facts, root, model)
            if not self._launcher.shared:
                gateway.machine = _part(facts.machine, demand)
            gateway._rinfo()  # noqa: SLF001  kept by execnet: xdist asks within its loop
        except BaseException:
            pipe.kill()
            with contextlib.suppress(EOFError, ValueError):
                pipe.read(MOST_NOISE)  # to its end, at which files are closed
            raise
        return gateway

    def _settle(self, pipe: Pipe, worker: str) -> str:
        """See that the node has the project's files; return where."""
        root = self._config.rootpath
        files = self._project.files
        environment = {name: os.environ[name] for name in self._variables if name in os.environ}
        unsent = sorted(os.environ.keys() - environment.keys())
        place = str(root), self._below, files, self._landmark
        welcome = Welcome(worker, *place, environment, unsent)
        pipe.write(encoded(welcome))
        ready = read_message(pipe.read, Ready)
        if ready.root:
            return ready.root
        if self._project.is_large:
            limit = f"{LARGEST >> 20} MiB or {MOST_FILES:,} files"
            raise RefusedError(f"{worker}: its node lacks {root}, which has more than {limit}")
        pipe.write(encoded(Size(len(self._project.archive))) + self._project.archive)
        return read_message(pipe.read, Ready).root

    def _join(self, awaited: Awaited, gateway: RemoteGateway | None, reason: str) -> None:
        """Take a worker that was awaited into the session; called in xdist's loop."""
        if gateway is not None and not self._session.shuttingdown:
            self._gateways[gateway.id] = gateway
            try:
                node = self._manager.setup_node(gateway.spec, self._session.queue.put)
            except (EOFError, OSError):
                self._replace(gateway.spec)
            else:
                self._session._active_nodes.add(node)  # noqa: SLF001  see above
        elif gateway is not None:
            gateway.pipe.kill()
        elif not awaited.is_given_up:
            self._session.report_line(f"\n{reason}")
        self._forget(awaited)
        self._end_if_deserted(reason)

    def _forget(self, awaited: Awaited) -> None:
        self._awaited.discard(awaited)
        self._session._active_nodes.discard(awaited)  # noqa: SLF001  see above

    def _end_if_deserted(self, reason: str) -> None:
        """End a session that nobody can go on with."""
        busy = self._session._active_nodes - self._sent_home  # noqa: SLF001  see above
        if busy or self._session.shuttingdown:
            return
        if not self._session.sched.collection_is_completed:
            self._session.shouldstop = reason
        self._session.triggershutdown()

    def _made(self, spec: Any) -> RemoteGateway:  # noqa: ANN401  execnet has no types
        """Hand out the gateway that was made for a spec; called by xdist."""
        gateway = self._gateways[spec.id]
        self._manager.group._register(gateway)  # noqa: SLF001  see above
        return gateway

    def _replace(self, spec: Any) -> None:  # noqa: ANN401  execnet has no types
        """Ask for another worker in the place of a dead one."""
        spec = execnet.XSpec(spec._spec)  # noqa: SLF001  the dead worker's keeps its id
        self._manager.group.allocate_id(spec)
        self._ask(spec)

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:  # noqa: ANN401  xdist's controller of a worker
        """Now the demands are known: ask for the other workers, send home whom they overtax."""
        self._collected.add(node)
        self._demand = self._owner.shares.most
        if impossible := self._launcher.lacks(self._demand):
            self._session.shouldstop = f"trials request {impossible}"
            return
        for spec in self._later:
            self._ask(spec)
        self._later = []
        if refusal := self._other_packages(node) or self._other_tests(node, ids):
            self._refusal = refusal
            self._session.report_line(f"\n{refusal}")
            self._send_home(node)
            self._end_if_deserted(refusal)
        elif lacking := self._owner.shares.lacks(name_of(node)):
            self._session.report_line(f"\n{name_of(node)} is sent home: trials request {lacking}")
            self._send_home(node)
            if self._launcher.shaped:
                self._replace(node.gateway.spec)
            else:
                self._end_if_deserted(f"trials request {lacking}")

    def _other_packages(self, node: Any) -> str:  # noqa: ANN401  xdist's controller of a worker
        other = self._owner.other_versions.get(name_of(node), {})
        here = {name: each for name, each in self._owner.packages.items() if name in other}
        return _differences(node.gateway.id, node.gateway.facts.host, here, other)

    def _other_tests(self, node: Any, ids: list[str]) -> str:  # noqa: ANN401  xdist's controller of a worker
        """Say what a worker that comes late collected otherwise; xdist compares the first ones."""
        known = self._session.sched.collection
        if known is None or ids == known:
            return ""
        names = sorted({*ids} ^ {*known})
        other = f"other tests, such as {names[0]}" if names else "the tests in another order"
        hint = "--sweep-env sends variables that decide it"
        return f"{name_of(node)} is refused: it collected {other}; {hint}"

    def _send_home(self, node: Any) -> None:  # noqa: ANN401  xdist's controller of a worker
        self._sent_home.add(node)
        given = self._session.sched.remove_node(node)
        if given is not None:
            # The schedulers of whole scopes run the item again by themselves.
            with contextlib.suppress(NotImplementedError):
                self._session.sched.mark_test_pending(given)
        self._session.queue.put((SETTLED, {}))
        node.shutdown()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Say that no worker could be used.

        Raises:
            pytest.UsageError: With the last one's table.
        """
        try:
            return (yield)
        except Interrupted:
            if self._refusal and self._session.shouldstop == self._refusal:
                raise pytest.UsageError(self._refusal) from None
            raise

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:  # noqa: ANN401  xdist's controller of a worker
        """End a worker that has no more to do: it holds a part of its node that others may need."""
        node.gateway.exit()
        if node not in self._collected:
            self._session.queue.put((SETTLED, {}))

    def _schedule(self) -> None:
        """Wait for one collection less, or hand out what a worker leaves that was sent home.

        Called in xdist's loop, which takes a session for finished whose tests could be handed out
        and were not.
        """
        sched = self._session.sched
        if sched.collection is None:
            sched.numnodes = max(1, sched.numnodes - 1)
        if sched.collection_is_completed:
            sched.schedule()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Name files that a test misses and that were not sent."""
        gateway = getattr(getattr(report, "node", None), "gateway", None)
        root = self._config.rootpath
        if not report.failed or gateway is None or gateway.root == str(root):
            return
        for text in _MISSING.findall(report.longreprtext):
            path = Path(gateway.root, self._below, text)
            if path.is_relative_to(gateway.root):
                name = path.relative_to(gateway.root)
                if (root / name).exists():
                    why = "ignored by git or hidden, so it was not sent"
                    said = f"{name} is {why} to {gateway.worker}"
                    report.sections.append(("pytest-hypersearch", said))

    # The end.

    def _watch(self) -> None:
        """Give up what is awaited once the session shuts down."""
        while not self._is_over.wait(POLL_SECONDS):
            if self._session.shuttingdown:
                self._give_up_awaited()

    def _give_up_awaited(self) -> None:
        for awaited in list(self._awaited):
            awaited.give_up()

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:  # noqa: ANN401  pytest's terminal reporter
        """Say how much trials have saved."""
        if self._files.note and self._config.get_verbosity() >= 0:
            terminalreporter.line(self._files.note)

    def pytest_keyboard_interrupt(self) -> None:
        """End all workers: no signal reaches them, and xdist would wait for their tests."""
        self._give_up_awaited()
        for gateway in self._gateways.values():
            with contextlib.suppress(OSError):
                gateway.pipe.kill()

    def _close(self) -> None:
        self._is_over.set()
        self._give_up_awaited()
        self._launcher.close()


def _part(machine: Machine, demand: Demand) -> Machine:
    """The part of a machine that a worker was started with."""
    cores = tuple(range(max(1, demand.cpus)))
    return Machine(cores, machine.gpus if demand.gpus else (), machine.memory)


def _check(worker: str, facts: Facts) -> None:
    """Refuse a worker that cannot run the session.

    Raises:
        RefusedError: With a table of the packages that differ.
    """
    if table := _differences(worker, facts.host, versions(), facts.versions):
        raise RefusedError(table)


def _differences(worker: str, host: str, here: dict[str, str], there: dict[str, str]) -> str:
    """Table of the packages of which a worker has other versions, empty if it has none."""
    rows = [
        f"  {name:20} {version or 'missing':12} {there.get(name) or 'missing'}"
        for name, version in sorted(here.items())
        if there.get(name) != version
    ]
    head = f"{worker} is refused: {host} has other versions"
    return "\n".join([head, f"  {'':20} {'here':12} {host}", *rows]) if rows else ""


def launch(config: pytest.Config) -> Launcher:
    """Prepare to start workers as ``--sweep-on`` says, and let xdist distribute to them.

    Raises:
        pytest.UsageError: It cannot be done, or not together with other options.
    """
    given: list[str] = config.option.sweep_on
    beside = {"--pdb": config.option.usepdb, "-n 0": config.option.numprocesses == 0}
    for option in (option for option, is_set in beside.items() if is_set):
        raise pytest.UsageError(f"--sweep-on={given[0]}: cannot be combined with {option}")
    try:
        launcher = _launcher(given)
    except ValueError as error:
        raise pytest.UsageError(f"--sweep-on={given[0]}: {error}") from None
    count = config.option.numprocesses or launcher.fitting()
    # Of xdist's kinds this one takes arguments as they are, and copies nothing.
    config.option.tx = ["popen"] * count
    if config.option.dist == "no":
        config.option.dist = "load"
    return launcher


def _launcher(given: list[str]) -> Launcher:
    engine, _, address = given[0].partition(":")
    if engine != "ray":
        return CommandLauncher(given)
    if len(given) > 1:
        raise ValueError("expected no other --sweep-on beside it")
    try:
        return RayLauncher(address)
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}; install pytest-hypersearch[ray]") from None


def shipped_names(config: pytest.Config) -> list[str]:
    """Return the names of variables that ``--sweep-env`` and the configuration file give."""
    given = [*setting(config, "sweep_env"), *(config.option.sweep_env or [])]
    return [name.strip() for text in given for name in text.split(",") if name.strip()]
