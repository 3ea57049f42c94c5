"""Results: trials of stored or running sweeps, to be filtered, grouped, compared and exported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from pytest_hypersearch.core.goals import TOLERANCE
from pytest_hypersearch.core.study import Configuration, StudyResults, some
from pytest_hypersearch.core.trial import State, TrialRecord
from pytest_hypersearch.results.comparison import Comparison, compare
from pytest_hypersearch.results.contrasts import Contrast, contrast
from pytest_hypersearch.results.export import (
    columns_of,
    csv_to,
    frame_of,
    rows_of,
    studies_json,
    write_parquet,
)
from pytest_hypersearch.results.pivot import Pivot, pivot
from pytest_hypersearch.results.query import (
    Entry,
    Field,
    Fields,
    Key,
    Row,
    entries,
    group_rows,
    matching,
    order_of,
    partition,
    rankings_of,
    with_trials,
)
from pytest_hypersearch.results.run_history import RunHistory, run_history
from pytest_hypersearch.results.study_history import Curve, Reported, curves, history, reported
from pytest_hypersearch.results.terminal.headlines import sweep_html, sweep_text
from pytest_hypersearch.results.terminal.tables import families, group_text
from pytest_hypersearch.stats.failures import FailureRule, failure_rule
from pytest_hypersearch.stats.grouping import FAILURES
from pytest_hypersearch.stats.importance import Importance, Method
from pytest_hypersearch.stats.ranking import RankedStudy, Ranking, rank_study
from pytest_hypersearch.store.best import kept
from pytest_hypersearch.store.find import Loaded, Source, load

if TYPE_CHECKING:
    import pandas as pd

    from pytest_hypersearch.results.report.figures import Plots


def load_results(*paths_or_tests: Source | None, run: int | str | None = None) -> Results:
    """Load stored sweeps. Nothing in them is executed.

    Args:
        paths_or_tests: Paths of projects, pytest caches, or studies or runs in these; or tests, by
            their node id or the end of it. Default: the project that contains the working
            directory. If several paths have runs of the same study, such as the caches of CI
            shards, these are merged if they searched the same space.
        run: Which run of each study: the newest by default, ``"all"``, a run's number (the name of
            its directory), -2 for the one before the newest and so on, its name, or the beginning
            of a commit that it ran.

    Returns:
        The recorded trials, also those of a session that is still running. Damaged lines and
        unreadable runs are skipped and listed in `Results.notes`.

    Raises:
        NothingStoredError: Nothing is stored for it; a subclass of LookupError.
        StoreError: None of the stored runs can be read.
        ValueError: ``run`` is not valid.
    """
    sources = [source for source in paths_or_tests if source is not None]
    loaded, problems = load(sources, run)
    return Results(loaded, problems)


class Results(Sequence["TrialRecord"]):
    """Trials and the sweeps that they belong to; never changes.

    A sequence of trials in the order of test, sweep, configuration and replicate; slices and most
    methods return further results. Names of parameters, of the test's other
    parameters (``parametrize``), of metrics and of logged values are used as they are; one that
    several of these have is written ``params__lr``, ``arguments__lr``, ``metrics__lr``,
    ``logged__lr``. Every trial also has ``test``, ``run``, ``sweep``, ``strategy``, ``number``,
    ``replicate``, ``status``, ``score``, ``seed``, ``started``, ``duration``, ``cpu_time``,
    ``peak_memory``, ``steps``, ``attempt``, ``worker``, ``cached``, ``item``, ``reason``,
    ``error``, and what people say of it and its run: ``tags``, ``note``, ``run_tags`` and
    ``run_note``.
    """

    def __init__(
        self, loaded: Iterable[Loaded], notes: Iterable[str] = (), *, fields: Fields | None = None
    ) -> None:
        self._loaded = tuple(loaded)
        self._problems = tuple(notes)
        if fields is not None:
            self.fields = fields

    @property
    def studies(self) -> tuple[StudyResults, ...]:
        """The studies, each with its trials among these results."""
        return tuple(one.results for one in self._loaded)

    @cached_property
    def ranked(self) -> tuple[RankedStudy, ...]:
        """The studies with the ranking of each objective."""
        return tuple(map(rank_study, self.studies))

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of one line each, such as on damaged lines and runs that were skipped."""
        return (*self._problems, *(note for study in self.studies for note in study.notes))

    @cached_property
    def fields(self) -> Fields:
        """Names of parameters, metrics and logged values; filters leave them as they are."""
        return Fields.of(self.studies)

    @property
    def successful(self) -> Results:
        """The complete trials."""
        return self.filter(where=lambda trial: trial.state is State.COMPLETE)

    @property
    def failed(self) -> Results:
        """The failed, invalid, crashed and timed out trials."""
        return self.filter(where=lambda trial: trial.state in FAILURES)

    def filter(
        self, *, where: Callable[[TrialRecord], object] | None = None, **named: object
    ) -> Results:
        """Return the trials that satisfy all conditions.

        Args:
            where: A function that returns whether to keep a trial.
            named: Conditions: the name of a field, alone (``optimizer="adam"``) or with an
                operator, which is ``lt``, ``le``, ``gt``, ``ge``, ``ne``, ``in`` or ``contains``
                (``lr__lt=0.1``, ``optimizer__in=["adam", "sgd"]``). ``status`` may be ``success``,
                and the end of a node id is enough for ``test``.

        Raises:
            ValueError: A name or a value is not valid; the message says what is expected.
        """
        kept = matching(self._entries(), self.fields, named)
        if where is not None:
            kept = [entry for entry in kept if where(entry.trial)]
        return self._with(kept)

    def group_by(self, *names: str) -> Groups:
        """Group the trials by the values of parameters or of other fields.

        Raises:
            ValueError: There is no such name.
        """
        fields = [self.fields.find(name) for name in names]
        parts = partition(self._entries(), fields)
        return Groups(fields, ((key, self._with(members)) for key, members in parts))

    def best(self, k: int = 1) -> list[Configuration]:
        """Return the best configurations, ranked as in the summary.

        Args:
            k: Largest number of configurations.

        Returns:
            The configurations that satisfy the constraints, the best first. The directories with
            the files of their trials are in ``paths``.

        Raises:
            ValueError: The trials have different scores, which cannot be compared.
        """
        ranking = self._ranking("best")
        return self._saved(ranking.feasible[:k] if ranking else [])

    def pareto(self) -> list[Configuration]:
        """Return the Pareto front of a test, by the first metric; of a single metric, the best.

        Raises:
            ValueError: There are several tests or scores.
        """
        self._study("pareto")
        ranking = self._ranking("pareto")
        return self._saved(ranking.front if ranking else [])

    def importance(self, method: Method = "total") -> tuple[Importance, ...]:
        """Estimate how much each parameter matters for the score of a test; see `importance`.

        Args:
            method: ``total`` (effect on the score in the whole space) or ``ped-anova`` (what
                distinguishes the best tenth from the rest).

        Raises:
            ValueError: There are several tests or spaces, fewer than 10 complete configurations,
                or their scores are all alike.
        """
        from pytest_hypersearch.stats.importance import importance, pools

        self._study("importance")
        judged = [pool for pool in pools(self.ranked[0]) if pool.configs]
        if len(judged) != 1:
            raise ValueError(f"importance: expected sweeps over one space, not {len(judged)}")
        return importance(judged[0].space, judged[0].configs, judged[0].scores, method=method)

    def failure_rules(self) -> dict[str, FailureRule]:
        """Find what the failing configurations of each test have in common.

        Returns:
            The rule by test, without arguments, for those tests that have a significant one.
        """
        found = {
            test: failure_rule([each.study for each in studies])
            for test, studies in families(self.ranked).items()
        }
        return {test: rule for test, rule in found.items() if rule is not None}

    def history(self) -> list[Row]:
        """Return the best score so far of each sweep, trial by trial.

        Returns:
            A row for each trial, in the order in which they ended, with ``test``, ``sweep``,
            ``strategy``, ``n`` (from 1, within the sweep), ``number``, ``replicate``, ``started``,
            ``status``, ``score`` and ``best``, the best configuration's score so far, None before
            the first.
        """
        return [row for study in self.studies for row in history(study)]

    def over_runs(
        self, metric: str | None = None, *, tolerance: float | str = TOLERANCE
    ) -> RunHistory:
        """Return the history of a test over its runs, loaded by ``load_results(test, run="all")``.

        Runs of one commit are taken together. Each run has its best configuration and the verdict
        of the gate against the run before. Steps are where the scores of the best configurations
        that the runs share became worse or better.

        Args:
            metric: The metric to judge; the score of the newest run by default.
            tolerance: The largest change that does not matter: a number, or a percentage.

        Raises:
            ValueError: There are several tests or none, no run has the metric, or the tolerance
                makes no sense.
        """
        tests = {study.nodeid for study in self.studies}
        if len(tests) != 1:
            names = some(sorted(tests)) or "none"
            raise ValueError(f"over_runs: expected runs of one test, not {names}; filter first")
        return run_history(self._loaded, metric, tolerance)

    def curves(self, metric: str | None = None) -> list[Curve]:
        """Return the learning curves of the trials.

        Args:
            metric: Name of the metric; all by default.

        Returns:
            A curve for each metric of each trial that reported it.
        """
        found = (curve for each in self._loaded for curve in curves(each))
        return [curve for curve in found if metric is None or curve.metric == metric]

    def compare(self, other: Results, *, tolerance: float | str = TOLERANCE) -> Comparison:
        """Compare each test with earlier results.

        Scores are paired by test, sweep, configuration and seed. The seed is the unit: its loss is
        the mean over the three best configurations of both sides together, and losses are judged
        by a one-sided paired t-test. If there are several tests, Holm's procedure keeps the chance
        of any false alarm at 5%.

        Args:
            other: The earlier results of the same tests, of another run or commit.
            tolerance: The largest loss that does not matter: a number, or a percentage of the mean
                score before.

        Raises:
            ValueError: The tolerance is not valid, or a percentage of 0.
        """
        return compare(self.studies, other.studies, tolerance)

    def compare_by(self, name: str, *values: object) -> Contrast:
        """Compare the values of a parameter, or strategies, with each other.

        Values of a parameter are compared in blocks of equal test, seed and other parameters;
        ``strategy``, ``sweep`` and the test's other parameters by the best configuration that the
        sweeps found, at an equal budget of trials. Ranks are means over the blocks. Tests take one
        observation of each test if there are 6 or more; otherwise of each search if there are 3 or
        more (runs under several seeds of the sweep), or of each seed.

        Args:
            name: The name of a parameter, of another parameter of the test, ``strategy`` or
                ``sweep``.
            values: The values to compare; all by default.

        Raises:
            ValueError: There is no such name or value, fewer than two values, or several scores.
        """
        field = self.fields.find(name)
        kind = field.name.partition(".")[0]
        if kind not in {"params", "arguments", "strategy", "sweep"}:
            raise ValueError(
                f"compare by {name}: expected a parameter, another parameter of the test, "
                "strategy or sweep"
            )
        ranking = self._ranking("compare by")
        if ranking is None:
            raise ValueError(f"compare by {name}: there are no trials")
        metric, mode = ranking.sweeps[0].goals[0]
        return contrast(self._entries(), field, values, metric, mode)

    def pivot(
        self,
        rows: str | Sequence[str],
        columns: str | Sequence[str] = (),
        metric: str | Sequence[str] = (),
    ) -> Pivot:
        """Return a table for a paper: a metric by the values of fields, as mean ± std.

        A cell takes the best configuration of its trials, by the rule that the summary ranks by,
        and shows the mean and sample standard deviation over its replicates. If any cell has
        trials of several studies, such as runs or tests, each cell shows them over its studies,
        each with the mean of its best configuration. The best mean of each column is bold.

        Args:
            rows: Names of fields, such as ``optimizer`` or ``strategy``; their values are rows.
            columns: Names of fields whose values are columns; without, the metrics are.
            metric: Names of metrics; the score by default. The score chooses the best
                configuration also where another metric is shown.

        Raises:
            ValueError: There is no such name, no complete trial, or the trials have different
                scores.
        """
        names, by = _names(rows), _names(columns)
        metrics = _names(metric)
        for name in metrics:
            if name not in self.fields.metrics:
                expected = some(self.fields.metrics)
                raise ValueError(f"pivot: {name} is no metric; expected one of {expected}")
        self._ranking("pivot")
        fields = [self.fields.find(name) for name in (*names, *by)]
        parts = partition(self._entries(), fields)
        ranked = ((key, self._with(members).ranked) for key, members in parts)
        return pivot(fields[: len(names)], fields[len(names) :], ranked, metrics)

    @overload
    def table(self, *, as_dataframe: Literal[False] = False) -> list[Row]: ...
    @overload
    def table(self, *, as_dataframe: Literal[True]) -> pd.DataFrame: ...
    @overload
    def table(self, *, as_dataframe: bool) -> list[Row] | pd.DataFrame: ...
    def table(self, *, as_dataframe: bool = False) -> list[Row] | pd.DataFrame:
        """Return a row for each trial.

        Columns are what every trial has, then ``params.NAME``, ``arguments.NAME``,
        ``metrics.NAME`` and ``logged.NAME``.

        Args:
            as_dataframe: Whether to return a DataFrame with typed columns instead of plain dicts.
        """
        columns = columns_of(self._entries(), self.fields.every())
        return frame_of(columns) if as_dataframe else rows_of(columns)

    def display(self, group_by: str | Sequence[str] = (), *, width: int = 80) -> None:
        """Print a line for each sweep, or a table of groups.

        Args:
            group_by: Names by whose values the trials are grouped; each group is shown with the
                number of complete trials, mean and standard deviation of their scores, the best
                configuration's score, in the direction of the sweep, and where it is.
            width: Columns of the terminal.

        Raises:
            ValueError: There is no such name.
        """
        if names := _names(group_by):
            groups = self.group_by(*names)
            text = group_text(groups.fields, groups.ranked, width)
        else:
            text = sweep_text(self.ranked, self.notes, width)
        print(text)  # noqa: T201  it is what the method is for

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write the table; texts that a spreadsheet would take for formulas get a leading ``'``."""
        with Path(path).open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            csv_to(file, self.table())

    def to_json(self, path: str | PathLike[str]) -> None:
        """Write studies, sweeps with their spaces, and trials; NaN and infinity become texts."""
        Path(path).write_text(studies_json(self.studies) + "\n")

    def to_parquet(self, path: str | PathLike[str]) -> None:
        """Write the DataFrame; needs ``pytest-hypersearch[parquet]``."""
        write_parquet(columns_of(self._entries(), self.fields.every()), path)

    def to_optuna(self, path: str | PathLike[str]) -> None:
        """Write a file of Optuna's JournalStorage, which optuna-dashboard opens.

        Each sweep becomes a study; needs ``pytest-hypersearch[optuna]``.
        """
        from pytest_hypersearch.results.export_optuna import write_optuna

        write_optuna(self.studies, self.curves(), path)

    def to_html(
        self, path: str | PathLike[str], *, baseline: str | PathLike[str] | None = None
    ) -> None:
        """Write the report, a page that needs no network; needs ``pytest-hypersearch[report]``.

        With several runs of a test, as ``run="all"`` reads them, it shows the trend over them.

        Args:
            path: The file.
            baseline: To judge gates by; without one, only those with a threshold are judged.
        """
        from pytest_hypersearch.results.report.page import page
        from pytest_hypersearch.results.report.payload import beside
        from pytest_hypersearch.results.report.runs import judge_by
        from pytest_hypersearch.store.baseline import baseline_at

        judge = judge_by(None if baseline is None else baseline_at(Path(baseline)))
        text = page(self.reported(), beside(Path(path)), judge=judge)
        Path(path).write_text(text, encoding="utf-8")

    def reported(self) -> list[Reported]:
        """Return the studies with their learning curves, as the report takes them."""
        return [reported(one) for one in self._loaded]

    @property
    def plot(self) -> Plots:
        """The figures of the report, of one test; need ``pytest-hypersearch[report]``."""
        from pytest_hypersearch.results.report.figures import Plots

        self._study("plot")
        return Plots(self.reported()[0], self.ranked[0])

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[TrialRecord]:
        return iter(self._trials)

    @overload
    def __getitem__(self, index: int) -> TrialRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...
    def __getitem__(self, index: int | slice) -> TrialRecord | Results:
        if isinstance(index, slice):
            return self._with(self._entries()[index])
        return self._trials[index]

    def __repr__(self) -> str:
        return sweep_text(self.ranked, self.notes, 80)

    def _repr_html_(self) -> str:
        return sweep_html(self.ranked, self.notes)

    @cached_property
    def _trials(self) -> tuple[TrialRecord, ...]:
        return tuple(trial for study in self.studies for trial in study.trials)

    def _entries(self) -> list[Entry]:
        return list(entries(self.studies))

    def _with(self, kept: Iterable[Entry]) -> Results:
        """These results with some of their trials."""
        trials: dict[int, list[TrialRecord]] = {}
        for entry in kept:
            trials.setdefault(id(entry.study), []).append(entry.trial)
        parts = [
            Loaded(with_trials(one.results, trials[id(one.results)]), one.runs)
            for one in self._loaded
            if id(one.results) in trials
        ]
        return Results(parts, self._problems, fields=self.fields)

    def _ranking(self, method: str) -> Ranking | None:
        """The ranking of the sweeps, which must have one objective; None without trials."""
        rankings = rankings_of(self.ranked)
        if len(rankings) > 1:
            goals = (ranking.sweeps[0].goals[0] for ranking in rankings)
            scores = ", ".join(f"{goal.metric} ({goal.mode})" for goal in goals)
            raise ValueError(f"{method}: expected trials of one metric, not {scores}; filter first")
        return rankings[0] if rankings else None

    def _saved(self, configurations: Iterable[Configuration]) -> list[Configuration]:
        """The configurations with what their trials saved."""
        runs = {id(trial): one.runs for one in self._loaded for trial in one.results.trials}
        return [
            replace(
                one,
                paths={
                    key.replicate: Path(path)
                    for run in runs[id(one.trials[0])]
                    for key, path in kept(run, one.trials).items()
                },
            )
            for one in configurations
        ]

    def _study(self, method: str) -> StudyResults:
        studies = self.studies
        if len(studies) != 1:
            names = some(study.nodeid for study in studies) or "none"
            raise ValueError(f"{method}: expected trials of one test, not {names}; filter first")
        return studies[0]


