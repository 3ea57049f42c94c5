"""Results as text of one screen, by the same tables as the summary in the terminal."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_hypersearch.analysis.groups import group_of, objectives_of
from pytest_hypersearch.statistics.grouping import count
from pytest_hypersearch.terminal.display import (
    Look,
    clean,
    scale_of,
    show_mean,
    show_params,
    show_value,
)
from pytest_hypersearch.terminal.headline import headlines
from pytest_hypersearch.terminal.layout import flow, plain
from pytest_hypersearch.terminal.score_tables import group_table, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_hypersearch.analysis.comparison import Comparison
    from pytest_hypersearch.analysis.fields import Field
    from pytest_hypersearch.analysis.groups import Groups
    from pytest_hypersearch.analysis.results import Results
    from pytest_hypersearch.results import StudyResults
    from pytest_hypersearch.statistics.ranking import Ranked

_SWEEPS = 15


def look_of(width: int) -> Look:
    """Return what standard output can show, at a width."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        "±…".encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return Look(width, 0, ascii_only=True)
    return Look(width)


def sweep_text(results: Results, width: int) -> str:
    """Count the trials and show a line for each sweep, as far as they fit on a screen."""
    look = look_of(width)
    studies = [_tried(study) for study in results.studies if study.trials]
    lines = [_counts(results), *map(plain, headlines(studies[:_SWEEPS], look))]
    if studies[_SWEEPS:]:
        lines.append(f"and {len(studies) - _SWEEPS} more tests")
    return "\n".join([*lines, *(clean(f"note: {note}", look) for note in results.notes)])


def _tried(study: StudyResults) -> StudyResults:
    """A study without the sweeps of which filters left nothing."""
    names = {trial.sweep for trial in study.trials}
    return replace(study, sweeps=tuple(s for s in study.sweeps if s.planned or s.name in names))


def sweep_html(results: Results) -> str:
    """Return the same for a notebook; texts of users' are escaped."""
    from html import escape

    return f"<pre>{escape(sweep_text(results, 100))}</pre>"


def _counts(results: Results) -> str:
    found = count(results, 0)
    states = ", ".join(f"{number} {state}" for state, number in found.items())
    return f"Results: {len(results)} trials" + (f": {states}" if found else "")


def group_text(groups: Groups, width: int) -> str:
    """Show a table of groups for each score, the group with the best first."""
    look = look_of(width)
    blocks = []
    for alike in objectives_of(study for _, part in groups for study in part.studies):
        rows = [
            (key, group_of(key, part.studies, alike))
            for key, part in groups
            if any(sweep in alike for sweeps in objectives_of(part.studies) for sweep in sweeps)
        ]
        keys = [
            (short_name(field), [show_value(key[place], look) for key, _ in rows])
            for place, field in enumerate(groups.fields)
        ]
        sweep, by = alike[0], ", ".join(short_name(field) for field in groups.fields)
        better = "lower" if sweep.mode == "min" else "higher"
        title = clean(f"{sweep.metric} by {by} ({better} is better)", look)
        without = [short_name(f) for f in groups.fields if f.name.startswith("params.")]
        table = group_table(keys, [group for _, group in rows], look, without=without)
        blocks.append("\n".join([title, *map(plain, table)]))
    return "\n\n".join(blocks) or "no trials"


def short_name(field: Field) -> str:
    """Return a field's name without what it belongs to."""
    return field.name.partition(".")[2] or field.name


def comparison_text(found: Comparison, width: int) -> str:
    """Tell what has become of the scores, and of the best configuration."""
    look, sweep = look_of(width), found.sweep
    better = "lower" if sweep.mode == "min" else "higher"
    metric = clean(sweep.metric, look)
    lines = [f"{metric} ({better} is better), {_pairing(found)}"]
    if found.difference is not None:
        lines += _flow(_change(found), look)
    for label, best in (("before", found.best_before), ("now", found.best_now)):
        lines += _flow(_best(label, best, look), look)
    return "\n".join(lines)


def _pairing(found: Comparison) -> str:
    if not found.pairs:
        return "no configuration and replicate that both have completed"
    pairs = "1 pair" if len(found.pairs) == 1 else f"{len(found.pairs)} pairs"
    before, now = found.unpaired
    return pairs + (
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


def _best(label: str, best: Ranked | None, look: Look) -> list[str]:
    if best is None:
        return [f"best {label}:", "none"]
    score = show_mean(best.value, best.std, look)
    return [f"best {label}:", score, f"({name_of(best)})", *show_params(best.params, look)]


def _flow(words: Iterable[str], look: Look) -> list[str]:
    return [plain(line) for line in flow(((word, {}) for word in words), look)]
