"""Search spaces of real learners, on data that scikit-learn and statsmodels ship.

A problem is a list of branches (a conditional space has several) and a function of parameters and
fold. The tables are subsampled so that a fit takes 5 to 150 ms. `HALVES` names the problems that
changes of the sampler were chosen on ("tuned") and those that they were not ("held out").
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.base import is_classifier
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.metrics import log_loss
from sklearn.model_selection import ShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    PolynomialFeatures,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier

Params: TypeAlias = dict[str, Any]
Entry: TypeAlias = tuple[Any, ...]
Branch: TypeAlias = dict[str, Entry]
Array: TypeAlias = NDArray[np.float64]

FOLDS = 4


@dataclass(frozen=True)
class Problem:
    """A learner on a table.

    Attributes:
        branches: Name to ("float" | "int", low, high, log) or ("cat", choices), for each branch.
        data: Name of the table.
        model: What parameters make.
        noisy: Whether each trial is told the score of another fold.
        error: Whether classifiers are judged by error even if they know probabilities.
    """

    branches: list[Branch]
    data: str
    model: Callable[[Params], Any]
    noisy: bool = False
    error: bool = False

    def score(self, params: Params, fold: int) -> float:
        """Return error, log loss or relative squared error on a fold; NaN if the fit failed."""
        X, y = table(self.data)
        train, test = splits(self.data)[fold]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                model = self.model(params).fit(X[train], y[train])
                return self._loss(model, X[test], y[test], y[train])
            except (ValueError, FloatingPointError, np.linalg.LinAlgError):
                return math.nan

    def true(self, params: Params) -> float:
        """Return what is to be minimised: the mean of the folds that trials are told of."""
        folds = range(FOLDS if self.noisy else 1)
        return float(np.mean([self.score(params, fold) for fold in folds]))

    def elsewhere(self, params: Params) -> float:
        """Return the mean score on the folds that trials are not told of, if there are any."""
        return float(np.mean([self.score(params, fold) for fold in range(1, FOLDS)]))

    def _loss(self, model: Any, X: Array, y: Array, y_train: Array) -> float:
        if not is_classifier(model):
            error = np.mean((model.predict(X) - y) ** 2) / np.mean((y_train.mean() - y) ** 2)
            return float(error) if np.isfinite(error) else math.nan
        if self.error or not hasattr(model, "predict_proba"):
            return float(np.mean(model.predict(X) != y))
        p = np.clip(model.predict_proba(X), 1e-6, 1.0)
        return float(log_loss(y, p / p.sum(axis=1, keepdims=True), labels=np.unique(y_train)))


@cache
def splits(name: str) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Training and test rows of each fold."""
    X, _ = table(name)
    return list(ShuffleSplit(FOLDS, test_size=0.4, random_state=0).split(X))


@cache
def table(name: str) -> tuple[Array, Array]:
    """Return features, standardised unless the name ends in ``-raw``, and targets."""
    raw = name.endswith("-raw")
    X, y = _loaded(name.removesuffix("-raw"))
    rows = np.random.default_rng(0).permutation(len(X))[:600]
    X, y = np.asarray(X[rows], float), y[rows]
    if y.dtype.kind == "f":
        y = (y - y.mean()) / y.std()
    return (X if raw else StandardScaler().fit_transform(X)), y


def _loaded(name: str) -> tuple[Array, Array]:
    if hasattr(datasets, f"load_{name}"):
        return getattr(datasets, f"load_{name}")(return_X_y=True)
    spec = find_spec("statsmodels")
    path = Path(spec.origin).parent / "datasets" / name / f"{name}.csv"  # type: ignore[union-attr,arg-type]
    separator = "\t" if name == "anes96" else ","
    X = np.genfromtxt(path, delimiter=separator, skip_header=1)
    if name == "randhie":  # visits to a doctor
        return X[:, 1:], np.log1p(X[:, 0])
    if name == "fair":  # any affairs
        return X[:, :-1], (X[:, -1] > 0).astype(int)
    if name == "star98":  # share of pupils above the median
        return X[:, 2:], X[:, 1] / X[:, 0]
    if name == "anes96":  # vote
        return X[:, :-1], X[:, -1].astype(int)
    raise ValueError(name)


