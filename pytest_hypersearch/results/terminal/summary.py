"""The section at the end of pytest's output: what the sweeps found, as text.

One study is shown in full: what became of its trials, its strategies compared, its scores grouped
by parameters, its best configuration and how to run it again. Of many studies each gets a line, and
a test's studies are compared with each other.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from pytest_hypersearch.core.study import Configuration, StudyResults, rank_key
from pytest_hypersearch.core.trial import State, TrialRecord
from pytest_hypersearch.results.terminal.format import (
    BLANK,
    Line,
    Look,
    Segment,
    better,
    clean,
    cut,
    flow,
    line,
    plain,
    show_mean,
    show_params,
)
from pytest_hypersearch.results.terminal.headlines import headlines
from pytest_hypersearch.results.terminal.lines import (
    Judged,
    comparable,
    count_words,
    doubt_lines,
    doubtful,
    fronts,
    importance_lines,
    importances,
    infeasible_words,
    raced_out,
    rule_lines,
    sweep_lines,
)
from pytest_hypersearch.results.terminal.tables import (
    families,
    groupings,
    other_parameters,
    split,
    strategies,
    top_table,
    trial_table,
)
from pytest_hypersearch.stats.grouping import FAILURES, failures, steps_saved
from pytest_hypersearch.stats.ranking import Objective, RankedStudy, Ranking, by_mean, objective_of

_IN_FULL = 4
_JUDGED = 2  # studies whose parameters are judged: it takes a tenth of a second each
_KINDS = 3
_TOP_SHORT = 5
_TOP_ROWS = 10
_REASON_COLUMNS = 60
_WORD_COLUMNS = 60
_UNQUOTABLE = re.compile(r"[\"$`\\!%]")


def section(
    ranked: Sequence[RankedStudy],
    *,
    width: int,
    verbosity: int,
    ascii_only: bool,
    interrupted: bool = False,
) -> list[Line]:
    """Writes the whole section, without its title.

    Args:
        ranked: All studies of the session, in the order of collection.
        width: Columns of the terminal.
        verbosity: pytest's; at -2 and below there should be no section.
        ascii_only: Whether the terminal cannot encode anything beyond ASCII.
        interrupted: Whether the session ended before its plan.

    Returns:
        Lines of (text, markup) segments for ``terminalreporter.write(text, **markup)``.
    """
    look = Look(width, verbosity, ascii_only)
    studies = [one.study for one in ranked]
    hint = _hint(studies) if interrupted else []
    options = _option_lines(studies, look)
    if verbosity < 0:
        return headlines(ranked, look) + options + hint
    tests = families(ranked)
    if verbosity > 0 or len(tests) <= _IN_FULL:
        judged = len(ranked) <= _JUDGED
        blocks = []
        for test, alike in tests.items():
            alone = len(alike) == 1
            if alone or verbosity > 0:
                blocks += [_study(one, look, judged=judged, alone=alone) for one in alike]
            if not alone:
                blocks.append(_family(test, alike, look))
        if len(tests) < len(ranked) and verbosity < 1:
            blocks.append(_more(look))
    else:
        blocks = _digest(tests, look)
    notes = dict.fromkeys(note for results in studies for note in results.notes)
    told = (one for note in notes for one in _sentence("note:", note, look, indent=0))
    blocks.append([*options, *told])
    return _stack([*blocks, hint])


def word(record: TrialRecord, best: bool, *, ascii_only: bool = False) -> str:
    """Writes what ``-v`` shows beside a trial's word: ``0.01231 best (lr=0.01 momentum=0.9)``."""
    look = Look(ascii_only=ascii_only)
    words = [] if record.score is None else [f"{record.score:.4g}"]
    if best:
        words.append("best")
    if record.params:
        words.append(f"({cut(' '.join(show_params(record.params, look)), _WORD_COLUMNS, look)})")
    return " ".join(words)


def _stack(blocks: Iterable[list[Line]]) -> list[Line]:
    """Puts a blank line between blocks."""
    lines: list[Line] = []
    for block in blocks:
        if block:
            lines += [BLANK, *block] if lines else block
    return lines


