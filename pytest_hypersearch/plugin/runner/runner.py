"""The runner: in every process that runs tests, from collected items to told outcomes."""

from __future__ import annotations

import gc
import os
import platform
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest

from pytest_hypersearch.core.packages import imported_packages, version_of
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.values import monotonic, writable
from pytest_hypersearch.engine import messages
from pytest_hypersearch.engine.link import Link
from pytest_hypersearch.engine.resources.machine import Meter, confined
from pytest_hypersearch.plugin.collect import Slot, slot_of
from pytest_hypersearch.plugin.fixtures import Sweeps, Trial
from pytest_hypersearch.plugin.isolation import is_isolated
from pytest_hypersearch.plugin.junit import note_properties, wants_junit
from pytest_hypersearch.plugin.plan import Plan
from pytest_hypersearch.plugin.runner.assignments import Assignments
from pytest_hypersearch.plugin.runner.item import (
    CurrentItem,
    Timers,
    end_as,
    identify,
    recording_return,
    replace_test,
    restore_test,
    set_arguments,
    set_callspec_params,
)
from pytest_hypersearch.plugin.runner.outcomes import OutcomeReporter, accepted, hide
from pytest_hypersearch.plugin.statuses import OriginNotes, attach
from pytest_hypersearch.store.curves import Packed

if TYPE_CHECKING:
    from pytest_hypersearch.plugin.isolation.parent import Child
    from pytest_hypersearch.plugin.remote.files import NodeFiles


