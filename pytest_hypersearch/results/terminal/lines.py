"""Lines of the summary: counts of trials, the best, Pareto fronts, importance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import TypeAlias, TypeGuard

from pytest_hypersearch.core.study import Configuration, StudyResults, signed, some
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import State, TrialRecord
from pytest_hypersearch.core.values import plural
from pytest_hypersearch.results.terminal.format import (
    Column,
    Line,
    Look,
    Segment,
    clean,
    columns,
    cut,
    flow,
    line,
    pad,
    scale_of,
    show_duration,
    show_value,
    wrap,
)
from pytest_hypersearch.results.terminal.tables import draw, name_of, split, with_params
from pytest_hypersearch.stats.failures import FailureRule, failure_rule
from pytest_hypersearch.stats.grouping import count
from pytest_hypersearch.stats.importance import Importance, Pool, importance, pools
from pytest_hypersearch.stats.ranking import RankedStudy, Ranking

_COLOURS = {
    State.COMPLETE: "green",
    State.FAILED: "red",
    State.INVALID: "red",
    State.PRUNED: "yellow",
    State.RACED_OUT: "yellow",
    State.CRASHED: "red",
    State.TIMED_OUT: "red",
    State.NOT_RUN: "yellow",
    State.RUNNING: "yellow",
}


def trials_of(results: StudyResults, sweep: Sweep) -> list[TrialRecord]:
    """Returns a sweep's trials."""
    return [trial for trial in results.trials if trial.sweep == sweep.name]


def describe(sweep: Sweep, look: Look) -> str:
    """Says what a sweep is: ``grid of 9 (3x3), 3 replicates``, ``wide (random of 20, seed 0)``."""
    shape = " + ".join("x".join(str(n) for n in sizes if n > 1) or "1" for sizes in sweep.shape)
    words = [f"{clean(sweep.strategy, look)} of {sweep.n_trials}"]
    if {"x", "+"} & {*shape}:
        words[0] += f" ({shape})"
    if sweep.replicates > 1:
        least = f"{sweep.at_least} to " if sweep.at_least else ""
        words.append(f"{least}{sweep.replicates} replicates")
    if not sweep.shape and sweep.strategy != "grid":
        words.append(f"seed {sweep.seed}")
    text = ", ".join(words)
    return text if sweep.name == sweep.strategy else f"{clean(sweep.name, look)} ({text})"


def count_words(trials: Sequence[TrialRecord], planned: int) -> list[Segment]:
    """Counts trials by state, in words: ``38 of 40 complete,`` ``2 failed``."""
    counts = count(trials, planned)
    total = max(planned, len(trials))
    cached = sum(trial.cached for trial in trials)
    states = sorted({State.COMPLETE, *counts}, key=list(_COLOURS).index)
    words: list[Segment] = [
        (f"{counts.get(state, 0)} {state}" + "," * (state != states[-1]), {_COLOURS[state]: True})
        for state in states
    ]
    (first, markup), *_ = words
    number, _, rest = first.partition(" ")
    words[0] = f"{number} of {total} {rest}", markup if counts.get(State.COMPLETE) else {}
    if cached:
        words.append((f"({cached} from cache)", {}))
    return words


def sweep_lines(results: StudyResults, look: Look) -> list[Line]:
    """Writes what became of each of a study's sweeps, one below the other."""
    rows = [(f"{describe(each, look)}:", trials_of(results, each), each) for each in results.sweeps]
    width = max((columns(label) for label, _, _ in rows), default=0)
    lines: list[Line] = []
    for label, trials, sweep in rows:
        words = count_words(trials, sweep.planned)
        if sweep.elapsed:
            words[-1] = f"{words[-1][0]},", words[-1][1]
            words.append((_time(trials, sweep.elapsed), {}))
        whole = 2 + width + 1 + columns(words_text(words)) <= look.width
        lines += flow([(pad(label, width) if whole else label, {}), *words], look)
    return lines


