"""What the command line says instead of a mark: ``--sweep-set`` and numbers such as trials."""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.secrets import Secrets, is_secret, masked
from pytest_hypersearch.core.space import (
    Choice,
    Distribution,
    Integer,
    Scipy,
    Space,
    lograndint,
    loguniform,
    normal,
    randint,
    uniform,
)
from pytest_hypersearch.core.space.choices import label_text
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Raw
from pytest_hypersearch.core.values import number_of, shown
from pytest_hypersearch.plugin.mark.arguments import SHORTHANDS, from_mark
from pytest_hypersearch.plugin.mark.budget import FEWEST_RACED

_DISTRIBUTIONS: Final[dict[str, Callable[..., Distribution]]] = {
    each.__name__: each for each in (uniform, loguniform, randint, lograndint, normal)
}
_EXAMPLES: Final = "expected values such as 0.01,0.1 or a distribution such as uniform(0, 1)"
_BRACKETS: Final = frozenset("()[]{}'\"")


@frozen
class Value:
    """A value as the command line gives it.

    Attributes:
        text: How it is written.
        literal: The Python literal that it is, or else the text.
        bare: Whether it is a text without quotes, which must be an option of the parameter.
    """

    text: str
    literal: object
    bare: bool = False


@frozen
class Setting:
    """What one ``--sweep-set`` makes of a parameter.

    Attributes:
        text: The option's argument.
        name: The parameter.
        values: Its values; empty if there is a distribution.
        distribution: Its distribution.
    """

    text: str
    name: str
    values: tuple[Value, ...] = ()
    distribution: Distribution | None = None

    @property
    def shown(self) -> str:
        """The option's argument without secrets."""
        return masked(self.text)

    def applied(self, branches: Sequence[Mapping[str, Distribution]]) -> list[dict[str, Any]]:
        """Return the branches of a space with the parameter replaced.

        Values that tell branches apart leave out the branches that have none of them.

        Raises:
            ValueError: The parameter cannot be replaced in this way.
        """
        entries = [branch[self.name] for branch in branches if self.name in branch]
        if all(entry == entries[0] for entry in entries):
            entry = self._replacing(entries[0])
            return [{**b, self.name: entry} if self.name in b else {**b} for b in branches]
        if not all(isinstance(entry, Choice) for entry in entries):
            return [
                {**b, self.name: self._replacing(b[self.name])} if self.name in b else {**b}
                for b in branches
            ]
        options = list(dict.fromkeys(label for e in entries for label in _labels(e)))
        if self.distribution:
            raise _no_option(self.distribution, options, "options of the branches")
        parts = [self._part(branch.get(self.name)) for branch in branches]
        for value in self.values:
            if not any(value in part for part in parts if part is not None):
                raise _no_option(value.literal, options, "options of the branches")
        return [
            {**branch, self.name: _chosen(part.values())} if part else {**branch}
            for branch, part in zip(branches, parts, strict=True)
            if part is None or part
        ]

    def _replacing(self, entry: Distribution) -> Distribution:
        if self.distribution:
            _check_kind(entry, self.distribution)
            return self.distribution
        return _chosen(_option(self.name, entry, value) for value in self.values)

    def _part(self, entry: Distribution | None) -> dict[Value, tuple[Raw, object]] | None:
        """Return those values that a branch has, None if it does not have the parameter."""
        if not isinstance(entry, Choice):
            return None
        found = ((value, _existing(entry, value)) for value in self.values)
        return {value: option for value, option in found if option is not None}


