"""The order in which a session's items run, whatever other plugins have made of it.

It is a pure function of the items and of the durations that the owner knows, so that all workers
of a parallel run have the same.
"""

from __future__ import annotations

import inspect
from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, Any

import pytest

from pytest_hypersearch.core.study import called
from pytest_hypersearch.plugin.plan import study_nodeid, trials_among

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pytest_hypersearch.plugin.collect import Slot
    from pytest_hypersearch.plugin.plan import Placed


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

    Which studies a test asks for is told by the texts in its code, its parameters and its fixtures.
    A test that names none takes its place after all trials.
    """
    studies: dict[pytest.Item, str] = {
        item: study_nodeid(item, slot) for _, item, slot in trials_among(items)
    }
    left = Counter(studies.values())
    awaited: dict[pytest.Item, set[str]] = {
        item: _asked(item, list(left), studies.get(item))
        for item in items
        if left and isinstance(item, pytest.Function) and READS in item.fixturenames
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
    found = {study for text in set(_texts(item)) for study in called(studies, text)}
    if not found and own is None and READS in inspect.signature(item.function).parameters:
        found.update(studies)
    return found - {own}


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
    for place, item, slot in trials_among(items):
        if slot.sweep.parallel is not None or slot.sweep.race:
            groups[study_nodeid(item, slot), slot.sweep.name].append((place, item, slot))
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
    for place, item, slot in trials_among(items) if durations else ():
        sweep = slot.sweep
        if not (sweep.parallel or sweep.race or sweep.stop) and sweep.scope == "function":
            groups[study_nodeid(item, slot)].append((place, item, slot))
    for group in groups.values():
        _sort(items, group, lambda placed: -durations.get(placed[1].nodeid, 0.0))


def _sort(items: list[pytest.Item], group: Sequence[Placed], key: Callable[[Placed], Any]) -> None:
    for (place, _, _), (_, item, _) in zip(group, sorted(group, key=key), strict=True):
        items[place] = item


def _turn(slot: Slot) -> tuple[int, int]:
    """When a trial comes: a race goes through all configurations once for each replicate."""
    if slot.sweep.race:
        return slot.replicate, slot.number
    return slot.number, slot.replicate