_LONG = 60  # seconds; of shorter sweeps nobody asks where the time went


def _time(trials: Iterable[TrialRecord], elapsed: float) -> str:
    """Says how long a sweep took, and how much of that was spent within trials.

    That is a share of the time, or if trials ran side by side the mean number of those.
    """
    text = show_duration(elapsed)
    within = sum(trial.duration or 0.0 for trial in trials if not trial.cached) / elapsed
    if elapsed < _LONG or not within:
        return text
    if within <= 1.05:  # noqa: PLR2004 - one at a time; clocks differ a little
        return f"{text} ({min(within, 1):.0%} within trials)"
    return f"{text} ({within:.1f} trials at a time)"


def words_text(words: Iterable[Segment]) -> str:
    """Returns the text of words."""
    return " ".join(text for text, _ in words)


_NAMED = 5


def comparable(ranked: Sequence[Configuration]) -> bool:
    """Tells whether a sweep's configurations are compared: several, by means over replicates."""
    if len(ranked) < 2:  # noqa: PLR2004 - nothing to compare
        return False
    sweep = ranked[0].sweep
    return sweep.replicates > 1 and sweep.pick == "mean" and not sweep.others


def doubtful(ranked: Sequence[Configuration], study: StudyResults) -> set[int]:
    """Numbers of the configurations of a sweep that are not significantly worse than the best.

    Those that the race dropped are not among them; others are compared over the replicates that
    they share with the best.
    """
    from pytest_hypersearch.stats.comparing import indistinct

    dropped = raced_out(ranked, study)
    scores = {
        each.number: {
            trial.replicate: signed(each.sweep, score)
            for trial, score in zip(each.trials, each.scores, strict=True)
        }
        for each in ranked
        if each.number not in dropped
    }
    return set(indistinct(scores, ranked[0].number))


def raced_out(ranked: Sequence[Configuration], study: StudyResults) -> set[int]:
    """Numbers of the configurations of a sweep that its race dropped; never the best."""
    first = ranked[0]
    dropped = {
        trial.number
        for trial in study.trials
        if trial.sweep == first.sweep.name and trial.state is State.RACED_OUT
    }
    return (dropped & {each.number for each in ranked}) - {first.number}


def doubt_lines(
    ranked: Sequence[Configuration], study: StudyResults, look: Look, of: str = ""
) -> list[Line]:
    """Names the configurations of a sweep that are not significantly worse than the best."""
    if not comparable(ranked):
        return []
    return flow(((word, {}) for word in f"{of}{_doubts(ranked, study, look)}".split(" ")), look)


_TEST = "(paired t, 5%)"


def _doubts(ranked: Sequence[Configuration], study: StudyResults, look: Look) -> str:
    first, others, dropped = ranked[0], len(ranked) - 1, len(raced_out(ranked, study))
    if len(first.trials) < 2:  # noqa: PLR2004 - no spread
        return f"significance unknown: #{first.number} has 1 complete replicate, 2 are needed"
    if dropped == others:
        return f"{_others(others)} raced out"
    alike = doubtful(ranked, study)
    close = [each for each in ranked if each.number in alike]
    raced = f"; {dropped} raced out" if dropped else ""
    if not close:
        compared = _others(others - dropped)
        return f"#{first.number} is significantly better than {compared} {_TEST}{raced}"
    if len(close) == others:
        verb = f"none of {others} others is" if others > 1 else "the other one is not"
        return f"{verb} significantly worse than #{first.number} {_TEST}"
    names = [f"#{each.number}" for each in close]
    if look.verbosity < 1 and len(names) > _NAMED:
        names[_NAMED:] = [f"{len(names) - _NAMED} more with -v"]
    text = f"not significantly worse than #{first.number} {_TEST}: {', '.join(names)}"
    if shared := ", ".join(_shared([first, *close], ranked, look)):
        text += f" ({'all' if close[1:] else 'both'} with {shared})"
    return text + raced


