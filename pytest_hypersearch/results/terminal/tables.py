"""Tables of scores: groups of trials, the best configurations, single trials."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from pytest_hypersearch.core.study import Configuration, StudyResults, rank_key
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Config, TrialRecord
from pytest_hypersearch.results.query import Field, Key, rankings_of
from pytest_hypersearch.results.terminal.format import (
    Column,
    Line,
    Look,
    better,
    clean,
    cut,
    fits,
    flow,
    line,
    look_of,
    plain,
    render,
    scale_of,
    show_duration,
    show_params,
    show_value,
)
from pytest_hypersearch.stats.grouping import Group, group, group_of
from pytest_hypersearch.stats.ranking import RankedStudy, Ranking, by_mean, objective_of, objectives

WIDE = 120
_HEADER = 12  # columns of a parameter's name where space is short
INDENT = 2


def group_table(
    keys: Sequence[tuple[str, Sequence[str]]],
    groups: Sequence[Group],
    look: Look,
    *,
    without: Collection[str] = (),
) -> list[Line]:
    """Compares groups of trials.

    Args:
        keys: Headings and texts of the columns that name the groups.
        groups: One a row.
        look: Decides which columns are shown: the 95% confidence interval from ``-v`` on, median
            and time from 120 columns on.
        without: Parameters that need not be shown again with the best configuration.
    """
    wide = look.width >= WIDE
    scores = [one.scores for one in groups]
    scored = [(each.mean, each.std) for each in scores if each.mean is not None]
    scale = scale_of([mean for mean, _ in scored], [std for _, std in scored])
    bests = [one.best for one in groups]
    several = any(one.configurations > 1 for one in groups)
    table = [
        Column(clean(name, look), tuple(cells), right=False, shrinks=True) for name, cells in keys
    ]
    table.append(Column("n", tuple(str(each.n) for each in scores)))
    table.append(mean_column([(each.mean, each.std) for each in scores], look))
    if wide or look.verbosity > 0:
        ends = ((scale.value(each.low), scale.value(each.high)) for each in scores)
        cells = ("-" if low == "-" else f"[{low}, {high}]" for low, high in ends)
        table.append(Column("95% CI", tuple(cells), drop=3))
    if wide:
        table.append(_median_column([each.median for each in scores]))
    if several:
        table.append(_best_column(bests))
    places = tuple(_place(one, look, without) for one in bests)
    table.append(Column("at", places, right=False, drop=1, shrinks=True))
    if wide:
        table.append(_time_column([one.duration for one in groups], "time/trial"))
    return [*draw(table, look), *_partial_lines(filter(None, bests), look)]


def _partial_lines(shown: Iterable[Configuration], look: Look) -> list[Line]:
    """Says what ``(2/3)`` means if any configuration lacks replicates."""
    if all(each.full for each in shown):
        return []
    text = "(n/m): mean of n of m replicates; ranks after configurations with all"
    return flow([(word, {"light": True}) for word in text.split()], look)


def group_text(
    fields: Sequence[Field], groups: Sequence[tuple[Key, Sequence[RankedStudy]]], width: int
) -> str:
    """Show a table of groups for each score, the group with the best first."""
    look = look_of(width)
    blocks = []
    ranked = [
        (key, ranking, objective_of(ranking.sweeps[0]))
        for key, part in groups
        for ranking in rankings_of(part)
    ]
    for objective, sweep in {goal: ranking.sweeps[0] for _, ranking, goal in ranked}.items():
        rows = [(key, group_of(key, ranking)) for key, ranking, each in ranked if each == objective]
        keys = [
            (field.short, [show_value(key[i], look) for key, _ in rows])
            for i, field in enumerate(fields)
        ]
        by = ", ".join(field.short for field in fields)
        title = clean(f"{sweep.metric} by {by} ({better(sweep.mode)})", look)
        without = [f.short for f in fields if f.name.startswith("params.")]
        table = group_table(keys, [group for _, group in rows], look, without=without)
        blocks.append("\n".join([title, *map(plain, table)]))
    return "\n\n".join(blocks) or "no trials"


def mean_column(moments: Sequence[tuple[float | None, float | None]], look: Look) -> Column:
    """Return a column of means with their standard deviations, rounded alike."""
    scored = [(mean, std) for mean, std in moments if mean is not None]
    scale = scale_of([mean for mean, _ in scored], [std for _, std in scored])
    if all(std is None for _, std in scored):
        return Column("score", tuple(scale.value(mean) for mean, _ in moments))
    width = max(len(scale.spread(std)) for _, std in scored)
    blank = " " * (2 + len(look.plus_minus) + width)
    cells = []
    for mean, std in moments:
        spread = blank if std is None else f" {look.plus_minus} {scale.spread(std):>{width}}"
        cells.append(scale.value(mean) + spread)
    return Column(f"mean {look.plus_minus} std", tuple(cells))


def _median_column(medians: Sequence[float | None]) -> Column:
    scale = scale_of([each for each in medians if each is not None])
    return Column("median", tuple(scale.value(each) for each in medians), drop=2)


def _best_column(bests: Sequence[Configuration | None]) -> Column:
    scored = [each for each in bests if each is not None]
    scale = scale_of([each.score for each in scored], [each.std for each in scored])
    return Column("best", tuple("-" if each is None else scale.value(each.score) for each in bests))


def _time_column(durations: Sequence[float | None], header: str) -> Column:
    cells = ("-" if seconds is None else show_duration(seconds) for seconds in durations)
    return Column(header, tuple(cells), drop=4)


def _place(each: Configuration | None, look: Look, without: Collection[str]) -> str:
    if each is None:
        return "-"
    return " ".join([name_of(each), *show_params(each.params, look, without=without)])


def name_of(one: Configuration) -> str:
    """Names a configuration within its sweep: ``#22``, or ``#22 (2/3)`` if replicates miss."""
    return (
        f"#{one.number}"
        if one.full
        else f"#{one.number} ({len(one.trials)}/{one.sweep.replicates})"
    )


