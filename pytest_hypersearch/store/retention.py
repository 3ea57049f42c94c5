"""What outlives a run that is too old to be kept: the best configuration's artifacts."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from pytest_hypersearch.picking import Candidate, error_of, picked, simplicity, value_of
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
    from pytest_hypersearch.trial import Config

    Metrics: TypeAlias = Mapping[str, float]


class _Scored(NamedTuple):
    """A configuration's parameters and its complete trials' metrics by replicate."""

    params: Config
    metrics: dict[int, Metrics]


@dataclass(frozen=True, slots=True)
class Best:
    """What makes a configuration the best.

    Attributes:
        metric: Name of the score.
        mode: Whether lower or higher scores are better.
        replicates: Complete replicates that make a configuration comparable.
        pick: The rule by which replicates are compared.
        constraints: What makes it feasible.
    """

    metric: str
    mode: str
    replicates: int
    pick: str = "mean"
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
        found = [candidate for run in rich for candidate in self._candidates(run)]
        return found[picked(self.pick, [one for one, _ in found])][1] if found else []

    def _candidates(self, run: Run) -> Iterator[tuple[Candidate, list[Path]]]:
        """The configurations of a run that have a score, each with what must stay of it."""
        try:
            records = run.read().records
        except StoreError:
            return
        for (name, number), (params, alike) in self._complete(records).items():
            paths = [run.artifacts(name, number, replicate) for replicate in alike]
            yield self._candidate(number, params, [*alike.values()]), [run.journal.path, *paths]

    def _candidate(self, number: int, params: Config, alike: Sequence[Metrics]) -> Candidate:
        scores = [metrics[self.metric] for metrics in alike]
        value = value_of(self.pick, scores)
        return Candidate(
            self._excess(alike),
            len(alike) < self.replicates,
            (value if self.mode == "min" else -value,),
            error_of(scores),
            simplicity(self.pick, number, params, alike),
        )

    def _excess(self, alike: Sequence[Metrics]) -> float:
        means = ((each, fmean(one[each.metric] for one in alike)) for each in self.constraints)
        return sum(max(0.0, each.excess(mean)) for each, mean in means)

    def _complete(self, records: Iterable[Record]) -> dict[tuple[str, int], _Scored]:
        """The configurations with a complete trial."""
        needed = {self.metric, *(each.metric for each in self.constraints)}
        params: dict[tuple[str, int], Config] = {}
        found: dict[tuple[str, int], _Scored] = {}
        for record in records:
            if record["k"] == "start":
                params[record["sweep"], record["number"]] = record["params"]
            if record["k"] == "end" and record.get("state") == State.COMPLETE:
                metrics = record["metrics"]
                if all(isinstance(metrics.get(name), float) for name in needed):
                    key = record["sweep"], record["number"]
                    scored = found.setdefault(key, _Scored(params.get(key, {}), {}))
                    scored.metrics[record["replicate"]] = metrics
        return found
