"""Hooks through which other plugins extend sweeps, or follow them.

The hooks that follow sweeps are called in the controlling process, by a single thread, in the order
of the events. A slow implementation does not delay trials or tests, but it delays the end of the
session. Exceptions of an implementation become one warning at the end. The hooks are called for
plugins, and for ``conftest.py`` files that are loaded at the start. An implementation takes only
the arguments that it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_hypersearch.core.contracts import Sampler
    from pytest_hypersearch.core.study import Name, StudyResults
    from pytest_hypersearch.core.trial import TrialRecord
    from pytest_hypersearch.engine.study_run import SweepRun
    from pytest_hypersearch.stats.gate import Judgement
    from pytest_hypersearch.store.curves import Series


@pytest.hookspec(firstresult=True)
def pytest_hypersearch_sampler(strategy: str) -> Sampler | None:
    """Return the sampler for the name of a strategy, None if the name is not yours.

    Called at collection and in the controlling process, for ``@pytest.mark.sweep(strategy="name",
    space={...}, n_trials=...)`` as well as for the built-in ``grid``, ``random`` and ``bayes``.

    Args:
        strategy: The name, such as ``"mine"`` or ``"mine:variant"``.

    Raises:
        ValueError: The name is yours, but there is no such sampler; the message is shown to the
            user.
    """


@pytest.hookspec
def pytest_hypersearch_sweep_started(sweep: SweepRun) -> None:
    """Called when the first trial of a sweep in this session starts or is replayed.

    Args:
        sweep: The sweep. If its run is resumed, ``sweep.id`` is the same.
    """


@pytest.hookspec
def pytest_hypersearch_trial_started(sweep: SweepRun, trial: TrialRecord) -> None:
    """Called when a trial starts.

    A trial may start again: after its process died, in a resumed run, or because another plugin
    repeats its item. Then ``trial.attempt`` is higher, and the calls for the earlier attempt no
    longer count.

    Args:
        sweep: Its sweep.
        trial: The trial, in state ``State.RUNNING`` and without results.
    """


@pytest.hookspec
def pytest_hypersearch_trial_reported(
    sweep: SweepRun, trial: TrialRecord, series: Mapping[str, Series]
) -> None:
    """Called with the values that a running trial reported, in batches of a fraction of a second.

    Args:
        sweep: Its sweep.
        trial: The trial, as when it started.
        series: By metric, the steps and the values reported since the last batch: two sequences of
            equal length, in the order of the reports. Values may be NaN or infinite.
    """


@pytest.hookspec
def pytest_hypersearch_trial_finished(
    sweep: SweepRun, trial: TrialRecord, series: Mapping[str, Series]
) -> None:
    """Called when a trial that started ends, and for each trial that is replayed from the store.

    Every trial that started ends. If the session ends first, the trial's state is ``State.NOT_RUN``
    and its reason ``"interrupted"``. Trials that never started are only in the results of the
    sweep.

    Args:
        sweep: Its sweep.
        trial: The trial with its results. If ``trial.cached`` is true, this is the first call for
            it in this session; there may have been calls in an earlier one.
        series: All values that a replayed trial reported, as in
            `pytest_hypersearch_trial_reported`; empty for other trials.
    """


@pytest.hookspec
def pytest_hypersearch_gate(sweep: SweepRun, verdict: Judgement[Name]) -> None:
    """Called with the verdict of a gate, when the trials of the session have ended.

    Args:
        sweep: The sweep that has the gate.
        verdict: The verdict and the numbers behind it.
    """


@pytest.hookspec
def pytest_hypersearch_sweep_finished(sweep: SweepRun, results: StudyResults) -> None:
    """Called for each sweep when the session ends.

    Args:
        sweep: The sweep.
        results: All trials of this sweep, including those that did not run.
    """
