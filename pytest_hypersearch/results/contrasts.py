"""Values of a parameter, or strategies, compared with each other: the table of a benchmark paper.

Values of a parameter are compared in blocks of equal problem, seed and other parameters. What holds
for a whole sweep, its strategy or an argument of the test, is compared by the best configuration
that each sweep found at an equal budget.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os.path import commonprefix
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.goals import ALPHA, Mode
from pytest_hypersearch.core.space import config_key
from pytest_hypersearch.core.study import StudyResults, signed, some
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Raw, State, TrialRecord
from pytest_hypersearch.core.values import mean, plural, shown, shown_number
from pytest_hypersearch.results.query import ABSENT, Entry, Field, Row
from pytest_hypersearch.results.terminal.format import (
    Column,
    Look,
    better,
    clean,
    look_of,
    render,
    scale_of,
    show_value,
    wrap,
)
from pytest_hypersearch.stats.gate import LEAST_SEEDS
from pytest_hypersearch.stats.grouping import FAILURES
from pytest_hypersearch.stats.ranking import rank

if TYPE_CHECKING:
    from pytest_hypersearch.stats.blocks import Array, PairTest, Unit

Block: TypeAlias = tuple[str, str]
"""Problem, and what else the values have in common besides the seed."""
_Cells: TypeAlias = dict[Block, dict[int, dict[int, float | None]]]
"""Scores by block, seed and place of the value; None where a trial failed."""
_Tables: TypeAlias = Mapping[Block, Mapping[int, Sequence[float]]]
"""Scores of all values by block and seed."""

LEAST_PROBLEMS = 6
"""With fewer, a signed-rank test of two values finds nothing at 5%."""
_ROUNDING = 1e-9
_STARTED = (State.COMPLETE, State.PRUNED, *FAILURES)


@frozen
class Standing:
    """How a value stands among those that it is compared with.

    Attributes:
        value: The value.
        rank: Its mean rank; 1 if it is the best in each block.
        means: Its mean score on each problem.
        failed: In how many blocks its trial failed.
        pair: Its comparison with the best value, this one first; None for the best.
    """

    value: Raw
    rank: float
    means: Mapping[str, float]
    failed: int
    pair: PairTest | None

    @property
    def verdict(self) -> str:
        """How it compares with the best."""
        if self.pair is None:
            return "best"
        if self.pair.adjusted is None:
            return "undecided"
        return "worse" if self.pair.adjusted <= ALPHA else "not significantly different"


@frozen
class Contrast:
    """Several values compared; see `Results.compare_by`.

    Attributes:
        name: What they are values of.
        metric: The score.
        mode: Whether lower or higher scores are better.
        values: The values, to which the indices of ``pairs`` refer.
        standings: One for each value, the best mean rank first.
        pairs: The tests of all pairs.
        friedman: p-value of Friedman's test that all are alike, None for two values.
        unit: What is an observation of the tests: a ``seed``, a ``search`` (the sweeps of one
            seed), or a ``problem`` (a test with its other parameters).
        units: How many there are.
        basis: What was compared, in words.
        reason: Why nothing can be compared, empty otherwise.
    """

    name: str
    metric: str
    mode: Mode
    values: tuple[Raw, ...] = ()
    standings: tuple[Standing, ...] = ()
    pairs: tuple[PairTest, ...] = ()
    friedman: float | None = None
    unit: Unit = "seed"
    units: int = 0
    basis: str = ""
    reason: str = ""

    @property
    def blind(self) -> bool:
        """Whether nothing can be decided, as nothing is paired or there are too few units."""
        return not self.pairs or all(pair.p is None for pair in self.pairs)

    def table(self) -> list[Row]:
        """Return a row for each value, the best rank first.

        ``rank``, ``mean`` (on each problem if there are several), ``failed``, and the comparison
        with the best: ``loss``, ``low`` and ``high`` (95%), ``p`` (Holm), ``verdict``.
        """
        several = len(self.standings[0].means) > 1 if self.standings else False
        rows = []
        for each in self.standings:
            means = {f"mean {name}" if several else "mean": x for name, x in each.means.items()}
            row: Row = {self.name: each.value, "rank": each.rank, **means, "failed": each.failed}
            pair = each.pair
            row |= {name: pair and getattr(pair, name) for name in ("loss", "low", "high")}
            rows.append(row | {"p": pair and pair.adjusted, "verdict": each.verdict})
        return rows

    def __str__(self) -> str:
        return contrast_text(self, 80)


def contrast(
    entries: Sequence[Entry], field: Field, asked: Sequence[object], metric: str, mode: Mode
) -> Contrast:
    """Compare the values of a field; see `Results.compare_by`.

    Args:
        entries: Trials of one metric.
        field: What the values are of.
        asked: The values to compare; all if there are none.
        metric: The score.
        mode: Whether lower or higher scores are better.

    Raises:
        ValueError: There are no such values, or fewer than two.
    """
    name = field.short
    values = _values(entries, field, name, asked)
    blank = Contrast(name, metric, mode, values)
    places = {_typed(value): index for index, value in enumerate(values)}
    chosen = [
        (index, entry)
        for entry in entries
        if (index := places.get(_typed(field.get(entry)))) is not None
    ]
    if field.name.startswith("params."):
        return _by_parameter(blank, chosen, field)
    return _by_sweep(blank, chosen, field)


def _typed(value: object) -> tuple[type, object]:
    return type(value), value  # 1, 1.0 and True differ


def _values(
    entries: Iterable[Entry], field: Field, name: str, asked: Sequence[object]
) -> tuple[Any, ...]:
    usable = {
        _typed(value): value for entry in entries if (value := field.get(entry)) is not ABSENT
    }
    missing = [value for value in asked if _typed(value) not in usable]
    if missing:
        names = some(shown(value) for value in usable.values())
        raise ValueError(f"{name}={shown(missing[0])}: expected some of {names}")
    values = tuple(dict.fromkeys(asked)) if asked else tuple(usable.values())
    if len(values) < 2:  # noqa: PLR2004 - nothing to compare
        names = some(shown(value) for value in values) or "none"
        raise ValueError(f"compare by {name}: expected two values or more, not {names}")
    return values


def _by_parameter(blank: Contrast, chosen: Sequence[tuple[int, Entry]], field: Field) -> Contrast:
    """Compares in blocks of equal problem, seed and other parameters."""
    name = field.short
    cells: _Cells = {}
    for index, (study, _, trial) in chosen:
        if trial.state is State.COMPLETE or trial.state in FAILURES:
            others = {key: value for key, value in trial.params.items() if key != name}
            block = cells.setdefault((study.nodeid, config_key(others)), {})
            score = trial.score if trial.state is State.COMPLETE else None
            block.setdefault(trial.seed, {})[index] = score
    count = len(blank.values)
    failed = [0] * count
    for scores in (row for block in cells.values() for row in block.values()):
        for index in range(count):
            failed[index] += len(scores) == count and scores[index] is None
    whole = {
        block: {
            seed: [score for index in range(count) if (score := row.get(index)) is not None]
            for seed, row in seeds.items()
        }
        for block, seeds in cells.items()
    }
    tables = {
        block: rows
        for block, seeds in whole.items()
        if (rows := {seed: row for seed, row in seeds.items() if len(row) == count})
    }
    if not tables:
        return replace(
            blank,
            reason=f"no trials of a seed differ in {name} alone: try all values with the same "
            f"other parameters, by grid= or points=, or parametrize the test by {name}",
        )
    tables_of = _judged(blank, tables, failed)
    contexts = {context for _, context in tables}
    basis = f"{plural(len(contexts), 'configuration')} of the other parameters"
    return replace(tables_of, basis=basis if contexts != {config_key({})} else "")


def _judged(
    blank: Contrast,
    tables: _Tables,
    failed: Sequence[int],
    unit: Unit = "seed",
    doubt: _Tables | None = None,
) -> Contrast:
    """Judges scores of all values by block and seed, or by another unit than the seed.

    Of each pair the less significant test counts if there are other scores to doubt it by.
    """
    from pytest_hypersearch.stats.blocks import friedman, pairwise, ranks_of

    problems = _by_problem(tables)
    unit = "problem" if len(problems) >= LEAST_PROBLEMS else unit
    units = _units(tables, unit, blank.mode)
    R = ranks_of(units)  # noqa: N806 - a matrix
    ranks = R.mean(axis=0).tolist()
    pairs = pairwise(units, unit)
    if doubt is not None:
        others = pairwise(_units(doubt, unit, blank.mode), unit)
        pairs = [
            max(both, key=lambda each: each.adjusted or 0.0)
            for both in zip(pairs, others, strict=True)
        ]
    order = sorted(range(len(ranks)), key=ranks.__getitem__)
    standings = [
        Standing(
            blank.values[index],
            ranks[index],
            {name: mean([row[index] for row in rows]) for name, rows in problems.items()},
            failed[index],
            None if index == order[0] else _against(pairs, index, order[0]),
        )
        for index in order
    ]
    several = len(ranks) > 2 and len(units) >= LEAST_SEEDS  # noqa: PLR2004 - two are a pair
    return replace(
        blank,
        standings=tuple(standings),
        pairs=tuple(pairs),
        friedman=friedman(R) if several else None,
        unit=unit,
        units=len(units),
    )


def _by_problem(tables: _Tables) -> dict[str, list[Sequence[float]]]:
    problems: dict[str, list[Sequence[float]]] = {}
    for (problem, _), rows in tables.items():
        problems.setdefault(problem, []).extend(rows.values())
    return problems


def _units(tables: _Tables, unit: Unit, mode: Mode) -> list[Array]:
    """Scores Y of each unit, lower is better."""
    import numpy as np

    if unit == "problem":
        groups = [*_by_problem(tables).values()]
    else:
        blocks, seeds = _rectangle(tables)
        groups = [[tables[block][seed] for block in blocks] for seed in seeds]
    sign = 1.0 if mode == "min" else -1.0
    return [sign * np.array(group, dtype=float) for group in groups]


def _against(pairs: Iterable[PairTest], index: int, best: int) -> PairTest:
    """The test of a value against the best, with the value first."""
    pair = next(each for each in pairs if {each.first, each.second} == {index, best})
    if pair.first == index:
        return pair
    low, high = (None if end is None else -end for end in (pair.high, pair.low))
    return replace(pair, first=index, second=best, loss=-pair.loss, low=low, high=high)


def _rectangle(
    tables: Mapping[Block, Mapping[int, object]],
) -> tuple[list[Block], list[int]]:
    """The blocks and seeds to compare by: the most of which each block has each seed."""
    options = []
    for least in sorted({len(rows) for rows in tables.values()}):
        blocks = [block for block, rows in tables.items() if len(rows) >= least]
        seeds = sorted(set.intersection(*({*tables[block]} for block in blocks)))
        options.append((blocks, seeds))
    return max(options, key=lambda option: len(option[0]) * len(option[1]))


@frozen
class Course:
    """The trials of a sweep in a run."""

    place: int
    study: StudyResults
    sweep: Sweep
    trials: list[TrialRecord]

    @property
    def cost(self) -> float:
        """Trials spent; a pruned one counts for the share of its steps that it ran."""
        return math.fsum(map(self._cost, self.trials))

    def _cost(self, trial: TrialRecord) -> float:
        whole = [each.steps for each in self.trials if each.state is State.COMPLETE and each.steps]
        if trial.state is State.PRUNED and whole:
            return min(1.0, trial.steps / median(whole))
        return float(trial.state in _STARTED)

    def scores(self, budget: float, *, apart: bool) -> dict[int, float]:
        """The score of the best configuration within a budget by seed.

        Args:
            budget: How many trials count, in the order of the configurations.
            apart: Whether the configuration is chosen for each seed by the other seeds: of the
                score by which one is chosen a part is luck, and the more of it the more
                configurations are near the best.
        """
        ranking = rank(self._within(budget), [self.sweep])
        candidates = [each for each in ranking.feasible if each.full] or ranking.feasible
        tables = [
            {trial.seed: signed(self.sweep, trial.score or 0.0) for trial in each.trials}
            for each in candidates
        ]
        seeds = dict.fromkeys(seed for table in tables for seed in table)
        return {seed: signed(self.sweep, _chosen(tables, seed, apart=apart)) for seed in seeds}

    def _within(self, budget: float) -> list[TrialRecord]:
        numbers: dict[int, list[TrialRecord]] = {}
        for trial in self.trials:
            numbers.setdefault(trial.number, []).append(trial)
        within: list[TrialRecord] = []
        for _, trials in sorted(numbers.items()):
            budget -= math.fsum(map(self._cost, trials))
            if budget < -_ROUNDING:
                break
            within += trials
        return within


def _chosen(tables: Iterable[Mapping[int, float]], seed: int, *, apart: bool) -> float:
    """The score at a seed of the configuration that is best, or that is best at the others."""
    candidates = [table for table in tables if seed in table]
    left_out = {seed} if apart and all(len(table) > 1 for table in candidates) else set()
    return min(
        (mean([score for each, score in table.items() if each not in left_out]), table[seed])
        for table in candidates
    )[1]


def _by_sweep(blank: Contrast, chosen: Sequence[tuple[int, Entry]], field: Field) -> Contrast:
    """Compares the best that sweeps found, at equal budgets."""
    searches: dict[tuple[Block, int], dict[int, Course]] = {}
    for course in _courses(chosen):
        sides = searches.setdefault((_block(course, field), course.sweep.seed), {})
        known = sides.get(course.place)
        if known is not None and known.study is course.study:
            raise ValueError(
                f"compare by {blank.name}: {course.study.nodeid} has several sweeps with "
                f"{blank.name}={shown(blank.values[course.place])}: compare by sweep"
            )
        sides[course.place] = course
    count = len(blank.values)
    whole = {key: sides for key, sides in searches.items() if len(sides) == count}
    budgets = {key: min(each.cost for each in sides.values()) for key, sides in whole.items()}
    repeated = len({seed for _, seed in whole}) >= LEAST_SEEDS
    failed = [
        sum(all(t.state in FAILURES for t in sides[index].trials) for sides in whole.values())
        for index in range(count)
    ]
    cautious = _found(whole, budgets, repeated=repeated, apart=True)
    if not cautious:
        return replace(
            blank,
            reason=f"no test has complete trials of each {blank.name} under the same seed",
        )
    if repeated:
        found = _judged(blank, cautious, failed, "search")
    else:
        # with the choice apart, the seeds are not quite independent; without, it is biased
        found = _judged(blank, _found(whole, budgets), failed, doubt=cautious)
    low, high = min(budgets.values()), max(budgets.values())
    spent = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
    return replace(found, basis=f"the best of {spent} trials each")


def _found(
    whole: Mapping[tuple[Block, int], Mapping[int, Course]],
    budgets: Mapping[tuple[Block, int], float],
    *,
    repeated: bool = False,
    apart: bool = False,
) -> dict[Block, dict[int, list[float]]]:
    """Scores of the best of each value by block and seed, or by the sweep's seed if repeated."""
    tables: dict[Block, dict[int, list[float]]] = {}
    for (block, search), sides in whole.items():
        budget = budgets[block, search]
        scores = [sides[index].scores(budget, apart=apart) for index in sorted(sides)]
        seeds = sorted(set.intersection(*({*each} for each in scores)))
        rows = {seed: [each[seed] for each in scores] for seed in seeds}
        if rows and repeated:
            rows = {search: [mean(column) for column in zip(*rows.values(), strict=True)]}
        if rows:
            tables.setdefault(block, {}).update(rows)
    return tables


