"""The item's side of a trial's own process: start it, serve it, and collect its reports."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from dataclasses import asdict, replace
from itertools import count
from multiprocessing.connection import Connection
from time import sleep
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest

from pytest_hypersearch.core.sweep import Share
from pytest_hypersearch.core.trial import Outcome
from pytest_hypersearch.core.values import monotonic
from pytest_hypersearch.engine import messages
from pytest_hypersearch.engine.link import Link
from pytest_hypersearch.engine.resources.machine import environment
from pytest_hypersearch.plugin import EARLY_IMPORT
from pytest_hypersearch.plugin.isolation import ISOLATED, Line, Spec, blocking
from pytest_hypersearch.plugin.statuses import set_status
from pytest_hypersearch.plugin.xdist.workers import CHANNEL

START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from pytest_hypersearch.plugin.isolation.child import main; main(*map(int, sys.argv[2:]))"
)

POLL_SECONDS = 0.5
EXIT_SECONDS = 10.0

_numbers = count()


class Child:
    """The process of one trial, from its start to its end.

    Attributes:
        reports: The child's reports of the item, by phase.
        others: Further reports of the child's, such as those of subtests.
        outcome: How the trial ended, None if the child did not tell.
        death: How the process died, empty if it did not.
        output: What it put out in the phase in which it died: phase, stream, text.
        seconds: How long the trial ran until then, without the start of the process.
        trouble: What kept the trial from being run, empty if nothing.
        exit: Why the test has ended the session, empty if it did not.
    """

    def __init__(self, item: pytest.Function, link: Link, assignment: messages.RunTrial) -> None:
        self.reports: dict[str, pytest.TestReport] = {}
        self.others: list[Any] = []
        self.outcome: Outcome | None = None
        self.death = ""
        self.output: list[tuple[str, str, str]] = []
        self.seconds = 0.0
        self._item = item
        self._link = link
        self._assignment: messages.RunTrial | None = replace(assignment, share=None)
        self._share = assignment.share or Share()
        self.trouble = ""
        self.exit = ""
        self._asked = self._finished = 0.0
        self._finish: messages.Finish | None = None
        self._captured: list[int] = []

    def run(self) -> None:
        """Run the trial; whatever ends this ends the process as well."""
        ours, theirs = map(blocking, socket.socketpair())
        with theirs:
            process = self._start(theirs.fileno())
        patience = 0.0
        try:
            with Connection(ours.detach()) as connection:
                line = Line(connection)
                with contextlib.suppress(EOFError, OSError):
                    line.send("spec", asdict(self._spec()))
                    self._serve(line, process)
            patience = EXIT_SECONDS
        finally:
            code = _end(process, patience)
            output = [*map(_taken, self._captured)]
        if not (self._finished or self.trouble or self.exit):
            self._die(code, output)
        elif self._finish is not None:
            self._link.call(self._finish)

    def _die(self, code: int, output: list[str]) -> None:
        self.death = f"its process died: {_cause(code)}"
        self.seconds = monotonic() - self._asked if self._asked else 0.0
        phase = ("setup", "call", "teardown")[min(len(self.reports), 2)]
        said = zip(("stdout", "stderr"), output, strict=False)
        self.output = [(phase, name, text) for name, text in said if text]

    def fail(self) -> NoReturn:
        """Fail the item: say how the process died."""
        for section in self.output:
            self._item.add_report_section(*section)
        pytest.fail(self.death, pytrace=False)

    def _start(self, fd: int) -> subprocess.Popen[bytes]:
        config = self._item.config
        command = [sys.executable, "-c", START, json.dumps(sys.path), str(fd), str(os.getpid())]
        return subprocess.Popen(  # noqa: S603  our own command
            command,
            pass_fds=[fd],
            cwd=config.invocation_params.dir,
            env=os.environ | environment(self._share),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _spec(self) -> Spec:
        config, item = self._item.config, self._item
        args = [*map(str, config.invocation_params.args)]
        options = args.index("--") if "--" in args else len(args)
        args[options:options] = ["-W", EARLY_IMPORT]
        if config.pluginmanager.has_plugin("pytest_cov"):
            args[options:options] = ["--no-cov"]  # it would write over the data of this process
        file = os.path.relpath(item.path, config.invocation_params.dir)
        temporary = getattr(config, "_tmp_path_factory", None)
        folder = temporary and temporary.getbasetemp() / f"is_isolated-{next(_numbers)}"
        return Spec(
            args=args,
            path=f"{file}::{item.nodeid.partition('::')[2]}",
            nodeid=item.nodeid,
            basetemp=str(folder or ""),
            workerinput={**_worker(config), ISOLATED: True},
        )

    def _serve(self, line: Line, process: subprocess.Popen[bytes]) -> None:
        while True:
            # Processes that the trial forked may keep the line open when it has died.
            while not line.connection.poll(POLL_SECONDS):
                late = self._finished and monotonic() > self._finished + EXIT_SECONDS
                if late or (_is_over(process) and not line.connection.poll(0)):
                    return
            self._take(line, *line.receive())

    def _take(self, line: Line, kind: str, body: Any) -> None:  # noqa: ANN401  what the child sends
        match kind:
            case "message":
                number, message = messages.decode_message(body)
                if isinstance(message, messages.Notice):
                    self._link.send(message)
                else:
                    line.send("reply", messages.encode(number, self._reply(message)))
            case "report":
                self._take_report(body)
            case "warning":
                self._take_warning(body)
            case "capture":
                self._captured = line.receive_files(2)
            case "trouble":
                self.trouble = body
            case "exit":
                self.exit = body
            case "finished":
                self._finished = monotonic()

    def _reply(self, request: messages.AnyRequest | messages.Transfer) -> messages.Reply:
        match request:
            case messages.Hello():
                return messages.Known(known=True)
            case messages.Ask() if self._assignment is not None:
                assignment, self._assignment = self._assignment, None
                self._asked = monotonic()
                return assignment
            case messages.Tell():
                self.outcome = request.outcome
            case messages.Finish():
                # Not before the process has ended, which may hold a share of a GPU until then.
                self._finish = request
                return messages.Done()
        return self._link.call(cast("messages.Request[messages.Answer]", request))

    def _take_report(self, data: dict[str, Any]) -> None:
        config = self._item.config
        report = config.hook.pytest_report_from_serializable(config=config, data=data)
        if type(report) is pytest.TestReport:
            self.reports[report.when or ""] = report
        else:
            self.others.append(report)

    def _take_warning(self, data: dict[str, Any]) -> None:
        from xdist.workermanage import unserialize_warning_message

        message = unserialize_warning_message(data.pop("warning_message"))
        self._item.ihook.pytest_warning_recorded.call_historic(
            kwargs={"warning_message": message, "when": "runtest", **data}
        )


def retried(item: pytest.Item, child: Child) -> pytest.TestReport:
    """The report of a trial that is run again because its process died."""
    report = pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords=dict.fromkeys(item.keywords, 1),
        outcome="rerun",  # type: ignore[arg-type]  # as pytest-xdist's users know it
        longrepr=child.death,
        when="call",
        sections=[(f"Captured {name} {phase}", text) for phase, name, text in child.output],
    )
    set_status(report, "retried", "R", "RETRIED", "yellow")
    return report


def _worker(config: pytest.Config) -> dict[str, Any]:
    """Return the ``workerinput`` of pytest-xdist's workers, which other plugins read."""
    if (given := getattr(config, "workerinput", None)) is not None:
        return {name: value for name, value in given.items() if name != CHANNEL}
    told: dict[str, Any] = {
        "workerid": "master",
        "workercount": 1,
        "testrunuid": uuid.uuid4().hex,
        "mainargv": sys.argv,
    }
    gateway = SimpleNamespace(id=told["workerid"])
    node = SimpleNamespace(config=config, gateway=gateway, workerinput=told)
    plugins = config.pluginmanager.get_plugins()
    for plugin in plugins:
        # Those that know only real sessions of xdist, such as pytest-cov, have nothing to tell.
        with contextlib.suppress(Exception):
            hook = config.pluginmanager.subset_hook_caller(
                "pytest_configure_node", plugins - {plugin}
            )
            hook(node=node)
    return told


def _is_over(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process has ended; it is not reaped, so that its number stays its own."""
    options = os.WEXITED | os.WNOWAIT | os.WNOHANG
    return os.waitid(os.P_PID, process.pid, options) is not None


def _end(process: subprocess.Popen[bytes], patience: float) -> int:
    """Wait for the end of a process, then end it and whatever it has left running."""
    end = monotonic() + patience
    while monotonic() < end and not _is_over(process):
        sleep(0.005)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def _taken(file: int) -> str:
    """Read a file to its end, and close it."""
    try:
        return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")
    finally:
        os.close(file)


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
