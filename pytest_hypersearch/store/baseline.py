"""The baseline: a text file, kept with the code, with the scores that gates compare with.

JSON with sorted tests, sweeps and configurations, a configuration on each line: its parameters and,
for each metric, the values by replicate, null where a trial was not complete. What did not change
is written byte for byte as it was::

    {"format": 1, "tests": {
    "test_train.py::test_cnn": {"commit": "1f3c9ab025", "sweeps": {
     "grid": {"seed": 0, "metrics": {"loss": "min"}, "trials": [
      {"params": {"lr": 0.01}, "scores": {"loss": [0.4131, 0.4087, 0.4202]}},
      {"params": {"lr": 0.1}, "scores": {"loss": [0.52, null, 0.5088]}}]}}}}}
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.goals import Goal, Mode
from pytest_hypersearch.core.space import Space, config_key
from pytest_hypersearch.core.study import StudyResults, by_configuration
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Config, State, TrialRecord, trial_seed
from pytest_hypersearch.core.values import mean, shown
from pytest_hypersearch.stats.gate import LEAST_SEEDS

FORMAT: Final = 1
MOST_BYTES: Final = 64 * 1024 * 1024
MOST_CONFIGURATIONS: Final = 200
KEPT_CONFIGURATIONS: Final = 50
COMMIT_DIGITS: Final = 10
REPLAYED: Final = 4

Values: TypeAlias = "tuple[float | None, ...]"
Name: TypeAlias = tuple[str, int]
"""A configuration by its `config_key`, and which of several equal ones it is."""


@frozen
class Entry:
    """The scores of one sweep.

    Attributes:
        seed: The seed of the sweep.
        metrics: The metrics, with their better directions.
        trials: The values of each metric by replicate, by configuration.
    """

    seed: int
    metrics: Mapping[str, Mode]
    trials: Mapping[Name, Mapping[str, Values]]

    def fresh(self, metric: str) -> Entry | None:
        """Return the best configuration over the first seeds, with its scores of the others.

        The scores by which a configuration was chosen are better than it is, on average (winner's
        curse); its other scores are not. None with too few replicates for both.

        Args:
            metric: The metric by which the best is chosen.
        """
        count = max((len(row.get(metric, ())) for row in self.trials.values()), default=0)
        first = count - max(LEAST_SEEDS, count // 2)
        chosen = replace(
            self,
            trials={
                name: {each: values[:first] for each, values in row.items()}
                for name, row in self.trials.items()
            },
        )
        best = next(iter(chosen.ranked(metric)), None) if first > 0 else None
        if best is None:
            return None
        unseen = {
            each: (None,) * first + values[first:] for each, values in self.trials[best].items()
        }
        return replace(self, trials={best: unseen})

    @property
    def replicates(self) -> list[int]:
        """The replicates of which there are scores."""
        rows = [values for row in self.trials.values() for values in row.values()]
        return [
            place
            for place in range(max(map(len, rows), default=0))
            if any(place < len(row) and row[place] is not None for row in rows)
        ]

    @property
    def configs(self) -> list[Config]:
        """The configurations."""
        return [json.loads(key) for key, _ in self.trials]

    def best(self, metric: str, count: int | None = None) -> list[Config]:
        """Return the configurations with the best means of a metric, the best first."""
        keys = dict.fromkeys(key for key, _ in self.ranked(metric))
        return [json.loads(key) for key in [*keys][:count]]

    def ranked(self, metric: str) -> list[Name]:
        """Return the configurations in the order of their means, the best first."""
        goal = Goal(metric, self.metrics[metric])
        means = {
            name: goal.signed(mean(complete))
            for name, scores in self.trials.items()
            if (complete := [value for value in scores.get(metric, ()) if value is not None])
        }
        return sorted(means, key=lambda name: means[name])

    def sweep(self, name: str) -> Sweep:
        """Return the sweep as far as it is known."""
        first, *others = (Goal(metric, mode) for metric, mode in self.metrics.items())
        return Sweep(
            name=name,
            strategy="",
            space=Space(({},)),
            n_trials=len(self.trials),
            metric=first.metric,
            mode=first.mode,
            others=tuple(others),
            seed=self.seed,
        )

    def records(self, nodeid: str, sweep: str) -> Iterator[TrialRecord]:
        """Yield the complete trials, each with those of its metrics that are known."""
        for number, ((key, _), scores) in enumerate(self.trials.items()):
            for replicate in range(max(map(len, scores.values()), default=0)):
                values = {
                    metric: value
                    for metric, row in scores.items()
                    if (value := row[replicate] if replicate < len(row) else None) is not None
                }
                if values:
                    yield TrialRecord(
                        nodeid,
                        sweep,
                        number,
                        replicate,
                        json.loads(key),
                        State.COMPLETE,
                        metrics=values,
                        score=values.get(next(iter(self.metrics))),
                        seed=trial_seed(self.seed, replicate),
                    )


@frozen
class Scores:
    """The scores of one test.

    Attributes:
        commit: The commit at which they were written last; with a plus if files had changed.
        sweeps: The scores of each sweep by its name.
    """

    commit: str
    sweeps: Mapping[str, Entry]


@frozen
class Baseline:
    """The scores to compare with, by the tests' node ids."""

    tests: Mapping[str, Scores]

    @property
    def studies(self) -> list[StudyResults]:
        """The tests with their trials, as results of a run."""
        return [
            StudyResults(
                nodeid,
                tuple(entry.sweep(name) for name, entry in test.sweeps.items()),
                tuple(
                    record
                    for name, entry in test.sweeps.items()
                    for record in entry.records(nodeid, name)
                ),
                commit=test.commit,
            )
            for nodeid, test in self.tests.items()
        ]

    def best(self, nodeid: str, sweep: Sweep) -> list[Config]:
        """Return some of the best configurations, for a sweep that may not propose them again.

        They are four times as many as its gates judge: those with the best scores before are
        partly the best by luck, and the fewer run again, the more of that is taken for a loss.
        """
        test = self.tests.get(nodeid)
        entry = test.sweeps.get(sweep.name) if test else None
        configs = {
            config_key(config): config
            for gate in sweep.gates
            if entry and gate.bound is None and gate.metric in entry.metrics
            for config in entry.best(gate.metric, gate.top and REPLAYED * gate.top)
        }
        return [config for config in configs.values() if sweep.space.contains(config)]

    def fresh(self, nodeid: str, sweep: Sweep) -> Entry | None:
        """Return what a sweep's best configuration is checked against; see `Entry.fresh`.

        It is the best of the metric of the first gate. None if there is nothing.
        """
        test = self.tests.get(nodeid)
        entry = test.sweeps.get(sweep.name) if test else None
        metrics = [gate.metric for gate in sweep.gates if gate.bound is None]
        known = [metric for metric in metrics if entry and metric in entry.metrics]
        return entry.fresh(known[0]) if entry and known else None

    def updated(
        self, studies: Iterable[StudyResults], *, replaces: bool, drops: bool = False
    ) -> Baseline:
        """Return the baseline with the scores of the gated metrics of some results.

        Args:
            studies: The results.
            replaces: Whether they take the place of the scores that are there; else only what is
                missing is added. Scores of trials that did not run stay in either case.
            drops: Whether tests that are not among the results are left out.
        """
        tests = {} if drops else dict(self.tests)
        for study in studies:
            old = self.tests.get(study.nodeid, Scores("", {}))
            entries = dict(old.sweeps)
            for sweep in study.sweeps:
                new = _measured(study, sweep)
                if new is not None and (new.replicates or sweep.name in entries):
                    whole = replaces and _is_whole(study, sweep)
                    entries[sweep.name] = _merged(entries.get(sweep.name), new, replaces, whole)
            commit = old.commit if entries == old.sweeps else study.commit
            if entries:
                tests[study.nodeid] = Scores(commit, entries)
        return Baseline(tests)

    def text(self) -> str:
        """Return the contents of the file."""
        tests = ",\n".join(
            f'{json.dumps(nodeid)}: {{"commit": {json.dumps(test.commit)}, "sweeps": {{\n'
            + ",\n".join(_entry_text(name, entry) for name, entry in sorted(test.sweeps.items()))
            + "}}"
            for nodeid, test in sorted(self.tests.items())
        )
        return f'{{"format": {FORMAT}, "tests": {{\n{tests}}}}}\n'

    def write(self, path: Path) -> bool:
        """Write the file, unless it is the same; return whether it was written.

        Readers never see a part of it.

        Raises:
            StoreError: It cannot be written.
        """
        text = self.text()
        try:
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                return False
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path.resolve(), text)
        except (OSError, UnicodeError) as error:
            raise StoreError(f"{path}: the baseline cannot be written: {error}") from None
        return True


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        mode = path.stat().st_mode if path.exists() else 0o666 & ~_umask()
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _measured(study: StudyResults, sweep: Sweep) -> Entry | None:
    """What a baseline keeps of a sweep, None if it has no gate that compares, or no trials."""
    metrics = {gate.metric: gate.mode for gate in sweep.gates if gate.bound is None}
    rows = by_configuration(study, [sweep])
    if not metrics or not rows:
        return None
    trials = {
        (key, nth): {
            metric: _trimmed(_value(row.get(seed), metric) for seed in sweep.seeds)
            for metric in metrics
        }
        for (_, key, nth), row in rows.items()
    }
    return Entry(sweep.seed, metrics, trials)


