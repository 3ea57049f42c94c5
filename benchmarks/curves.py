"""Learning curves of models that were really trained, for the benchmark of pruners.

    python benchmarks/curves.py            # train all and write benchmarks/curves.json.gz
    python benchmarks/curves.py --show     # what is stored

Each problem is a model family on one of scikit-learn's data sets: 200 configurations drawn at
random, a value of the validation metric after every epoch (networks, by numpy) or stage (boosting).
The data are split once for each problem; a configuration's own seed decides its initial weights
and the order of its batches.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STORE = Path(__file__).with_name("curves.json.gz")
CONFIGURATIONS = 200

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Data:
    """A data set, split and standardised.

    Attributes:
        x: Training inputs (n, d).
        y: Training targets: classes (n,) or one column of values, standardised.
        x_valid: Validation inputs (m, d).
        y_valid: Validation targets.
        classes: Number of classes, 0 for a regression.
    """

    x: Array
    y: Array
    x_valid: Array
    y_valid: Array
    classes: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A model family on a data set.

    Attributes:
        name: As it is stored.
        metric: What the curves hold: loss, error (of classification) or accuracy.
        steps: Length of a full trial.
        load: Gives the data.
        draw: Draws a configuration.
        train: Yields the metric after every step.
    """

    name: str
    metric: str
    steps: int
    load: Callable[[], Data]
    draw: Callable[[np.random.Generator], dict[str, Any]]
    train: Callable[[Problem, dict[str, Any], Data, np.random.Generator], Iterator[float]]


@dataclass(frozen=True, slots=True)
class Curves:
    """The stored curves of a problem.

    Attributes:
        name: The problem's.
        mode: "min" or "max".
        values: (configurations, steps), NaN where training diverged.
    """

    name: str
    mode: str
    values: Array


def split(x: Array, y: Array, classes: int, *, noise: float = 0.0, valid: float = 0.4) -> Data:
    """Standardise inputs and targets, spoil a share of the training labels, hold out the rest."""
    x, x_valid, y, y_valid = train_test_split(
        x, y, test_size=valid, random_state=1, stratify=y if classes else None
    )
    scaler = StandardScaler().fit(x)
    x, x_valid = scaler.transform(x), scaler.transform(x_valid)
    if not classes:
        centre, spread = y.mean(), y.std()
        return Data(x, (y - centre) / spread, x_valid, (y_valid - centre) / spread, 0)
    rng = np.random.default_rng(2)
    spoilt = rng.random(len(y)) < noise
    y = np.where(spoilt, rng.integers(0, classes, len(y)), y)
    return Data(x, y, x_valid, y_valid, classes)


def loguniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between low and high, uniform in its logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def network(rng: np.random.Generator) -> dict[str, Any]:
    """A configuration of a perceptron with one or two hidden layers."""
    return {
        "lr": loguniform(rng, 1e-4, 1.0),
        "momentum": float(rng.choice([0.0, 0.5, 0.9, 0.98])),
        "batch": int(rng.choice([16, 32, 64, 128])),
        "layers": [int(loguniform(rng, 4, 96))] * int(rng.integers(1, 3)),
        "l2": loguniform(rng, 1e-6, 1e-1),
        "schedule": str(rng.choice(["constant", "cosine", "stairs", "warm-up"])),
        "scale": loguniform(rng, 0.1, 2.0),
    }


def linear(rng: np.random.Generator) -> dict[str, Any]:
    """A configuration of a linear model, trained by stochastic gradient descent."""
    return {**network(rng), "lr": loguniform(rng, 1e-5, 1.0), "layers": []}


def boosting(rng: np.random.Generator) -> dict[str, Any]:
    """A configuration of gradient boosting."""
    return {
        "learning_rate": loguniform(rng, 0.005, 1.0),
        "max_depth": int(rng.integers(1, 7)),
        "subsample": float(rng.uniform(0.3, 1.0)),
        "max_features": float(rng.uniform(0.1, 1.0)),
        "min_samples_leaf": int(loguniform(rng, 1, 40)),
    }


