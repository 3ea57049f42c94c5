"""Experiment trackers that can be chosen by name, each in a module of that name."""

from __future__ import annotations

from typing import Final

from pytest_hypersearch.core.frozen import frozen


@frozen
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
