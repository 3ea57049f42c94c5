"""Hooks through which other plugins extend sweeps, or follow them.

The hooks that follow sweeps are called in the controlling process, by one thread, one after the
other, in the order in which things happened: a slow implementation delays neither trials nor
tests, but the end of the session. What an implementation raises becomes one warning at the end.
They are called for plugins and for ``conftest.py`` files that are loaded at the start. An
implementation takes those of the arguments that it needs.
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
    """Return the sampler that answers to a strategy's name, None if it is not yours.

    Called at collection and in the controlling process, for ``@pytest.mark.sweep(strategy="name",
    space={...}, n_trials=...)`` as well as for the built-in ``grid``, ``random`` and ``bayes``.

    Args:
        strategy: The name, such as ``"mine"`` or ``"mine:variant"``.

    Raises:
        ValueError: The name is yours but cannot be served; the message is shown to the user.
    """


@pytest.hookspec
def pytest_hypersearch_sweep_started(sweep: SweepRun) -> None:
    """Take note of a sweep whose first trial of this session starts or is replayed.

    Args:
        sweep: The sweep. The same ``sweep.id`` comes again when its run is resumed.
    """


@pytest.hookspec
def pytest_hypersearch_trial_started(sweep: SweepRun, trial: TrialRecord) -> None:
    """Take note of a trial that starts.

    A trial may start again: after its process died, on a resume, or because another plugin repeats
    its item. ``trial.attempt`` is higher then, and what was told of the earlier attempt is void.

    Args:
        sweep: Its sweep.
        trial: The trial; its state is ``State.RUNNING``, and there are no results.
    """


@pytest.hookspec
def pytest_hypersearch_trial_reported(
    sweep: SweepRun, trial: TrialRecord, series: Mapping[str, Series]
) -> None:
    """Take what a running trial reported, in batches of up to a fraction of a second.

    Args:
        sweep: Its sweep.
        trial: The trial, as it was told of when it started.
        series: By metric, the steps and the values reported since the last batch: two sequences of
            equal length, in the order of the reports. Values may be NaN or infinite.
    """


@pytest.hookspec
def pytest_hypersearch_trial_finished(
    sweep: SweepRun, trial: TrialRecord, series: Mapping[str, Series]
) -> None:
    """Take note of the end of a trial that started, or of one that is replayed from the store.

    Every trial that started ends: if the session does first, as ``State.NOT_RUN`` with the reason
    ``"interrupted"``. Trials that never started are only among the results of the sweep.

    Args:
        sweep: Its sweep.
        trial: The trial with its results. If ``trial.cached``, it was not told of before in this
            session, but may have been in an earlier one.
        series: All that a replayed trial reported, as in `pytest_hypersearch_trial_reported`; empty
            for other trials.
    """


@pytest.hookspec
def pytest_hypersearch_gate(sweep: SweepRun, verdict: Judgement[Name]) -> None:
    """Take note of the verdict of a gate, when the trials of the session have ended.

    Args:
        sweep: The sweep that has the gate.
        verdict: The verdict and the numbers behind it.
    """


@pytest.hookspec
def pytest_hypersearch_sweep_finished(sweep: SweepRun, results: StudyResults) -> None:
    """Take note of the end of a sweep's part in this session, when the session ends.

    Args:
        sweep: The sweep.
        results: All trials of this sweep, those that did not run as well.
    """
