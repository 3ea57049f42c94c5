"""What outlives a run that is too old to be kept: the best configuration's artifacts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from pytest_hypersearch.store.journal import StoreError
from pytest_hypersearch.store.runs import ARTIFACTS
from pytest_hypersearch.trial import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pytest_hypersearch.store.journal import Record
    from pytest_hypersearch.store.runs import Run


class _Candidate(NamedTuple):
    """A configuration with a score; the first two fields rank, lower is better."""

    partial: bool
    mean: float
    paths: list[Path]


@dataclass(frozen=True, slots=True)
class Best:
    """What makes a configuration the best.

    Attributes:
        metric: Name of the score.
        mode: Whether lower or higher scores are better.
        replicates: Complete replicates that make a configuration comparable.
    """

    metric: str
    mode: str
    replicates: int

    def kept_of(self, runs: Sequence[Run], keep: int) -> list[Path]:
        """Find what must stay of the runs that are about to be removed for a new one.

        Args:
            runs: The runs of a study before the new one, oldest first.
            keep: How many runs stay anyway, the new one among them.

        Returns:
            The artifacts of the best configuration of all runs that have any, and the journal of
            its run, which tells later of its score.
        """
        old = runs[: max(0, len(runs) - keep + 1)]
        if not any((run.path / ARTIFACTS).is_dir() for run in old):
            return []
        rich = [run for run in runs if (run.path / ARTIFACTS).is_dir()]
        candidates = [candidate for run in rich for candidate in self._candidates(run)]
        return min(candidates, key=lambda each: each[:2]).paths if candidates else []

    def _candidates(self, run: Run) -> Iterator[_Candidate]:
        sign = 1.0 if self.mode == "min" else -1.0
        try:
            records = run.read().records
        except StoreError:
            return
        for (name, number), scores in _scores(records, self.metric).items():
            paths = [run.artifacts(name, number, replicate) for replicate in scores]
            mean = sign * fmean(scores.values())
            yield _Candidate(len(scores) < self.replicates, mean, [run.journal.path, *paths])


def _scores(records: Iterable[Record], metric: str) -> dict[tuple[str, int], dict[int, float]]:
    """Scores by configuration and replicate."""
    scores: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
    for record in records:
        if record["k"] == "end" and record.get("state") == State.COMPLETE:
            score = record["metrics"].get(metric)
            if isinstance(score, float):
                scores[record["sweep"], record["number"]][record["replicate"]] = score
    return scores