def _study(ranked: RankedStudy, look: Look, *, judged: bool, alone: bool) -> list[Line]:
    """Shows a study.

    How much its parameters matter is shown if they are judged, and where it fails if it is alone:
    of several of one test all are shown together.
    """
    results = ranked.study
    head = [_name(results.nodeid, look), *sweep_lines(results, look)]
    tables = [
        *(strategies(ranked, ranking, look) for ranking in ranked.rankings),
        *(table for sweep in results.sweeps for table in groupings(ranked, sweep, look)),
    ]
    importance = importances(ranked) if judged else []
    tops = [_top_table(ranked, each, look, _order(importance, each)) for each in ranked.rankings]
    blocks = [
        *tables,
        *tops,
        trial_table(results.trials, look) if look.verbosity > 1 and results.trials else [],
        *fronts(ranked, look),
        [
            *importance_lines(importance, look),
            *_findings([ranked], look, [*tables, *tops], alone=alone),
        ],
    ]
    return _stack([head, *blocks])


def _family(test: str, ranked: Sequence[RankedStudy], look: Look) -> list[Line]:
    """Shows the studies of one test in a table; ``-v`` shows each in full before it."""
    tables = other_parameters(ranked, look)
    if look.verbosity > 0:
        blocks = [block for block in (*tables, rule_lines(ranked, look)) if block]
        return _stack([[_name(test, look), *blocks[0]], *blocks[1:]]) if blocks else []
    studies = [each.study for each in ranked]
    trials = [trial for results in studies for trial in results.trials]
    planned = sum(sweep.planned for results in studies for sweep in results.sweeps)
    counts = [(f"{len(studies)} studies:", {}), *count_words(trials, planned)]
    head = [_name(test, look), *flow(counts, look)]
    return _stack([head, *tables, _findings(ranked, look, tables, alone=True)])


def _digest(tests: Mapping[str, Sequence[RankedStudy]], look: Look) -> list[list[Line]]:
    """Shows many studies: a line each, or a table for those of one test."""
    singles = [ranked[0] for ranked in tests.values() if len(ranked) == 1]
    rules = (each for ranked in singles for each in rule_lines([ranked], look, several=True))
    blocks = [
        headlines(singles, look),
        [*_failure_lines([each.study for each in singles], look), *rules],
    ]
    blocks += [_family(test, alike, look) for test, alike in tests.items() if len(alike) > 1]
    return [*blocks, _more(look)]


def _more(look: Look) -> list[Line]:
    return _sentence("", "-v shows each study in full", look, indent=0, light=True)


def _name(text: str, look: Look) -> Line:
    return line(cut(clean(text, look), look.width, look, left=True), bold=True)


def _order(importance: Judged, ranking: Ranking) -> list[str]:
    """The parameters of an objective's sweeps, the most important first; none if not judged."""
    own = (shares for pool, shares in importance if pool.sweeps[0] in ranking.sweeps)
    return [each.parameter for each in next(own, ())]


def _top_table(
    ranked: RankedStudy, ranking: Ranking, look: Look, order: Sequence[str]
) -> list[Line]:
    """Lists the best configurations of the sweeps of one objective with their parameters.

    That of a grid over one parameter is the table of its values.
    """
    sweep, *others = ranking.sweeps
    every = [] if sweep.others else ranking.feasible
    top = every[: _TOP_ROWS if look.verbosity > 0 else _TOP_SHORT]
    told = sweep.strategy == "grid" and len(sweep.varied) == 1 and not others
    if len(top) < 2 or (told and look.verbosity < 1):  # noqa: PLR2004 - the best is shown anyway
        return []
    marks: list[str] = []
    if comparable(every) and not others and len(top[0].trials) > 1:
        close, dropped = doubtful(every, ranked.study), raced_out(every, ranked.study)
        signs = dict.fromkeys(dropped, "raced out") | dict.fromkeys(close, "n.s.")
        marks = ["best", *(signs.get(each.number, "worse") for each in top[1:])]
    kind = " feasible" if sweep.constraints else ""
    by = f"{clean(sweep.metric, look)} ({better(sweep.mode)})"
    label = f"top {len(top)} of {len(every)}{kind} by {by}"
    return [*_sentence("", label, look), *top_table(top, ranking.sweeps, marks, look, order)]


