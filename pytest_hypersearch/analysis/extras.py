"""Packages that only some exports need."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def needs(what: str, package: str, extra: str) -> Iterator[None]:
    """Tell how to install a package that is missing.

    Args:
        what: Who needs it.
        package: Its name.
        extra: The extra of ours that brings it.

    Raises:
        ModuleNotFoundError: It cannot be imported.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{what} needs {package}: pip install 'pytest-hypersearch[{extra}]'"
        raise ModuleNotFoundError(message, name=package) from error
