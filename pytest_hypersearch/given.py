"""What a user gave: shown in messages on one line, as text for others, and as a number."""

from __future__ import annotations

import math
from typing import Final

_COLUMNS: Final = 60


def shown(value: object) -> str:
    """Return a value as it is written in a message: its repr on one line, cut when it is long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # noqa: BLE001  a user's class may do anything
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _COLUMNS else f"{text[: _COLUMNS - 3]}..."


def shown_number(value: object) -> str:
    """Return a number as a user writes it, 1 rather than 1.0; anything else as `shown`."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:  # noqa: PLR2004
        return str(int(value))
    return shown(value)


def error_text(error: BaseException) -> str:
    """Return what an exception says, nothing if its class fails to."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001  a user's class may do anything
        return ""


def encodable(value: object) -> str:
    """Return a value's text as any reader can encode it.

    Lone surrogates are escaped: Python has them for bytes in names of files that are no text.
    """
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def scalar_of(value: object) -> object:
    """Return the Python scalar behind a numpy scalar, anything else as it is."""
    item = getattr(value, "item", None)
    return item() if item is not None and getattr(value, "ndim", None) == 0 else value


def number_of(value: object) -> int | float | None:
    """Return the finite Python number behind a (numpy) number, None for anything else."""
    value = scalar_of(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None