def top_table(
    ranked: Sequence[Configuration],
    sweeps: Sequence[Sweep],
    marks: Sequence[str],
    look: Look,
    order: Sequence[str] = (),
) -> list[Line]:
    """Lists configurations with their scores and the parameters that vary, best first.

    Args:
        ranked: The configurations.
        sweeps: The sweeps of which they are the best.
        marks: How each compares with the best, empty if that is not known.
        look: Decides the width.
        order: Parameters, the most important first: these are shown if not all fit.
    """
    table = [
        Column("#", tuple(name_of(each).removeprefix("#") for each in ranked)),
        mean_column([(each.mean, each.std) for each in ranked], look),
    ]
    if len(sweeps) > 1:
        cells = tuple(clean(each.sweep.name, look) for each in ranked)
        table.insert(0, Column("sweep", cells, right=False, shrinks=True))
    if not by_mean(ranked[0].sweep.pick):
        scale = scale_of([each.score for each in ranked])
        values = tuple(scale.value(each.score) for each in ranked)
        table.append(Column(ranked[0].sweep.pick, values))
    if marks:
        table.append(Column("vs best", tuple(marks), right=False))
    varied = dict.fromkeys(name for sweep in sweeps for name in sweep.varied)
    names = varied or dict.fromkeys(name for each in ranked for name in each.params)
    shown = [{name: each.params[name] for name in names if name in each.params} for each in ranked]
    return [*draw(with_params(table, shown, look, order), look), *_partial_lines(ranked, look)]


