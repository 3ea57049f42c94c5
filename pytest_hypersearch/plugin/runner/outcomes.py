"""How a trial ended: found from what its test returned or raised, and told to the owner."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from pytest_hypersearch.core.secrets import MASK, is_secret, masked
from pytest_hypersearch.core.space.choices import Choice
from pytest_hypersearch.core.trial import State, TrialRecord, judge
from pytest_hypersearch.core.values import encodable, error_text
from pytest_hypersearch.plugin.collect import MARK
from pytest_hypersearch.plugin.runner.reports import Ended, Pruned, parts_of, skip_of

if TYPE_CHECKING:
    from pytest_hypersearch.core.space import Space
    from pytest_hypersearch.engine.link import Link
    from pytest_hypersearch.engine.messages import Message
    from pytest_hypersearch.plugin.runner.item import Active


LONGEST_ERROR = 4000


class Teller:
    """Tells the owner of trials' ends, and keeps what is to be shown beside their items.

    Args:
        link: To the owner.
        shows_all: Whether complete trials are shown with what they came to.
    """

    def __init__(self, link: Link, *, shows_all: bool) -> None:
        self._link = link
        self._shows_all = shows_all

    def not_run(self, active: Active, reason: str, state: State = State.NOT_RUN) -> None:
        """End the item of a trial that the owner does not hand out."""
        active.record = self._record(active, state, reason=reason)
        raise Ended(reason)

    def returned(self, active: Active, duration: float) -> None:
        """Tell of a test that did not raise; without a usable score it fails or is skipped."""
        assert active.trial is not None  # noqa: S101
        sweep = active.slot.sweep
        verdict = judge(active.returned, active.trial.last, *sweep.metrics)
        if active.subtest_failed:
            self._tell(active, State.FAILED, duration, reason="a subtest failed", failed=True)
            return
        self._tell(
            active,
            verdict.state,
            duration,
            score=verdict.score,
            metrics=verdict.metrics,
            reason=verdict.reason,
            failed=verdict.failed,
        )
        if verdict.failed:
            pytest.fail(verdict.reason, pytrace=False)
        if verdict.state is State.INVALID:
            raise Ended(verdict.reason)

    def raised(self, active: Active, error: BaseException, duration: float) -> None:
        """Tell of a test that raised; what its mark tolerates is no failure."""
        assert active.trial is not None  # noqa: S101
        skip, reason, metrics = skip_of(error), describe(error), active.trial.last
        if isinstance(skip, Pruned):
            self._pruned(active, skip, duration)
        elif skip is not None:
            self._tell(active, State.NOT_RUN, duration, reason=f"skipped: {skip.msg}")
        elif isinstance(error, active.slot.sweep.raises):
            self._tell(active, State.FAILED, duration, metrics=metrics, reason=reason)
            raise Ended(reason) from error
        else:
            state = State.TIMED_OUT if is_timeout(error) else State.FAILED
            text = _traceback(active.item, error)
            self._tell(
                active, state, duration, metrics=metrics, reason=reason, error=text, failed=True
            )
        if skip is not None and skip is not error:
            raise skip from error

    def _pruned(self, active: Active, error: Pruned, duration: float) -> None:
        assert active.trial is not None  # noqa: S101
        score, metrics = active.trial.score, active.trial.last
        reason = describe(error)
        self._tell(active, State.PRUNED, duration, score=score, metrics=metrics, reason=reason)

    def setup_raised(
        self, active: Active | None, item: pytest.Item, error: BaseException, text: str
    ) -> None:
        """A fixture failed or skipped, or a mark kept the item from asking for its trial."""
        if isinstance(error, (KeyboardInterrupt, pytest.exit.Exception)):
            return
        skipped = isinstance(error, pytest.skip.Exception)
        reason = f"skipped: {error}" if skipped else f"in setup: {describe(error)}"
        if active is None or active.item is not item:
            if item.get_closest_marker(MARK):
                self._link.call({"op": "skip", "slot": item.nodeid, "reason": reason})
        elif active.trial is not None:
            timed_out = State.TIMED_OUT if is_timeout(error) else State.FAILED
            state = State.NOT_RUN if skipped else timed_out
            shown = "" if skipped else text
            with contextlib.suppress(pytest.fail.Exception):
                if isinstance(error, Pruned):
                    self._pruned(active, error, 0.0)
                else:
                    self._tell(active, state, 0.0, reason=reason, error=shown, failed=not skipped)

    def over(self, active: Active, nextitem: pytest.Item | None, *, saved: bool) -> None:
        """Tell that the item is torn down, unless the next one's trial will tell it at once."""
        if active.trial is None or not active.told:
            return
        # The owner learns of the others when this process asks for its next trial.
        follows = nextitem is not None and nextitem.get_closest_marker(MARK) is not None
        if active.trial.saved or not follows:
            self._link.call({"op": "over", "saved": saved})

    def _tell(
        self,
        active: Active,
        state: State,
        duration: float,
        *,
        score: float | None = None,
        metrics: dict[str, float] | None = None,
        reason: str = "",
        error: str = "",
        failed: bool = False,
    ) -> None:
        assert active.trial is not None  # noqa: S101
        assert active.reply is not None  # noqa: S101
        active.trial.end()
        outcome = {
            "state": state,
            "score": score,
            "metrics": metrics or {},
            "duration": duration,
            "reason": _without_secrets(reason, active.slot.sweep.space),
            "error": _without_secrets(error[-LONGEST_ERROR:], active.slot.sweep.space),
            "logged": active.trial.logged,
            "steps": active.trial.steps or None,
            "failed": failed,
            **(asdict(active.usage) if active.usage else {}),
        }
        answer = self._link.call(
            {
                "op": "tell",
                "slot": active.item.nodeid,
                "attempt": active.reply["attempt"],
                "outcome": outcome,
            }
        )
        active.told = True
        if self._shows_all or state is not State.COMPLETE:
            active.record = self._record(active, state, score=score, reason=reason)
        fail_if_refused(active, answer)
        active.best = answer["best"]

    def _record(
        self, active: Active, state: State, *, score: float | None = None, reason: str = ""
    ) -> TrialRecord:
        """The trial as this process knows it, to be shown beside its item."""
        reply = active.reply or {}
        return TrialRecord(
            nodeid=active.item.nodeid,
            sweep=active.slot.sweep.name,
            number=active.slot.number,
            replicate=active.slot.replicate,
            params=reply.get("params", {}),
            state=state,
            score=score,
            seed=reply.get("seed", 0),
            reason=reason,
        )


