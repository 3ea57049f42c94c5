"""The outcome of a trial: what its test returned or raised, as far as the item's reports agree.

Other plugins have a say in how an item ends: a soft check, a time limit or a comparison of figures
may turn a report into a failure or a skip when the test is over. So the outcome goes to
the owner when the report of the call is final, before pytest shows it. If the item fails after
that, such as in its teardown, the owner gets a second message.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
from _pytest._code.code import ReprEntry, TerminalRepr

from pytest_hypersearch.core.secrets import Secrets
from pytest_hypersearch.core.trial import Outcome, State, TrialRecord, judge
from pytest_hypersearch.core.values import encodable, error_text
from pytest_hypersearch.engine import messages
from pytest_hypersearch.engine.link import Link
from pytest_hypersearch.plugin.collect import slot_of
from pytest_hypersearch.plugin.runner.assignments import Assignments
from pytest_hypersearch.plugin.runner.item import CurrentItem
from pytest_hypersearch.plugin.runner.reports import TrialPruned, TrialSkipped, parts_of, skip_of

Mask: TypeAlias = Callable[[str], str]


LONGEST_ERROR = 4000
LONGEST_LINE = 200

_INTERRUPTIONS = KeyboardInterrupt, pytest.exit.Exception


class OutcomeReporter:
    """Tells the owner of trials' ends, and keeps what is to be shown beside their items."""

    def __init__(self, link: Link, assignments: Assignments, *, shows_all: bool) -> None:
        self._link = link
        self._assignments = assignments
        self._shows_all = shows_all

    def not_run(self, current: CurrentItem, reason: str, state: State = State.NOT_RUN) -> None:
        """End the item of a trial that the owner does not hand out."""
        current.record = self._record(current, Outcome(state, reason=reason))
        raise TrialSkipped(reason)

    def returned(self, current: CurrentItem, duration: float) -> None:
        """Take the end of a test that did not raise; without a usable score it fails or skips."""
        assert current.trial is not None  # noqa: S101
        current.trial.end()
        if current.subtest_failed:
            reason = "a subtest failed"
            self._end(current, State.FAILED, duration=duration, reason=reason, failed=True)
            return
        verdict = judge(current.returned, current.trial.last, *current.slot.sweep.metrics)
        reason = verdict.reason and current.trial.secrets.masked(verdict.reason)
        self._end(
            current,
            verdict.state,
            duration=duration,
            score=verdict.score,
            metrics=verdict.metrics,
            reason=reason,
            failed=verdict.failed,
        )
        if verdict.failed:
            pytest.fail(reason, pytrace=False)
        if verdict.state is State.INVALID:
            raise TrialSkipped(reason)

    def raised(self, current: CurrentItem, error: BaseException, duration: float) -> None:
        """Take the end of a test that raised; what its mark tolerates is no failure."""
        assert current.trial is not None  # noqa: S101
        current.trial.end()
        skip, secrets = skip_of(error), current.trial.secrets
        about: dict[str, Any] = {"duration": duration, "metrics": current.trial.last}
        reason = describe(error, secrets)
        if isinstance(skip, TrialPruned):
            self._pruned(current, skip, duration)
        elif skip is not None:
            reason = secrets.masked(f"skipped: {skip.msg}")
            self._end(current, State.NOT_RUN, duration=duration, reason=reason)
        elif isinstance(error, current.slot.sweep.raises):
            self._end(current, State.FAILED, reason=reason, **about)
            raise TrialSkipped(reason) from error
        else:
            state = State.TIMED_OUT if is_timeout(error) else State.FAILED
            text = _traceback(current.item, error)
            self._end(current, state, reason=reason, error=text, failed=True, **about)
        if skip is not None and skip is not error:
            raise skip from error

    def _pruned(self, current: CurrentItem, error: TrialPruned, duration: float) -> None:
        assert current.trial is not None  # noqa: S101
        self._end(
            current,
            State.PRUNED,
            duration=duration,
            score=current.trial.score,
            metrics=current.trial.last,
            reason=describe(error, current.trial.secrets),
        )

    def _end(
        self,
        current: CurrentItem,
        state: State,
        *,
        error: str = "",
        **values: Any,  # noqa: ANN401  further fields of `Outcome`
    ) -> None:
        """Note how the trial ended, which takes no more reports: the values are its last."""
        assert current.trial is not None  # noqa: S101
        current.outcome = Outcome(
            state,
            error=error and current.trial.secrets.masked(error)[-LONGEST_ERROR:],
            logged=current.trial.logged,
            steps=current.trial.steps,
            peak_memory=current.usage[0],
            cpu_time=current.usage[1],
            **values,
        )

    def setup_ended(
        self,
        current: CurrentItem | None,
        item: pytest.Item,
        error: BaseException | None,
        report: pytest.TestReport,
    ) -> None:
        """Tell the owner that an item's setup failed or skipped: its call does not follow."""
        slot = slot_of(item)
        if slot is None or isinstance(error, _INTERRUPTIONS):
            return
        secrets = Secrets(slot.sweep.secrets)
        said = describe(error, secrets) if error else secrets.masked(first_line(report))
        skipped = isinstance(error, pytest.skip.Exception) if error else report.skipped
        reason = f"skipped: {said}" if skipped else f"in setup: {said}"
        if current is None or current.item is not item:
            self._assignments.drop(item)  # a plugin may run the item again
            self._link.call(messages.Skip(item.nodeid, reason))
        elif current.trial is not None:
            current.trial.end()
            if isinstance(error, TrialPruned):
                self._pruned(current, error, 0.0)
            elif skipped:
                self._end(current, State.NOT_RUN, reason=reason)
            else:
                state = State.TIMED_OUT if error and is_timeout(error) else State.FAILED
                self._end(current, state, reason=reason, error=report.longreprtext, failed=True)
            self._tell(current, report)

    def call_ended(
        self, current: CurrentItem, error: BaseException | None, report: pytest.TestReport
    ) -> None:
        """Tell how the trial ended, now that the report of its call is final."""
        assert current.trial is not None  # noqa: S101
        if current.told or isinstance(error, _INTERRUPTIONS):
            return
        if current.outcome is None and not report.passed:
            # Another plugin has ended the call before the test.
            current.trial.end()
            self._end(current, State.COMPLETE)
        if current.outcome is not None:
            if not report.passed:
                secrets = current.trial.secrets
                current.outcome = _as_reported(current.outcome, error, report, secrets)
            self._tell(current, report)

    def _tell(self, current: CurrentItem, report: pytest.TestReport) -> None:
        """Tell the owner the outcome; if it cannot be recorded, the report says so."""
        assert current.outcome is not None  # noqa: S101
        assert current.assignment is not None  # noqa: S101
        outcome = current.outcome
        then = () if outcome.failed else self._assignments.following
        reply = self._link.call(
            messages.Tell(current.item.nodeid, current.assignment.attempt, outcome, then)
        )
        current.told = True
        self.show(current, outcome)
        if isinstance(reply, messages.Refused):
            report.outcome, report.longrepr = "failed", reply.reason
            if reply.ends_session:
                current.item.session.shouldstop = reply.reason
        else:
            current.best = reply.best
            if reply.ahead:
                self._assignments.take_ahead(reply.ahead)

    def show(self, current: CurrentItem, outcome: Outcome) -> None:
        """Note what is to be shown beside the item, if anything."""
        if self._shows_all or outcome.state is not State.COMPLETE:
            current.record = self._record(current, outcome)

    def item_failed(self, current: CurrentItem, report: pytest.TestReport) -> None:
        """Tell the owner that an item failed after its trial's outcome was sent."""
        outcome, assignment = current.outcome, current.assignment
        if not (current.told and outcome and assignment) or outcome.failed or current.failed_late:
            return
        current.failed_late = True
        secrets = Secrets(current.slot.sweep.secrets)
        said, in_teardown = secrets.masked(first_line(report)), report.when == "teardown"
        reason = f"in teardown: {said}" if in_teardown else said
        error = secrets.masked(report.longreprtext)[-LONGEST_ERROR:]
        item, attempt = current.item.nodeid, assignment.attempt
        self._link.call(messages.ItemFailed(item, attempt, reason, error, keeps_score=in_teardown))

    def finish(self, current: CurrentItem, nextitem: pytest.Item | None, *, saved: bool) -> None:
        """Tell that the item is torn down, unless the next one's trial will tell it at once."""
        if current.trial is None or not current.told:
            return
        # The owner learns of the others when this process asks for its next trial.
        follows = nextitem is not None and slot_of(nextitem) is not None
        if saved or current.trial.saved or not follows:
            self._link.call(messages.Finish(saved))

    def _record(self, current: CurrentItem, outcome: Outcome) -> TrialRecord:
        """The trial as this process knows it, to be shown beside its item."""
        assignment = current.assignment
        return TrialRecord(
            nodeid=current.item.nodeid,
            sweep=current.slot.sweep.name,
            number=current.slot.number,
            replicate=current.slot.replicate,
            params=assignment.params if assignment else {},
            state=outcome.state,
            score=outcome.score,
            seed=assignment.seed if assignment else 0,
            reason=outcome.reason,
        )


