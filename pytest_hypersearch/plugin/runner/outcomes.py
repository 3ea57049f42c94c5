"""How a trial ended: found from what its test returned or raised, and told to the owner."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from _pytest._code.code import ReprEntry, TerminalRepr

from pytest_hypersearch.core.secrets import Secrets
from pytest_hypersearch.core.trial import State, TrialRecord, judge
from pytest_hypersearch.core.values import encodable, error_text
from pytest_hypersearch.engine.messages import Finish, Refused, Skip, Tell
from pytest_hypersearch.engine.records import Outcome
from pytest_hypersearch.plugin.collect import MARK
from pytest_hypersearch.plugin.runner.reports import TrialPruned, TrialSkipped, parts_of, skip_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from pytest_hypersearch.engine.link import Link
    from pytest_hypersearch.engine.messages import AnswerT
    from pytest_hypersearch.plugin.runner.item import CurrentItem

    Mask: TypeAlias = Callable[[str], str]


LONGEST_ERROR = 4000


class OutcomeReporter:
    """Tells the owner of trials' ends, and keeps what is to be shown beside their items.

    Args:
        link: To the owner.
        shows_all: Whether complete trials are shown with what they came to.
    """

    def __init__(self, link: Link, *, shows_all: bool) -> None:
        self._link = link
        self._shows_all = shows_all

    def not_run(self, current: CurrentItem, reason: str, state: State = State.NOT_RUN) -> None:
        """End the item of a trial that the owner does not hand out."""
        current.record = self._record(current, state, reason=reason)
        raise TrialSkipped(reason)

    def returned(self, current: CurrentItem, duration: float) -> None:
        """Tell of a test that did not raise; without a usable score it fails or is skipped."""
        assert current.trial is not None  # noqa: S101
        sweep = current.slot.sweep
        verdict = judge(current.returned, current.trial.last, *sweep.metrics)
        reason = current.trial.secrets.masked(verdict.reason)
        if current.subtest_failed:
            self._tell(current, State.FAILED, duration, reason="a subtest failed", failed=True)
            return
        self._tell(
            current,
            verdict.state,
            duration,
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
        """Tell of a test that raised; what its mark tolerates is no failure."""
        assert current.trial is not None  # noqa: S101
        skip, metrics = skip_of(error), current.trial.last
        reason = describe(error, current.trial.secrets)
        if isinstance(skip, TrialPruned):
            self._pruned(current, skip, duration)
        elif skip is not None:
            reason = current.trial.secrets.masked(f"skipped: {skip.msg}")
            self._tell(current, State.NOT_RUN, duration, reason=reason)
        elif isinstance(error, current.slot.sweep.raises):
            self._tell(current, State.FAILED, duration, metrics=metrics, reason=reason)
            raise TrialSkipped(reason) from error
        else:
            state = State.TIMED_OUT if is_timeout(error) else State.FAILED
            text = _traceback(current.item, error)
            self._tell(
                current, state, duration, metrics=metrics, reason=reason, error=text, failed=True
            )
        if skip is not None and skip is not error:
            raise skip from error

    def _pruned(self, current: CurrentItem, error: TrialPruned, duration: float) -> None:
        assert current.trial is not None  # noqa: S101
        score, metrics = current.trial.score, current.trial.last
        reason = describe(error, current.trial.secrets)
        self._tell(current, State.PRUNED, duration, score=score, metrics=metrics, reason=reason)

    def setup_raised(
        self, current: CurrentItem | None, item: pytest.Item, error: BaseException, text: str
    ) -> None:
        """A fixture failed or skipped, or a mark kept the item from asking for its trial."""
        if isinstance(error, (KeyboardInterrupt, pytest.exit.Exception)):
            return
        mark = item.get_closest_marker(MARK)
        if mark is None:
            return
        skipped = isinstance(error, pytest.skip.Exception)
        said = describe(error, Secrets(mark.args[0].sweep.secrets()))
        reason = f"skipped: {said}" if skipped else f"in setup: {said}"
        if current is None or current.item is not item:
            self._link.call(Skip(item.nodeid, reason))
        elif current.trial is not None:
            timed_out = State.TIMED_OUT if is_timeout(error) else State.FAILED
            state = State.NOT_RUN if skipped else timed_out
            shown = "" if skipped else text
            with contextlib.suppress(pytest.fail.Exception):
                if isinstance(error, TrialPruned):
                    self._pruned(current, error, 0.0)
                else:
                    self._tell(current, state, 0.0, reason=reason, error=shown, failed=not skipped)

    def over(self, current: CurrentItem, nextitem: pytest.Item | None, *, saved: bool) -> None:
        """Tell that the item is torn down, unless the next one's trial will tell it at once."""
        if current.trial is None or not current.told:
            return
        # The owner learns of the others when this process asks for its next trial.
        follows = nextitem is not None and nextitem.get_closest_marker(MARK) is not None
        if current.trial.saved or not follows:
            self._link.call(Finish(saved))

    def _tell(
        self,
        current: CurrentItem,
        state: State,
        duration: float,
        *,
        score: float | None = None,
        metrics: dict[str, float] | None = None,
        reason: str = "",
        error: str = "",
        failed: bool = False,
    ) -> None:
        assert current.trial is not None  # noqa: S101
        assert current.assignment is not None  # noqa: S101
        current.trial.end()
        secrets = current.trial.secrets
        outcome = Outcome(
            state,
            score,
            metrics or {},
            duration,
            reason=reason,
            error=secrets.masked(error)[-LONGEST_ERROR:],
            logged=current.trial.logged,
            steps=current.trial.steps,
            failed=failed,
            peak_memory=current.usage.peak_memory if current.usage else None,
            cpu_time=current.usage.cpu_time if current.usage else None,
        )
        reply = self._link.call(Tell(current.item.nodeid, current.assignment.attempt, outcome))
        current.told = True
        if self._shows_all or state is not State.COMPLETE:
            current.record = self._record(current, state, score=score, reason=reason)
        current.best = accepted(current.item, reply).best

    def _record(
        self, current: CurrentItem, state: State, *, score: float | None = None, reason: str = ""
    ) -> TrialRecord:
        """The trial as this process knows it, to be shown beside its item."""
        assignment = current.assignment
        return TrialRecord(
            nodeid=current.item.nodeid,
            sweep=current.slot.sweep.name,
            number=current.slot.number,
            replicate=current.slot.replicate,
            params=assignment.params if assignment else {},
            state=state,
            score=score,
            seed=assignment.seed if assignment else 0,
            reason=reason,
        )


def accepted(item: pytest.Item, reply: AnswerT | Refused) -> AnswerT:
    """Return a reply; fail the test where the owner could not do what it was asked."""
    __tracebackhide__ = True
    if not isinstance(reply, Refused):
        return reply
    if reply.ends_session:
        item.session.shouldstop = reply.reason
    pytest.fail(reply.reason, pytrace=False)


def describe(error: BaseException, secrets: Secrets) -> str:
    """One line on an exception, without secrets."""
    first = secrets.masked(encodable(error_text(error)).strip()).split("\n")[0]
    name = type(error).__name__
    if isinstance(error, pytest.skip.Exception | pytest.fail.Exception):
        return first or name
    return f"{name}: {first}"[:200] if first else name


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
        return type(value)(_hidden(one, mask, of_line) for one in value)
    if isinstance(value, TerminalRepr):
        for name, one in vars(value).items():
            traceback = name == "lines" and isinstance(value, ReprEntry)
            setattr(value, name, _hidden(one, of_line if traceback else mask, of_line))
    return value


def is_timeout(error: BaseException) -> bool:
    """Whether pytest-timeout ended the test."""
    return any(
        isinstance(part, pytest.fail.Exception) and "pytest-timeout" in str(part)
        for part in parts_of(error)
    )
