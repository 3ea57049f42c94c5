"""A small network that learns to read digits: learning curves, pruning, trials that diverge."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pytest_hypersearch import choice, lograndint, loguniform, sweep, uniform

EPOCHS, BATCH = 15, 32
SPACE = {
    "lr": loguniform(1e-3, 5.0),
    "hidden": lograndint(4, 64),
    "momentum": uniform(0.0, 0.95),
    "activation": choice(["relu", "tanh", "sigmoid"]),
}
GRID = {
    "lr": [0.01, 0.1, 1.0],
    "hidden": [8, 32],
    "momentum": [0.0, 0.9],
    "activation": ["relu", "tanh"],
}
ACTIVATIONS = {
    "relu": (lambda z: np.maximum(z, 0), lambda a: a > 0),
    "tanh": (np.tanh, lambda a: 1 - a**2),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda a: a * (1 - a)),
}


class Network:
    """One hidden layer and a softmax, which learn by gradient descent with momentum."""

    def __init__(self, hidden, activation, rng):
        self.activate, self.slope = ACTIVATIONS[activation]
        sizes = [(64, hidden), (hidden, 10)]
        self.weights = [rng.normal(0, size[0] ** -0.5, size) for size in sizes]
        self.velocities = [np.zeros(size) for size in sizes]

    def predict(self, images):
        self.inner = self.activate(images @ self.weights[0])
        scores = self.inner @ self.weights[1]
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def learn(self, images, labels, lr, momentum):
        error = (self.predict(images) - np.eye(10)[labels]) / len(labels)
        back = (error @ self.weights[1].T) * self.slope(self.inner)
        for k, gradient in enumerate([images.T @ back, self.inner.T @ error]):
            self.velocities[k] = momentum * self.velocities[k] - lr * gradient
            self.weights[k] = self.weights[k] + self.velocities[k]

    def evaluate(self, images, labels):
        odds = self.predict(images)
        loss = -np.log(odds[np.arange(len(labels)), labels] + 1e-12).mean()
        return loss, (odds.argmax(axis=1) == labels).mean()


@pytest.fixture(scope="session")
def digits():
    images, labels = load_digits(return_X_y=True)
    return np.split(images / 16, [1024]), np.split(labels, [1024])


@pytest.fixture
def network(hidden, activation, trial):
    return Network(hidden, activation, trial.rng)


BUDGET = {"replicates": 2, "metric": "val_loss", "prune": "median", "raises": FloatingPointError}


@sweep(grid=GRID, **BUDGET)
@sweep(random=SPACE, n_trials=24, **BUDGET)
@sweep(bayes=SPACE, n_trials=24, parallel=2, **BUDGET)
def test_network(network, lr, momentum, digits, trial):
    (images, val_images), (labels, val_labels) = digits
    for epoch in range(EPOCHS):
        for rows in trial.rng.permutation(len(images)).reshape(-1, BATCH):
            network.learn(images[rows], labels[rows], lr, momentum)
        val_loss, accuracy = network.evaluate(val_images, val_labels)
        if val_loss > 5:
            raise FloatingPointError("diverges")
        trial.report(val_loss, step=epoch)
    np.savez(trial.path / "weights.npz", *network.weights)
    return {"val_loss": val_loss, "accuracy": accuracy}
