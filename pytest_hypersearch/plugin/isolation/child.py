"""The trial's own process: pytest with the parent's command line, for the trial's item alone."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import warnings
from collections.abc import Generator
from multiprocessing.connection import Connection
from threading import Thread
from time import sleep
from typing import Any

import pytest

from pytest_hypersearch.plugin.isolation import Line, Spec
from pytest_hypersearch.plugin.xdist.workers import CHANNEL

# What concerns a whole session is done by the parent's.
OPTIONS: dict[str, object] = {
    "cacheclear": False,
    "dist": "no",
    "failedfirst": False,
    "lf": False,
    "log_file": os.devnull,
    "looponfail": False,
    "maxfail": 0,
    "maxprocesses": None,
    "newfirst": False,
    "numprocesses": None,
    "pyargs": False,
    "stepwise": False,
    "stepwise_skip": False,
    "trace": False,
    "tx": [],
    "usepdb": False,
}
REPEATERS = "rerunfailures", "pytest-retry"
"""Plugins of which the parent's runs the whole item again, in a new process."""

PR_SET_PDEATHSIG = 1
STANDARD_FILES = 1, 2
POLL_SECONDS = 1.0


def main(fd: int, parent: int) -> None:
    """Run one trial; the line to the parent is open as a file descriptor."""
    os.set_inheritable(fd, False)
    _die_with(parent)
    line = Line(Connection(fd))
    spec = Spec(**line.receive()[1])
    pytest.main(spec.args, plugins=[OneItem(spec, line)])


class OneItem:
    """Hooks that run the trial's item and send what comes of it."""

    def __init__(self, spec: Spec, line: Line) -> None:
        self._spec = spec
        self._line = line
        self._config: pytest.Config
        self._in_trouble = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, object, object]:
        """Turn a session's command line into that of one item, on a worker."""
        for name, value in OPTIONS.items():
            if hasattr(config.option, name):
                setattr(config.option, name, value)
        self._config = config
        config.option.basetemp = self._spec.basetemp or None
        config.args = [self._spec.path]
        channel = {CHANNEL: _Channel(self._line)}
        config.workerinput = self._spec.workerinput | channel  # type: ignore[attr-defined]
        config.workeroutput = {}  # type: ignore[attr-defined]
        for name in REPEATERS:
            config.pluginmanager.unregister(name=name)
        return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Let the terminal reporter write nowhere; other plugins need it to be there."""
        terminal = config.pluginmanager.get_plugin("terminalreporter")
        writer = getattr(terminal, "_tw", None)
        if writer is not None:
            nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  for the process's life
            writer._file = nowhere  # noqa: SLF001  no public way

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        """Keep the item, which was selected by the parent, whatever deselects it here."""
        wanted = [item for item in items if item.nodeid == self._spec.nodeid]
        result = yield
        items[:] = wanted
        return result

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Say what keeps the test from being collected."""
        if report.failed:
            self._tell_trouble(f"in its own process: {report.longreprtext}")

    def pytest_internalerror(self, excrepr: object) -> None:
        """Say what went wrong in pytest."""
        self._tell_trouble(f"in its own process: {excrepr}")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Say that the test ended the session."""
        self._line.send("exit", str(excinfo.value) or excinfo.typename)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the item as any other."""
        for item in session.items:
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            self._line.send("finished")
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Send where output goes: what was not reported before a death is still there."""
        if self._config.option.capture == "fd":
            self._line.send_files("capture", *STANDARD_FILES)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """An item that is not there leaves no report."""
        if not session.items:
            self._tell_trouble(f"not collected in its own process (exit code {int(exitstatus)})")

    def _tell_trouble(self, text: str) -> None:
        """The first trouble counts; others come of it."""
        if not self._in_trouble:
            self._line.send("trouble", text)
        self._in_trouble = True

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Send a report."""
        config = self._config
        data = config.hook.pytest_report_to_serializable(config=config, report=report)
        self._line.send("report", data)

    def pytest_warning_recorded(
        self,
        warning_message: warnings.WarningMessage,
        when: str,
        nodeid: str,
        location: tuple[str, int, str] | None,
    ) -> None:
        """Send a warning of the test; the parent has seen those of its collection."""
        if when == "runtest":
            from xdist.remote import serialize_warning_message

            message = serialize_warning_message(warning_message)
            data = {"warning_message": message, "nodeid": nodeid, "location": location}
            self._line.send("warning", data)


class _Channel:
    """The owner's end as a worker of xdist has it."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def send(self, text: str) -> None:
        self._line.send("message", text)

    def receive(self) -> Any:  # noqa: ANN401  JSON
        return self._line.receive()[1]


def _die_with(parent: int) -> None:
    """Make sure that this process does not outlive its parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        sleep(POLL_SECONDS)
    os._exit(1)
