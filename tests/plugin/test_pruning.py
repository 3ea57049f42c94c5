"""Pruning: trials that do not promise enough end by what they report."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from pytest_hypersearch import load_results
from pytest_hypersearch.plugin.runner.reports import Reports
from pytest_hypersearch.store.curves import unpack

PLAIN_AND_WORKERS = pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["plain", "workers"])

LEVELS = """
from pytest_hypersearch.search import pruners

@pytest.mark.sweep(grid={"level": [1, 2, 3, 9]}, metric="loss", prune=%s)
def test_f(level, trial):
    for step in range(10):
        ran(level)
        trial.report(level - step / 100, step=step)
    return level
"""
MEDIAN = "pruners.Median(warmup_trials=3)"


def test_a_trial_ends_where_it_falls_behind(project):
    project.write(LEVELS % MEDIAN)
    result = project.here("-v")
    assert result.ret == 0
    assert project.states == {"complete": 3, "pruned": 1}
    pruned = project.trials["level:9"]
    assert project.ran["9"] == pruned["steps"] < 10
    assert pruned["score"] == pruned["metrics"]["loss"] == 9 - (pruned["steps"] - 1) / 100
    assert project.trials["level:1"]["steps"] == 10
    assert "median" in pruned["reason"]
    result.stdout.fnmatch_lines(["*level:9* PRUNED *", "*3 passed, 1 pruned*"])


def test_the_summary_says_what_share_of_steps_was_saved(project):
    project.write(LEVELS % MEDIAN)
    result = project.here()
    share = (10 - project.trials["level:9"]["steps"]) / 40
    result.stdout.fnmatch_lines([f"  pruning saved {share:.0%} of steps"])


def test_workers_decide_by_all_curves_of_the_study(project):
    project.write("""
from pytest_hypersearch.search import pruners

@pytest.mark.sweep(random={"level": range(1, 9)}, n_trials=8, prune=pruners.Median(warmup_trials=3))
def test_f(level, trial):
    for step in range(10):
        trial.report(level, step=step)
    return level
""")
    assert project.run("-n2")[0] == 0
    pruned = [one["params"]["level"] for one in project.trials.values() if one["state"] == "pruned"]
    assert pruned
    assert min(pruned) > 2


def test_a_resumed_sweep_prunes_by_the_stored_curves(project):
    project.write(LEVELS % MEDIAN)
    project.here("-k", "not level:9")
    project.forget()
    project.here("--sweep-resume")
    assert project.cached == {"level:1", "level:2", "level:3"}
    assert project.trials["level:9"]["state"] == "pruned"
    project.forget()
    project.here("--sweep-resume")
    assert not project.ran
    assert project.trials["level:9"]["state"] == "pruned"


def test_who_cleans_up_first_asks_and_prunes(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 9]}, prune="threshold:>5")
def test_f(x, trial):
    trial.report(x, step=0, prune=False)
    if trial.should_prune():
        ran("cleaned", x)
        trial.prune("too high")
    trial.report(x, step=1)
    return x
""")
    project.here()
    assert project.ran == {"cleaned 9": 1}
    assert project.states == {"complete": 1, "pruned": 1}
    assert project.trials["x:9"]["reason"] == "too high"


def test_without_a_pruner_there_is_nothing_to_ask(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1]})
def test_f(x, trial):
    trial.report(x)
    assert trial.should_prune() is False
    return x
""")
    assert project.here().ret == 0


def test_the_mode_turns_the_comparison(project):
    project.write("""
from pytest_hypersearch.search import pruners

@pytest.mark.sweep(grid={"x": [7, 8, 9, 1]}, mode="max", prune=pruners.Median(warmup_trials=3))
def test_f(x, trial):
    for step in range(5):
        trial.report(x, step=step)
    return x
""")
    project.here()
    assert project.trials["x:1"]["state"] == "pruned"
    assert project.states == {"complete": 3, "pruned": 1}


def test_other_replicates_of_a_configuration_are_no_rivals(project):
    project.write("""
from pytest_hypersearch.search import pruners

