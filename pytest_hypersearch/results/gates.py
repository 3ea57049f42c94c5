"""Verdicts of gates as people and CI read them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from pytest_hypersearch.core.study import GateVerdict
from pytest_hypersearch.core.values import plural
from pytest_hypersearch.results.comparison import (
    Change,
    change_lines,
    failures,
    measures,
)
from pytest_hypersearch.results.terminal.format import Line, Look, clean, cut, line, scale_of

FAILING = frozenset({"REGRESSED", "broken", "missed"})
PASSING = frozenset({"same", "better", "met"})
ACCEPTED = "accepted"
_SHORT = PASSING - {"better"}
_UPDATES = {
    "REGRESSED": ("accept", "all"),
    "broken": ("accept", "all"),
    "not comparable": ("accept", "all"),
    "better": ("keep", "all"),
    "no baseline": ("add", "new"),
}
_SPECIAL = set('"$`\\!%')


def short_text(change: Change) -> str:
    """Tell of a verdict in one line: ``REGRESSED 0.41 -> 0.43, loss 0.017 (95% bounds ...``."""
    return " ".join([*measures(change), *failures(change, Look())])


def verdict_of(change: Change, against: str = "", *, accepted: bool = False) -> GateVerdict:
    """Return a verdict as it is stored and shown later.

    Args:
        change: The verdict.
        against: The name of the baseline.
        accepted: Whether the scores go into the baseline.
    """
    named = "" if change.gate.bound is not None else against
    verdict = change.judgement.verdict
    said = ACCEPTED if accepted and verdict not in PASSING else verdict
    return GateVerdict(change.label, said, short_text(change), named)


def brief_text(change: Change) -> str:
    """Tell of a verdict beside an item: ``REGRESSED 0.41 -> 0.43``."""
    return (
        f"{change.judgement.verdict.upper()} {' -> '.join(filter(None, _scores(change)))}".strip()
    )


def gate_lines(
    changes: Iterable[Change], look: Look, *, against: str, option: str | None
) -> list[Line]:
    """Tell of verdicts: of those that pass a line each, of others all that is known.

    Args:
        changes: The verdicts.
        look: The width, and how much is shown: with ``-q`` a line each, passing ones counted.
        against: The name of the baseline.
        option: The option that names it, empty if the configuration does; None to leave out the
            commands that update it.
    """
    lines: list[Line] = []
    passing = 0
    for change in changes:
        verdict = change.judgement.verdict
        colour = {_colour(verdict): True}
        if verdict in PASSING and look.verbosity < 0:
            passing += 1
        elif look.verbosity < 0 or (verdict in _SHORT and look.verbosity < 1):
            name = clean(f"{change.nodeid} [gate {change.label}]", look)
            lines.append(line(cut(f"{name}  {short_text(change)}", look.width, look), **colour))
        else:
            head, first, *others = change_lines(change, look, against)
            lines += [line(head), line(first, **colour), *map(line, others)]
            if option is not None and (command := _command(change, option)):
                lines.append(line(command))
    if passing:
        text = f"{plural(passing, 'gate')} passed"
        lines.append(line(text, green=True))
    return lines


def _colour(verdict: str) -> str:
    return "red" if verdict in FAILING else "green" if verdict in PASSING else "yellow"


def _command(change: Change, option: str) -> str:
    """The command that puts the scores into the baseline, empty if there is none to give."""
    verdict, test = change.judgement.verdict, change.nodeid.partition("[")[0]
    if verdict not in _UPDATES or not test.isprintable() or test.startswith("-"):
        return ""  # what cannot be printed would be another test, or an option
    quoted = shlex.quote(test) if _SPECIAL & set(test) else f'"{test}"'
    label, update = _UPDATES[verdict]
    options = " ".join(filter(None, [f"--sweep-update-baseline={update}", option]))
    return f"  {label}: pytest --sweep-resume {options} {quoted}"


def properties_of(change: Change, against: str) -> list[tuple[str, str]]:
    """Return what a test case tells of a verdict, by name."""
    one = change.judgement
    numbers = {"before": one.before, "now": one.now, "loss": one.loss, "low": one.low}
    numbers |= {"high": one.high, "tolerance": one.tolerance, "p": one.p}
    values = {
        "verdict": one.verdict,
        "metric": change.metric,
        "baseline": "" if one.bound is not None else against,
        "commit": change.commit,
        **{name: repr(value) for name, value in numbers.items() if value is not None},
        "seeds": str(len(one.seeds)),
        "configurations": str(len(one.losses)),
        "reason": one.reason,
    }
    return [(name, value) for name, value in values.items() if value]


def markup_row(change: Change, look: Look) -> dict[str, str]:
    """Return a row of a table for a document, the verdict first."""
    one = change.judgement
    low, high = one.low, one.high
    ends = [end for end in (one.loss, low, high) if end is not None]
    size = scale_of(ends) if ends else None
    scores = _scores(change)
    bounds = ""
    if size and low is not None and high is not None:
        bounds = f" ({size.value(low)} to {size.value(high)})"
    return {
        "verdict": one.verdict,
        "test": clean(change.nodeid, look),
        "gate": clean(change.label, look),
        "before": scores[0],
        "now": scores[1],
        "loss": size.value(one.loss) + bounds if size and one.loss is not None else one.reason,
        "tolerated": scale_of([one.tolerance]).value(one.tolerance) if one.loss else "",
        "seeds": str(len(one.seeds)),
        "baseline": change.commit,
    }


def _scores(change: Change) -> Sequence[str]:
    one = change.judgement
    if one.before is None or one.now is None:
        return "", ""
    scale = scale_of([one.before, one.now])
    return scale.value(one.before) if one.bound is None else "", scale.value(one.now)
