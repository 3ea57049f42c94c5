"""The runner: in every process that runs tests, from collected items to told outcomes."""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_hypersearch.collect import MARK, Slot
from pytest_hypersearch.fixtures import Sweeps, Trial
from pytest_hypersearch.isolation import apart
from pytest_hypersearch.isolation.parent import Child, retried
from pytest_hypersearch.outcomes import Ended, Pruned
from pytest_hypersearch.plan import Plan, in_order
from pytest_hypersearch.provenance import imported_packages
from pytest_hypersearch.resources.demand import Share
from pytest_hypersearch.resources.process import confined
from pytest_hypersearch.resources.usage import Meter, Usage
from pytest_hypersearch.score import judge
from pytest_hypersearch.terminal.words import attach
from pytest_hypersearch.trial import State, TrialRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pytest_hypersearch.link import Link
    from pytest_hypersearch.owner import Message


LONGEST_ERROR = 4000


@dataclass(slots=True)
class Active:
    """What this process works on: an item and, once it is handed out, its trial."""

    item: pytest.Function
    slot: Slot
    trial: Trial | None = None
    reply: Message | None = None
    returned: object = None
    subtest_failed: bool = False
    told: bool = False
    record: TrialRecord | None = None
    best: bool = False
    usage: Usage | None = None
    child: Child | None = None
    unlogged: list[pytest.TestReport] = field(default_factory=list)
    confinement: ExitStack = field(default_factory=ExitStack)