@pytest.mark.sweep(grid={"x": [1]}, replicates=4, prune=pruners.Median(warmup_trials=1))
def test_f(x, trial):
    for step in range(5):
        trial.report(trial.replicate, step=step)
    return x
""")
    project.here()
    assert project.states == {"complete": 4}


def test_a_race_prunes_first_replicates_only(project):
    project.write("""
from pytest_hypersearch.search import pruners

@pytest.mark.sweep(grid={"x": [1, 1.1, 1.2, 9]}, replicates=3, race=True,
                   prune=pruners.Median(warmup_trials=2))
def test_f(x, trial):
    for step in range(5):
        trial.report(x, step=step)
    return x + trial.rng.normal(0, 0.5)
""")
    project.here()
    pruned = {name for name, one in project.trials.items() if one["state"] == "pruned"}
    assert "x:9-r0" in pruned
    assert all(name.endswith("-r0") for name in pruned)


def test_a_long_trial_is_reviewed_ever_more_rarely(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1]}, prune="threshold:>900")
def test_f(x, trial):
    for step in range(2000):
        ran(step)
        trial.report(step)
    return x
""")
    project.here()
    (trial,) = project.trials.values()
    assert trial["state"] == "pruned"
    assert 901 <= trial["steps"] - 1 <= 920
    assert "step 901: 901" in trial["reason"]


OWN = """
class Impatient:
    def verdict(self, trial, others, *, since):
        return "enough" if trial.last_step >= 3 else ""
"""
USES_OWN = """
@pytest.mark.sweep(grid={"x": [1, 2]}, prune=Impatient())
def test_f(x, trial):
    for step in range(10):
        trial.report(x, step=step)
    return x
"""


@PLAIN_AND_WORKERS
def test_a_pruner_of_one_s_own_in_conftest(project, workers):
    (project.path / "conftest.py").write_text(OWN)
    project.write("from conftest import Impatient\n" + USES_OWN)
    code, _ = project.run(*workers)
    assert code == 0
    assert project.states == {"pruned": 2}
    assert {trial["reason"] for trial in project.trials.values()} == {"enough"}
    assert {trial["steps"] for trial in project.trials.values()} == {4}


def test_a_pruner_that_the_controlling_process_cannot_import_is_refused(project):
    (project.path / "sub").mkdir()
    project.write(OWN + USES_OWN, "sub/test_it.py")
    assert project.run()[0] == 0
    code, output = project.run("-n1")
    assert code != 0
    assert "expected a pruner that the controlling process can import" in output
    assert "Traceback" not in output


def test_a_pruner_that_fails_fails_the_trial_with_its_traceback(project):
    project.write("""
class Broken:
    def verdict(self, trial, others, *, since):
        return 1 / 0

@pytest.mark.sweep(grid={"x": [1]}, prune=Broken())
def test_f(x, trial):
    trial.report(x)
    return x
""")
    result = project.here()
    assert result.ret == 1
    assert project.states == {"failed": 1}
    result.stdout.fnmatch_lines(["*ZeroDivisionError*"])


def test_a_pruner_that_cannot_travel_is_refused_at_collection(project):
    project.write("""
def hidden():
    class Local:
        def verdict(self, trial, others, *, since):
            return ""
    return Local()

@pytest.mark.sweep(grid={"x": [1]}, prune=hidden())
def test_f(x): ...
""")
    result = project.here()
    result.stdout.fnmatch_lines(["*test_f: sweep(prune=...): expected a pruner that can be*"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("'mediam'", "sweep(prune=...): 'mediam': expected *'median'*"),
        ("3", "sweep(prune=...): 3: expected *object with verdict()"),
        ("'percentile'", "sweep(prune=...): 'percentile': expected a number*"),
    ],
)
def test_what_is_no_pruner_is_refused_at_collection(project, given, said):
    project.write(f"""
@pytest.mark.sweep(grid={{"x": [1]}}, prune={given})
def test_f(x): ...
""")
    result = project.here()
    result.stdout.fnmatch_lines([f"*test_it.py::test_f: {said}*"])


def test_a_smoke_test_is_never_pruned(project):
    project.write(LEVELS % '"threshold:>0"')
    result = project.here("--sweep=smoke")
    assert result.ret == 0
    assert project.ran.total() == 10