def _courses(chosen: Iterable[tuple[int, Entry]]) -> Iterable[Course]:
    courses: dict[tuple[int, str], Course] = {}
    for index, (study, sweep, trial) in chosen:
        key = id(study), sweep.name
        courses.setdefault(key, Course(index, study, sweep, [])).trials.append(trial)
    return courses.values()


def _block(course: Course, field: Field) -> Block:
    """What a sweep has in common with those that it is compared with."""
    kind, _, name = field.name.partition(".")
    if kind != "arguments":
        return course.study.nodeid, ""
    test = course.study.nodeid.partition("[")[0]
    others = [
        f"{key}={shown_number(x)}" for key, x in course.study.arguments.items() if key != name
    ]
    return f"{test}[{', '.join(others)}]" if others else test, course.sweep.name


def contrast_text(found: Contrast, width: int) -> str:
    """Show the table of values, and what it was judged by."""
    look = look_of(width)
    title = f"{found.metric} by {found.name} ({better(found.mode)})"
    lines = [clean(title, look)]
    if found.reason:
        return "\n".join([*lines, *wrap(f"not comparable: {found.reason}", look)])
    lines += render(_columns(found, look), look, indent=2)
    lines += wrap(_method(found), look)
    if found.unit == "seed" and found.basis.startswith("the best"):
        lines += wrap(_ONE_SEARCH, look)
    return "\n".join(lines)