class Runner:
    """Hooks of a process that runs tests; the owner is reached over the link."""

    def __init__(self, config: pytest.Config, link: Link) -> None:
        self.link = link
        self.plan = Plan({})
        self.active: Active | None = None
        self._rootpath = config.rootpath
        self._verbosity = config.get_verbosity()
        config.add_cleanup(gc.unfreeze)
        self._alone = apart(config)
        self._meter = Meter(alone=self._alone)
        config.add_cleanup(self._meter.close)

    @property
    def sweeps(self) -> Sweeps:
        """What the fixture of this name gives."""
        return Sweeps(self.link, self.plan.space)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Trials that depend on the results of earlier ones run in their order."""
        in_order(items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell the owner what is going to run."""
        if session.config.option.collectonly:
            return
        self.plan = Plan.of(session.items, self._rootpath)
        if not self.plan.studies:
            return
        # Thousands of items live until the end: the garbage collector need not walk through them
        # again and again, which takes a third of the time of short trials.
        gc.freeze()
        if self.link.call({"op": "hello", "digest": self.plan.digest}).get("known"):
            return
        self._tell_packages()
        answer = self.link.call(self.plan.message())
        if answer:
            self._refused(session, answer.get("stop") or answer["error"])

    def pytest_sessionfinish(self) -> None:
        """Tell the owner what was imported, within tests too."""
        if self.plan.studies:
            self._tell_packages()

    def _tell_packages(self) -> None:
        self.link.send({"op": "saw", "packages": imported_packages()})

    def _refused(self, session: pytest.Session, reason: str) -> None:
        if not hasattr(session.config, "workerinput"):
            raise pytest.UsageError(reason)
        session.shouldstop = reason

    # Not tryfirst: a skip mark is evaluated before, and then no trial is asked for; pytest's own
    # setup, in which fixtures start, comes after this.
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Ask for the item's trial: run it, replay it, or leave it."""
        self.active = None
        mark = item.get_closest_marker(MARK)
        if mark is None:
            return
        item = cast("pytest.Function", item)
        self.active = active = Active(item, mark.args[0])
        _restore(item)
        self._begin(active)

    def _begin(self, active: Active) -> None:
        item = active.item
        reply = active.reply = self.link.call({"op": "ask", "slot": item.nodeid})
        if "stop" in reply:
            item.session.shouldstop = reply["stop"]
            self._not_run(active, reply["stop"])
        elif "error" in reply:
            pytest.fail(reply["error"], pytrace=False)
        elif reply["do"] == "skip":
            self._not_run(active, reply["reason"], State(reply.get("state", State.NOT_RUN)))
        elif reply["do"] == "replay":
            active.record = TrialRecord.from_json(reply["record"])
            item.setup = _no_setup  # type: ignore[method-assign]
            item.runtest = functools.partial(_replay, active.record)  # type: ignore[method-assign]
        elif active.slot.sweep.isolate and not self._alone:
            self._run_apart(active, reply)
        else:
            if "share" in reply:
                active.confinement.enter_context(confined(Share.from_json(reply["share"])))
            active.trial = self._trial(active, reply)
            _fill_in(item, active.trial)

    def _run_apart(self, active: Active, reply: Message) -> None:
        """Run the trial in a process of its own; this item only shows what came of it."""
        child = Child(active.item, self.link, reply)
        child.run()
        if child.trouble:
            active.trial = self._trial(active, reply)
            pytest.fail(child.trouble, pytrace=False)
        if child.death and self._crashed(active, child.death):
            active.unlogged.append(retried(active.item, child.death))
            self._begin(active)
            return
        active.unlogged += child.others
        active.child = child
        active.item.setup = _no_setup  # type: ignore[method-assign]
        active.item.runtest = child.show  # type: ignore[method-assign]

    def _crashed(self, active: Active, death: str) -> bool:
        """Tell that the trial's process died; whether it is due again."""
        message = {"op": "crash", "slot": active.item.nodeid, "reason": death}
        return bool(self.link.call(message).get("again"))

    def _not_run(self, active: Active, reason: str, state: State = State.NOT_RUN) -> None:
        active.record = self._record(active, state, reason=reason)
        raise Ended(reason)

    def _trial(self, active: Active, reply: Message) -> Trial:
        head = {"slot": active.item.nodeid, "attempt": reply["attempt"]}

        def send(series: Message) -> None:
            self.link.send({"op": "report", **head, "series": series})

        def review(series: Message) -> str:
            __tracebackhide__ = True
            answer = self.link.call({"op": "review", **head, "series": series})
            _fail_if_refused(active, answer)
            reason: str = answer["prune"]
            return reason

        sweep = active.slot.sweep
        return Trial(
            sweep,
            reply["params"],
            number=active.slot.number,
            replicate=active.slot.replicate,
            seed=reply["seed"],
            path=reply["path"],
            send=send,
            review=review if sweep.prune else None,
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> None:
        """Give a parameter, or a fixture that is parametrized by it, the trial's value."""
        if type(getattr(request, "param", None)) is Slot and self.active and self.active.trial:
            request.param = self.active.trial.params.get(fixturedef.argname)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Function) -> Generator[None, object, object]:
        """Take the test's return value and tell how the trial ended, before pytest reports it."""
        active = self.active
        if active is None or active.trial is None:
            return (yield)
        function = item.obj
        item.obj = _recording(function, active)
        self._meter.start()
        start = perf_counter()
        try:
            result = yield
        except (KeyboardInterrupt, pytest.exit.Exception):
            active.trial.flush()
            raise
        except BaseException as error:
            active.usage = self._meter.stop()
            self._raised(active, error, perf_counter() - start)
            raise
        else:
            active.usage = self._meter.stop()
            self._returned(active, perf_counter() - start)
        finally:
            item.obj = function
        return result

    def _returned(self, active: Active, duration: float) -> None:
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

    def _raised(self, active: Active, error: BaseException, duration: float) -> None:
        assert active.trial is not None  # noqa: S101
        reason = describe(error)
        metrics = dict(active.trial.last)
        if isinstance(error, Pruned):
            score = active.trial.score
            self._tell(active, State.PRUNED, duration, score=score, metrics=metrics, reason=reason)
        elif isinstance(error, pytest.skip.Exception):
            self._tell(active, State.NOT_RUN, duration, reason=f"skipped: {error.msg}")
        elif isinstance(error, active.slot.sweep.raises):
            self._tell(active, State.FAILED, duration, metrics=metrics, reason=reason)
            raise Ended(reason) from error
        else:
            state = State.TIMED_OUT if is_timeout(error) else State.FAILED
            text = _traceback(active.item, error)
            self._tell(
                active, state, duration, metrics=metrics, reason=reason, error=text, failed=True
            )

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
            "reason": reason,
            "error": error[-LONGEST_ERROR:],
            "logged": active.trial.logged,
            "steps": active.trial.steps or None,
            "failed": failed,
            **(asdict(active.usage) if active.usage else {}),
        }
        answer = self.link.call(
            {
                "op": "tell",
                "slot": active.item.nodeid,
                "attempt": active.reply["attempt"],
                "outcome": outcome,
            }
        )
        active.told = True
        if self._verbosity > 0 or state is not State.COMPLETE:
            active.record = self._record(active, state, score=score, reason=reason)
        _fail_if_refused(active, answer)
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

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Tell that what the trial saved is whole now, and its share free."""
        active = self.active
        if active is None or active.item is not item:
            return (yield)
        if active.child:
            result = yield
            active.child.show_end()
            return result
        whole = False
        try:
            with active.confinement:
                result = yield
            whole = active.trial is not None and active.trial.saved
        finally:
            self._tell_over(active, nextitem, saved=whole)
        return result

    def _tell_over(self, active: Active, nextitem: pytest.Item | None, *, saved: bool) -> None:
        if active.trial is None or not active.told:
            return
        # The owner learns of the others when this process asks for its next trial.
        follows = nextitem is not None and nextitem.get_closest_marker(MARK) is not None
        if active.trial.saved or not follows:
            self.link.call({"op": "over", "saved": saved})

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Tell of trials that ended before their test was called; dress the report."""
        report = yield
        if self.active and self.active.child and self.active.item is item:
            return self._report_of_child(self.active, call.when, report)
        self._note_subtest(item, report)
        if call.when == "setup" and call.excinfo is not None:
            self._setup_raised(item, call.excinfo.value, report.longreprtext)
        active = self.active
        if active and active.item is item and active.record and call.when != "teardown":
            attach(report, active.record, best=active.best, verbosity=self._verbosity)
        return report

    def _report_of_child(
        self, active: Active, phase: str, report: pytest.TestReport
    ) -> pytest.TestReport:
        # Not while the trial ran: what the terminal writes then is captured as the item's output.
        while active.unlogged:
            active.item.ihook.pytest_runtest_logreport(report=active.unlogged.pop(0))
        assert active.child is not None  # noqa: S101
        return active.child.reports.get(phase, report)

    def _setup_raised(self, item: pytest.Item, error: BaseException, text: str) -> None:
        """A fixture failed or skipped, or a mark kept the item from asking for its trial."""
        if isinstance(error, (KeyboardInterrupt, pytest.exit.Exception)):
            return
        skipped = isinstance(error, pytest.skip.Exception)
        reason = f"skipped: {error}" if skipped else f"in setup: {describe(error)}"
        active = self.active
        if active is None or active.item is not item:
            if item.get_closest_marker(MARK):
                self.link.call({"op": "skip", "slot": item.nodeid, "reason": reason})
        elif active.trial is not None:
            timed_out = State.TIMED_OUT if is_timeout(error) else State.FAILED
            state = State.NOT_RUN if skipped else timed_out
            shown = "" if skipped else text
            with contextlib.suppress(pytest.fail.Exception):
                self._tell(active, state, 0.0, reason=reason, error=shown, failed=not skipped)

    def _note_subtest(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """See failed subtests: pytest reports them in mid-test, and the test itself passes."""
        active = self.active
        if active and active.item is item and not active.told and active.trial is not None:
            active.subtest_failed |= report.when == "call" and report.failed


def _fail_if_refused(active: Active, answer: Message) -> None:
    """Fail the test where the owner could not do what it was asked."""
    __tracebackhide__ = True
    if "stop" in answer:
        active.item.session.shouldstop = answer["stop"]
    problem = answer.get("stop") or answer.get("error")
    if problem:
        pytest.fail(problem, pytrace=False)


def describe(error: BaseException) -> str:
    """One line on an exception."""
    first = str(error).strip().split("\n")[0]
    name = type(error).__name__
    if isinstance(error, pytest.skip.Exception | pytest.fail.Exception):
        return first or name
    return f"{name}: {first}"[:200] if first else name


def _traceback(item: pytest.Function, error: BaseException) -> str:
    """The traceback as pytest shows it; empty if pytest cannot."""
    with contextlib.suppress(Exception):
        return str(item.repr_failure(pytest.ExceptionInfo.from_exception(error)))
    return ""


def is_timeout(error: BaseException) -> bool:
    """Whether pytest-timeout ended the test."""
    return isinstance(error, pytest.fail.Exception) and "pytest-timeout" in str(error)


def _fill_in(item: pytest.Function, trial: Trial) -> None:
    """Put the trial's values where other plugins look for an item's parameters."""
    # Semi-private in pytest; fixtures get their values by pytest_fixture_setup if this fails.
    with contextlib.suppress(AttributeError, TypeError):
        params = item.callspec.params
        params.update(
            {name: trial.params.get(name) for name in params if type(params[name]) is Slot}
        )


def _restore(item: pytest.Function) -> None:
    """Undo a replay: a plugin that repeats items wants the real ones."""
    for name in ("setup", "runtest"):
        item.__dict__.pop(name, None)


def _no_setup() -> None:
    """No fixture runs for a trial that is replayed."""


def _replay(record: TrialRecord) -> None:
    if record.state is State.PRUNED:
        raise Pruned(record.reason, _use_item_location=True)
    if record.state is not State.COMPLETE:
        raise Ended(record.reason)


def _recording(function: Callable[..., Any], active: Active) -> Callable[..., Any]:
    """The test, with its return value put aside: pytest wants tests that return nothing."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def record_async(*args: object, **kwargs: object) -> None:
            __tracebackhide__ = True
            active.returned = await function(*args, **kwargs)

        return record_async

    @functools.wraps(function)
    def record(*args: object, **kwargs: object) -> None:
        __tracebackhide__ = True
        active.returned = function(*args, **kwargs)

    return record