def _findings(
    ranked: Sequence[RankedStudy],
    look: Look,
    tables: Iterable[Iterable[Line]],
    *,
    alone: bool,
) -> list[Line]:
    """Names the best configuration of each objective, the failures, and what to do next.

    Which direction is better is said beside the best, unless tables above say it.
    """
    lines: list[Line] = []
    said = "\n".join(plain(each) for table in tables for each in table)
    studies = [each.study for each in ranked]
    firsts = _firsts(ranked)
    for first, results in firsts:
        if len(studies) > 1 or not first.sweep.others:
            lines += _best_lines(first, results, look, said, several=len(studies) > 1)
    # Uncut, to be copied; what could not be printed would be another path.
    paths = [results.saved for results in studies if results.saved]
    lines += [line(f"  saved: {path}") for path in paths if clean(path, look) == path]
    sweeps = studies[0].sweeps if len(studies) == 1 else ()
    for sweep in sweeps:
        of = f"{clean(sweep.name, look)}: " if len(sweeps) > 1 else ""
        lines += doubt_lines(ranked[0].of(sweep).feasible, studies[0], look, of)
    trials = [trial for results in studies for trial in results.trials]
    if not firsts and any(trial.state is not State.NOT_RUN for trial in trials):
        lines += _sentence("", "no trial completed", look)
    if (saved := steps_saved(trials)) is not None:
        lines += _sentence("", f"pruning saved {saved:.0%} of steps", look)
    lines += _infeasible_lines(ranked, look)
    lines += _failure_lines(studies, look)
    lines += rule_lines(ranked, look) if alone else []
    for first, _ in firsts:
        lines += _rerun_lines(first, look)
    if look.verbosity > 0 and studies[0].run:
        lines += _sentence("stored:", studies[0].run, look)
    return lines


def _firsts(studies: Sequence[RankedStudy]) -> list[tuple[Configuration, StudyResults]]:
    """The first configuration of each objective, over studies of one test."""
    tops: dict[Objective, list[tuple[Configuration, StudyResults]]] = {}
    for ranked in studies:
        for ranking in filter(None, ranked.rankings):
            objective = objective_of(ranking.sweeps[0])
            tops.setdefault(objective, []).append((ranking[0], ranked.study))
    return [min(each, key=lambda top: rank_key(top[0])) for each in tops.values()]


def _best_lines(
    first: Configuration, results: StudyResults, look: Look, said: str, *, several: bool
) -> list[Line]:
    sweep = first.sweep
    where = [f"#{first.number}"]
    if len(results.sweeps) > 1:
        where.insert(0, clean(sweep.name, look))
    if several:
        where.insert(0, clean(split(results.nodeid)[1], look))
    text = " ".join(where)
    if sweep.replicates > 1:
        text += f", {_replicates(first)}"
    if (direction := better(sweep.mode)) not in said:
        text += f", {direction}"
    label = "closest to feasible," if first.excess else "best"
    spread = first.std if by_mean(sweep.pick) else None
    words: list[Segment] = [
        (f"{label} {clean(sweep.metric, look)}", {}),
        (show_mean(first.score, spread, look), {"green": True, "bold": True}),
        (f"({text}):", {}),
        *((word, {}) for word in show_params(first.params, look)),
    ]
    return flow(words, look)


def _replicates(first: Configuration) -> str:
    """Says of how many replicates the best score is made, and by which rule."""
    pick = first.sweep.pick
    of = "" if first.full else f"{len(first.trials)} of "
    planned = first.sweep.replicates
    if first.sweep.at_least:
        planned = len(first.trials) if first.full else first.sweep.at_least
    text = f"{of}{planned} replicates"
    if not by_mean(pick):
        return f"{pick} of {text}"
    return text if pick == "mean" else f"{text}, {pick}"