def _as_reported(
    outcome: Outcome, error: BaseException | None, report: pytest.TestReport, secrets: Secrets
) -> Outcome:
    """The outcome that agrees with the final report of the call, and with what ended the call."""
    # A plugin that fails the item of a test that was skipped has its own reason.
    if error is None or (report.failed and isinstance(error, pytest.skip.Exception)):
        said = secrets.masked(first_line(report))
    else:
        said = describe(error, secrets)
    if report.failed and not outcome.failed:
        text = secrets.masked(report.longreprtext)[-LONGEST_ERROR:]
        failed = replace(outcome, state=State.FAILED, reason=said, error=text, failed=True)
        return replace(failed, score=None)
    if report.skipped and outcome.state is State.COMPLETE:
        if hasattr(report, "wasxfail"):
            return replace(outcome, state=State.FAILED, score=None, reason=f"xfailed: {said}")
        return replace(outcome, state=State.NOT_RUN, score=None, reason=f"skipped: {said}")
    return outcome


def first_line(report: pytest.TestReport) -> str:
    """One line on why an item failed or was skipped."""
    if isinstance(report.longrepr, tuple):
        text = report.longrepr[2].removeprefix("Skipped: ")
    else:
        crash = getattr(report.longrepr, "reprcrash", None)
        text = crash.message if crash else report.longreprtext
    lines = encodable(text).strip().splitlines()
    return lines[0][:LONGEST_LINE] if lines else report.outcome


