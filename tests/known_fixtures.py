"""Nested sessions that know which plugins define no fixtures.

Pytest searches each plugin of each session for fixtures, which takes a quarter of the time of a
session with a few short trials.
"""

from functools import cache
from types import ModuleType

from _pytest.fixtures import FixtureFunctionDefinition, FixtureManager

INSTALLED = "_pytest.", "pytest_", "xdist.", "_hypothesis_", "anyio.", "syrupy."

_search = FixtureManager.parsefactories


def install():
    """Search the plugins of installed packages once for all sessions of this process."""
    FixtureManager.parsefactories = _search_unless_known


def _search_unless_known(self, *given, **options):
    plugin = options.get("holder")
    kind = plugin if isinstance(plugin, ModuleType) else type(plugin)
    module = getattr(kind, "__module__", kind.__name__)
    if not module.startswith(INSTALLED) or _has_fixtures(kind):
        _search(self, *given, **options)


@cache
def _has_fixtures(kind):
    owners = getattr(kind, "__mro__", [kind])
    values = [value for owner in owners for value in vars(owner).values()]
    return any(isinstance(value, FixtureFunctionDefinition) for value in values)