def _trimmed(values: Iterable[float | None]) -> Values:
    """The values up to the last that there is."""
    row = [*values]
    while row and row[-1] is None:
        row.pop()
    return tuple(row)


def _value(trial: TrialRecord | None, metric: str) -> float | None:
    complete = trial is not None and trial.state is State.COMPLETE
    return trial.metrics.get(metric) if trial and complete else None


def _is_whole(study: StudyResults, sweep: Sweep) -> bool:
    """Whether every planned trial of a sweep has run, but for replicates that not all need."""
    replicates = sweep.at_least or sweep.replicates
    ended = sum(
        trial.state not in {State.NOT_RUN, State.RUNNING}
        for trial in study.trials
        if trial.sweep == sweep.name and trial.replicate < replicates
    )
    return ended >= sweep.n_trials * replicates


def _merged(old: Entry | None, new: Entry, replaces: bool, whole: bool) -> Entry:
    if old is None or whole:
        return _cut(new)
    if old.seed != new.seed or any(
        old.metrics.get(metric, mode) != mode for metric, mode in new.metrics.items()
    ):
        return _cut(new) if replaces else old
    names = dict.fromkeys([*old.trials, *new.trials])
    metrics = {**old.metrics, **new.metrics}
    first, second = (new, old) if replaces else (old, new)
    trials = {
        name: {
            metric: _filled(_values(first, name, metric), _values(second, name, metric))
            for metric in metrics
        }
        for name in names
    }
    return _cut(Entry(old.seed, metrics, trials))