def trial_table(trials: Sequence[TrialRecord], look: Look) -> list[Line]:
    """Lists trials: configuration and replicate, state, score, time, parameters, reason."""
    scale = scale_of([trial.score for trial in trials if trial.score is not None])
    sweeps = tuple(clean(trial.sweep, look) for trial in trials)
    states = tuple(f"{trial.state}{' (cache)' * trial.cached}" for trial in trials)
    table = [
        Column("sweep", sweeps, right=False, shrinks=True),
        Column("#", tuple(str(trial.number) for trial in trials)),
        Column("r", tuple(str(trial.replicate) for trial in trials)),
        Column("state", states, right=False),
        Column("score", tuple(scale.value(trial.score) for trial in trials)),
        _time_column([trial.duration or None for trial in trials], "time"),
    ]
    if not any(trial.replicate for trial in trials):
        del table[2]
    if len({trial.sweep for trial in trials}) == 1:
        del table[0]
    table = with_params(table, [trial.params for trial in trials], look)
    if any(trial.reason for trial in trials):
        reasons = tuple(clean(trial.reason, look) for trial in trials)
        table.append(Column("reason", reasons, right=False, drop=5, shrinks=True))
    return draw(table, look)


def with_params(
    table: list[Column], configs: Sequence[Config], look: Look, order: Sequence[str] = ()
) -> list[Column]:
    """Adds a column for each parameter, as many as fit, or one for all where none does.

    If not all fit, the first of an order are shown, and long names are cut, at the beginning unless
    they differ there alone.
    """
    names = dict.fromkeys(name for config in configs for name in config)
    columns = {
        name: Column(
            clean(name, look),
            tuple(show_value(c[name], look) if name in c else "-" for c in configs),
            right=all(isinstance(c.get(name, 0), (int, float)) for c in configs),
        )
        for name in names
    }
    if fits([*table, *columns.values()], look, indent=INDENT):
        return [*table, *columns.values()]
    first = [name for name in order if name in columns]
    each = [columns[name] for name in dict.fromkeys([*first, *names])]
    left, right = (
        [cut(one.header, _HEADER, look, left=side) for one in each] for side in (True, False)
    )
    headers = right if len({*left}) < len({*right}) else left
    short = [replace(one, header=header) for one, header in zip(each, headers, strict=True)]
    for number in range(len(short) - 1, 1, -1):
        rest = Column(f"+{len(short) - number} more", ("",) * len(configs), right=False)
        if fits(shown := [*table, *short[:number], rest], look, indent=INDENT):
            return shown
    joined = tuple(" ".join(show_params(config, look)) for config in configs)
    return [*table, Column("parameters", joined, right=False, shrinks=True)]


def draw(table: Sequence[Column], look: Look) -> list[Line]:
    """Draws a table, indented; heading and rule stand back."""
    head, rule, *rows = render(table, look, indent=INDENT)
    return [line(head, light=True), line(rule, light=True), *map(line, rows)]


_GROUP_ROWS = 8
_GROUP_VALUES = 8


def strategies(ranked: RankedStudy, ranking: Ranking, look: Look) -> list[Line]:
    """Compares the sweeps of one objective."""
    rows = sorted(
        ((group_of((), ranked.of(each)), each) for each in ranking.sweeps),
        key=lambda row: rank_key(row[0].best),
    )
    if len(rows) < 2 or not rows[0][0].trials:  # noqa: PLR2004 - nothing to compare
        return []
    names = [clean(sweep.name, look) for _, sweep in rows]
    table = group_table([("sweep", names)], [each for each, _ in rows], look)
    return [_title(ranking.sweeps[0], "sweep", look), *table]


def groupings(ranked: RankedStudy, sweep: Sweep, look: Look) -> list[list[Line]]:
    """Groups a sweep's scores, in tables of few rows altogether unless ``-v`` asks for all."""
    tables: list[list[Line]] = []
    left = _GROUP_ROWS
    hidden = []
    prefix = f"{clean(sweep.name, look)}: " if len(ranked.study.sweeps) > 1 else ""
    for names, groups in _shown(ranked, sweep):
        by = ", ".join(clean(name, look) for name in names)
        if look.verbosity < 1 and tables and len(groups) > left:
            hidden.append(by)
            continue
        shown = groups if look.verbosity > 0 else groups[:_GROUP_ROWS]
        keys = [
            (name, [show_value(each.key[i], look) for each in shown])
            for i, name in enumerate(names)
        ]
        table = group_table(keys, shown, look, without=names)
        more = _more(len(groups) - len(shown), look)
        tables.append([_title(sweep, by, look, prefix), *table, *more])
        left -= len(groups)
    if hidden:
        tables[-1] += flow([(f"more with -v: by {', '.join(hidden)}", {"light": True})], look)
    return tables


