"""Experiment trackers that can be chosen by name, each in a module of that name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


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
