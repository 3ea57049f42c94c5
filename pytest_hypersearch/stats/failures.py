"""Where trials fail: the shortest rule that tells failing configurations from the others.

A rule is a conjunction of at most three conditions on parameters. It is searched as in CN2-SD, by a
beam search for the highest weighted relative accuracy (N. Lavrač et al., Subgroup discovery with
CN2-SD, JMLR 5, 2004). The best of very many rules looks good by chance alone. So a rule is told
only if Fisher's exact test finds it, or one of its conditions alone, at a level divided by the
number of all rules of that length, each length having a third of the error (G. I. Webb, Layered
critical values, Machine Learning 71, 2008); and if each of its conditions improves on the rule
without it (productive rules: G. I. Webb, Discovering significant patterns, Machine Learning 68,
2007). Of single conditions only those are counted whose best outcome could be significant
(R. E. Tarone, A modified Bonferroni method for discrete data, Biometrics 46, 1990).

The unit is the configuration: its replicates fail alike. If they are many, some are searched, as
many failing ones as others, which the test allows; the counts are of all. Sets of configurations
are integers whose bits are their members.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Literal, TypeAlias

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.goals import ALPHA
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.trial import Config, Raw, State
from pytest_hypersearch.stats.grouping import FAILURES

Sign: TypeAlias = Literal[">=", "<=", "=", "!=", "given", "missing"]
_ENDED = (State.COMPLETE, State.PRUNED, *FAILURES)
_LONGEST = 3
_BEAM = 12
_CUTS = 32
_FEW = 8
_SAMPLE = 250
_Key: TypeAlias = tuple[tuple[str, ...], tuple[Raw, ...], tuple[type, ...]]


@frozen
class Condition:
    """A condition on a parameter.

    Attributes:
        name: The parameter, or another parameter of the test.
        sign: How its value compares; ``given`` and ``missing`` are of parameters that only some
            configurations have.
        value: What it is compared with.
    """

    name: str
    sign: Sign
    value: Raw = None

    def holds(self, config: Mapping[str, Raw]) -> bool:
        """Tell whether a configuration fulfils it; one without the parameter does not."""
        if self.name not in config:
            return self.sign == "missing"
        value = config[self.name]
        match self.sign:
            case ">=":
                return value >= self.value  # type: ignore[operator]
            case "<=":
                return value <= self.value  # type: ignore[operator]
            case "=" | "!=":
                return (_typed(value) == _typed(self.value)) is (self.sign == "=")
            case _:
                return self.sign == "given"


@frozen
class FailureRule:
    """What failing configurations have in common.

    Attributes:
        conditions: One to three conditions; all of them hold.
        covered: How many failing configurations they describe.
        failing: How many there are.
        wrong: How many others they describe.
        others: How many others there are.
        p: Chance of a rule as good as this one if failures had nothing to do with the parameters.
    """

    conditions: tuple[Condition, ...]
    covered: int
    failing: int
    wrong: int
    others: int
    p: float


@frozen
class _Case:
    """A configuration: its values, which parameters of the sweep make it, and whether it fails."""

    config: Config
    key: _Key
    fails: bool


def failure_rule(studies: Iterable[StudyResults]) -> FailureRule | None:
    """Find what tells the failing configurations from those that do not fail.

    Args:
        studies: One study, or those of one test, whose other parameters may be in the rule.

    Returns:
        The rule, None if there is none that chance does not explain.
    """
    known = [*studies]
    if not any(trial.state in FAILURES for study in known for trial in study.trials):
        return None
    cases = _cases(known)
    arguments = {name for study in known for name in study.arguments}
    table = _Table(
        _sample([case for case in cases if case.fails]),
        _sample([case for case in cases if not case.fails]),
    )
    for rule in table.search():
        p = table.chance(rule, arguments)
        if p is not None:
            return _told(cases, table.conditions_of(rule), p)
    return None


def _cases(studies: Iterable[StudyResults]) -> list[_Case]:
    """Configurations of which a trial ended; equal ones of a study are one."""
    found: dict[tuple[int, _Key], _Case] = {}
    for index, study in enumerate(studies):
        keys: dict[tuple[str, int], _Key] = {}
        for trial in study.trials:
            if trial.state not in _ENDED:
                continue
            which, params = (trial.sweep, trial.number), trial.params
            if which not in keys:  # 1, 1.0 and True differ
                keys[which] = (*params,), (*params.values(),), (*map(type, params.values()),)
            key, fails = keys[which], trial.state in FAILURES
            known = found.get((index, key))
            if known is None or (fails and not known.fails):
                found[index, key] = _Case(
                    study.arguments | params if study.arguments else params, key, fails
                )
    return [*found.values()]


def _sample(cases: Sequence[_Case]) -> Sequence[_Case]:
    """Some of the cases, evenly, if they are many."""
    return (
        [cases[i * len(cases) // _SAMPLE] for i in range(_SAMPLE)]
        if len(cases) > _SAMPLE
        else cases
    )


def _told(cases: Sequence[_Case], conditions: Sequence[Condition], p: float) -> FailureRule:
    """The rule with its counts, and with the best of all bounds."""
    failing = sum(case.fails for case in cases)
    for index in range(len(conditions)):
        conditions = _moved(cases, failing, conditions, index)
    covered = [case for case in cases if all(each.holds(case.config) for each in conditions)]
    hits = sum(case.fails for case in covered)
    wrong, others = len(covered) - hits, len(cases) - failing
    return FailureRule(tuple(conditions), hits, failing, wrong, others, p)


def _moved(
    cases: Sequence[_Case], failing: int, conditions: Sequence[Condition], index: int
) -> Sequence[Condition]:
    """The conditions with one of the bounds at the best of all values."""
    condition = conditions[index]
    if condition.sign not in {">=", "<="}:
        return conditions
    others = [*conditions[:index], *conditions[index + 1 :]]
    gains: dict[float, int] = {}
    for case in cases:
        if condition.name in case.config and all(one.holds(case.config) for one in others):
            value = _number(case.config[condition.name])
            gains[value] = gains.get(value, 0) + case.fails * len(cases) - failing
    values = sorted(gains, reverse=condition.sign == ">=")
    sums = [*accumulate(gains[value] for value in values)]
    bound = values[sums.index(max(sums))]
    return [*conditions[:index], replace(condition, value=bound), *conditions[index + 1 :]]


@frozen
class _Rule:
    """Conditions with the sets of cases that fulfil them, and the set of those that fulfil all."""

    parts: tuple[tuple[Condition, int], ...]
    cover: int
    gain: float


class _Table:
    """The cases as sets, and the conditions that they can be told apart by."""

    def __init__(self, failing: Sequence[_Case], others: Sequence[_Case]) -> None:
        cases = self._cases = (*failing, *others)
        self._failing = len(failing)
        self._failed = (1 << len(failing)) - 1
        self._every = (1 << len(cases)) - 1
        self._repeats = len({case.key for case in cases}) < len(cases)
        self._covers: set[int] = set()  # of the conditions on all values that occur
        self._conditions: list[tuple[Condition, int]] = []
        for name in dict.fromkeys(name for case in cases for name in case.config):
            self._add(name)

    def _add(self, name: str) -> None:
        """Adds the conditions on a parameter."""
        places: dict[tuple[str, Raw], list[int]] = {}
        for index, case in enumerate(self._cases):
            if name in case.config:
                places.setdefault(_typed(case.config[name]), []).append(index)
        given = _set(len(self._cases), (i for each in places.values() for i in each))
        if given != self._every:
            self._take(Condition(name, "given"), given)
            self._take(Condition(name, "missing"), self._every ^ given)
        if len(places) < 2:  # noqa: PLR2004 - nothing to tell apart
            return
        numeric = all(kind == "number" for kind, _ in places)
        if numeric:
            self._add_cuts(name, places, given)
        few = 2 < len(places) <= _FEW  # noqa: PLR2004 - of two, a bound tells them apart
        for (_, value), members in places.items() if few or not numeric else ():
            cover = _set(len(self._cases), members)
            self._take(Condition(name, "=", value), cover)
            if len(places) > 2:  # noqa: PLR2004 - of two, the one is what the other is not
                self._take(Condition(name, "!=", value), given ^ cover)

    def _take(self, condition: Condition, cover: int) -> None:
        self._covers.add(cover)
        self._conditions.append((condition, cover))

    def _add_cuts(
        self, name: str, places: Mapping[tuple[str, Raw], Sequence[int]], given: int
    ) -> None:
        """Adds bounds at some of the values between which cases differ."""
        values = sorted(places, key=lambda value: _number(value[1]))
        rates = [
            sum(self._cases[i].fails for i in places[value]) / len(places[value])
            for value in values
        ]
        # the best bounds are where they differ: U. M. Fayyad, K. B. Irani, Machine Learning 8, 1992
        mixed = [
            index for index, (rate, following) in enumerate(pairwise(rates)) if rate != following
        ]
        few = min(len(mixed), _CUTS)
        chosen = {mixed[i * (len(mixed) - 1) // max(1, few - 1)] for i in range(few)}
        lower = 0
        for index, (value, following) in enumerate(pairwise(values)):
            lower |= _set(len(self._cases), places[value])
            self._covers |= {lower, given ^ lower}
            if index in chosen:
                self._take(Condition(name, "<=", value[1]), lower)
                self._take(Condition(name, ">=", following[1]), given ^ lower)

    def search(self) -> list[_Rule]:
        """Return rules of all lengths, the most accurate first, short ones first among equals."""
        beam = [_Rule((), self._every, 0.0)]
        rules: list[_Rule] = []
        for _ in range(_LONGEST):
            longer: dict[int, _Rule] = {}
            for rule in beam:
                for condition, members in self._conditions:
                    cover = rule.cover & members
                    if cover != rule.cover and cover not in longer:
                        gain = self._gain(cover)
                        if gain > rule.gain:
                            longer[cover] = _Rule((*rule.parts, (condition, members)), cover, gain)
            beam = sorted(longer.values(), key=lambda rule: -rule.gain)[:_BEAM]
            rules += beam
        rules.sort(key=lambda rule: (-rule.gain, len(rule.parts)))
        return rules

    def _gain(self, cover: int) -> float:
        """Weighted relative accuracy, times the square of the number of cases."""
        hits = (cover & self._failed).bit_count()
        return hits * len(self._cases) - cover.bit_count() * self._failing

    def conditions_of(self, rule: _Rule) -> list[Condition]:
        """Return the conditions of a rule in the order of the parameters."""
        conditions = [condition for condition, _ in rule.parts]
        return [condition for condition, _ in self._conditions if condition in conditions]

    def chance(self, rule: _Rule, arguments: Collection[str]) -> float | None:
        """Return the p-value of a rule, None if it, or a condition in it, may be chance."""
        error, length = ALPHA / _LONGEST, len(rule.parts)
        alone = [self._units(members, {each.name}, arguments) for each, members in rule.parts]
        p = min(alone) * self._testable
        if length > 1:
            names = {each.name for each, _ in rule.parts}
            whole = self._units(rule.cover, names, arguments)
            p = min(p, whole * math.comb(len(self._covers), length))
        if p > error or not (length == 1 or self._is_productive(rule)):
            return None
        return p * _LONGEST

    @cached_property
    def _testable(self) -> int:
        return self._count(self._every, ALPHA / _LONGEST)

    def _is_productive(self, rule: _Rule) -> bool:
        """Whether each condition improves on the rule without it."""
        for index in range(len(rule.parts)):
            parent = self._every
            for _, members in (*rule.parts[:index], *rule.parts[index + 1 :]):
                parent &= members
            if self._chance(rule.cover, parent) * self._count(parent, ALPHA) > ALPHA:
                return False
        return True

    def _count(self, among: int, error: float) -> int:
        """How many conditions could be significant among some cases, however these failed."""
        covers = {cover & among for cover in self._covers} - {0, among}
        if self._repeats:  # then units are tested, which have other numbers
            return len(covers)
        size, failing = among.bit_count(), (among & self._failed).bit_count()
        sizes = Counter(map(int.bit_count, covers))
        least = [
            p
            for n, times in sizes.items()
            for p in [_tail(size, failing, n, min(n, failing))] * times
        ]
        least.sort()
        count = 1
        while bisect_right(least, error / count) > count:
            count += 1
        return count

    def _chance(self, cover: int, among: int) -> float:
        return _tail(
            among.bit_count(),
            (among & self._failed).bit_count(),
            cover.bit_count(),
            (cover & self._failed).bit_count(),
        )

    def _units(self, cover: int, names: Collection[str], arguments: Collection[str]) -> float:
        """The chance of a cover, for which equal configurations of several studies are one."""
        if not self._repeats or {*names} & {*arguments}:
            return self._chance(cover, self._every)
        fails: dict[_Key, bool] = {}
        covered: dict[_Key, bool] = {}
        for index, case in enumerate(self._cases):
            fails[case.key] = fails.get(case.key, False) or case.fails
            covered[case.key] = bool(cover >> index & 1)
        hits = sum(fails[key] for key, inside in covered.items() if inside)
        return _tail(len(fails), sum(fails.values()), sum(covered.values()), hits)


def _typed(value: Raw) -> tuple[str, Raw]:
    """A value with its kind: True is not 1, but 1.0 is."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "number" if number else type(value).__name__, value


def _number(value: Raw) -> float:
    return value if isinstance(value, (int, float)) else math.nan


def _set(size: int, members: Iterable[int]) -> int:
    bits = bytearray(size // 8 + 1)
    for i in members:
        bits[i >> 3] |= 1 << (i & 7)
    return int.from_bytes(bits, "little")


def _tail(count: int, failing: int, drawn: int, hits: int) -> float:
    """The chance to draw at least so many failing ones (hypergeometric; Fisher's exact test)."""
    whole = _log_comb(count, drawn)
    return math.fsum(
        math.exp(_log_comb(failing, k) + _log_comb(count - failing, drawn - k) - whole)
        for k in range(hits, min(failing, drawn) + 1)
        if drawn - k <= count - failing
    )


def _log_comb(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