def setting_of(text: str) -> Setting:
    """Read ``NAME=VALUES`` or ``NAME=DISTRIBUTION``; nothing is evaluated.

    Raises:
        ValueError: It is neither.
    """
    name, equals, given = text.partition("=")
    name, given = name.strip(), given.strip()
    if not equals or not given or not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(f"{shown(masked(text))}: expected NAME=VALUES such as lr=0.01,0.1")
    try:
        tree = ast.parse(given, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        tree = None
    if isinstance(tree, ast.Call) and ast.unparse(tree.func) == "choice" and tree.args:
        given, tree = ast.unparse(tree.args[0]), tree.args[0]
    try:
        if isinstance(tree, ast.Call):
            return Setting(text, name, distribution=_distribution(tree))
        return Setting(text, name, _values(given, tree))
    except ValueError as error:
        raise ValueError(f"{shown(masked(text))}: {error}") from None


def _distribution(call: ast.Call) -> Distribution:
    name = ast.unparse(call.func)
    make = _DISTRIBUTIONS.get(name)
    if make is None:
        near = difflib.get_close_matches(name, _DISTRIBUTIONS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(_DISTRIBUTIONS)}"
        raise ValueError(f"{shown(name)} is no distribution; {hint}")
    try:
        args = [ast.literal_eval(each) for each in call.args]
        keywords = {each.arg or "": ast.literal_eval(each.value) for each in call.keywords}
        made = make(*args, **keywords)
    except (TypeError, ValueError, SyntaxError, MemoryError, RecursionError):
        names = ", ".join(inspect.signature(make).parameters)
        raise ValueError(f"expected {name}({names}) with numbers") from None
    made.check()
    return made


def _values(text: str, tree: ast.expr | None) -> tuple[Value, ...]:
    """Read values with commas between, or a list of them."""
    elements = tree.elts if isinstance(tree, (ast.Tuple, ast.List)) else [tree]
    texts = [ast.unparse(each) if each is not None else "" for each in elements]
    if not all(map(_is_value, elements)):
        texts = [part.strip() for part in text.split(",")]
        if not all(texts) or _BRACKETS & {*text}:
            raise ValueError(_EXAMPLES)
    return tuple(map(_value, texts))


def _is_value(tree: ast.expr | None) -> bool:
    return tree is not None and (isinstance(tree, ast.Name) or not _value(ast.unparse(tree)).bare)


def _value(text: str) -> Value:
    try:
        return Value(text, ast.literal_eval(text))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return Value(text, text, bare=True)


def _kind(entry: Distribution) -> type | None:
    """The type of a parameter's values: int, float (also for both), str, else None."""
    if isinstance(entry, Integer):
        return int
    if not isinstance(entry, Choice):
        return float
    plain = all(a is b for a, b in zip(entry.labels, entry.objects, strict=True))
    kinds = {type(label) for label in entry.labels if label is not None} if plain else set()
    if kinds in ({int}, {str}):
        return kinds.pop()
    return float if kinds and kinds <= {int, float} else None


def _check_kind(entry: Distribution, distribution: Distribution) -> None:
    kind = _kind(entry)
    if kind in {None, str}:
        raise _no_option(distribution, _labels(entry), "options")
    if kind is int and not isinstance(distribution, Integer):
        raise ValueError(f"expected integers, as of randint(1, 8), in place of {entry}")


def _option(name: str, entry: Distribution, value: Value) -> tuple[Raw, object]:
    """The label and object that a value stands for."""
    kind = _kind(entry)
    if existing := _existing(entry, value):
        return existing
    number = None if isinstance(value.literal, bool) else number_of(value.literal)
    if kind is float and number is not None:
        whole = isinstance(entry, (Choice, Scipy)) and isinstance(number, int)
        mixed = whole and not all(isinstance(label, float) for label in _labels(entry))
        number = number if mixed else float(number)
        return number, number
    if kind is int and number is not None and number == int(number):
        return int(number), int(number)
    if kind in {int, float}:
        what = "integers" if kind is int else "numbers"
        raise ValueError(f"{shown(value.literal)}: expected {what} in place of {entry}")
    if kind is str and isinstance(value.literal, str) and not (value.bare or is_secret(name)):
        return value.literal, value.literal
    quoted = f"; a new text needs quotes: '{name}=\"{value.text}\"'" if value.bare and kind else ""
    raise _no_option(value.literal, _labels(entry), "options", quoted)


def _existing(entry: Distribution, value: Value) -> tuple[Raw, object] | None:
    """The option of a choice that a value names, None if it names none."""
    if not isinstance(entry, Choice):
        return None
    # A number for floats need not have a point, nor a text of digits quotes.
    number = number_of(value.literal)
    for each in (value.literal, value.text, *([] if number is None else [float(number)])):
        with suppress(ValueError):
            raw = entry.encode(each)
            return raw, entry.decode(raw)
    return None


def _labels(entry: Distribution) -> tuple[Raw, ...]:
    return entry.labels if isinstance(entry, Choice) else ()


def _no_option(given: object, options: Sequence[Raw], what: str, more: str = "") -> ValueError:
    text = given if isinstance(given, str) else f"{given}"
    near = difflib.get_close_matches(text, [*map(str, options)], n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected {what} {shown(list(options))}"
    return ValueError(f"{shown(given) if isinstance(given, str) else given}: {hint}{more}")


def _chosen(options: Iterable[tuple[Raw, object]]) -> Choice:
    """A choice of options with their labels.

    Raises:
        ValueError: One is given twice.
    """
    labels, objects = zip(*options, strict=True)
    if len({*map(label_text, labels)}) < len(labels):
        raise ValueError("expected each value once")
    return Choice(labels, objects)


@frozen
class Overrides:
    """What the command line says instead of the marks.

    Attributes:
        n_trials: Configurations of each sweep but grids.
        seed: Seed of each sweep.
        replicates: Replicates of each configuration.
        settings: What parameters are to be.
    """

    n_trials: int | None = None
    seed: int | None = None
    replicates: int | None = None
    settings: tuple[Setting, ...] = ()

    def sweep(self, args: Sequence[object], kwargs: Mapping[str, Any]) -> tuple[Sweep, str]:
        """Return the sweep of a mark, and why the settings do not suit it, empty if they do.

        Raises:
            SweepError: The mark itself is wrong.
        """
        given, options = self._numbers(kwargs)
        sweep = from_mark(args, given)
        settings = [each for each in self.settings if each.name in sweep.space.names]
        options += [f"--sweep-set={each.shown}" for each in settings]
        sweep = replace(sweep, options=tuple(options))
        for setting in settings:
            try:
                sweep = _with(sweep, given, setting)
            except ValueError as error:
                secrets = Secrets(value.text for value in setting.values if is_secret(setting.name))
                return sweep, secrets.masked(f"--sweep-set {setting.text}: {error}")
        return sweep, ""

    def _numbers(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        changes: dict[str, Any] = {}
        options = []
        if self.n_trials is not None and "grid" not in given:
            changes["n_trials"] = self.n_trials
            options.append(f"--sweep-trials={self.n_trials}")
            if isinstance(given.get("points"), (list, tuple)):
                changes["points"] = given["points"][: self.n_trials]
        if self.seed is not None:
            changes["seed"] = self.seed
            options.append(f"--sweep-seed={self.seed}")
        if self.replicates is not None:
            changes["replicates"] = self.replicates
            options.append(f"--sweep-replicates={self.replicates}")
            if given.get("race") is True and self.replicates < FEWEST_RACED:
                changes["race"] = False  # there is nothing to leave out
        return {**given, **changes}, options


def _with(sweep: Sweep, given: Mapping[str, Any], setting: Setting) -> Sweep:
    """A sweep with a parameter replaced; what the mark says of parameters that are gone is not."""
    branches = setting.applied(sweep.space.branches)
    space = Space(tuple(branches))
    argument = next((name for name in SHORTHANDS if name in given), "space")
    changes: dict[str, Any] = {argument: branches}
    if sweep.points:
        changes["points"] = [
            sweep.space.decode(point) for point in sweep.points if space.contains(point)
        ]
    for name in ("group_by", "indirect"):
        changes[name] = [each for each in getattr(sweep, name) if each in space.names]
    changed = from_mark((), {**given, **changes})
    absent = (name for name in sweep.arguments if name not in space.names)
    return replace(changed, options=sweep.options, indirect=sweep.indirect, absent=tuple(absent))