class Convolution:
    """A small convolutional network on 8 x 8 images: one layer, ReLU, mean pooling, softmax."""

    _estimator_type = "classifier"
    classes_: NDArray[np.int_]

    def __init__(self, **params: Any) -> None:
        self.params = params

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of a classifier."""
        return LogisticRegression().__sklearn_tags__()

    def fit(self, X: Array, y: NDArray[np.int_]) -> Convolution:
        """Train by minibatches with momentum."""
        p, rng = self.params, np.random.default_rng(0)
        self.classes_ = np.unique(y)
        patches = self._patches(X)
        weights = [
            rng.standard_normal((patches.shape[2], p["filters"])) / patches.shape[2] ** 0.5,
            rng.standard_normal((p["filters"] * 4, len(self.classes_))) * p["init"],
            np.zeros(len(self.classes_)),
        ]
        speed = [np.zeros_like(w) for w in weights]
        for epoch in range(p["epochs"]):
            rate = p["lr"] * p["decay"] ** epoch
            order = rng.permutation(len(y))
            for i in range(0, len(y), p["batch"]):
                rows = order[i : i + p["batch"]]
                gradient = self._gradient(weights, patches[rows], y[rows])
                for k, slope in enumerate(gradient):
                    speed[k] = p["momentum"] * speed[k] - rate * (slope + p["l2"] * weights[k])
                    weights[k] = weights[k] + speed[k]
        self.weights = weights
        return self

    def predict_proba(self, X: Array) -> Array:
        """Class probabilities."""
        _, _, probabilities = self._forward(self.weights, self._patches(X))
        if not np.isfinite(probabilities).all():
            raise FloatingPointError("diverged")
        return probabilities

    def _patches(self, X: Array) -> Array:
        """Return the patches (n, 36 or 16, k * k)."""
        k = self.params["kernel"]
        windows = np.lib.stride_tricks.sliding_window_view(X.reshape(-1, 8, 8), (k, k), (1, 2))
        side = windows.shape[1] // 2 * 2
        windows = windows[:, :side, :side]
        return np.ascontiguousarray(windows).reshape(len(X), side * side, k * k)

    def _pool(self, hidden: Array) -> Array:
        n, places, filters = hidden.shape
        half = round(places**0.5) // 2
        return hidden.reshape(n, 2, half, 2, half, filters).mean(axis=(2, 4)).reshape(n, -1)

    def _forward(self, weights: list[Array], patches: Array) -> tuple[Array, Array, Array]:
        hidden = np.maximum(patches @ weights[0], 0.0)
        pooled = self._pool(hidden)
        logits = pooled @ weights[1] + weights[2]
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return hidden, pooled, e / e.sum(axis=1, keepdims=True)

    def _gradient(self, weights: list[Array], patches: Array, y: NDArray[np.int_]) -> list[Array]:
        hidden, pooled, error = self._forward(weights, patches)
        error = error.copy()
        error[np.arange(len(y)), np.searchsorted(self.classes_, y)] -= 1.0
        error /= len(y)
        n, places, filters = hidden.shape
        half = round(places**0.5) // 2
        back = (error @ weights[1].T).reshape(n, 2, 1, 2, 1, filters) / half**2
        back = np.broadcast_to(back, (n, 2, half, 2, half, filters)).reshape(hidden.shape)
        back = back * (hidden > 0)
        first = np.einsum("npk,npf->kf", patches, back, optimize=True)
        return [first, pooled.T @ error, error.sum(axis=0)]


def _f(low: float, high: float, *, log: bool = False) -> Entry:
    return ("float", low, high, log)


def _i(low: int, high: int, *, log: bool = False) -> Entry:
    return ("int", low, high, log)


def _c(*choices: Any) -> Entry:
    return ("cat", list(choices))


def _keep(p: Params, *names: str) -> Params:
    return {name: p[name] for name in p if name not in names}


_SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler, "none": lambda: "passthrough"}


def _lgbm(kind: Any, **fixed: Any) -> Callable[[Params], Any]:
    return lambda p: kind(**p, **fixed, n_jobs=1, verbose=-1, random_state=0)


def _sgd(p: Params) -> Any:
    return make_pipeline(
        _SCALERS[p["scaler"]](), SGDClassifier(**_keep(p, "scaler"), max_iter=30, random_state=0)
    )


def _sgd_regression(p: Params) -> Any:
    features = PolynomialFeatures(p["polynomial"], include_bias=False)
    rest = _keep(p, "polynomial")
    return make_pipeline(features, SGDRegressor(**rest, max_iter=60, random_state=0))


def _svm_branches(p: Params) -> Any:
    return SVC(**p, cache_size=50, max_iter=4000)


def _nystroem(p: Params) -> Any:
    kernel = {"gamma": p["gamma"]} | ({"degree": p["degree"]} if p["kernel"] == "poly" else {})
    features = Nystroem(kernel=p["kernel"], n_components=p["components"], random_state=0, **kernel)
    return make_pipeline(features, Ridge(alpha=p["alpha"]))


def _knn(p: Params) -> Any:
    scaler = QuantileTransformer(n_quantiles=50) if p["scaler"] == "quantile" else StandardScaler()
    return make_pipeline(
        scaler,
        PCA(p["components"], whiten=p["whiten"], random_state=0),
        KNeighborsClassifier(p["neighbours"], weights=p["weights"], p=p["p"]),
    )


def _any_classifier(p: Params) -> Any:
    rest = _keep(p, "learner", "select")
    model = {
        "logistic": lambda: LogisticRegression(max_iter=100, C=rest["C"]),
        "knn": lambda: KNeighborsClassifier(rest["neighbours"], weights=rest["weights"]),
        "tree": lambda: DecisionTreeClassifier(
            max_depth=rest["depth"], min_samples_leaf=rest["leaf"], random_state=0
        ),
        "bayes": lambda: GaussianNB(var_smoothing=rest["smoothing"]),
    }[p["learner"]]()
    return make_pipeline(SelectKBest(f_classif, k=p["select"]), model)


def _any_regressor(p: Params) -> Any:
    rest = _keep(p, "learner")
    return {
        "svr": lambda: SVR(**rest, max_iter=4000),
        "kernel ridge": lambda: KernelRidge(kernel="laplacian", **rest),
        "elastic": lambda: make_pipeline(
            PolynomialFeatures(rest["degree"]), ElasticNet(**_keep(rest, "degree"), max_iter=200)
        ),
        "trees": lambda: ExtraTreesRegressor(20, **rest, random_state=0),
    }[p["learner"]]()


def _logistic(p: Params) -> Any:
    return make_pipeline(
        _SCALERS[p["scaler"]](),
        LogisticRegression(**_keep(p, "scaler"), max_iter=80, random_state=0),
    )


def _discriminant(p: Params) -> Any:
    rest = _keep(p, "learner", "components")
    kind = LinearDiscriminantAnalysis if p["learner"] == "linear" else QuadraticDiscriminantAnalysis
    fixed = {"solver": "lsqr"} if p["learner"] == "linear" else {}
    return make_pipeline(PCA(p["components"], random_state=0), kind(**rest, **fixed))


_SGD = {
    "loss": _c("hinge", "log_loss", "squared_hinge", "perceptron"),
    "penalty": _c("l2", "l1", "elasticnet"),
    "alpha": _f(1e-7, 1e-1, log=True),
    "learning_rate": _c("constant", "optimal", "invscaling", "adaptive"),
    "eta0": _f(1e-4, 10.0, log=True),
    "power_t": _f(0.1, 0.9),
    "l1_ratio": _f(0.0, 1.0),
    "scaler": _c("standard", "minmax", "none"),
}
_MLP = {
    "activation": _c("relu", "tanh", "logistic"),
    "solver": _c("adam", "sgd"),
    "hidden": _i(4, 64, log=True),
    "alpha": _f(1e-6, 1.0, log=True),
    "learning_rate_init": _f(1e-4, 1.0, log=True),
    "batch_size": _i(8, 128, log=True),
    "momentum": _f(0.0, 0.99),
}
_BOOSTING = {
    "n_estimators": _i(5, 80, log=True),
    "learning_rate": _f(1e-2, 1.0, log=True),
    "num_leaves": _i(2, 32, log=True),
    "min_child_samples": _i(1, 60, log=True),
    "reg_lambda": _f(1e-4, 100.0, log=True),
    "colsample_bytree": _f(0.3, 1.0),
}


def _mlp(kind: Any, epochs: int) -> Callable[[Params], Any]:
    def model(p: Params) -> Any:
        rest = _keep(p, "hidden")
        return kind(hidden_layer_sizes=(p["hidden"],), **rest, max_iter=epochs, random_state=0)

    return model


TUNED: dict[str, Problem] = {
    "forest_cancer": Problem(
        [
            {
                "n_estimators": _i(3, 30, log=True),
                "max_depth": _i(1, 12),
                "max_features": _f(0.1, 1.0),
                "min_samples_leaf": _i(1, 20, log=True),
                "criterion": _c("gini", "entropy"),
                "bootstrap": _c(True, False),
            }
        ],
        "breast_cancer",
        lambda p: RandomForestClassifier(**p, random_state=0),
    ),
    "lightgbm_fair": Problem([_BOOSTING], "fair", _lgbm(LGBMClassifier), noisy=True),
    "lightgbm_kinds_randhie": Problem(
        [
            {"boosting_type": _c("gbdt"), **_BOOSTING},
            {"boosting_type": _c("dart"), "drop_rate": _f(0.01, 0.5), **_BOOSTING},
            {
                "boosting_type": _c("rf"),
                "subsample": _f(0.3, 0.95),
                "subsample_freq": _c(1),
                **_keep(_BOOSTING, "learning_rate"),
            },
        ],
        "randhie",
        _lgbm(LGBMRegressor),
    ),
    "svm_kernels_digits": Problem(
        [
            {"kernel": _c("linear"), "C": _f(1e-4, 1e3, log=True)},
            {
                "kernel": _c("rbf"),
                "C": _f(1e-4, 1e3, log=True),
                "gamma": _f(1e-5, 1e1, log=True),
            },
            {
                "kernel": _c("poly"),
                "C": _f(1e-4, 1e3, log=True),
                "gamma": _f(1e-5, 1e1, log=True),
                "degree": _i(2, 5),
                "coef0": _f(0.0, 1.5),
            },
            {
                "kernel": _c("sigmoid"),
                "C": _f(1e-4, 1e3, log=True),
                "gamma": _f(1e-5, 1e1, log=True),
                "coef0": _f(-1.5, 1.5),
            },
        ],
        "digits",
        _svm_branches,
    ),
    "kernel_ridge_star98": Problem(
        [
            {
                "kernel": _c("rbf", "laplacian", "poly", "sigmoid"),
                "alpha": _f(1e-6, 1e2, log=True),
                "gamma": _f(1e-5, 1e1, log=True),
                "degree": _i(1, 5),
                "coef0": _f(0.0, 3.0),
            }
        ],
        "star98",
        lambda p: KernelRidge(**p),
    ),
    "knn_digits": Problem(
        [
            {
                "neighbours": _i(1, 60, log=True),
                "weights": _c("uniform", "distance"),
                "p": _f(1.0, 4.0),
                "components": _i(2, 50),
                "whiten": _c(True, False),
                "scaler": _c("standard", "quantile"),
            }
        ],
        "digits-raw",
        _knn,
        noisy=True,
    ),
    "sgd_anes96": Problem([_SGD], "anes96-raw", _sgd, error=True),
    "sgd_regression_diabetes": Problem(
        [
            {
                "loss": _c("squared_error", "huber", "epsilon_insensitive"),
                "penalty": _c("l2", "l1", "elasticnet"),
                "alpha": _f(1e-6, 10.0, log=True),
                "eta0": _f(1e-5, 1.0, log=True),
                "learning_rate": _c("constant", "invscaling", "adaptive"),
                "epsilon": _f(1e-2, 100.0, log=True),
                "polynomial": _i(1, 2),
            }
        ],
        "diabetes",
        _sgd_regression,
    ),
    "mlp_digits": Problem([_MLP], "digits", _mlp(MLPClassifier, 8)),
    "learners_wine": Problem(
        [
            {"learner": _c("logistic"), "C": _f(1e-4, 1e3, log=True), "select": _i(1, 13)},
            {
                "learner": _c("knn"),
                "neighbours": _i(1, 40, log=True),
                "weights": _c("uniform", "distance"),
                "select": _i(1, 13),
            },
            {
                "learner": _c("tree"),
                "depth": _i(1, 10),
                "leaf": _i(1, 30, log=True),
                "select": _i(1, 13),
            },
            {"learner": _c("bayes"), "smoothing": _f(1e-9, 10.0, log=True), "select": _i(1, 13)},
        ],
        "wine-raw",
        _any_classifier,
        noisy=True,
    ),
    "boosting_diabetes": Problem(
        [
            {
                "loss": _c("squared_error", "absolute_error", "huber"),
                "n_estimators": _i(5, 80, log=True),
                "learning_rate": _f(1e-2, 1.0, log=True),
                "max_depth": _i(1, 6),
                "subsample": _f(0.3, 1.0),
                "max_features": _f(0.2, 1.0),
            }
        ],
        "diabetes",
        lambda p: GradientBoostingRegressor(**p, random_state=0),
    ),
    "tree_fair": Problem(
        [
            {
                "criterion": _c("gini", "entropy"),
                "splitter": _c("best", "random"),
                "max_depth": _i(1, 15),
                "min_samples_leaf": _i(1, 100, log=True),
                "max_features": _f(0.2, 1.0),
                "ccp_alpha": _f(1e-5, 1e-1, log=True),
            }
        ],
        "fair",
        lambda p: DecisionTreeClassifier(**p, random_state=0),
    ),
}

HELD_OUT: dict[str, Problem] = {
    "extra_trees_star98": Problem(
        [
            {
                "n_estimators": _i(3, 30, log=True),
                "max_depth": _i(1, 15),
                "max_features": _f(0.1, 1.0),
                "min_samples_split": _i(2, 40, log=True),
                "bootstrap": _c(True, False),
            }
        ],
        "star98",
        lambda p: ExtraTreesRegressor(**p, random_state=0),
    ),
    "lightgbm_cancer": Problem([_BOOSTING], "breast_cancer", _lgbm(LGBMClassifier)),
    "lightgbm_kinds_anes96": Problem(
        [
            {"boosting_type": _c("gbdt"), **_BOOSTING},
            {"boosting_type": _c("dart"), "drop_rate": _f(0.01, 0.5), **_BOOSTING},
            {
                "boosting_type": _c("rf"),
                "subsample": _f(0.3, 0.95),
                "subsample_freq": _c(1),
                **_keep(_BOOSTING, "learning_rate"),
            },
        ],
        "anes96",
        _lgbm(LGBMClassifier),
        noisy=True,
    ),
    "svc_fair": Problem(
        [
            {
                "kernel": _c("rbf", "poly", "sigmoid", "linear"),
                "C": _f(1e-3, 1e3, log=True),
                "gamma": _f(1e-4, 1e1, log=True),
                "degree": _i(2, 5),
                "coef0": _f(0.0, 1.5),
                "class_weight": _c(None, "balanced"),
            }
        ],
        "fair",
        _svm_branches,
    ),
    "nystroem_diabetes": Problem(
        [
            {
                "kernel": _c("rbf", "laplacian", "poly", "sigmoid", "chi2"),
                "gamma": _f(1e-5, 1e1, log=True),
                "degree": _i(1, 4),
                "components": _i(5, 150, log=True),
                "alpha": _f(1e-6, 1e3, log=True),
            }
        ],
        "diabetes",
        _nystroem,
    ),
    "knn_star98": Problem(
        [
            {
                "n_neighbors": _i(1, 80, log=True),
                "weights": _c("uniform", "distance"),
                "metric": _c("euclidean", "manhattan", "chebyshev", "canberra"),
            }
        ],
        "star98",
        lambda p: KNeighborsRegressor(**p),
        noisy=True,
    ),
    "sgd_cancer": Problem([_SGD], "breast_cancer-raw", _sgd, error=True),
    "convolution_digits": Problem(
        [
            {
                "filters": _i(2, 16, log=True),
                "kernel": _c(2, 3, 5),
                "epochs": _i(1, 6),
                "lr": _f(1e-3, 3.0, log=True),
                "momentum": _f(0.0, 0.99),
                "decay": _f(0.5, 1.0),
                "batch": _i(8, 64, log=True),
                "l2": _f(1e-6, 1e-1, log=True),
                "init": _f(1e-3, 1.0, log=True),
            }
        ],
        "digits",
        lambda p: Convolution(**p),
    ),
    "mlp_regression_diabetes": Problem([_MLP], "diabetes", _mlp(MLPRegressor, 30)),
    "regressors_star98": Problem(
        [
            {
                "learner": _c("svr"),
                "C": _f(1e-3, 1e3, log=True),
                "gamma": _f(1e-5, 1e1, log=True),
                "epsilon": _f(1e-3, 1.0, log=True),
            },
            {
                "learner": _c("kernel ridge"),
                "alpha": _f(1e-6, 1e2, log=True),
                "gamma": _f(1e-5, 1e1, log=True),
            },
            {
                "learner": _c("elastic"),
                "alpha": _f(1e-6, 1.0, log=True),
                "l1_ratio": _f(0.0, 1.0),
                "degree": _i(1, 2),
            },
            {
                "learner": _c("trees"),
                "max_features": _f(0.1, 1.0),
                "min_samples_leaf": _i(1, 30, log=True),
            },
        ],
        "star98",
        _any_regressor,
    ),
    "logistic_digits": Problem(
        [
            {
                "solver": _c("lbfgs"),
                "C": _f(1e-5, 1e3, log=True),
                "fit_intercept": _c(True, False),
                "scaler": _c("standard", "minmax", "none"),
            },
            {
                "solver": _c("saga"),
                "l1_ratio": _f(0.0, 1.0),
                "tol": _f(1e-4, 1e-1, log=True),
                "C": _f(1e-5, 1e3, log=True),
                "fit_intercept": _c(True, False),
                "scaler": _c("standard", "minmax", "none"),
            },
        ],
        "digits-raw",
        _logistic,
        noisy=True,
    ),
    "discriminants_digits": Problem(
        [
            {"learner": _c("linear"), "shrinkage": _f(0.0, 1.0), "components": _i(2, 50)},
            {
                "learner": _c("quadratic"),
                "reg_param": _f(1e-5, 1.0, log=True),
                "components": _i(2, 50),
            },
        ],
        "digits",
        _discriminant,
    ),
    "boosting_wine": Problem(
        [
            {
                "n_estimators": _i(3, 40, log=True),
                "learning_rate": _f(1e-2, 1.0, log=True),
                "max_depth": _i(1, 5),
                "subsample": _f(0.3, 1.0),
                "max_features": _c("sqrt", "log2", None),
            }
        ],
        "wine",
        lambda p: GradientBoostingClassifier(**p, random_state=0),
    ),
    "adaboost_cancer": Problem(
        [
            {
                "n_estimators": _i(2, 30, log=True),
                "learning_rate": _f(1e-2, 3.0, log=True),
                "max_depth": _i(1, 5),
                "leaf": _i(1, 40, log=True),
                "criterion": _c("gini", "entropy"),
            }
        ],
        "breast_cancer",
        lambda p: AdaBoostClassifier(
            DecisionTreeClassifier(
                max_depth=p["max_depth"], min_samples_leaf=p["leaf"], criterion=p["criterion"]
            ),
            n_estimators=p["n_estimators"],
            learning_rate=p["learning_rate"],
            random_state=0,
        ),
    ),
}

PROBLEMS = TUNED | HELD_OUT