def _shown(ranked: RankedStudy, sweep: Sweep) -> Iterable[tuple[tuple[str, ...], list[Group]]]:
    """Groups by ``group_by``, or for a grid by each parameter that has a few values."""
    by_default = [(name,) for name in sweep.varied] if sweep.strategy == "grid" else []
    for names in [sweep.group_by] if sweep.group_by else by_default:
        groups = group(ranked.study.trials, ranked.of(sweep), names)
        few = bool(sweep.group_by) or len(groups) <= _GROUP_VALUES
        if few and len(groups) > 1 and groups[0].trials:
            yield names, groups


def _more(count: int, look: Look) -> list[Line]:
    return flow([(f"and {count} more with -v", {"light": True})], look) if count > 0 else []


def families(studies: Iterable[RankedStudy]) -> dict[str, list[RankedStudy]]:
    """Puts the studies of one test together, by its node id without arguments."""
    tests: dict[str, list[RankedStudy]] = {}
    for ranked in studies:
        tests.setdefault(split(ranked.study.nodeid)[0], []).append(ranked)
    return tests


def split(nodeid: str) -> tuple[str, str]:
    """Splits a node id into the test and its arguments: ``("t.py::test_f", "[cifar]")``."""
    path, colons, name = nodeid.partition("::")
    test, bracket, arguments = name.partition("[")
    return path + colons + test, bracket + arguments


def other_parameters(studies: Sequence[RankedStudy], look: Look) -> list[list[Line]]:
    """Compares the studies of one test, in one table for each objective."""
    tables = []
    for sweeps in objectives(sweep for ranked in studies for sweep in ranked.study.sweeps):
        rows = sorted(
            (
                (group_of((), ranked.of(sweep)), ranked.study, sweep)
                for ranked in studies
                for sweep in ranked.study.sweeps
                if sweep in sweeps
            ),
            key=lambda row: rank_key(row[0].best),
        )
        if len(rows) < 2 or not rows[0][0].trials:  # noqa: PLR2004 - nothing to compare
            continue
        shown = rows if look.verbosity > 0 else rows[:_GROUP_ROWS]
        names = _telling([study for _, study, _ in rows])
        keys = [
            (name, [show_value(study.arguments[name], look) for _, study, _ in shown])
            for name in names
        ] or [("parameters", [clean(split(s.nodeid)[1][1:-1], look) for _, s, _ in shown])]
        if len({sweep.name for _, _, sweep in rows}) > 1:
            keys.append(("sweep", [clean(sweep.name, look) for _, _, sweep in shown]))
        table = group_table(keys, [each for each, _, _ in shown], look)
        by = ", ".join(clean(name, look) for name in names) or "the test's other parameters"
        title = _title(sweeps[0], by, look)
        tables.append([title, *table, *_more(len(rows) - len(shown), look)])
    return tables


def _telling(studies: Sequence[StudyResults]) -> list[str]:
    """The names of other parameters that differ between studies, none if these do not tell all."""
    first = studies[0].arguments
    if any(study.arguments.keys() != first.keys() for study in studies):
        return []
    values = {name: [repr(study.arguments[name]) for study in studies] for name in first}
    names = [name for name, each in values.items() if len({*each}) > 1]
    different = set(zip(*(values[name] for name in names), strict=True))
    return names if len(different) == len({study.nodeid for study in studies}) else []


def _title(sweep: Sweep, by: str, look: Look, prefix: str = "") -> Line:
    text = f"  {prefix}{clean(sweep.metric, look)} by {by} ({better(sweep.mode)})"
    return line(cut(text, look.width, look))