def contrast_words(found: Contrast) -> str:
    """Tell how values stand that are comparable: ``adam best, sgd worse (p = 0.01); 3 seeds``."""
    look = Look()
    words = [f"{show_value(each.value, look)} {_versus(each)}" for each in found.standings]
    return f"{', '.join(words)}; {_method(found)}"


_ONE_SEARCH = (
    "one search each: this tells which found the better configuration; to tell which searches "
    "better, run it with 3 other seeds (--sweep-seed) and compare TEST@all, or on 6 problems "
    "(parametrize)"
)
_TESTS = {
    "seed": "paired t-test",
    "search": "paired t-test",
    "problem": "Wilcoxon's signed-rank test",
}


def _method(found: Contrast) -> str:
    """Says what was compared, and how."""
    noun = {"search": "searches"}.get(found.unit, f"{found.unit}s")
    units = f"{found.units} {noun if found.units != 1 else found.unit}"
    words = [", ".join(filter(None, [units, found.basis]))]
    least = LEAST_PROBLEMS if found.unit == "problem" else LEAST_SEEDS
    if found.blind:
        words.append(f"{least} {noun} or more are needed for a test")
    else:
        words.append(f"{_TESTS[found.unit]}{', Holm' if len(found.pairs) > 1 else ''}")
    if found.friedman is not None:
        words.append(f"Friedman's test p = {found.friedman:.2g}")
    return "; ".join(words)


