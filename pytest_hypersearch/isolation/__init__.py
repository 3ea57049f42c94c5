"""Trials in processes of their own: pytest once more, for a single item.

The item's pytest starts it (`parent`), and shows its reports as its own; between the two goes a
line that also carries the trial's messages to the owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

APART = "hypersearch_apart"


def apart(config: pytest.Config) -> bool:
    """Whether this process is there for a single trial."""
    return APART in getattr(config, "workerinput", {})