def pace(schedule: str, done: float) -> float:
    """The share of the learning rate that a schedule gives when a share of the epochs is done."""
    match schedule:
        case "cosine":
            return 0.5 * (1 + float(np.cos(np.pi * done)))
        case "stairs":
            return 1.0 if done < 0.5 else 0.1 if done < 0.8 else 0.01  # noqa: PLR2004 - two stairs
        case "warm-up":
            return min(1.0, 5 * done + 0.01)
    return 1.0


def train_network(
    problem: Problem, config: dict[str, Any], data: Data, rng: np.random.Generator
) -> Iterator[float]:
    """Train a perceptron with momentum and yield the metric after each epoch."""
    sizes = [data.x.shape[1], *config["layers"], data.classes or 1]
    weights = [
        config["scale"] * rng.standard_normal((a, b)) / np.sqrt(a) for a, b in pairwise(sizes)
    ]
    parameters = [*weights, *(np.zeros(b) for b in sizes[1:])]
    velocity = [np.zeros_like(each) for each in parameters]
    targets = np.eye(data.classes)[data.y.astype(int)] if data.classes else data.y[:, None]
    for epoch in range(problem.steps):
        rate = config["lr"] * pace(config["schedule"], epoch / problem.steps)
        order = rng.permutation(len(data.x))
        for start in range(0, len(order), config["batch"]):
            batch = order[start : start + config["batch"]]
            gradient = gradients(parameters, data.x[batch], targets[batch], data.classes)
            for i, each in enumerate(parameters):
                decay = config["l2"] * each if i < len(weights) else 0.0
                velocity[i] = config["momentum"] * velocity[i] - rate * (gradient[i] + decay)
                parameters[i] = each + velocity[i]
        yield judged(forward(parameters, data.x_valid)[-1], data, problem.metric)


def forward(parameters: list[Array], x: Array) -> list[Array]:
    """Activations of all layers, the inputs first and the raw outputs last."""
    depth = len(parameters) // 2
    activations = [x]
    for i in range(depth):
        raw = activations[-1] @ parameters[i] + parameters[depth + i]
        activations.append(raw if i == depth - 1 else np.maximum(raw, 0.0))
    return activations


def gradients(parameters: list[Array], x: Array, targets: Array, classes: int) -> list[Array]:
    """Gradient of the mean loss in all parameters."""
    depth = len(parameters) // 2
    activations = forward(parameters, x)
    outputs = probabilities(activations[-1]) if classes else activations[-1]
    delta = (outputs - targets) / len(x)
    weights, biases = [], []
    for i in reversed(range(depth)):
        weights.append(activations[i].T @ delta)
        biases.append(delta.sum(axis=0))
        delta = (delta @ parameters[i].T) * (activations[i] > 0)
    return [*reversed(weights), *reversed(biases)]


def probabilities(outputs: Array) -> Array:
    """Softmax of the rows."""
    shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def judged(outputs: Array, data: Data, metric: str) -> float:
    """The metric of raw outputs (m, classes or 1) on the validation data."""
    if not data.classes:
        return float(np.sqrt(np.mean((outputs[:, 0] - data.y_valid) ** 2)))
    truth = data.y_valid.astype(int)
    if metric == "loss":
        of_truth = probabilities(outputs)[np.arange(len(truth)), truth]
        return float(-np.mean(np.log(np.maximum(of_truth, 1e-12))))
    if not np.isfinite(outputs).all():
        return float("nan")
    wrong = float(np.mean(outputs.argmax(axis=1) != truth))
    return 1 - wrong if metric == "accuracy" else wrong


def train_boosting(
    problem: Problem, config: dict[str, Any], data: Data, rng: np.random.Generator
) -> Iterator[float]:
    """Train gradient boosting and yield the metric after each stage."""
    kind = GradientBoostingClassifier if data.classes else GradientBoostingRegressor
    model = kind(**config, n_estimators=problem.steps, random_state=int(rng.integers(2**31)))
    model.fit(data.x, data.y)
    if not data.classes:
        for outputs in model.staged_predict(data.x_valid):
            yield judged(outputs[:, None], data, problem.metric)
        return
    for outputs in model.staged_decision_function(data.x_valid):
        both = np.hstack([-outputs, outputs]) / 2 if outputs.shape[1] == 1 else outputs
        yield judged(both, data, problem.metric)