@PLAIN_AND_WORKERS
@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("1 / 0", "failed: ZeroDivisionError: division by zero"),
        ("b'no'", "verdict() to return a text, not b'no'"),
    ],
)
def test_a_pruner_that_fails_is_told_in_one_line(project, workers, verdict, said):
    (project.path / "conftest.py").write_text(OWN.replace('"enough" if', f"{verdict} if"))
    project.write("from conftest import Impatient\n" + USES_OWN)
    code, output = project.run(*workers)
    assert code == 1
    assert project.states == {"failed": 2}
    assert said in output


def test_a_trial_is_pruned_out_of_a_task_group(project):
    project.write("""
import asyncio

@pytest.mark.sweep(grid={"x": [1, 2, 3]}, prune="threshold:>2")
def test_f(x, trial):
    async def train():
        trial.report(x)

    async def run():
        async with asyncio.TaskGroup() as group:
            group.create_task(train())
        if x == 2:
            raise BaseExceptionGroup("two", [pytest.skip.Exception("a"), ValueError("b")])
        return x

    return asyncio.run(run())
""")
    result = project.here()
    result.assert_outcomes(passed=1, failed=1)
    assert project.states == {"complete": 1, "failed": 1, "pruned": 1}
    assert project.trials["x:3"]["reason"] == "step 0: 3 is above 2"


@PLAIN_AND_WORKERS
def test_a_thread_may_report_while_its_trial_ends(project, workers):
    project.write("""
import threading
from contextlib import suppress

@pytest.mark.sweep(grid={"x": range(20)}, prune="median")
def test_f(x, trial):
    def train():
        with suppress(RuntimeError):  # the trial may have ended
            for step in range(90):
                trial.report(step, step=step)

    threading.Thread(target=train, daemon=True).start()
    time.sleep(0.002 * x)
    return x
""")
    code, _ = project.run(*workers)
    assert code == 0
    assert project.states == {"complete": 20}


def test_no_value_is_lost_while_one_thread_reports_and_another_sends():
    interval = sys.getswitchinterval()
    sent, part_sent = [], threading.Event()
    reports = Reports("loss", send=sent.append, review=None)

    def train():
        for step in range(5000):
            if step == 2500:  # a slow machine may get here before the other thread's first turn
                part_sent.wait(timeout=60)
            value = float(step)
            reports.report({"loss": value, "accuracy": value} if step % 7 == 3 else value)

    thread = threading.Thread(target=train)
    sys.setswitchinterval(1e-6)
    try:
        thread.start()
        while thread.is_alive():
            assert set(reports.last) <= {"loss", "accuracy"}
            reports.flush()
            if sent:
                part_sent.set()
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    reports.end()
    parts = [unpack(part["loss"]) for part in sent if "loss" in part]
    values = {step: value for part in parts for step, value in zip(*part, strict=True)}
    assert len(parts) > 1
    assert sum(len(steps) for steps, _ in parts) == 5000
    assert values == {step: float(step) for step in range(5000)}


