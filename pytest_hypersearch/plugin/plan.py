"""The plan of a session: which studies and trials its items are, and in which order they run.

The order is a pure function of the items and of the durations that the owner knows, so that all
workers of a parallel run have the same.
"""

from __future__ import annotations

import inspect
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from types import NoneType
from typing import Any, TypeAlias

import pytest

from pytest_hypersearch.core.contracts import pickled
from pytest_hypersearch.core.secrets import MASK, is_secret
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.study import StudyCode, called
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Config, storable
from pytest_hypersearch.core.values import below, scalar_of
from pytest_hypersearch.engine import messages
from pytest_hypersearch.plugin.collect import Slot, slot_of

Placed: TypeAlias = tuple[int, pytest.Function, Slot]


class Plan:
    """The studies among a session's items, in the order of the items.

    Attributes:
        studies: The items of each study with their slots, by the study's node id.
    """

    def __init__(
        self, studies: dict[str, list[tuple[pytest.Function, Slot]]], rootpath: Path = Path()
    ) -> None:
        self.studies = studies
        self._rootpath = rootpath

    @classmethod
    def of(cls, items: Iterable[pytest.Item], rootpath: Path = Path()) -> Plan:
        """Find the trials among the items."""
        studies: dict[str, list[tuple[pytest.Function, Slot]]] = defaultdict(list)
        for _, item, slot in trials_among(items):
            studies[study_nodeid(item, slot)].append((item, slot))
        return cls(dict(studies), rootpath)

    @property
    def spaces(self) -> dict[tuple[str, str], Space]:
        """The search spaces, with the objects of their choices, by study and sweep."""
        return {
            (study, sweep.name): sweep.space
            for study, trials in self.studies.items()
            for sweep in trials[0][1].sweeps
        }

    @cached_property
    def digest(self) -> str:
        """Equal for runners that collected the same trials."""
        names = "\n".join(item.nodeid for trials in self.studies.values() for item, _ in trials)
        return blake2b(names.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def message(self) -> messages.Plan:
        """All of it, for the owner."""
        return messages.Plan(self.digest, tuple(map(self._study, self.studies)))

    @cached_property
    def _roots(self) -> list[str]:
        """Where the project's own modules are imported from."""
        inside = [path for path in map(Path, sys.path) if path.is_relative_to(self._rootpath)]
        return [self._inside(path) for path in dict.fromkeys([self._rootpath, *inside])]

    def _inside(self, path: Path) -> str:
        """A path in the project as it is on every node."""
        return str(below(path, self._rootpath))

    def _study(self, nodeid: str) -> messages.StudyPlan:
        trials = self.studies[nodeid]
        sweeps = trials[0][1].sweeps
        places = {sweep.name: index for index, sweep in enumerate(sweeps)}
        return messages.StudyPlan(
            nodeid,
            sweeps=[sweep.to_json() for sweep in sweeps],
            pruners={sweep.name: pickled(sweep.prune) for sweep in sweeps if sweep.prune},
            slots=tuple(
                (item.nodeid, places[slot.sweep.name], slot.number, slot.replicate)
                for item, slot in trials
            ),
            code=self._code(trials[0][0], sweeps),
            arguments=_arguments(*trials[0]),
        )

    def _code(self, item: pytest.Function, sweeps: Iterable[Sweep]) -> StudyCode:
        name = item.originalname
        return StudyCode(
            roots=self._roots,
            file=self._inside(item.path),
            function=f"{item.cls.__qualname__}.{name}" if item.cls else name,
            fixtures=self._fixture_files(item),
            depends_on=[
                self._inside(item.path.parent / file)
                for sweep in sweeps
                for file in sweep.depends_on
            ],
        )

    def _fixture_files(self, item: pytest.Function) -> list[str]:
        """The project's files that define the item's fixtures."""
        files = set()
        # Private: the fixtures that the item will use, by name, those of conftests included.
        for definitions in item._fixtureinfo.name2fixturedefs.values():  # noqa: SLF001  no public way
            for definition in definitions:
                function = inspect.unwrap(definition.func)
                file = Path(getattr(getattr(function, "__code__", None), "co_filename", ""))
                if file.is_relative_to(self._rootpath) and file != item.path:
                    files.add(self._inside(file))
        return sorted(files)


def _arguments(item: pytest.Function, slot: Slot) -> Config:
    """The parameters of a trial's item that no sweep chooses, by name.

    Values that are no scalars are named by their ids where pytest has one for each parameter.
    """
    ids = [each for each in item.callspec._idlist if each != slot.id]  # noqa: SLF001  no public way
    others = [name for name in item.callspec.params if name not in slot.sweep.space.names]
    arguments: Config = {}
    for i, name in enumerate(others):
        value = scalar_of(item.callspec.params[name])
        if is_secret(name):
            value = MASK
        elif not isinstance(value, (bool, int, float, str, NoneType)):
            index = item.callspec.indices[name]
            value = ids[i] if len(ids) == len(others) else f"{name}{index}"
        arguments[name] = storable(value)
    return arguments


def trials_among(items: Iterable[pytest.Item]) -> Iterator[Placed]:
    """The trials among items, with their places."""
    for place, item in enumerate(items):
        slot = slot_of(item)
        if slot is not None and isinstance(item, pytest.Function):
            yield place, item, slot


def study_nodeid(item: pytest.Function, slot: Slot) -> str:
    """The item's node id without the trial's part."""
    arguments: str = item.callspec.id
    head = item.nodeid.rpartition(f"[{arguments}]")[0]
    if arguments == slot.id:
        return head
    # Ours is the last parametrization unless another plugin insists on being later.
    others = arguments.removesuffix(f"-{slot.id}")
    return f"{head}[{others.replace(f'{slot.id}-', '', 1)}]"


READS = "sweeps"
"""The fixture by which tests ask for studies."""


class Order:
    """Hooks that put the items in order."""

    # After all collection hooks: --ff reorders in a wrapper around them. Before xdist and the
    # terminal, which take the items from the session.
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Let items run after those that they depend on."""
        order_dependent(session.items)
        after_their_studies(session.items)


def after_their_studies(items: list[pytest.Item]) -> None:
    """Let tests that ask for studies run after these studies' trials; the rest keeps its order.

    The texts in a test's code, parameters and fixtures show which studies it asks for.
    A test that names none takes its place after all trials.
    """
    readers = [each for each in items if READS in getattr(each, "fixturenames", ())]
    if not readers:
        return
    studies: dict[pytest.Item, str] = {
        item: study_nodeid(item, slot) for _, item, slot in trials_among(items)
    }
    left = Counter(studies.values())
    awaited: dict[pytest.Item, set[str]] = {
        item: _asked(item, list(left), studies.get(item))
        for item in readers
        if left and isinstance(item, pytest.Function)
    }
    ordered: list[pytest.Item] = []
    held: list[pytest.Item] = []
    queue = deque(items)
    while queue:
        item = queue.popleft()
        if awaited.get(item, set()) & left.keys():
            held.append(item)
            continue
        ordered.append(item)
        if (study := studies.get(item)) is not None:
            left[study] -= 1
            if not left[study]:
                del left[study]
                queue.extendleft(reversed(held))
                held = []
    items[:] = ordered + held  # held are those that ask for each other


def _asked(item: pytest.Function, studies: Sequence[str], own: str | None) -> set[str]:
    """The studies whose trials come before an item that asks for some."""
    asked = {study for text in set(_texts(item)) for study in called(studies, text)}
    if not asked and own is None and READS in inspect.signature(item.function).parameters:
        asked.update(studies)
    return asked - {own}


def _texts(item: pytest.Function) -> Iterator[str]:
    """The texts in a test, its parameters, and those of its fixtures that ask for studies."""
    functions = [item.function]
    for definitions in item._fixtureinfo.name2fixturedefs.values():  # noqa: SLF001  no public way
        functions += [each.func for each in definitions if READS in each.argnames]
    for function in functions:
        yield from _strings([getattr(inspect.unwrap(function), "__code__", None)])
    yield from _strings(item.callspec.params.values() if hasattr(item, "callspec") else ())


def _strings(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, (tuple, frozenset, list)):
            yield from _strings(value)
        elif inspect.iscode(value):
            yield from _strings(value.co_consts)


def order_dependent(items: list[pytest.Item]) -> None:
    """Let trials that depend on others run after them, in the places that they have."""
    groups: dict[tuple[str, str], list[Placed]] = defaultdict(list)
    for index, item, slot in trials_among(items):
        if slot.sweep.parallel is not None or slot.sweep.race or slot.sweep.at_least:
            groups[study_nodeid(item, slot), slot.sweep.name].append((index, item, slot))
    for group in groups.values():
        _sort(items, group, lambda placed: _turn(placed[2]))


def longest_first(items: list[pytest.Item], durations: Mapping[str, float]) -> None:
    """Let the trials of a study that took longest run first, in the places that they have.

    Trials keep their order where it has a meaning: where they depend on others, or may be the last
    before a sweep is stopped, or share fixtures that depend on their parameters.

    Args:
        items: What is going to run.
        durations: Seconds that trials took before, by item; the others come last.
    """
    groups: dict[str, list[Placed]] = defaultdict(list)
    for index, item, slot in trials_among(items) if durations else ():
        sweep = slot.sweep
        dependent = sweep.parallel or sweep.race or sweep.at_least or sweep.stop
        if not dependent and sweep.scope == "function":
            groups[study_nodeid(item, slot)].append((index, item, slot))
    for group in groups.values():
        _sort(items, group, lambda placed: -durations.get(placed[1].nodeid, 0.0))


def _sort(items: list[pytest.Item], group: Sequence[Placed], key: Callable[[Placed], Any]) -> None:
    for (index, _, _), (_, item, _) in zip(group, sorted(group, key=key), strict=True):
        items[index] = item


def _turn(slot: Slot) -> tuple[int, int, int]:
    """When a trial comes: replicates that depend on all earlier ones come after them."""
    first = 1 if slot.sweep.race else slot.sweep.at_least or slot.sweep.replicates
    return max(0, slot.replicate - first + 1), slot.number, slot.replicate