def fail_if_refused(active: Active, answer: Message) -> None:
    """Fail the test where the owner could not do what it was asked."""
    __tracebackhide__ = True
    if "stop" in answer:
        active.item.session.shouldstop = answer["stop"]
    problem = answer.get("stop") or answer.get("error")
    if problem:
        pytest.fail(problem, pytrace=False)


def describe(error: BaseException) -> str:
    """One line on an exception."""
    first = encodable(error_text(error)).strip().split("\n")[0]
    name = type(error).__name__
    if isinstance(error, pytest.skip.Exception | pytest.fail.Exception):
        return first or name
    return f"{name}: {first}"[:200] if first else name


def _traceback(item: pytest.Function, error: BaseException) -> str:
    """The traceback as pytest shows it; empty if pytest cannot."""
    with contextlib.suppress(Exception):
        return str(item.repr_failure(pytest.ExceptionInfo.from_exception(error)))
    return ""


def _without_secrets(text: str, space: Space) -> str:
    """A text without the secrets that any of the sweep's trials may have got: it may quote them."""
    if not text:
        return ""
    for name, entry in ((name, branch[name]) for branch in space.branches for name in branch):
        if isinstance(entry, Choice) and is_secret(name):
            for value in filter(None, entry.objects):
                text = text.replace(value, MASK) if isinstance(value, str) else text
    return masked(text)


def is_timeout(error: BaseException) -> bool:
    """Whether pytest-timeout ended the test."""
    return any(
        isinstance(part, pytest.fail.Exception) and "pytest-timeout" in str(part)
        for part in parts_of(error)
    )