def _names(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


class Groups:
    """Results by the values of fields, in the order of their best scores.

    Iteration yields pairs: the values, one for each field, and the trials that share them.

    Attributes:
        fields: By what the trials are grouped.
    """

    def __init__(self, fields: Sequence[Field], parts: Iterable[tuple[Key, Results]]) -> None:
        self.fields = tuple(fields)
        self._parts = sorted(parts, key=lambda part: order_of(part[1].ranked))

    def __iter__(self) -> Iterator[tuple[Key, Results]]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def ranked(self) -> list[tuple[Key, tuple[RankedStudy, ...]]]:
        """The values of each group and its studies, with those of their trials that are in it."""
        return [(key, part.ranked) for key, part in self]

    def __repr__(self) -> str:
        names = ", ".join(field.name for field in self.fields)
        return f"<{len(self)} groups by {names}>"

    @overload
    def agg(
        self, metric: str | None = None, *, as_dataframe: Literal[False] = False
    ) -> list[Row]: ...
    @overload
    def agg(self, metric: str | None = None, *, as_dataframe: Literal[True]) -> pd.DataFrame: ...
    def agg(
        self, metric: str | None = None, *, as_dataframe: bool = False
    ) -> list[Row] | pd.DataFrame:
        """Aggregate the complete trials of each group.

        Args:
            metric: Name of any metric; the score of each sweep by default.
            as_dataframe: Whether to return a DataFrame.

        Returns:
            A row for each group, and for each metric if the sweeps' scores differ, with the values
            that the group shares, ``metric``, ``n``, ``mean``, ``std``, ``sem`` (standard error of
            the mean), ``low`` and ``high`` (95% confidence interval, Student's t), ``median``,
            ``min``, ``max``, and ``best``: the score of the best configuration, or the best value
            in the metric's direction; None where there is none.
        """
        rows = [
            row
            for key, studies in self.ranked
            for row in group_rows(self.fields, key, studies, metric)
        ]
        if not as_dataframe:
            return rows
        return frame_of({name: [row[name] for row in rows] for name in (rows[0] if rows else ())})