def digits() -> Data:
    """Handwritten digits, 10 classes."""
    return split(*datasets.load_digits(return_X_y=True), 10)


def noisy_digits() -> Data:
    """The digits with a fifth of the training labels spoilt."""
    return split(*datasets.load_digits(return_X_y=True), 10, noise=0.2)


def cancer() -> Data:
    """Breast cancer, 2 classes."""
    return split(*datasets.load_breast_cancer(return_X_y=True), 2)


def noisy_cancer() -> Data:
    """Breast cancer with a fifth of the training labels spoilt."""
    return split(*datasets.load_breast_cancer(return_X_y=True), 2, noise=0.2)


def wine() -> Data:
    """Wine, 3 classes."""
    return split(*datasets.load_wine(return_X_y=True), 3, noise=0.1)


def diabetes() -> Data:
    """Diabetes, a regression."""
    return split(*datasets.load_diabetes(return_X_y=True), 0)


def friedman() -> Data:
    """Friedman's first function, a regression with noise."""
    return split(*datasets.make_friedman1(800, noise=1.0, random_state=0), 0)


def moons() -> Data:
    """Two moons, 2 classes that overlap."""
    return split(*datasets.make_moons(800, noise=0.25, random_state=0), 2)


PROBLEMS = (
    Problem("digits-network", "loss", 50, digits, network, train_network),
    Problem("cancer-linear", "loss", 60, cancer, linear, train_network),
    Problem("diabetes-boosting", "loss", 100, diabetes, boosting, train_boosting),
    Problem("wine-network", "loss", 40, wine, network, train_network),
    Problem("digits-linear", "accuracy", 50, noisy_digits, linear, train_network),
    Problem("cancer-boosting", "loss", 100, noisy_cancer, boosting, train_boosting),
    Problem("diabetes-network", "loss", 40, diabetes, network, train_network),
    Problem("friedman-boosting", "loss", 100, friedman, boosting, train_boosting),
    Problem("moons-network", "error", 50, moons, network, train_network),
)


def trained(problem: Problem) -> list[list[float | None]]:
    """Train all configurations of a problem; None where a value is not finite."""
    data, rows = problem.load(), []
    for number in range(CONFIGURATIONS):
        rng = np.random.default_rng([sum(problem.name.encode()), number])
        config = problem.draw(rng)
        with np.errstate(all="ignore"):
            values = list(problem.train(problem, config, data, rng))
        rows.append([float(f"{v:.5g}") if np.isfinite(v) else None for v in values])
    return rows


def load(path: Path = STORE) -> list[Curves]:
    """The stored curves of all problems."""
    stored = json.loads(gzip.decompress(path.read_bytes()))
    return [
        Curves(each["name"], each["mode"], np.array(each["values"], dtype=float)) for each in stored
    ]


def show() -> None:
    """Print what is stored."""
    for each in load():
        sign = 1 if each.mode == "min" else -1
        final = np.sort(sign * each.values[:, -1]) * sign
        lost = int(np.isnan(final).sum())
        print(
            f"{each.name:18} {each.mode} {each.values.shape} best {final[:4]} "
            f"median {np.nanmedian(final):.4g} diverged {lost}"
        )


def main() -> int:
    """Train and store, or show."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--show", action="store_true", help="print what is stored, train nothing")
    if parser.parse_args().show:
        show()
        return 0
    stored = []
    for problem in PROBLEMS:
        begun = time.perf_counter()
        mode = "max" if problem.metric == "accuracy" else "min"
        stored.append({"name": problem.name, "mode": mode, "values": trained(problem)})
        print(f"{problem.name}: {time.perf_counter() - begun:.0f} s", flush=True)
    text = json.dumps(stored, separators=(",", ":")).encode()
    STORE.write_bytes(gzip.compress(text, mtime=0))
    print(f"{STORE.name}: {STORE.stat().st_size / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