def test_what_another_thread_sends_arrives_before_the_end_and_nothing_after_it():
    arrived, sends, may_send = [], threading.Event(), threading.Event()

    def review(series):
        sends.set()
        assert may_send.wait(timeout=60)
        arrived.append(unpack(series["loss"]))
        return ""

    reports = Reports("loss", send=arrived.append, review=review)
    monitor = threading.Thread(target=reports.report, args=(1.0,))
    monitor.start()
    assert sends.wait(timeout=60)
    trial = threading.Thread(target=lambda: [reports.end(), arrived.append("end")])
    trial.start()
    trial.join(timeout=0.2)  # time to end before what is being sent
    may_send.set()
    monitor.join()
    trial.join()
    assert arrived == [([0], [1.0]), "end"]
    for value in (2.0, {"loss": 2.0}):
        with pytest.raises(RuntimeError, match="has ended"):
            reports.report(value)
    assert (reports.steps, reports.last) == (1, {"loss": 1.0})  # none of those refused


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@PLAIN_AND_WORKERS
def test_a_forked_child_reports_nothing_and_its_parent_goes_on(project, workers):
    project.write("""
import multiprocessing, threading

@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.sweep(grid={"x": [1]}, metric="loss", prune="threshold:>50")
def test_f(x, trial, sweeps, request):
    def refused(call, *values, **named):
        try:
            call(*values, **named)
        except RuntimeError as error:
            assert "this process was forked by a test; expected it in" in str(error)
            ran("refused")

    def child():
        for _ in range(3):
            refused(report, 99.0)
            refused(trial.report, {"loss": 99})
            time.sleep(0.15)
        refused(trial.should_prune)
        refused(trial.prune)
        refused(trial.log, a=1)
        refused(sweeps.study, "test_f", wait=False)
        refused(request.config.pluginmanager.get_plugin("hypersearch_runner").link.send, None)
        assert (trial.score, trial.params, trial.path.is_dir()) == (2.0, {"x": 1}, True)

    report = trial.report
    for step in range(30):
        trial.report(step / 10)
    trial.report(2.0)
    with trial._lock:  # as a thread that sends
        process = multiprocessing.get_context("fork").Process(target=child)
        thread = threading.Thread(target=process.start)
        thread.start()
        thread.join()
        process.join(timeout=60)
        process.kill()  # if it hangs
        process.join()
    assert process.exitcode == 0
    if not (process := os.fork()):
        raise OSError("on its way out of the test")
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 1
    trial.report(1.0)

def test_after():
    ran("after")
""")
    code, output = project.spawn(*workers)
    assert code == 0, output
    assert "OSError: on its way out of the test" in output
    assert "test_it.py::test_f[x:1]: a process that the test forked left the test; exp" in output
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output
    assert project.ran == {"refused": 11, "after": 1}
    (curve,) = load_results(project.path).curves()
    assert list(curve.values) == [*(step / 10 for step in range(30)), 2.0, 1.0]


def test_the_last_value_that_is_taken_is_that_by_which_the_trial_is_judged(project):
    project.write("""
import threading

class Late(dict):
    def items(self):
        report_in_thread()
        return super().items()

class LateError(Exception):
    def __str__(self):
        report_in_thread()
        return "late"

class Slow:
    ndim = 0

    def item(self):
        begun.set()
        assert ended.wait(timeout=60)
        return 1.0

@pytest.mark.sweep(grid={"x": [1, 2]}, metric="loss", raises=LateError)
def test_f(x, trial):
    global report_in_thread, begun, ended
    begun, ended = threading.Event(), threading.Event()

    def tell(method, value):
        try:
            method(value)
        except RuntimeError:
            ran(method.__name__, x)

    def report_in_thread():
        ended.set()
        logs.join()
        thread = threading.Thread(target=tell, args=(trial.report, 9.0))
        thread.start()
        thread.join()

    logs = threading.Thread(target=tell, args=(trial.log, {"slow": Slow()}))
    logs.start()
    assert begun.wait(timeout=60)
    trial.report(float(x))
    if x == 2:
        raise LateError
    return Late(accuracy=0.5)
""")
    assert project.here().ret == 0
    assert project.ran.keys() == {"log 1", "log 2", "report 1", "report 2"}
    (folder,) = project.path.glob(".pytest_cache/d/hypersearch/*/*/curves.jsonl")
    for curve in load_results(folder.parent).curves():
        assert curve.values == (curve.trial.params["x"],)
        assert curve.trial.metrics["loss"] == curve.values[-1]
        assert curve.trial.steps == 1


@PLAIN_AND_WORKERS
def test_a_fixture_may_prune_its_trial(project, workers):
    project.write("""
@pytest.fixture
def data(trial):
    trial.report(trial.number)
    if trial.number == 1:
        trial.prune("no data")

@pytest.mark.sweep(grid={"x": [1, 2, 3]}, prune="threshold:>1")
def test_f(x, data):
    return x
""")
    code, output = project.run(*workers)
    assert code == 0
    assert "1 passed, 2 pruned" in output
    assert project.states == {"complete": 1, "pruned": 2}
    assert project.trials["x:2"]["reason"] == "no data"
    assert project.trials["x:3"]["score"] == 2