def _columns(found: Contrast, look: Look) -> list[Column]:
    rows = found.standings
    problems = list(rows[0].means)
    table = [
        Column(
            clean(found.name, look),
            tuple(show_value(each.value, look) for each in rows),
            right=False,
            shrinks=True,
        ),
        Column("mean rank", tuple(f"{each.rank:.2f}" for each in rows), drop=1),
    ]
    prefix = commonprefix(problems)  # noqa: RUF071  no paths alone
    start = max(
        prefix.rfind(mark) + len(mark) if mark in prefix else 0 for mark in ("/", "::", "[", "='")
    )
    for index, problem in enumerate(problems):
        means = [each.means[problem] for each in rows]
        cells = tuple(map(scale_of(means).value, means))
        head = clean(problem[start:].strip("[]'"), look) if problems[1:] else "mean"
        table.append(Column(head, cells, drop=2 + index, shrinks=True))
    if any(each.failed for each in rows):
        table.append(Column("failed", tuple(str(each.failed) for each in rows)))
    best = clean(f"vs {show_value(rows[0].value, look)}", look)
    return [*table, Column(best, tuple(map(_versus, rows)), right=False)]


def _versus(each: Standing) -> str:
    if each.pair is None or each.pair.adjusted is None:
        return each.verdict
    chance = f"p = {each.pair.adjusted:.2g}" if each.pair.adjusted else "by the same on every seed"
    return f"{each.verdict} ({chance})"
