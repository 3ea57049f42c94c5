"""The results of a study, as the summary and later readers see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pytest_hypersearch.trial import TrialRecord


@dataclass(frozen=True, slots=True)
class SweepInfo:
    """What a reader must know of one sweep to rank and group its trials.

    Attributes:
        name: Unique within the study; the strategy's name unless the mark gives another.
        strategy: ``grid``, ``random``, ``bayes`` or a plugin's.
        metric: Name of the score among the metrics.
        mode: Whether lower (``min``) or higher (``max``) scores are better.
        seed: The sweep's seed.
        replicates: Trials per configuration.
        planned: Trials in this run's plan.
        group_by: Parameters by which the summary groups.
        varied: Parameters with more than one possible value, in the order of the space.
    """

    name: str
    strategy: str
    metric: str
    mode: Literal["min", "max"]
    seed: int
    replicates: int
    planned: int
    group_by: tuple[str, ...]
    varied: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StudyResults:
    """All trials of one test's sweeps, for one combination of the test's other parameters.

    Attributes:
        nodeid: The test without the trial's part: ``test_mlp.py::test_mlp[cifar]``.
        sweeps: The sweeps in the order in which the marks are read.
        trials: Every trial known, in the order of sweep, configuration and replicate.
        notes: One line each on what a reader must be told: stale or damaged records, lost trials.
        run: Directory of the run, empty if nothing is stored.
    """

    nodeid: str
    sweeps: tuple[SweepInfo, ...]
    trials: tuple[TrialRecord, ...]
    notes: tuple[str, ...] = ()
    run: str = ""
