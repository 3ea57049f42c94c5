"""Errors that several wings raise or catch, and packages that only some features need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class StoreError(Exception):
    """The store cannot do what it was asked; the message is one line that names the file."""


class NotYetError(Exception):
    """The configuration depends on results that are still to come."""


class PrunerError(Exception):
    """A pruner cannot be used by the process that owns the studies; the message is one line."""


class SamplerError(Exception):
    """A sampler failed, or proposed what the space does not have; the message is one line."""


class SweepError(ValueError):
    """A mark or option that cannot be carried out; the message says what was given and expected."""


@contextmanager
def needs(what: str, package: str, extra: str) -> Iterator[None]:
    """Tell how to install a package that is missing.

    Args:
        what: Who needs it.
        package: Its name.
        extra: The extra of this package that installs it.

    Raises:
        ModuleNotFoundError: It cannot be imported.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{what} needs {package}: pip install 'pytest-hypersearch[{extra}]'"
        raise ModuleNotFoundError(message, name=package) from error
