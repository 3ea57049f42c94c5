"""Trackers that come along: hooks that write sweeps where experiment trackers show them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Offer:
    """A tracker that can be chosen by name.

    Attributes:
        plugin: Name of its class in the module of the tracker's name.
        needs: The libraries that it imports; they come with the extra of the tracker's name.
    """

    plugin: str
    needs: tuple[str, ...]


OFFERS: Final = {
    "mlflow": Offer("MLflow", ("mlflow", "sqlalchemy", "alembic")),
    "tensorboard": Offer("TensorBoard", ("tensorboard",)),
    "wandb": Offer("WeightsAndBiases", ("wandb",)),
}


def register(config: pytest.Config) -> None:
    """Register the trackers that the command line asks for, or else the configuration file.

    Raises:
        UsageError: One is unknown, or its library is not installed.
    """
    given = config.option.sweep_track
    source = "--sweep-track" if given is not None else "sweep_track"
    names = _names(config.getini("sweep_track") if given is None else given)
    for name in names:
        _check(source, name)
    for name in names:
        plugin = getattr(import_module(f"{__name__}.{name}"), OFFERS[name].plugin)
        config.pluginmanager.register(plugin(config), f"hypersearch_{name}")


def _names(given: Iterable[str]) -> list[str]:
    parts = (name.strip() for text in given for name in text.split(","))
    return list(dict.fromkeys(name for name in parts if name))


def _check(source: str, name: str) -> None:
    if name not in OFFERS:
        raise pytest.UsageError(f"{source}={name}: expected one of {', '.join(OFFERS)}")
    missing = [library for library in OFFERS[name].needs if not _installed(library)]
    if missing:
        raise pytest.UsageError(
            f"{source}={name}: {', '.join(missing)} not installed; expected "
            f'pip install "pytest-hypersearch[{name}]"'
        )


def _installed(library: str) -> bool:
    """Whether it can be imported; a directory of its name, such as W&B's for runs, is not it."""
    spec = find_spec(library)
    return spec is not None and spec.origin is not None
