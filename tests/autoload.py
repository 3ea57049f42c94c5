"""Loaded into sessions under test in place of all installed plugins: those that they need.

Looking through all distributions for plugins takes a third of the start of a session without any
test. Where that itself matters, `everything_installed` of the tests' conftest brings it back.
"""

import os
from importlib import import_module

PLUGINS = {
    "rerunfailures": "pytest_rerunfailures",
    "timeout": "pytest_timeout",
    "xdist": "xdist.plugin",
    "hypersearch": "pytest_hypersearch.plugin.hooks",
}


def pytest_addoption(pluginmanager):
    """Register the plugins by the names of their entry points, which -p no:NAME may block."""
    probe = {"probe": "probe"} if "AUTOLOAD_PROBE" in os.environ else {}
    for name, module in (PLUGINS | probe).items():
        if not pluginmanager.is_blocked(name):
            pluginmanager.register(import_module(module), name)