def _infeasible_lines(studies: Iterable[RankedStudy], look: Look) -> list[Line]:
    """Says of each sweep with constraints how many configurations break them."""
    lines: list[Line] = []
    for ranked in studies:
        for sweep in ranked.study.sweeps:
            if text := infeasible_words(ranked.of(sweep), look):
                several = len(ranked.study.sweeps) > 1
                label = f"infeasible of {clean(sweep.name, look)}:" if several else "infeasible:"
                lines += _sentence(label, text, look, yellow=True)
    return lines


def _failure_lines(studies: Iterable[StudyResults], look: Look) -> list[Line]:
    """Names the failures by kind: the frequent ones on one line a state, with ``-v`` all."""
    lines: list[Line] = []
    kinds = failures(trial for results in studies for trial in results.trials)
    for state in FAILURES:
        texts = [
            (clean(kind.reason, look) or "no reason given", kind.count)
            for kind in kinds
            if kind.state is state
        ]
        if look.verbosity > 0:
            for text, count in texts:
                lines += _sentence(f"{state}:", f"{text} ({count})", look, red=True)
        elif texts:
            shown = [f"{cut(text, _REASON_COLUMNS, look)} ({n})" for text, n in texts[:_KINDS]]
            if len(texts) > _KINDS:
                shown.append(f"and {len(texts) - _KINDS} more reasons with -v")
            words = [f"{text}," for text in shown[:-1]] + shown[-1:]
            lines += flow([(f"{state}:", {"red": True}), *((each, {}) for each in words)], look)
    return lines


def _rerun_lines(first: Configuration, look: Look) -> list[Line]:
    nodeid = first.trial.nodeid
    if clean(nodeid, look) != nodeid or nodeid.startswith("-"):
        return []  # what can be printed would be another test's name, or an option
    quoted = shlex.quote(nodeid) if _UNQUOTABLE.search(nodeid) else f'"{nodeid}"'
    return [line(f"  rerun: pytest {quoted} --sweep-rerun{_given(first.sweep.options)}")]


def _options(results: StudyResults) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for sweep in results.sweeps for each in sweep.options))


def _given(options: Iterable[str]) -> str:
    """Writes options for a shell, each with a space before it."""
    return "".join(f" {shlex.quote(each)}" for each in options)


def _option_lines(studies: Sequence[StudyResults], look: Look) -> list[Line]:
    """Says which arguments of the marks the command line replaced, and of which tests."""
    tests: dict[str, dict[str, None]] = {}
    for results in studies:
        if options := _options(results):
            name = split(results.nodeid)[0].rpartition("::")[2]
            tests.setdefault(_given(options).strip(), {})[name] = None
    several = len({split(results.nodeid)[0] for results in studies}) > 1
    lines: list[Line] = []
    for given, names in tests.items():
        where = f" for {', '.join(names)}" if several else ""
        lines += _sentence("with", f"{given}{where}", look, indent=0, yellow=True)
    return lines


def _sentence(label: str, text: str, look: Look, *, indent: int = 2, **markup: bool) -> list[Line]:
    """Writes text of several words, the label in colour, or all if there is no label."""
    words: list[Segment] = [(label, markup)] if label else []
    # each word may come to stand at the start of a line
    words += [(clean(each, look), {} if label else markup) for each in clean(text, look).split()]
    return flow(words, look, indent=indent)


def _hint(studies: Sequence[StudyResults]) -> list[Line]:
    trials = [trial for results in studies for trial in results.trials]
    done = sum(trial.state not in {State.NOT_RUN, State.RUNNING} for trial in trials)
    planned = sum(sweep.planned for results in studies for sweep in results.sweeps)
    if done >= planned:
        return []
    text = f"interrupted at {done}/{planned}"
    if any(results.run for results in studies):
        given = dict.fromkeys(each for results in studies for each in _options(results))
        command = f"pytest --sweep --sweep-resume{_given(given)}"
        return [line(f"{text}: continue with {command}", yellow=True)]
    return [line(f"{text}; nothing was stored, the next run starts over", yellow=True)]
