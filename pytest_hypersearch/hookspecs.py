"""Hooks through which other plugins extend sweeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_hypersearch.samplers import Sampler


@pytest.hookspec(firstresult=True)
def pytest_hypersearch_sampler(strategy: str) -> Sampler | None:
    """Return the sampler that answers to a strategy's name, None if it is not yours.

    Called at collection and in the controlling process, for ``@pytest.mark.sweep(strategy="name",
    space={...}, n_trials=...)`` as well as for the built-in ``grid``, ``random`` and ``bayes``.

    Args:
        strategy: The name, such as ``"mine"`` or ``"mine:variant"``.

    Raises:
        ValueError: The name is yours but cannot be served; the message is shown to the user.
    """
