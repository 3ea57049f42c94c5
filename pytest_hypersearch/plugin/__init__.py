"""Everything that touches pytest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

# Processes that we start need this package before pytest; projects may make errors of all warnings.
EARLY_IMPORT = "ignore:Module already imported so cannot be rewritten"


def on_ci() -> bool:
    """Tell whether a CI service runs this session, as pytest does."""
    return any(os.environ.get(name) for name in ("CI", "BUILD_NUMBER"))


def setting(config: pytest.Config, key: str) -> Any:  # noqa: ANN401  as getini
    """Return the value of a key in the project's configuration.

    Raises:
        pytest.UsageError: It is of another type than pytest takes in TOML.
    """
    import pytest

    try:
        return config.getini(key)
    except TypeError as error:
        raise pytest.UsageError(str(error)) from None