def _others(number: int) -> str:
    return {1: "the other one", 2: "both others"}.get(number, f"all {number} others")


_FEWEST = 3  # configurations whose range of a parameter says something


def _shared(
    alike: Sequence[Configuration], every: Sequence[Configuration], look: Look
) -> Iterator[str]:
    """Says which values of parameters some configurations share, and most others do not have."""
    own = {each.number for each in alike}
    others = [each for each in every if each.number not in own]
    for name in every[0].sweep.varied:
        values = [each.params.get(name) for each in alike]
        outside = [each.params.get(name) for each in others]
        shown_name = clean(name, look)
        if all(each == values[0] for each in values):
            apart = sum(each != values[0] for each in outside)
            if values[0] is not None and 2 * apart >= len(others):
                yield f"{shown_name}={show_value(values[0], look)}"
            continue
        numbers = [each for each in values if is_number(each)]
        if len(numbers) < len(values) or len(alike) < _FEWEST:
            continue
        low, high = min(numbers), max(numbers)
        beyond = [each for each in outside if not (is_number(each) and low <= each <= high)]
        if 2 * len(beyond) >= len(others):
            yield f"{shown_name} {show_value(low, look)} to {show_value(high, look)}"


def is_number(value: object) -> TypeGuard[int | float]:
    """Tells whether a parameter's value is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_ROWS = 10


def fronts(ranked: RankedStudy, look: Look) -> list[list[Line]]:
    """Shows the front of each objective of several metrics, short unless ``-v`` asks for all."""
    return [
        _front(front, ranking.sweeps, look)
        for ranking in ranked.rankings
        if ranking.sweeps[0].others and (front := ranking.front)
    ]


def _front(front: Sequence[Configuration], alike: Sequence[Sweep], look: Look) -> list[Line]:
    goals = alike[0].goals
    better = {"min": "lower", "max": "higher"}
    wanted = ", ".join(f"{better[goal.mode]} {clean(goal.metric, look)}" for goal in goals)
    title = line(cut(f"  {front_words(front)} ({wanted})", look.width, look))
    shown = front if look.verbosity > 0 else _spread(front)
    table = [Column("#", tuple(name_of(each).removeprefix("#") for each in shown))]
    for goal, values in zip(goals, zip(*(each.values for each in shown), strict=True), strict=True):
        scale = scale_of(values)
        cells = tuple(scale.value(value) for value in values)
        table.append(Column(clean(goal.metric, look), cells))
    if len(alike) > 1:
        sweeps = tuple(clean(each.sweep.name, look) for each in shown)
        table.insert(0, Column("sweep", sweeps, right=False, shrinks=True))
    lines = draw(with_params(table, [each.params for each in shown], look), look)
    if len(shown) < len(front):
        lines += flow([(f"and {len(front) - len(shown)} more with -v", {"light": True})], look)
    return [title, *lines]


def _spread(front: Sequence[Configuration]) -> Sequence[Configuration]:
    """Thins a long front evenly; its ends stay."""
    if len(front) <= _ROWS:
        return front
    return [front[i * (len(front) - 1) // (_ROWS - 1)] for i in range(_ROWS)]


def front_words(found: Sequence[Configuration]) -> str:
    """Says how long a front is."""
    return f"{len(found)} on the Pareto front"


def infeasible_words(ranking: Ranking, look: Look) -> str:
    """Says how many configurations break a sweep's constraints: ``3 of 40 (loss <= 5)``."""
    broken = len(ranking) - len(ranking.feasible)
    bounds = ", ".join(clean(str(each), look) for each in ranking.sweeps[0].constraints)
    return f"{broken} of {len(ranking)} configurations ({bounds})" if broken else ""


_SHOWN = 6


Judged: TypeAlias = Sequence[tuple[Pool, Sequence[Importance]]]
"""What matters in each pool of a study; nothing where that cannot be told."""


