"""A benchmark of optimisers: eight functions, five starts, and who is significantly better."""

import numpy as np
import pytest

from pytest_hypersearch import sweep

STEPS = 100
SCALES = np.logspace(-1, 1, 5)  # a step that suits one parameter is too long or short for others


def rosenbrock(z):
    left, right = z[:-1], z[1:]
    slope = np.zeros_like(z)
    slope[:-1] += -400 * left * (right - left**2) - 2 * (1 - left)
    slope[1:] += 200 * (right - left**2)
    return np.sum(100 * (right - left**2) ** 2 + (1 - left) ** 2), slope


def rastrigin(z):
    value = np.sum(z**2 + 10 * (1 - np.cos(2 * np.pi * z)))
    return value, 2 * z + 20 * np.pi * np.sin(2 * np.pi * z)


FUNCTIONS = {  # values and slopes
    "sphere": lambda z: (z @ z, 2 * z),
    "quartic": lambda z: (np.sum(z**4), 4 * z**3),
    "log-cosh": lambda z: (np.sum(np.logaddexp(z, -z) - np.log(2)), np.tanh(z)),
    "norm": lambda z: (np.sqrt(z @ z + 1e-6), z / np.sqrt(z @ z + 1e-6)),
    "absolute": lambda z: (np.sum(np.abs(z)), np.sign(z)),
    "ridge": lambda z: (np.sum(z) ** 2 + 0.1 * z @ z, 2 * np.sum(z) + 0.2 * z),
    "rosenbrock": rosenbrock,
    "rastrigin": rastrigin,
}


def sgd(slope, _state, lr):
    return -lr * slope


def momentum(slope, state, lr):
    state["v"] = 0.9 * state.get("v", 0) - lr * slope
    return state["v"]


def adam(slope, state, lr):
    state["n"] = n = state.get("n", 0) + 1
    state["m"] = 0.9 * state.get("m", 0) + 0.1 * slope
    state["s"] = 0.999 * state.get("s", 0) + 0.001 * slope**2
    return -lr * (state["m"] / (1 - 0.9**n)) / (np.sqrt(state["s"] / (1 - 0.999**n)) + 1e-8)


OPTIMIZERS = {"sgd": sgd, "momentum": momentum, "adam": adam}


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
@pytest.mark.parametrize("function", list(FUNCTIONS))
@sweep(grid={"lr": [0.001, 0.01, 0.1]}, replicates=5, metric="log_loss")
def test_optimizers(function, optimizer, lr, trial):
    x, state = trial.rng.normal(0, 1, len(SCALES)), {}
    for _ in range(STEPS):
        _, slope = FUNCTIONS[function](SCALES * x)
        x = x + OPTIMIZERS[optimizer](np.clip(SCALES * slope, -1e3, 1e3), state, lr)
    value, _ = FUNCTIONS[function](SCALES * x)
    return np.log10(value + 1e-12)
