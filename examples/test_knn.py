"""A gate: accuracy must not get worse than in the baseline, and must be at least 0.9.

Write the baseline once, and commit it; from then on, pytest --sweep judges the scores::

    pytest --sweep --sweep-baseline=digits.json --sweep-update-baseline examples/test_knn.py
    pytest --sweep --sweep-baseline=digits.json examples/test_knn.py
    pytest --sweep=check --sweep-baseline=digits.json examples/test_knn.py
"""

import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from pytest_hypersearch import sweep


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


@sweep(
    grid={"neighbours": [1, 3, 10], "weights": ["uniform", "distance"]},
    replicates=4,  # four splits of the data
    metric="accuracy",
    gate={"accuracy": {"tolerance": 0.01, "threshold": ">= 0.9"}},
)
def test_nearest_neighbours(neighbours, weights, trial, digits):
    train, test, train_labels, test_labels = train_test_split(
        *digits, test_size=0.5, random_state=trial.seed
    )
    model = KNeighborsClassifier(neighbours, weights=weights).fit(train, train_labels)
    return model.score(test, test_labels)