def _values(entry: Entry, name: Name, metric: str) -> Values:
    return entry.trials.get(name, {}).get(metric, ())


def _filled(first: Values, second: Values) -> Values:
    """The first values, and the second ones where these are missing."""
    length = max(len(first), len(second))
    sides = ((*values, *[None] * (length - len(values))) for values in (first, second))
    return tuple(b if a is None else a for a, b in zip(*sides, strict=True))


def _cut(entry: Entry) -> Entry:
    """In the order of the file, the best configurations only if they are very many."""
    names: Collection[Name] = entry.trials
    if len(names) > MOST_CONFIGURATIONS:
        best = {config_key(c) for m in entry.metrics for c in entry.best(m, KEPT_CONFIGURATIONS)}
        names = [name for name in names if name[0] in best]
    return replace(
        entry,
        metrics=dict(sorted(entry.metrics.items())),
        trials={name: entry.trials[name] for name in sorted(names)},
    )


def _entry_text(name: str, entry: Entry) -> str:
    head = f'"seed": {entry.seed}, "metrics": {json.dumps(entry.metrics)}, "trials": [\n'
    rows = ",\n".join(
        f'  {{"params": {json.dumps(json.loads(key))}, "scores": {json.dumps(scores)}}}'
        for (key, _), scores in entry.trials.items()
    )
    return f" {json.dumps(name)}: {{{head}{rows}]}}"