class Runner:
    """Hooks of a process that runs tests; the owner is reached over the link."""

    def __init__(self, config: pytest.Config, link: Link, files: NodeFiles | None = None) -> None:
        self.link = link
        self.plan = Plan({})
        self.elsewhere: Sequence[str] = ()
        self._spaces: dict[tuple[str, str], Space] = {}
        self._packages: dict[str, str] = {}
        self.current: CurrentItem | None = None
        self._files = files
        self._recorded: tuple[Callable[..., Any], Callable[..., Any]] | None = None
        self._rootpath = config.rootpath
        self._verbosity = config.get_verbosity()
        self._shows_setup = config.getoption("setupshow", default=False)
        self.child_reports = ChildReports(self)
        self._origins = OriginNotes(self._verbosity)
        self._manager = config.pluginmanager
        self._junit = wants_junit(config)
        self.assignments = Assignments(link)
        shows_all = self._junit or self._verbosity > 0
        self._outcomes = OutcomeReporter(link, self.assignments, shows_all=shows_all)
        self._alone = is_isolated(config)
        self.timers = Timers(config.pluginmanager, alone=self._alone)
        self._meter = Meter(alone=self._alone)
        config.add_cleanup(self._meter.close)

    @property
    def sweeps(self) -> Sweeps:
        """What the fixture of this name gives."""
        if not self._manager.is_registered(self._origins):
            self._manager.register(self._origins, "hypersearch_origins")
        return Sweeps(self.link, self._spaces, self._origins.note, self.elsewhere, self._files)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Keep the spaces of studies whose stored results may be asked for."""
        self._spaces.update(Plan.of(items).spaces)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell the owner what is going to run."""
        if session.config.option.collectonly:
            return
        self.plan = Plan.of(session.items, self._rootpath)
        self._spaces.update(self.plan.spaces)
        sweeps = [sweep for trials in self.plan.studies.values() for sweep in trials[0][1].sweeps]
        if not any(sweep.isolate for sweep in sweeps):
            self._manager.unregister(self.child_reports)  # every report would pay for it
        if not self.plan.studies:
            gc.unfreeze()
            return
        gc.freeze()  # thousands of items: walks through them take a third of short trials' time
        if self.link.call(messages.Hello(self.plan.digest)) != messages.Known(known=True):
            self._tell_packages()
            reply = self.link.call(self.plan.message())
            if isinstance(reply, messages.Refused):
                raise pytest.UsageError(reply.reason)
        if self._files is not None:
            self._compare_packages()

    def _compare_packages(self) -> None:
        """Tell the owner which packages this node has in other versions."""
        needed = self.link.call(messages.Requirements())
        if isinstance(needed, messages.PackageVersions):
            own = {name: version_of(name) for name in needed.versions}
            if other := dict(own.items() - needed.versions.items()):
                self.link.call(messages.OtherVersions(other))

    def pytest_sessionfinish(self) -> None:
        """Tell the owner what was imported, within tests too."""
        if self.plan.studies:
            self._tell_packages()

    def _tell_packages(self) -> None:
        new = imported_packages(self._packages)
        self._packages |= new
        if new:
            node = platform.node() if self._files is not None else ""
            self.link.send(messages.Packages(new, node))

    # Not tryfirst: a skip mark is evaluated before, and then no trial is asked for; pytest's own
    # setup, in which fixtures start, comes after this.
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Ask for the item's trial: run it, replay it, or leave it."""
        self.current = None
        slot = slot_of(item)
        if slot is None:
            return
        item = cast("pytest.Function", item)
        self.current = current = CurrentItem(item, slot)
        restore_test(item)
        identify(item, slot)
        self._begin(current)

    def _begin(self, current: CurrentItem) -> None:
        item = current.item
        reply = self.assignments.of(item)
        self.timers.start(item)
        match reply:
            case messages.RunTrial():
                self._run(current, reply)
            case messages.ReplayTrial():
                current.record = reply.record
                set_callspec_params(item, current.slot, reply.record.params)
                replace_test(item, partial(end_as, reply.record))
            case messages.SkipTrial():
                self._outcomes.not_run(current, reply.reason, reply.state)
            case messages.Refused(ends_session=True):
                item.session.shouldstop = reply.reason
                self._outcomes.not_run(current, reply.reason)
            case messages.Refused():
                pytest.fail(reply.reason, pytrace=False)

    def _run(self, current: CurrentItem, assignment: messages.RunTrial) -> None:
        current.assignment = assignment
        set_callspec_params(current.item, current.slot, assignment.params)
        if current.slot.sweep.isolate and not self._alone:
            self._run_apart(current, assignment)
            return
        if assignment.share:
            current.confinement = ExitStack()
            current.confinement.enter_context(confined(assignment.share))
        current.trial = self._trial(current, assignment)
        if not self._shows_setup:
            set_arguments(current.item, current.slot, current.trial)

    def _run_apart(self, current: CurrentItem, assignment: messages.RunTrial) -> None:
        """Run the trial in a process of its own; this item only shows its reports."""
        from pytest_hypersearch.plugin.isolation.parent import Child, retried

        child = Child(current.item, self.link, assignment)
        child.run()
        if child.exit:
            pytest.exit(child.exit)
        if child.trouble:
            current.trial = self._trial(current, assignment)
            pytest.fail(child.trouble, pytrace=False)
        if child.death and self._crashed(current, child):
            current.unlogged.append(retried(current.item, child))
            self._begin(current)
            return
        current.unlogged += child.others
        current.child = child
        if child.outcome is not None:
            current.outcome, current.told = child.outcome, True
            if child.death and "call" not in child.reports:
                current.note = child.death
                self._outcomes.show(current, child.outcome)
        replace_test(current.item, partial(_show_call, child))

    def _crashed(self, current: CurrentItem, child: Child) -> bool:
        """Tell that the trial's process died; whether it is due again."""
        reply = self.link.call(messages.Crash(current.item.nodeid, child.death, child.seconds))
        return not isinstance(reply, messages.Refused) and reply.again

    def _trial(self, current: CurrentItem, assignment: messages.RunTrial) -> Trial:
        item, attempt = current.item.nodeid, assignment.attempt

        def send(series: dict[str, Packed]) -> None:
            self.link.send(messages.Report(item, attempt, series))

        def review(series: dict[str, Packed]) -> str:
            __tracebackhide__ = True
            return accepted(
                current.item, self.link.call(messages.Review(item, attempt, series))
            ).reason

        pruned = current.slot.sweep.prune is not None
        directory = self._files.directory if self._files else Path
        return Trial(
            current.slot,
            assignment,
            send=send,
            review=review if pruned else None,
            directory=directory,
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> None:
        """Give a parameter, or a fixture that is parametrized by it, the trial's value."""
        if type(getattr(request, "param", None)) is Slot and self.current and self.current.trial:
            request.param = self.current.trial.params.get(fixturedef.argname)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Function) -> Generator[None, object, object]:
        """Take the test's return value, and note how the trial ended."""
        current = self.current
        if current is None or current.trial is None:
            return (yield)
        # Here and not in pytest_pyfunc_call, where pytest-asyncio has replaced the function already
        # (and a wrapper that lets the value through makes pytest warn: pytest-memray#60).
        function = item.obj
        if self._recorded is None or self._recorded[0] is not function:
            self._recorded = function, recording_return(function, self._record_value)
        item.obj = self._recorded[1]
        current.in_call = True
        self._meter.start()
        start = monotonic()
        try:
            result = yield
        except (KeyboardInterrupt, pytest.exit.Exception):
            current.trial.flush()
            raise
        except BaseException as error:
            self._stop(current)
            self._outcomes.raised(current, error, monotonic() - start)
            raise
        else:
            self._stop(current)
            self._outcomes.returned(current, monotonic() - start)
        finally:
            current.in_call = False
            item.obj = function
        return result

    def _record_value(self, value: object) -> None:
        if self.current is not None:
            self.current.returned = value

    def _stop(self, current: CurrentItem) -> None:
        """Stop the clocks of a trial that has ended."""
        self.timers.stop(current.item)
        current.usage = self._meter.stop()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Tell that what the trial saved is whole now, and its share free."""
        current = self.current
        if current is None or current.item is not item:
            return (yield)
        if current.child:
            result = yield
            reports = current.child.reports
            if current.child.death and "call" in reports and "teardown" not in reports:
                current.child.fail()  # the process died in its teardown
            return result
        whole = False
        self.timers.start(item)
        try:
            with current.confinement:
                result = yield
            whole = current.trial is not None and current.trial.saved
        finally:
            self.timers.stop(item)
            if whole and self._files is not None:
                whole = self._deliver(current, self._files)
            self._outcomes.finish(current, nextitem, saved=whole)
        return result

    def _deliver(self, current: CurrentItem, files: NodeFiles) -> bool:
        """Bring home what the trial saved since its end on this node; whether all went well."""
        if current.assignment is None:
            return False
        if trouble := files.deliver(current.assignment.path):
            item = current.item
            item.warn(pytest.PytestWarning(f"{item.nodeid}: trial.path is not kept: {trouble}"))
        else:
            files.remove(current.assignment.path)
        return not trouble

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Have the last word on reports: by now all other plugins and conftests are registered."""
        session.config.pluginmanager.register(FinalReports(self), "hypersearch_reports")

    def report_made(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> None:
        """Tell how the item's trial ended, if this is the report that says so, and show it."""
        if report.user_properties:
            # JUnit XML, or the way to the controlling process, would end the session.
            told = [(name, writable(value)) for name, value in report.user_properties]
            report.user_properties = told
        error = call.excinfo.value if call.excinfo else None
        current = self.current if self.current and self.current.item is item else None
        shows = report.longrepr is not None or report.sections
        if shows and current and current.trial:
            hide(report, current.trial.secrets)
        if current and current.trial and self.link.is_fork():
            _end_fork(report)
        if current and current.in_call:
            # pytest reports subtests in mid-test, and the test itself passes.
            current.subtest_failed |= report.failed
            return
        if call.when == "setup" and not report.passed:
            self.timers.stop(item)
            self._outcomes.setup_ended(current, item, error, report)
        elif call.when == "call" and current and current.trial:
            if self._files is not None and current.trial.saved and current.assignment:
                # The trial is not over without: if this worker dies meanwhile, it runs again.
                self._files.deliver(current.assignment.path)
            self._outcomes.call_ended(current, error, report)
        if current and current.record and call.when != "teardown":
            attach(
                report,
                current.record,
                best=current.best,
                note=current.note,
                verbosity=self._verbosity,
            )
            if self._junit:
                note_properties(item, current.record)

    def report_logged(self, report: pytest.TestReport) -> None:
        """Tell the owner of an item that fails although its trial did not."""
        current = self.current
        if report.failed and current and report.nodeid == current.item.nodeid:
            self._outcomes.item_failed(current, report)


def _end_fork(report: pytest.TestReport) -> NoReturn:
    """End a process that would go on with a copy of the session, which has no owner."""
    problem = "a process that the test forked left the test; expected os._exit() at its end"
    error = f"{report.longreprtext}\n" if report.failed else ""
    sys.stderr.write(f"{error}pytest-hypersearch: {report.nodeid}: {problem}\n")
    sys.stderr.flush()
    os._exit(1)


class ChildReports:
    """Hooks that take the reports of isolated trials from their own processes."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Replace the report of an item that only stands for its trial."""
        report = yield
        current = self._runner.current
        if current is None or current.item is not item or current.child is None:
            return report
        # Not while the trial ran: what the terminal writes then is captured as the item's output.
        while current.unlogged:
            current.item.ihook.pytest_runtest_logreport(report=current.unlogged.pop(0))
        return current.child.reports.get(call.when, report)


def _show_call(child: Child) -> None:
    """Stand in for the call of an isolated trial, whose report comes from its process."""
    if "call" in child.reports:
        return
    if child.outcome is None or child.outcome.failed:
        child.fail()
    end_as(child.outcome)


class FinalReports:
    """Hooks after those of all other plugins: what they leave of a report is final."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """See the report of a phase."""
        report = yield
        self._runner.report_made(item, call, report)
        return report

    # No wrapper: what one does to a report after this, pytest itself has not counted either.
    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """See what became of the report."""
        self._runner.report_logged(report)