def accepted(item: pytest.Item, reply: messages.AnswerT | messages.Refused) -> messages.AnswerT:
    """Return a reply; fail the test where the owner could not do what it was asked."""
    __tracebackhide__ = True
    if not isinstance(reply, messages.Refused):
        return reply
    if reply.ends_session:
        item.session.shouldstop = reply.reason
    pytest.fail(reply.reason, pytrace=False)


def describe(error: BaseException, secrets: Secrets) -> str:
    """One line on an exception, without secrets."""
    lines = secrets.masked(encodable(error_text(error)).strip()).split("\n")
    # The first line of pydantic's errors only counts them.
    validation = type(error).__module__.startswith("pydantic") and len(lines) > 2  # noqa: PLR2004
    first = ": ".join(map(str.strip, lines[1:3])) if validation else lines[0]
    name = type(error).__name__
    if isinstance(error, pytest.skip.Exception | pytest.fail.Exception):
        return first or name
    return f"{name}: {first}"[:LONGEST_LINE] if first else name


def _traceback(item: pytest.Function, error: BaseException) -> str:
    """The traceback as pytest shows it; empty if pytest cannot."""
    with contextlib.suppress(Exception):
        return str(item.repr_failure(pytest.ExceptionInfo.from_exception(error)))
    return ""


def hide(report: pytest.TestReport, secrets: Secrets) -> None:
    """Mask secrets in what pytest shows of a trial: in source and output only those known.

    What cannot be encoded is escaped: it would end the session of a worker.
    """

    def shown(text: str) -> str:
        return encodable(secrets.masked(text))

    def printed(text: str) -> str:
        return encodable(secrets.known_masked(text))

    def of_line(line: str) -> str:
        return shown(line) if line.startswith("E ") else printed(line)

    # The text of a skip's tuple is its repr, in which surrogates are escaped.
    if isinstance(report.longrepr, tuple) or shown(text := report.longreprtext) != text:
        report.longrepr = _hidden(report.longrepr, shown, of_line)
    report.sections = _hidden(report.sections, printed, of_line)


def _hidden(value: Any, mask: Mask, of_line: Mask) -> Any:  # noqa: ANN401  a text, or what holds texts
    """A representation of pytest's with its texts masked, lines of a traceback by `of_line`."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_hidden(part, mask, of_line) for part in value)
    if isinstance(value, TerminalRepr):
        for name, part in vars(value).items():
            traceback = name == "lines" and isinstance(value, ReprEntry)
            setattr(value, name, _hidden(part, of_line if traceback else mask, of_line))
    return value


def is_timeout(error: BaseException) -> bool:
    """Whether pytest-timeout ended the test."""
    return any(
        isinstance(part, pytest.fail.Exception) and "pytest-timeout" in str(part)
        for part in parts_of(error)
    )