def baseline_at(path: Path) -> Baseline:
    """Read a baseline that must be there.

    Raises:
        StoreError: It is not, or cannot be read.
    """
    known = read_baseline(path)
    if known is None:
        raise StoreError(f"{path}: there is no such baseline")
    return known


def read_baseline(path: Path) -> Baseline | None:
    """Read a baseline, None if there is no such file.

    Raises:
        StoreError: It cannot be read, or is no baseline; the message is one line.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)  # not by its size, as a device has none
        if len(data) > MOST_BYTES:
            raise StoreError(f"{path}: expected a baseline of at most {MOST_BYTES >> 20} MiB")
        text = data.decode("utf-8-sig")  # editors on Windows add a mark
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: the baseline cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StoreError(f"{path}: expected a baseline, which is UTF-8 text") from None
    try:
        return _baseline_of(text)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise StoreError(f"{path}: not a baseline: {_problem(text, error)}") from None


def _problem(text: str, error: Exception) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(("<<<<<<< ", "=======", ">>>>>>> ")):
            return (
                f"merge conflict in line {number}: take either side, "
                "then use --sweep-update-baseline"
            )
    if not text.strip():
        return "the file is empty; remove it, then use --sweep-update-baseline"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())


def _baseline_of(text: str) -> Baseline:
    data = json.loads(text, parse_constant=_no_number, object_pairs_hook=_distinct)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        given = shown(data.get("format")) if isinstance(data, dict) else shown(data)
        raise ValueError(f"format {given}; this version reads format {FORMAT}")
    return Baseline({nodeid: _test(test) for nodeid, test in data["tests"].items()})


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text}: expected finite numbers and null")


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(name for name, _ in pairs)
    for name, count in counts.items():
        if count > 1:
            raise ValueError(f"{shown(name)} is there {count} times")
    return dict(pairs)


def _test(data: Any) -> Scores:  # noqa: ANN401  any JSON value
    sweeps = {name: _entry(entry) for name, entry in data["sweeps"].items()}
    if not isinstance(data["commit"], str):
        raise TypeError(f"commit {shown(data['commit'])}: expected a text")
    return Scores(data["commit"], sweeps)


def _entry(data: Any) -> Entry:  # noqa: ANN401  any JSON value
    seed, metrics = data["seed"], data["metrics"]
    if type(seed) is not int or not metrics or not {*metrics.values()} <= {"min", "max"}:
        raise ValueError("expected a seed, and metrics with min or max")
    equal: Counter[str] = Counter()
    trials: dict[Name, dict[str, Values]] = {}
    for row in data["trials"]:
        key = config_key(_params(row["params"]))
        trials[key, equal[key]] = {
            metric: tuple(map(_score, row["scores"].get(metric, ()))) for metric in metrics
        }
        equal[key] += 1
    return Entry(seed, metrics, trials)


def _params(data: Any) -> Config:  # noqa: ANN401  any JSON value
    if not all(value is None or isinstance(value, (str, int, float)) for value in data.values()):
        raise TypeError(f"params {shown(data)}: expected scalars")
    params: Config = data
    return params


def _score(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"score {shown(value)}: expected a number or null")
    if not math.isfinite(value):
        raise ValueError(f"score {shown(value)}: expected finite numbers and null")
    return float(value)
