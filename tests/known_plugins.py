"""Nested sessions that know the hooks and the fixtures of installed plugins.

Pytest searches each plugin of each session for both, name by name, which takes a third of the time
of a session with a few short trials.
"""

from functools import cache
from types import ModuleType

import pluggy._manager
from _pytest.fixtures import FixtureFunctionDefinition, FixtureManager

INSTALLED = "_pytest.", "pytest_", "xdist.", "_hypothesis_", "anyio.", "syrupy."

_search = FixtureManager.parsefactories
_attribute = pluggy._manager._static_hook_attr


def install():
    """Search the plugins of installed packages once for all sessions of this process."""
    FixtureManager.parsefactories = _search_unless_known
    pluggy._manager.dir = _names
    pluggy._manager._static_hook_attr = _attribute_unless_known


def _is_installed(kind):
    return getattr(kind, "__module__", kind.__name__).startswith(INSTALLED)


def _search_unless_known(self, *given, **options):
    plugin = options.get("holder")
    kind = plugin if isinstance(plugin, ModuleType) else type(plugin)
    if not _is_installed(kind):
        _search(self, *given, **options)
    elif fixtures := _fixtures(kind):
        if kind is plugin:
            options["holder"] = fixtures
        _search(self, *given, **options)


@cache
def _fixtures(kind):
    """A module with nothing but the fixtures of a plugin, None if there are none."""
    owners = getattr(kind, "__mro__", [kind])
    values = {name: value for owner in owners for name, value in vars(owner).items()}
    defined = {n: v for n, v in values.items() if isinstance(v, FixtureFunctionDefinition)}
    fixtures = ModuleType(kind.__name__)
    vars(fixtures).update(defined)
    return fixtures if defined else None


def _names(plugin):
    """In place of `dir` where plugins are searched for hooks."""
    if isinstance(plugin, ModuleType) and _is_installed(plugin):
        return _hooks(plugin)
    return dir(plugin)


@cache
def _hooks(module):
    return [name for name in dir(module) if name.startswith("pytest_")]


def _attribute_unless_known(plugin, name):
    known = isinstance(plugin, ModuleType) and _is_installed(plugin)
    return (_known_attribute if known else _attribute)(plugin, name)


_known_attribute = cache(_attribute)
