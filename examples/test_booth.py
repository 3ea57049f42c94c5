"""Three ways to tune gradient descent with momentum on the Booth function.

f(x, y) = (x + 2y - 7)^2 + (2x + y - 5)^2 on [-10, 10]^2, with its minimum f(1, 3) = 0.
"""

import pytest

from pytest_hypersearch import loguniform, uniform

STEPS = 30
GRID = {"lr": [0.001, 0.01, 0.1], "momentum": [0.0, 0.5, 0.9]}
SPACE = {"lr": loguniform(1e-3, 0.1), "momentum": uniform(0.0, 0.99)}


def booth(x, y):
    return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2


def gradient(x, y):
    a, b = x + 2 * y - 7, 2 * x + y - 5
    return 2 * a + 4 * b, 4 * a + 2 * b


@pytest.mark.sweep(grid=GRID, replicates=3, metric="final_value")
@pytest.mark.sweep(random=SPACE, n_trials=27, replicates=3, metric="final_value")
@pytest.mark.sweep(bayes=SPACE, n_trials=27, replicates=3, metric="final_value")
def test_booth(lr, momentum, trial):
    x, y = (float(start) for start in trial.rng.uniform(-10, 10, size=2))
    vx = vy = 0.0
    for step in range(STEPS):
        gx, gy = gradient(x, y)
        vx, vy = momentum * vx - lr * gx, momentum * vy - lr * gy
        x, y = x + vx, y + vy
        trial.report(booth(x, y), step=step)
    return booth(x, y)


def test_the_winner_is_worth_keeping(sweeps):
    assert sweeps.best("test_booth").score < 0.01
