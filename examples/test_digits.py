"""A classifier of handwritten digits: real data from a fixture, parameters of several kinds."""

import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from pytest_hypersearch import choice, loguniform, sweep

SPACE = {
    "C": loguniform(1e-2, 1e3),
    "gamma": loguniform(1e-5, 1.0),
    "kernel": ["rbf", "poly", "sigmoid"],
    "scaler": choice({"standard": StandardScaler, "minmax": MinMaxScaler}),
}
DEFAULTS = {"C": 1.0, "gamma": 1 / 64, "kernel": "rbf", "scaler": "standard"}


@pytest.fixture(scope="session")
def digits():
    images, labels = load_digits(return_X_y=True)
    return train_test_split(images, labels, train_size=500, random_state=0, stratify=labels)


@pytest.fixture
def model(C, gamma, kernel, scaler):  # noqa: N803  the regularisation's usual name
    return make_pipeline(scaler(), SVC(C=C, gamma=gamma, kernel=kernel))


@sweep(random=SPACE, n_trials=20, points=[DEFAULTS], metric="accuracy", mode="max")
@sweep(bayes=SPACE, n_trials=20, points=[DEFAULTS], metric="accuracy", mode="max")
def test_digits(model, digits):
    train_images, test_images, train_labels, test_labels = digits
    model.fit(train_images, train_labels)
    return {
        "accuracy": model.score(test_images, test_labels),
        "train_accuracy": model.score(train_images, train_labels),
    }


def test_the_best_reads_most_digits(sweeps):
    assert sweeps.best("test_digits").score > 0.9
