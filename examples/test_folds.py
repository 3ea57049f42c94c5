"""scikit-learn with cross-validation: pipelines of two kinds, a replicate for each fold."""

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from pytest_hypersearch import loguniform, randint, sweep

FOLDS = 5
SPACE = [
    {"model": ["svm"], "C": loguniform(0.01, 100), "gamma": loguniform(1e-4, 1)},
    {"model": ["forest"], "depth": randint(1, 6)},
]


def pipeline(model, C=None, gamma=None, depth=None):  # noqa: N803  the regularisation's usual name
    if model == "svm":
        return make_pipeline(StandardScaler(), SVC(C=C, gamma=gamma))
    return RandomForestClassifier(20, max_depth=depth, random_state=0)


@pytest.fixture(scope="session")
def wine():
    return load_wine(return_X_y=True)


@pytest.fixture
def fold(wine, trial):
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(*wine))
    return folds[trial.replicate]


@sweep(bayes=SPACE, n_trials=12, parallel=4, replicates=FOLDS, race=True, metric="accuracy")
def test_folds(wine, fold, trial):
    X, y = wine  # noqa: N806  as in the literature
    train, test = fold
    model = pipeline(**trial.params).fit(X[train], y[train])
    return model.score(X[test], y[test])


def test_the_best_is_trained_on_all_data(wine, sweeps):
    best = sweeps.best("test_folds")
    model = pipeline(**best.params).fit(*wine)
    assert best.score > 0.9
    assert np.mean(model.predict(wine[0]) == wine[1]) > 0.9
