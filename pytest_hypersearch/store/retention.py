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
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from pytest_hypersearch.goals import Constraint
    from pytest_hypersearch.store.journal import Record
    from pytest_hypersearch.store.runs import Run

    Metrics: TypeAlias = Mapping[str, float]


class _Candidate(NamedTuple):
    """A configuration with a score; the fields before the last rank, lower is better."""

    excess: float
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
        constraints: What makes it feasible.
    """

    metric: str
    mode: str
    replicates: int
    constraints: tuple[Constraint, ...] = ()

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
        return min(candidates, key=lambda each: each[:3]).paths if candidates else []

    def _candidates(self, run: Run) -> Iterator[_Candidate]:
        sign = 1.0 if self.mode == "min" else -1.0
        try:
            records = run.read().records
        except StoreError:
            return
        for (name, number), alike in self._complete(records).items():
            paths = [run.artifacts(name, number, replicate) for replicate in alike]
            mean = sign * fmean(metrics[self.metric] for metrics in alike.values())
            partial = len(alike) < self.replicates
            excess = self._excess([*alike.values()])
            yield _Candidate(excess, partial, mean, [run.journal.path, *paths])

    def _excess(self, alike: Sequence[Metrics]) -> float:
        means = ((each, fmean(one[each.metric] for one in alike)) for each in self.constraints)
        return sum(max(0.0, each.excess(mean)) for each, mean in means)

    def _complete(self, records: Iterable[Record]) -> dict[tuple[str, int], dict[int, Metrics]]:
        """Metrics of complete trials by configuration and replicate."""
        needed = {self.metric, *(each.metric for each in self.constraints)}
        found: dict[tuple[str, int], dict[int, Metrics]] = defaultdict(dict)
        for record in records:
            if record["k"] == "end" and record.get("state") == State.COMPLETE:
                metrics = record["metrics"]
                if all(isinstance(metrics.get(name), float) for name in needed):
                    found[record["sweep"], record["number"]][record["replicate"]] = metrics
        return found