def importances(ranked: RankedStudy) -> Judged:
    """Judges parameters as far as a study's complete configurations tell."""
    judged: list[tuple[Pool, Sequence[Importance]]] = []
    for pool in pools(ranked):
        shares: Sequence[Importance] = ()
        if len(pool.space.varied) > 1:  # a single parameter is all that matters
            with suppress(ValueError):
                shares = importance(pool.space, pool.configs, pool.scores)
        judged.append((pool, shares))
    return judged


def importance_lines(judged: Judged, look: Look) -> list[Line]:
    """Says what matters."""
    lines: list[Line] = []
    for pool, shares in judged:
        if shares:
            lines += _line(pool, shares, look, several=len(judged) > 1)
    return lines


def _line(pool: Pool, shares: Sequence[Importance], look: Look, *, several: bool) -> list[Line]:
    sweep = pool.sweeps[0]
    label = "importance"
    if several:
        label += f" in {', '.join(clean(each.name, look) for each in pool.sweeps)}"
    if sweep.others:
        label += f" for {clean(sweep.metric, look)}"
    shown = shares if look.verbosity > 0 or len(shares) <= _SHOWN else shares[: _SHOWN - 1]
    texts = [
        f"{clean(each.parameter, look)} {each.share:.2f} {look.plus_minus}{each.spread:.2f}"
        for each in shown
    ]
    if rest := shares[len(shown) :]:
        texts.append(f"{len(rest)} more {sum(each.share for each in rest):.2f}")
    words = [f"{label}:", *(f"{text}," for text in texts[:-1]), texts[-1]]
    return flow(((word, {}) for word in words), look)


def annotation_lines(studies: Iterable[StudyResults], look: Look) -> list[Line]:
    """Tell what people say of runs and trials, each tag and note once."""
    lines: list[Line] = []
    for study in studies:
        said: dict[tuple[tuple[str, ...], str], list[str]] = {}
        if study.tags or study.note:
            said[study.tags, study.note] = [f"run {PurePath(study.run).name}"]
        for trial in study.trials:
            if trial.tags or trial.note:
                name = f"{trial.sweep}-{trial.number}-r{trial.replicate}"
                said.setdefault((trial.tags, trial.note), []).append(name)
        for (tags, note), names in said.items():
            marks = f"[{', '.join(tags)}]" if tags else ""
            text = " ".join(filter(None, [some(names, most=4), marks, note]))
            lines += map(line, wrap(clean(text, look), look))
    return lines


def rule_lines(studies: Iterable[RankedStudy], look: Look, *, several: bool = False) -> list[Line]:
    """Says what failing configurations of a test have in common, if it is more than chance.

    Args:
        studies: One study, or all of a test.
        look: Decides the width.
        several: Whether other tests are shown, so that the test is named.
    """
    known = [one.study for one in studies]
    rule = failure_rule(known)
    if rule is None:
        return []
    test = clean(split(known[0].nodeid)[0].rpartition("::")[2], look) if several else "it"
    words = [f"where {test} fails:", *rule_text(rule, look).split(" ")]
    return flow(((word, {}) for word in words), look)


def rule_text(rule: FailureRule, look: Look) -> str:
    """Writes a rule: ``5 of 5 failing configurations have lr>=0.1 and opt=sgd, 2 of 46 others``."""
    texts = []
    for one in rule.conditions:
        name = clean(one.name, look)
        if one.sign in {"given", "missing"}:
            texts.append(name if one.sign == "given" else f"no {name}")
        else:
            texts.append(f"{name}{one.sign}{show_value(one.value, look)}")
    configurations = f"{rule.covered} of {plural(rule.failing, 'failing configuration')}"
    verb = "has" if rule.failing == 1 else "have"
    others = plural(rule.others, "other")
    return f"{configurations} {verb} {' and '.join(texts)}, {rule.wrong} of {others}"
