"""Two sets of results compared: by what the same configurations scored under the same luck.

The trials of a replicate share their seed across runs, so scores are compared in pairs. Over all
pairs of test, configuration and replicate, the mean difference is judged by its 95% confidence
interval (paired t).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from pytest_hypersearch.core.space import config_key
from pytest_hypersearch.core.study import signed
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.core.values import mean, plural
from pytest_hypersearch.results.terminal.format import (
    Look,
    better,
    clean,
    flow,
    look_of,
    plain,
    scale_of,
    show_mean,
    show_params,
)
from pytest_hypersearch.results.terminal.tables import name_of
from pytest_hypersearch.stats.grouping import summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_hypersearch.core.study import Configuration, StudyResults
    from pytest_hypersearch.core.sweep import Sweep
    from pytest_hypersearch.core.trial import Config
    from pytest_hypersearch.results.query import Row
    from pytest_hypersearch.stats.ranking import Ranking


Verdict: TypeAlias = Literal["better", "worse", "same", "undecided"]
_Pairing: TypeAlias = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Pair:
    """A configuration's replicate that both sides have completed.

    Attributes:
        test: Node id of the study.
        params: The configuration.
        replicate: Index of the repetition.
        before: Its score among the other results.
        now: Its score among these.
    """

    test: str
    params: Config
    replicate: int
    before: float
    now: float

    @property
    def difference(self) -> float:
        """What was added to the score."""
        return self.now - self.before


@dataclass(frozen=True, slots=True)
class Comparison:
    """What has become of the scores.

    Attributes:
        sweep: Tells the metric and which direction is better.
        pairs: What both sides have completed.
        unpaired: How many complete trials of the other results and of these have no counterpart.
        best_before: The best configuration of the other results, None if there is none.
        best_now: The best configuration of these.
    """

    sweep: Sweep
    pairs: tuple[Pair, ...]
    unpaired: tuple[int, int]
    best_before: Configuration | None
    best_now: Configuration | None

    @property
    def difference(self) -> float | None:
        """The mean of all pairs' differences, None without any."""
        return mean([pair.difference for pair in self.pairs]) if self.pairs else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Its 95% confidence interval (paired t), None for fewer than two pairs."""
        found = summary([pair.difference for pair in self.pairs])
        low, high = found["low"], found["high"]
        return None if low is None or high is None else (low, high)

    @property
    def verdict(self) -> Verdict:
        """Whether scores became better or worse, are the same in each pair, or it is not sure."""
        if self.pairs and not any(pair.difference for pair in self.pairs):
            return "same"
        if self.interval is None:
            return "undecided"
        low, high = sorted(signed(self.sweep, end) for end in self.interval)
        return "better" if high < 0 else "worse" if low > 0 else "undecided"

    def table(self) -> list[Row]:
        """Return a row for each pair: test, replicate, parameters, before, now, difference."""
        return [
            {"test": pair.test, "replicate": pair.replicate}
            | {f"params.{name}": value for name, value in pair.params.items()}
            | {"before": pair.before, "now": pair.now, "difference": pair.difference}
            for pair in self.pairs
        ]

    def __str__(self) -> str:

        return comparison_text(self, 80)


def compare(
    studies: Sequence[StudyResults],
    ranking: Ranking | None,
    others: Sequence[StudyResults],
    before: Ranking | None,
) -> Comparison:
    """Compare studies with others from before; see `Results.compare`.

    Raises:
        ValueError: One side has no trials, or they are not after the same.
    """
    if ranking is None or before is None:
        raise ValueError("compare: expected trials on both sides")
    first, earlier = ranking.sweeps[0], before.sweeps[0]
    if first.goals[0] != earlier.goals[0]:
        goals = " and ".join(f"{one.metric} ({one.mode})" for one in (earlier, first))
        raise ValueError(f"compare: expected the same score on both sides, not {goals}")
    now, then = _scores(studies, ranking.sweeps), _scores(others, before.sweeps)
    both = [which for which in now if which in then]
    pairs = [
        Pair(test, now[which][0], replicate, mean(then[which][1]), mean(now[which][1]))
        for which in both
        for test, _, replicate in [which]
    ]
    unpaired = len(then) - len(both), len(now) - len(both)
    return Comparison(first, tuple(pairs), unpaired, before.best, ranking.best)


def _scores(
    studies: Iterable[StudyResults], alike: Sequence[Sweep]
) -> dict[_Pairing, tuple[Config, list[float]]]:
    """Configuration and scores by what they are paired by; several sweeps may have the same."""
    found: dict[_Pairing, tuple[Config, list[float]]] = {}
    for study in studies:
        names = {sweep.name for sweep in study.sweeps if sweep in alike}
        for trial in study.trials:
            complete = trial.state is State.COMPLETE and trial.sweep in names
            if complete and trial.score is not None:
                which = study.nodeid, config_key(trial.params), trial.replicate
                found.setdefault(which, (trial.params, []))[1].append(trial.score)
    return found


def comparison_text(found: Comparison, width: int) -> str:
    """Tell what has become of the scores, and of the best configuration."""
    look, sweep = look_of(width), found.sweep
    metric = clean(sweep.metric, look)
    lines = [f"{metric} ({better(sweep.mode)}), {_pairing(found)}"]
    if found.difference is not None:
        lines += _flow(_change(found), look)
    for label, best in (("before", found.best_before), ("now", found.best_now)):
        lines += _flow(_best_line(label, best, look), look)
    return "\n".join(lines)


def _pairing(found: Comparison) -> str:
    if not found.pairs:
        return "no configuration and replicate completed on both sides"
    before, now = found.unpaired
    return plural(len(found.pairs), "pair") + (
        f" ({before} trials before and {now} now have no counterpart)" if before or now else ""
    )


def _change(found: Comparison) -> list[str]:
    before, now = ([getattr(pair, side) for pair in found.pairs] for side in ("before", "now"))
    means = [sum(side) / len(side) for side in (before, now)]
    ends = found.interval or ()
    difference = found.difference or 0.0
    scale, change = scale_of(means), scale_of([difference, *ends])
    words = [f"mean {scale.value(means[0])} -> {scale.value(means[1])},"]
    words.append(f"difference {change.value(difference)}")
    if ends:
        words.append(f"(95% CI {change.value(ends[0])} to {change.value(ends[1])}):")
    return [*words, found.verdict]


def _best_line(label: str, best: Configuration | None, look: Look) -> list[str]:
    if best is None:
        return [f"best {label}:", "none"]
    score = show_mean(best.score, best.std, look)
    return [f"best {label}:", score, f"({name_of(best)})", *show_params(best.params, look)]


def _flow(words: Iterable[str], look: Look) -> list[str]:
    return [plain(line) for line in flow(((word, {}) for word in words), look)]
