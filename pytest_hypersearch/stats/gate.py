"""Gates: whether the scores of a test have become worse, with the seed as the unit.

The trials of one seed share their luck, before and now, so they are one observation: the mean
change over the judged configurations. These are tested by a one-sided paired t-test. With all
trials as observations, a seed's luck would count once for each configuration, and unchanged scores
would be found worse in a quarter of all comparisons (`benchmarks/gate.py`). The judged
configurations are the best of both sides taken together: the sum of before and now is uncorrelated
with the difference, so that the choice does not bias it.

Symbols; losses are signed so that a positive one is worse:
    d        (n,)    loss of each seed, the mean over the judged configurations
    D, s             mean and standard deviation of d
    q                quantile of Student's t distribution with n - 1 degrees of freedom
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, replace
from functools import cache
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.goals import ALPHA, TOP, Gate, Mode
from pytest_hypersearch.core.study import (
    Name,
    StudyResults,
    Trials,
    by_configuration,
    scores_by_seed,
)
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.values import mean, plural, shown, std

POWER = 0.8
_MOST_SEEDS = 1_000_000


def power(seeds: int, delta: float, alpha: float = ALPHA) -> float:
    """Compute the chance to find a loss, exactly, by the noncentral t distribution.

    Args:
        seeds: Number of seeds, at least 2.
        delta: The loss in standard deviations of the seeds' differences.
        alpha: Error of the one-sided test.
    """
    from scipy.special import nctdtr, stdtrit

    quantile = stdtrit(seeds - 1, 1 - alpha)
    return 1 - float(nctdtr(seeds - 1, delta * math.sqrt(seeds), quantile))


def seeds_needed(delta: float) -> int | None:
    """Compute how many seeds find a loss of ``delta`` standard deviations of seeds' differences.

    With a power of 80%; None if they are more than a million.
    """
    high = 2
    while power(high, delta) < POWER:
        high *= 2
        if high > _MOST_SEEDS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, delta) >= POWER else (middle, high)
    return high


def smallest_loss(seeds: int) -> float:
    """Compute the smallest loss that so many seeds find, in standard deviations; see `power`."""
    low, high = 0.0, 100.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if power(seeds, middle) >= POWER else (middle, high)
    return high


def looks(at_least: int, at_most: int) -> list[int]:
    """Plan after how many seeds to judge: each time half as many again, the last time after all."""
    plan = [at_least]
    while (following := -(-3 * plan[-1] // 2)) < 0.8 * at_most:
        plan.append(following)
    return [*plan, at_most] if at_most > plan[-1] else plan


@cache
def look_level(plan: tuple[int, ...], alpha: float = ALPHA) -> float:
    """Compute the level of an alarm at each of several looks, by which all together have ``alpha``.

    The same level at each look is a bound of S. J. Pocock's (Group sequential methods in the design
    and analysis of clinical trials, Biometrika 64, 1977). It is the quantile of the smallest
    p-value over the looks, by simulation with a fixed seed: normal approximations are too high for
    few seeds. Its relative error is 2%.
    """
    import numpy as np
    from scipy.special import stdtr

    drawn = np.random.RandomState(0).standard_normal((50_000, plan[-1]))
    lowest = np.ones(len(drawn))
    for n in plan:
        some = drawn[:, :n]
        t = some.mean(axis=1) * math.sqrt(n) / some.std(axis=1, ddof=1)
        lowest = np.minimum(lowest, stdtr(n - 1, -t))
    return float(np.quantile(lowest, alpha))


_Name = TypeVar("_Name")
Verdict: TypeAlias = Literal[
    "REGRESSED",
    "broken",
    "missed",
    "no baseline",
    "not comparable",
    "undecided",
    "better",
    "same",
    "met",
]
Scores: TypeAlias = "Mapping[_Name, Mapping[int, float | None]]"
"""Scores of configurations by seed; None where a trial failed, no entry where it did not finish."""

LEAST_SEEDS = 3
EQUAL = 1e-8


@frozen
class Judgement(Generic[_Name]):
    """What has become of the scores of one metric of one test.

    Attributes:
        verdict: The verdict.
        reason: What the verdict rests on if it is not the interval, empty otherwise.
        losses: Mean loss of each judged configuration, the largest first.
        broken: Judged configurations of which a seed was complete before and fails now.
        gone: Configurations that only the earlier side has.
        new: Configurations that only the later side has.
        shared: Number of configurations that both sides have.
        seeds: The seeds that all judged configurations have completed on both sides.
        before: Mean score of the judged configurations before, None if nothing is paired.
        now: Their mean score now.
        loss: D, by how much scores have become worse; negative if they are better.
        low: Lower one-sided confidence bound of D, None if there was no test.
        high: Upper one-sided confidence bound of D.
        spread: s, None for fewer than two seeds.
        tolerance: The largest loss that does not matter.
        p: One-sided p-value of a loss, None if there was no test.
        bound: The threshold instead of scores before, None if these were compared.
    """

    verdict: Verdict
    reason: str = ""
    losses: Mapping[_Name, float] = field(default_factory=dict)
    broken: tuple[_Name, ...] = ()
    gone: tuple[_Name, ...] = ()
    new: tuple[_Name, ...] = ()
    shared: int = 0
    seeds: tuple[int, ...] = ()
    before: float | None = None
    now: float | None = None
    loss: float | None = None
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    tolerance: float = 0.0
    p: float | None = None
    bound: float | None = None

    @property
    def found(self) -> float | None:
        """The smallest loss that this many seeds find with a power of 80%."""
        if self.p is None or not self.spread:
            return None
        return self.spread * smallest_loss(len(self.seeds))

    @property
    def needed(self) -> int | None:
        """How many seeds find a loss of the tolerance with a power of 80%.

        With a threshold: how many find a distance to it as large as this one.
        """
        size = self.tolerance if self.bound is None else abs(self.loss or 0.0)
        if self.p is None or not self.spread or not size:
            return None
        return seeds_needed(size / self.spread)


def verdict(
    before: Scores[_Name],
    now: Scores[_Name],
    *,
    mode: Mode = "min",
    tolerance: float | str = 0.0,
    top: int | None = TOP,
    alpha: float = ALPHA,
    level: float | None = None,
    strict: bool = False,
) -> Judgement[_Name]:
    """Judge scores against those from before.

    Args:
        before: Scores of each configuration by seed.
        now: The same now.
        mode: Whether lower or higher scores are better.
        tolerance: The largest loss that does not matter: a number, or a percentage (``"1%"``) of
            the judged configurations' mean before.
        top: How many configurations are judged; None for all.
        alpha: Error of the bounds.
        level: Error of an alarm if it differs, as in a look at some of the seeds; see `look_level`.
        strict: Whether an alarm needs a loss that is significantly above the tolerance.

    Raises:
        ValueError: The tolerance is no number and no percentage, or a percentage of 0.
    """
    limit = Tolerance.of(tolerance)
    sign = 1.0 if mode == "min" else -1.0
    pairs = {name: _pairs(before[name], now[name]) for name in before if name in now}
    judged = _best(pairs, sign, top)
    common = [{*pairs[name].both} for name in judged]
    seeds = sorted(set.intersection(*common)) if common else []
    known: Judgement[_Name] = Judgement(
        "undecided",
        broken=tuple(name for name in judged if pairs[name].broken),
        gone=tuple(name for name in before if name not in now),
        new=tuple(name for name in now if name not in before),
        shared=len(pairs),
        seeds=tuple(seeds),
    )
    if not judged:
        return replace(known, verdict="not comparable", reason="no configuration in common")
    if seeds:
        table = {name: [pairs[name].both[seed] for seed in seeds] for name in judged}
        known = _measured(known, table, sign, limit)
    if known.broken:
        return replace(known, verdict="broken")
    if not seeds:
        reason = "no seed is complete on both sides"
        return replace(known, verdict="not comparable", reason=reason)
    if any(pairs[name].thin for name in judged):
        return replace(known, reason="fewer than half of a judged configuration's seeds ran again")
    scale = max(abs(score) for row in table.values() for pair in row for score in pair)
    return _decided(known, scale, alpha, alpha if level is None else level, strict=strict)


def threshold(
    scores: Scores[_Name], bound: float, *, mode: Mode = "min", alpha: float = ALPHA
) -> Judgement[_Name]:
    """Judge whether the best configuration's mean reaches a bound, by a t-test over its seeds.

    ``missed`` is said if it is significantly on the wrong side: as the best is chosen by the same
    scores, it is so less often than ``alpha``. For ``met``, ``alpha`` is divided by the number of
    configurations, any of which may be the best by luck (Bonferroni).

    Args:
        scores: Scores of each configuration by seed.
        bound: The bound, which the mean may just reach.
        mode: Whether lower or higher scores are better.
        alpha: Error of either verdict.
    """
    sign = 1.0 if mode == "min" else -1.0
    complete = {
        name: {seed: score for seed, score in row.items() if score is not None}
        for name, row in scores.items()
    }
    if not scores:
        return Judgement("not comparable", "no trial has run", bound=bound)
    most = max(map(len, complete.values()))
    if not most:
        return Judgement("missed", "no trial is complete", bound=bound, shared=len(scores))
    full = {name: row for name, row in complete.items() if len(row) == most}
    best = min(full, key=lambda name: sign * mean([*full[name].values()]))
    before = {best: dict.fromkeys(full[best], bound)}
    found = verdict(before, {best: full[best]}, mode=mode, alpha=alpha)
    found = replace(found, bound=bound, shared=len(full))
    if found.verdict == "better" and found.p and 1 - found.p > alpha / len(full):
        reason = f"not significant for the best of {len(full)}"
        return replace(found, verdict="undecided", reason=reason)
    words: dict[Verdict, Verdict] = {"REGRESSED": "missed", "better": "met", "same": "met"}
    return replace(found, verdict=words.get(found.verdict, found.verdict))


@frozen
class _Pairs:
    """A configuration on both sides.

    Attributes:
        before: Its complete scores before.
        both: Scores before and now of the seeds that are complete on both sides.
        broken: Whether a seed was complete before and fails now.
    """

    before: Sequence[float]
    both: Mapping[int, tuple[float, float]]
    broken: bool

    @property
    def thin(self) -> bool:
        """Whether fewer than half of the seeds are paired, and none failed."""
        return not self.broken and 2 * len(self.both) < len(self.before)

    def total(self) -> float:
        """The mean of before plus now; of before alone, twice, if everything fails now."""
        if not self.both:
            return 2 * mean(self.before)
        return mean([earlier + later for earlier, later in self.both.values()])


def _pairs(before: Mapping[int, float | None], now: Mapping[int, float | None]) -> _Pairs:
    complete = {seed: score for seed, score in before.items() if score is not None}
    both = {
        seed: (score, later)
        for seed, score in complete.items()
        if (later := now.get(seed)) is not None
    }
    broken = any(seed in now and now[seed] is None for seed in complete)
    return _Pairs([*complete.values()], both, broken)


def _best(pairs: Mapping[_Name, _Pairs], sign: float, top: int | None) -> list[_Name]:
    """The best configurations of both sides together, among those with most seeds before."""
    most = max((len(one.before) for one in pairs.values()), default=0)
    full = [name for name, one in pairs.items() if one.before and 2 * len(one.before) >= most]
    return sorted(full, key=lambda name: sign * pairs[name].total())[:top]


def _measured(
    known: Judgement[_Name],
    table: Mapping[_Name, Sequence[tuple[float, float]]],
    sign: float,
    limit: Tolerance,
) -> Judgement[_Name]:
    """Adds what the pairs (before, now) of each judged configuration, in order of seed, show."""
    losses = {
        name: sign * mean([later - earlier for earlier, later in row])
        for name, row in table.items()
    }
    d = [
        sign * mean([later - earlier for earlier, later in column])
        for column in zip(*table.values(), strict=True)
    ]
    sides = [mean([pair[side] for row in table.values() for pair in row]) for side in (0, 1)]
    return replace(
        known,
        losses=dict(sorted(losses.items(), key=lambda item: -item[1])),
        before=sides[0],
        now=sides[1],
        loss=mean(d),
        spread=std(d),
        tolerance=limit.size_at(sides[0]) if any(losses.values()) else 0.0,
    )


def _decided(
    known: Judgement[_Name], scale: float, alpha: float, level: float, *, strict: bool
) -> Judgement[_Name]:
    """Decides by the losses of the seeds."""
    n, loss, spread = len(known.seeds), known.loss or 0.0, known.spread or 0.0
    if not (math.isfinite(loss) and math.isfinite(spread)):
        return replace(known, reason="differences are too large for floating point")
    if all(abs(one) <= EQUAL * scale for one in known.losses.values()) and spread <= EQUAL * scale:
        return replace(known, verdict="same", reason="same numbers")
    found: Verdict
    if n > 1 and spread <= EQUAL * scale:
        found = "REGRESSED" if loss > known.tolerance else "better" if loss < 0 else "same"
        return replace(known, verdict=found, reason="every seed differs by the same", p=0.0)
    if n < LEAST_SEEDS:
        reason = f"{plural(n, 'seed')}, {LEAST_SEEDS} or more are needed"
        return replace(known, reason=reason)
    from scipy.special import stdtr, stdtrit

    error = spread / math.sqrt(n)
    bound = error * float(stdtrit(n - 1, 1 - alpha))
    p = float(stdtr(n - 1, -(loss - known.tolerance * strict) / error))
    known = replace(known, low=loss - bound, high=loss + bound, p=p)
    if loss > known.tolerance and p < level:
        found = "REGRESSED"
    elif loss + bound < 0:
        found = "better"
    else:
        found = "same" if loss + bound < known.tolerance else "undecided"
    return replace(known, verdict=found)


def sequential(
    before: Scores[_Name],
    now: Scores[_Name],
    seeds: Sequence[int],
    *,
    at_least: int,
    most: int | None = None,
    alpha: float = ALPHA,
    **options: Any,  # noqa: ANN401  those of `verdict`
) -> Judgement[_Name]:
    """Judge after some of the seeds, and so on until a look decides or all seeds are looked at.

    The configurations that are judged at the first look are judged at all of them. The p-value is
    that of all looks together.

    Args:
        before: Scores of each configuration by seed.
        now: The same now.
        seeds: The seeds in the order in which they run.
        at_least: After how many of them the first look is taken.
        most: How many have run, if not all that are to be looked at.
        alpha: Error of all looks together.
        options: Of `verdict`.
    """
    plan = look_plan(before, seeds, at_least)
    level = look_level(tuple(plan), alpha) if len(plan) > 1 else alpha

    def look(number: int, names: Collection[_Name] | None = None) -> Judgement[_Name]:
        known = set(seeds[:number])
        sides = (
            {
                name: {seed: score for seed, score in row.items() if seed in known}
                for name, row in side.items()
                if names is None or name in names
            }
            for side in (before, now)
        )
        return verdict(*sides, alpha=alpha, level=level, **options)

    first = found = look(plan[0])
    for number in plan[1:]:
        if found.verdict != "undecided" or number > (most or number):
            break
        found = look(number, found.losses)
    p = None if found.p is None else min(1.0, found.p * alpha / level)
    return replace(found, p=p, gone=first.gone, new=first.new, shared=first.shared)


def look_plan(before: Scores[_Name], seeds: Sequence[int], at_least: int) -> list[int]:
    """Return after how many seeds to look: not after more than there are to compare with."""
    ran = [
        number
        for number, seed in enumerate(seeds, 1)
        if any(row.get(seed) is not None for row in before.values())
    ]
    return looks(at_least, max([at_least, *ran]))


def comparable(before: StudyResults | None, sweep: Sweep, gate: Gate) -> Trials | None:
    """Return the trials that a gate compares with, None if there are none."""
    for other in before.sweeps if before else ():
        modes = {goal.metric: goal.mode for goal in other.goals}
        same = (other.name, other.seed) == (sweep.name, sweep.seed)
        if before and same and modes.get(gate.metric) == gate.mode:
            return by_configuration(before, [other])
    return None


def judge_gate(
    before: Trials, now: Trials, gate: Gate, sweep: Sweep | None = None, most: int | None = None
) -> Judgement[Name]:
    """Judge the trials of a sweep as its gate says.

    Args:
        before: The trials to compare with.
        now: The trials.
        gate: The metric and the rule.
        sweep: The sweep, if its replicates may be sequential.
        most: How many replicates have run, if these are not all.

    Raises:
        ValueError: The tolerance is a percentage of 0.
    """
    scores = scores_by_seed(before, gate.metric), scores_by_seed(now, gate.metric)
    options: dict[str, Any] = {"mode": gate.mode, "tolerance": gate.tolerance, "top": gate.top}
    options |= {"alpha": gate.alpha, "strict": gate.strict}
    if sweep is None or sweep.at_least is None:
        return verdict(*scores, **options)
    return sequential(*scores, sweep.seeds, at_least=sweep.at_least, most=most, **options)


def promising(scores: Scores[_Name], *, mode: Mode, count: int | None) -> set[_Name]:
    """Return the configurations with the best means, without a baseline to judge them by."""
    goal = 1.0 if mode == "min" else -1.0
    means = {
        name: goal * mean(complete)
        for name, row in scores.items()
        if (complete := [score for score in row.values() if score is not None])
    }
    return {*sorted(means, key=lambda name: means[name])[:count]}


def holm(
    judgements: Sequence[Judgement[_Name]], alphas: Sequence[float] = ()
) -> list[Judgement[_Name]]:
    """Withdraw the alarms of several gates that could be chance, as they are many.

    Holm's step-down procedure (S. Holm, A simple sequentially rejective multiple test procedure,
    Scand. J. Stat. 6, 1979): in all of the gates together, a false alarm has a probability of at
    most the largest of ``alphas``.

    Args:
        judgements: Of the gates.
        alphas: The error of each; `ALPHA` by default.
    """
    errors = alphas or [ALPHA] * len(judgements)
    tested = [place for place, one in enumerate(judgements) if one.p is not None]
    chances = [(judgements[place].p or 0.0) * ALPHA / errors[place] for place in tested]
    kept = [*judgements]
    for place, p in zip(tested, adjusted(chances), strict=True):
        if p > ALPHA and kept[place].verdict in {"REGRESSED", "missed"}:
            reason = f"not significant among {len(tested)} gates"
            kept[place] = replace(kept[place], verdict="undecided", reason=reason)
    return kept


def adjusted(chances: Sequence[float]) -> list[float]:
    """Return the p-values of several tests as Holm's procedure compares them with one level."""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    found = [0.0] * len(chances)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * chances[place]))
        found[place] = highest
    return found


@frozen
class Tolerance:
    """A number, or a share of the mean before."""

    size: float
    relative: bool
    given: float | str

    @classmethod
    def of(cls, given: float | str) -> Tolerance:
        """Read a number or a percentage.

        Raises:
            ValueError: It is neither.
        """
        relative = isinstance(given, str) and given.strip().endswith("%")
        try:
            size = float(str(given).strip().removesuffix("%"))
        except ValueError:
            size = math.nan
        if not (math.isfinite(size) and size >= 0):
            raise ValueError(
                f"tolerance: {shown(given)}: expected a number of at least 0 or a percentage"
            )
        return cls(size / 100 if relative else size, relative, given)

    def size_at(self, before: float) -> float:
        """Return the absolute size.

        Raises:
            ValueError: It is a percentage of 0.
        """
        if self.relative and self.size and not before:
            raise ValueError(
                f"tolerance: {shown(self.given)} of a mean score of 0; give an absolute number"
            )
        return self.size * abs(before) if self.relative else self.size
