"""Which configuration a trial gets: from a table, from an earlier session, or from a sampler."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from pytest_hypersearch.core.contracts import Observation, Recommends, Reports, Sampler
from pytest_hypersearch.core.errors import NotYetError, SamplerError
from pytest_hypersearch.core.goals import TOP
from pytest_hypersearch.core.study import Suggestion, observation_of
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Config, Key, State
from pytest_hypersearch.core.values import mean
from pytest_hypersearch.engine.stopping import PlanProgress
from pytest_hypersearch.search.samplers import Table, propose
from pytest_hypersearch.store.reader import Stored
from pytest_hypersearch.store.records import Record, SuggestRecord


class Proposals:
    """The configurations of a study's sweeps.

    Args:
        replays: By sweep, configurations of a baseline that come before those of the sampler, so
            that there is something to compare. Those of stored trials have precedence.
        tables: The configurations of sweeps whose samplers look at no results.
        stored: What earlier sessions left.
        reports: Returns what a trial has reported.
        write: Puts a record into the journal, or raises `StoreError`.
    """

    def __init__(
        self,
        sweeps: Mapping[str, Sweep],
        samplers: Mapping[str, Sampler],
        progress: PlanProgress,
        *,
        tables: Mapping[str, Table],
        stored: Stored,
        reports: Callable[[Key], Reports],
        write: Callable[[Record], None],
        replays: Mapping[str, Sequence[Config]],
    ) -> None:
        self._sweeps = sweeps
        self._replays = {
            name: _others(sweep, replays.get(name, ())) for name, sweep in sweeps.items()
        }
        self._samplers = samplers
        self._progress = progress
        self._suggestions = stored.run.suggestions
        self._write = write
        self._reports = reports
        self._configs: dict[str, dict[int, Config | None]] = defaultdict(dict)
        self._seen: dict[tuple[str, int], int] = {}
        self._searched: set[str] = set()
        self._observations: dict[tuple[str, int], Observation] = {}
        self._recommended: dict[str, int | None] = {}
        self.tables = tables

    def configuration(self, name: str, number: int, *, force: bool = False) -> Config | None:
        """Give a sweep's configuration of this number; None once its space is exhausted.

        With ``force``, it is proposed from what is known instead of raising `NotYetError`.

        Raises:
            NotYetError: It depends on trials that are still to end.
            SamplerError: The sampler failed.
            StoreError: The journal cannot be written.
        """
        if name in self.tables:
            return self.tables[name][number]
        configs = self._configs[name]
        if number not in configs:
            sweep = self._sweeps[name]
            if sweep.parallel is not None:
                self._propose_before(sweep, number, force=force)
            configs[number] = self._propose(sweep, number, force=force)
        return configs[number]

    def changed(self, key: Key) -> None:
        """Take note that a trial has ended or runs again: samplers are to see that."""
        self._observations.pop(key[:2], None)
        self._recommended.pop(key.sweep, None)

    def is_decided(self, name: str, number: int) -> bool:
        """Whether a configuration is given without asking a sampler that looks at results."""
        sweep = self._sweeps[name]
        return (
            name in self.tables
            or number in self._configs[name]
            or number < len(sweep.points) + len(self._replays[name])
            or (name, sweep.seed, number) in self._suggestions
        )

    def known(self, key: Key) -> Config:
        """What is known of a trial's configuration; empty if it was not proposed."""
        if key.sweep in self.tables:
            with suppress(SamplerError):
                return self.tables[key.sweep][key.number] or {}
        configs = self._configs[key.sweep].get(key.number)
        return configs or self._recorded(self._sweeps[key.sweep], key.number) or {}

    def recommended(self, name: str) -> int | None:
        """The configuration of a whole sweep that its sampler's model expects to score best.

        None without such a model; a session that proposed nothing does not make it.
        """
        sampler = self._samplers[name]
        if name not in self._searched or self._progress.due[name]:
            return None
        if name not in self._recommended and isinstance(sampler, Recommends):
            sweep, configs = self._sweeps[name], self._configs[name]
            numbers = sorted(n for n in self._progress.settled[name] if configs.get(n) is not None)
            history = [self._observation(sweep, number) for number in numbers]
            self._recommended[name] = sampler.recommend(sweep.space, history)
        return self._recommended.get(name)

    def suggestions(self) -> list[Suggestion]:
        """What the samplers proposed from results so far."""
        return [
            Suggestion(
                name, number, config, self._seen[name, number], number in self._progress.due[name]
            )
            for (name, number) in self._seen
            if (config := self._configs[name][number]) is not None
        ]

    def _propose_before(self, sweep: Sweep, number: int, *, force: bool) -> None:
        """Earlier configurations first, so that the table does not depend on who asks when."""
        configs = self._configs[sweep.name]
        for earlier in sorted(set(self._progress.due[sweep.name]) - set(configs)):
            if earlier < number:
                configs[earlier] = self._propose(sweep, earlier, force=force)

    def _propose(self, sweep: Sweep, number: int, *, force: bool) -> Config | None:
        recorded = self._recorded(sweep, number)
        if recorded is not None:
            if number >= len(sweep.points):
                suggestion = self._suggestions[sweep.name, sweep.seed, number]
                self._seen[sweep.name, number] = suggestion.seen
            return recorded
        replays = self._replays[sweep.name][number - len(sweep.points) :]
        history = [] if replays else self._history(sweep, number, force=force)
        prior = self._prior(sweep, history)
        config: Config | None
        if replays:
            config = replays[0]
        else:
            self._searched.add(sweep.name)
            own = [replace(each, index=each.index + len(prior)) for each in history if prior]
            config = propose(
                self._samplers[sweep.name],
                sweep,
                index=number + len(prior),
                history=[*prior, *own] if prior else history,
            )
        seen = sum(observation.state is not State.RUNNING for observation in history)
        if config is not None:
            self._write(SuggestRecord(sweep.name, sweep.seed, number, config, seen))
        self._seen[sweep.name, number] = seen
        return config

    def _prior(self, sweep: Sweep, history: Iterable[Observation]) -> list[Observation]:
        """Results of an earlier search that were not repeated, as the first ones of this search.

        Scores may have changed since then: they are moved by the mean change of those that were
        repeated as points. Until there is one, the sampler gets no earlier results.
        """
        if not sweep.prior:
            return []
        key, sign = sweep.space.key, 1.0 if sweep.mode == "min" else -1.0
        scores = {key(each.params): each.scores for each in history}
        pairs = [
            (mean(now), mean(before))
            for params, before in sweep.prior
            if before and (now := scores.get(key(params)))
        ]
        if not pairs:
            return []
        change = mean([now - sign * before for now, before in pairs])
        others = [each for each in sweep.prior if key(each.params) not in scores]
        return [
            Observation(
                index,
                each.params,
                State.COMPLETE if each.scores else State.FAILED,
                tuple(sign * score + change for score in each.scores),
            )
            for index, each in enumerate(others)
        ]

    def _recorded(self, sweep: Sweep, number: int) -> Config | None:
        """A configuration that nobody need propose: one of the points, or of an earlier session."""
        if number < len(sweep.points):
            return dict(sweep.points[number])
        stored = self._suggestions.get((sweep.name, sweep.seed, number))
        return stored.params if stored and sweep.space.contains(stored.params) else None

    def _history(self, sweep: Sweep, number: int, *, force: bool) -> list[Observation]:
        """What the sampler may know: finished configurations, then pending ones."""
        configs, due = self._configs[sweep.name], self._progress.due[sweep.name]
        done = self._progress.settled[sweep.name]
        if sweep.parallel is not None:
            horizon = number - sweep.parallel
            if not force and any(earlier <= horizon for earlier in due):
                raise NotYetError
            done = sorted(earlier for earlier in done if earlier <= horizon)
        observations = [self._observation(sweep, n) for n in done if configs.get(n) is not None]
        finished = set(done)
        pending = [n for n in sorted(configs) if n not in finished and configs[n] is not None]
        return [
            *(o for o in observations if o.state is not State.NOT_RUN),
            *(self._pending(sweep, n) for n in pending),
        ]

    def _pending(self, sweep: Sweep, number: int) -> Observation:
        """A configuration that is not settled; without ``parallel`` its first scores count."""
        if sweep.parallel is None:
            observation = self._observation(sweep, number)
            if observation.scores:
                return observation
        return Observation(number, self._configs[sweep.name][number] or {}, State.RUNNING)

    def _observation(self, sweep: Sweep, number: int) -> Observation:
        """What came of a configuration; made anew only when one of its trials has `changed`."""
        known = self._observations.get((sweep.name, number))
        if known is None:
            known = self._observations[sweep.name, number] = self._observe(sweep, number)
        return known

    def _observe(self, sweep: Sweep, number: int) -> Observation:
        records = [
            record
            for replicate in range(sweep.replicates)
            if (record := self._progress.records.get(Key(sweep.name, number, replicate)))
        ]
        complete = [record for record in records if record.state is State.COMPLETE]
        reporting = (complete or records[::-1])[:1]
        return observation_of(
            sweep,
            number,
            self._configs[sweep.name][number] or {},
            records,
            *(self._reports(record.key) for record in reporting),
        )


def _others(sweep: Sweep, configs: Iterable[Config]) -> list[Config]:
    """Those that are none of the sweep's points, and leave it half of its trials."""
    points = {sweep.space.key(point) for point in sweep.points}
    others = [config for config in configs if sweep.space.key(config) not in points]
    room = sweep.n_trials - len(sweep.points)
    return others[: max(0, min(room, max(TOP, sweep.n_trials // 2)))]
