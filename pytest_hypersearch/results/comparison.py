"""Two sets of results compared: what has become of each test's scores, by the rule of the gate.

Verdicts of gates are told here, too, as people and CI read them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field, replace
from typing import get_args

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.goals import Gate, Mode
from pytest_hypersearch.core.study import (
    GateVerdict,
    Name,
    StudyResults,
    Trials,
    by_configuration,
    scores_by_seed,
)
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import State, TrialRecord
from pytest_hypersearch.core.values import mean, plural
from pytest_hypersearch.results.query import Row
from pytest_hypersearch.results.terminal.format import (
    Line,
    Look,
    better,
    clean,
    cut,
    line,
    look_of,
    scale_of,
    show_params,
    wrap,
)
from pytest_hypersearch.stats.gate import (
    LEAST_SEEDS,
    Judgement,
    Verdict,
    comparable,
    holm,
    judge_gate,
    threshold,
)
from pytest_hypersearch.stats.grouping import summary

_ORDER: tuple[Verdict, ...] = get_args(Verdict)
_WORST = 3


@frozen
class Change:
    """What has become of the scores of one test.

    Attributes:
        nodeid: The test.
        gate: The metric that is judged, and how.
        judgement: The verdict and the numbers behind it.
        before: The earlier trials that completed or failed, by configuration and seed.
        now: The later ones.
        sweep: The sweep that has the gate; empty if the test's sweeps of one score are compared.
        label: What the gate is called among those of its test.
        commit: The commit of the earlier results, empty if it is not known.
    """

    nodeid: str
    gate: Gate
    judgement: Judgement[Name]
    before: Trials = field(default_factory=dict, repr=False)
    now: Trials = field(default_factory=dict, repr=False)
    sweep: str = ""
    label: str = ""
    commit: str = ""

    @property
    def metric(self) -> str:
        """The metric that is judged."""
        return self.gate.metric

    @property
    def mode(self) -> Mode:
        """Whether lower or higher values of it are better."""
        return self.gate.mode

    @property
    def blind(self) -> bool:
        """Whether nothing can be decided, as nothing is paired or there are too few seeds."""
        few = len(self.judgement.seeds) < LEAST_SEEDS and self.judgement.verdict == "undecided"
        return few or self.judgement.verdict in {"not comparable", "no baseline"}

    def table(self) -> list[Row]:
        """Return a row for each pair: test, sweep, replicate, parameters, before, now, loss."""
        sign = 1 if self.mode == "min" else -1
        return [
            {"test": self.nodeid, "sweep": trial.sweep, "replicate": trial.replicate}
            | {f"params.{name}": value for name, value in trial.params.items()}
            | {"before": old, "now": new, "loss": sign * (new - old)}
            | {"judged": name in self.judgement.losses}
            for name, pairs in self._pairs()
            for trial, old, new in pairs
        ]

    def configurations(self) -> list[Row]:
        """Return a row for each configuration that both sides have: means over common seeds.

        Its ``sweep``, ``number`` among the later ones, ``params``, ``n`` common seeds, the means
        ``before`` and ``now``, the mean ``loss`` with ``low`` and ``high`` (95%, Student's t), and
        whether it is ``judged``.
        """
        sign = 1 if self.mode == "min" else -1
        rows = []
        for name, pairs in self._pairs():
            trials, before, now = zip(*pairs, strict=True)
            losses = summary([sign * (new - old) for _, old, new in pairs])
            rows.append(
                {"sweep": trials[0].sweep, "number": trials[0].number, "params": trials[0].params}
                | {"n": len(pairs), "before": mean(before), "now": mean(now)}
                | {"loss": losses.mean, "low": losses.low, "high": losses.high}
                | {"judged": name in self.judgement.losses}
            )
        return rows

    def _pairs(self) -> Iterator[tuple[Name, list[tuple[TrialRecord, float, float]]]]:
        """Yield the trials of each configuration that have scores on both sides, with these."""
        before, now = (scores_by_seed(side, self.metric) for side in (self.before, self.now))
        for name, trials in self.now.items():
            earlier = before.get(name, {})
            pairs = [
                (trial, old, new)
                for seed, trial in trials.items()
                if (old := earlier.get(seed)) is not None
                if (new := now[name][seed]) is not None
            ]
            if pairs:
                yield name, pairs


@frozen
class Comparison:
    """What has become of the scores, test by test.

    Attributes:
        changes: One for each test and score that was there before.
        added: Tests that are only among the later results.
    """

    changes: tuple[Change, ...]
    added: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all tests."""
        found = {change.judgement.verdict for change in self.changes}
        return next((one for one in _ORDER if one in found), "not comparable")

    @property
    def blind(self) -> bool:
        """Whether a test could not be compared."""
        return not self.changes or any(change.blind for change in self.changes)

    def table(self) -> list[Row]:
        """Return a row for each pair of trials; ``loss`` is positive where the score is worse."""
        return [row for change in self.changes for row in change.table()]

    def __str__(self) -> str:
        return comparison_text(self, 80)


def compare(
    studies: Sequence[StudyResults], others: Sequence[StudyResults], tolerance: float | str
) -> Comparison:
    """Compare studies with others from before; see `Results.compare`.

    Raises:
        ValueError: The tolerance makes no sense.
    """
    now, before = ({study.nodeid: study for study in side} for side in (studies, others))
    changes = [
        _change(study, now.get(nodeid), Gate(metric=metric, mode=mode, tolerance=tolerance))
        for nodeid, study in before.items()
        for metric, mode in {sweep.metric: sweep.mode for sweep in reversed(_swept(study))}.items()
    ]
    return Comparison(_together(changes), tuple(nodeid for nodeid in now if nodeid not in before))


def gates(studies: Iterable[StudyResults], baseline: Iterable[StudyResults]) -> Comparison:
    """Judge the gates of the sweeps that have trials.

    Args:
        studies: The results.
        baseline: Those to compare with, one for each test.
    """
    before = {study.nodeid: study for study in baseline}
    changes = [
        _gated(study, before.get(study.nodeid), sweep, gate)
        for study in studies
        for sweep in _swept(study)
        for gate in sweep.gates
    ]
    return Comparison(_together(changes))


def _together(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Corrects the verdicts for their number."""
    alphas = [change.gate.alpha for change in changes]
    judgements = holm([change.judgement for change in changes], alphas)
    pairs = zip(changes, judgements, strict=True)
    return tuple(replace(change, judgement=judgement) for change, judgement in pairs)


def _swept(study: StudyResults) -> list[Sweep]:
    """The sweeps of which there are trials."""
    names = {trial.sweep for trial in study.trials}
    return [sweep for sweep in study.sweeps if sweep.name in names]


def changes(studies: Sequence[StudyResults], gate: Gate) -> tuple[Change, ...]:
    """Judge each of a test's results but the first against those before it.

    Those of which nothing is complete are passed over as what later ones are compared with.

    Raises:
        ValueError: The tolerance makes no sense.
    """
    found, before = [], studies[0]
    for study in studies[1:]:
        found.append(_change(before, study, gate))
        if any(trial.state is State.COMPLETE for trial in study.trials):
            before = study
    return _together(found)


def values_of(study: StudyResults, metric: str) -> dict[Name, dict[int, float]]:
    """Return a metric of the complete trials, by configuration and seed."""
    return {
        name: {seed: value for seed, value in row.items() if value is not None}
        for name, row in scores_by_seed(
            by_configuration(study, _measuring(study, metric)), metric
        ).items()
    }


def _measuring(study: StudyResults, metric: str) -> list[Sweep]:
    """The sweeps of which a metric is the score, or else those whose trials have it."""
    swept = _swept(study)
    scored = [sweep for sweep in swept if sweep.metric == metric]
    names = {trial.sweep for trial in study.trials if metric in trial.metrics}
    return scored or [sweep for sweep in swept if sweep.name in names]


def _change(before: StudyResults, now: StudyResults | None, gate: Gate) -> Change:
    metric = gate.metric
    earlier = _measuring(before, metric)
    later = [] if now is None else _measuring(now, metric)
    known = Change(before.nodeid, gate, _refused(""))
    if now is None:
        return replace(known, judgement=_refused("the test has no results now"))
    if not later:
        return replace(known, judgement=_refused(f"no sweep has the score {metric} now"))
    modes = {goal.metric: goal.mode for goal in later[0].goals}
    if modes.get(metric, gate.mode) != gate.mode:
        return replace(known, judgement=_turned(gate.mode, modes[metric]))
    if not {sweep.name for sweep in earlier} & {sweep.name for sweep in later}:
        names = " and ".join(", ".join(one.name for one in side) for side in (earlier, later))
        reason = f"other sweeps ({names}): to compare strategies, use --by strategy"
        return replace(known, judgement=_refused(reason))
    sides = by_configuration(before, earlier), by_configuration(now, later)
    return replace(known, judgement=judge_gate(*sides, gate), before=sides[0], now=sides[1])


def gate_label(study: StudyResults, sweep: Sweep, gate: Gate) -> str:
    """Return what a gate is called among those of its test."""
    several = len({each.name for each in study.sweeps if each.gates}) > 1
    return f"{sweep.name} {gate.name}" if several else gate.name


def _gated(now: StudyResults, before: StudyResults | None, sweep: Sweep, gate: Gate) -> Change:
    trials = by_configuration(now, [sweep])
    known = Change(
        now.nodeid,
        gate,
        _refused(""),
        now=trials,
        sweep=sweep.name,
        label=gate_label(now, sweep, gate),
        commit=before.commit if before else "",
    )
    if gate.bound is not None:
        found = threshold(
            scores_by_seed(trials, gate.metric), gate.bound, mode=gate.mode, alpha=gate.alpha
        )
        return replace(known, judgement=found)
    if (refused := _difference(before, sweep, gate)) is not None:
        return replace(known, judgement=refused)
    earlier = comparable(before, sweep, gate) or {}
    try:
        found = judge_gate(earlier, trials, gate, sweep)
    except ValueError as error:  # a percentage of 0
        return replace(known, judgement=_refused(str(error)))
    return replace(known, judgement=found, before=earlier)


def _difference(before: StudyResults | None, sweep: Sweep, gate: Gate) -> Judgement[Name] | None:
    """Why a sweep cannot be compared with a baseline, None if it can."""
    earlier = [one for one in before.sweeps if one.name == sweep.name] if before else []
    modes = {goal.metric: goal.mode for one in earlier for goal in one.goals}
    if gate.metric not in modes:
        return Judgement("no baseline", "the baseline has no such scores")
    if modes[gate.metric] != gate.mode:
        return _turned(modes[gate.metric], gate.mode)
    if earlier[0].seed != sweep.seed:
        return _refused(f"other seeds: seed={earlier[0].seed} before, {sweep.seed} now")
    return None


def _turned(before: Mode, now: Mode) -> Judgement[Name]:
    return _refused(f"{better(before)} before, {better(now)} now")


def _refused(reason: str) -> Judgement[Name]:
    return Judgement("not comparable", reason)


def comparison_text(found: Comparison, width: int) -> str:
    """Tell what has become of the scores of each test."""
    look = look_of(width)
    lines = [line for change in found.changes for line in change_lines(change, look)]
    if found.added:
        names = (clean(nodeid, look) for nodeid in found.added)
        lines += wrap(" ".join(["new, not compared:", *names]), look, indent=0)
    return "\n".join(lines or ["nothing to compare"])


def change_lines(change: Change, look: Look, against: str = "") -> list[str]:
    """Tell what has become of a test.

    Args:
        change: What has become of it.
        look: The width.
        against: The name of the baseline, if it was compared with one.
    """
    one = change.judgement
    goal = f"{change.metric} ({better(change.mode)})"
    if one.bound is not None:
        goal = change.label
    elif against:
        commit = f" ({change.commit})" if change.commit else ""
        goal = f"{change.label} against {against}{commit}"
    lines = [
        f"{clean(change.nodeid, look)}  {clean(goal, look)}",
        *wrap(" ".join(measures(change)), look),
    ]
    if one.verdict == "broken":
        lines += wrap(" ".join(failures(change, look)), look)
    if one.verdict == "REGRESSED":
        lines += wrap(" ".join(_worst(change, look)), look)
    if one.gone or one.new:
        lines += wrap(f"configurations: {len(one.gone)} only before, {len(one.new)} only now", look)
    if one.verdict == "undecided" and (one.found if one.bound is None else one.needed) is not None:
        lines += wrap(" ".join(_seeds(one)), look)
    return lines


def measures(change: Change) -> list[str]:
    """Return the words that tell of the verdict and the numbers behind it."""
    one = change.judgement
    words: list[str] = [one.verdict]
    if one.before is not None and one.now is not None and one.loss is not None:
        scale = scale_of([one.before, one.now])
        words += [] if one.bound is not None else [f"{scale.value(one.before)} ->"]
        words += [f"{scale.value(one.now)},", *_loss(change)]
        words.append(f"best {len(one.losses)} of {one.shared}, {plural(len(one.seeds), 'seed')}")
    return [*words, f"({one.reason})"] if one.reason else words


def _loss(change: Change) -> list[str]:
    """The loss with its bounds; of a threshold the margin, which is negative if it is missed."""
    one = change.judgement
    ends = [end for end in (one.loss, one.low, one.high) if end is not None]
    if one.bound is not None:
        ends = [-one.loss, *(-end for end in reversed(ends[1:]))] if one.loss is not None else []
    size, *bounds = map(scale_of(ends).value, ends)
    words = [f"{'loss' if one.bound is None else 'margin'} {size}"]
    if bounds:
        words.append(f"({100 * (1 - change.gate.alpha):.4g}% bounds {' to '.join(bounds)})")
    words[-1] += ","
    if one.bound is None and (one.loss or one.tolerance):
        words.append(f"tolerated {scale_of([one.tolerance]).value(one.tolerance)};")
    return words


def failures(change: Change, look: Look) -> list[str]:
    """Return the words that name the judged configurations that fail now, none if none do."""
    failed = [
        next(trial for trial in change.now[name].values() if trial.state is not State.COMPLETE)
        for name in change.judgement.broken[:_WORST]
    ]
    texts = (
        " ".join([*show_params(trial.params, look), f"({clean(trial.reason, look)})"])
        for trial in failed
    )
    return _listed("fails now:", texts)


def _worst(change: Change, look: Look) -> list[str]:
    """Names the judged configurations with the largest losses."""
    losses = change.judgement.losses
    scale = scale_of([max(losses.values(), key=abs)])
    texts = (
        " ".join([*_params(change, name, look), f"{'+' * (loss > 0)}{scale.value(loss)}"])
        for name, loss in [*losses.items()][:_WORST]
    )
    return _listed("worst:", texts)


def _listed(head: str, texts: Iterable[str]) -> list[str]:
    """A head and texts with commas between them, none if there are no texts."""
    *others, last = [*texts] or [""]
    return [head, *(f"{text}," for text in others), last] if last else []


def _params(change: Change, name: Name, look: Look) -> list[str]:
    return show_params(next(iter(change.now[name].values())).params, look)


def _seeds(one: Judgement[Name]) -> list[str]:
    """Says how many seeds would decide."""
    if one.bound is not None:
        return [f"with this margin, {one.needed} replicates decide"]
    found = one.found or 0.0
    words = [f"these {len(one.seeds)} find a loss of {scale_of([found]).value(found)}"]
    if one.needed is not None:
        size = scale_of([one.tolerance]).value(one.tolerance)
        words.insert(0, f"to find a loss of {size}: {one.needed} replicates;")
    return words


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
