"""XGBoost with a callback that reports each round, so that trials which fall behind are pruned."""

import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from pytest_hypersearch import loguniform, randint, sweep, uniform

xgboost = pytest.importorskip("xgboost")

ROUNDS = 30
SPACE = {
    "eta": loguniform(0.01, 1.0),
    "max_depth": randint(1, 6),
    "subsample": uniform(0.3, 1.0),
    "reg_lambda": loguniform(0.01, 100),
}


class Report(xgboost.callback.TrainingCallback):
    """Reports the validation loss of each round; `trial.report` ends the trial if it is pruned."""

    def __init__(self, trial):
        self.trial = trial

    def after_iteration(self, _model, epoch, log):
        self.trial.report(log["val"]["logloss"][-1], step=epoch)
        return False


@pytest.fixture(scope="session")
def tables():
    X, y = load_breast_cancer(return_X_y=True)  # noqa: N806  as in the literature
    X, X_val, y, y_val = train_test_split(X, y, random_state=0, stratify=y)  # noqa: N806
    return xgboost.DMatrix(X, y), xgboost.DMatrix(X_val, y_val)


@sweep(bayes=SPACE, n_trials=20, parallel=4, metric="val_loss", prune="forecast")
def test_boosting(tables, trial):
    params = {"objective": "binary:logistic", "eval_metric": "logloss", "nthread": 1}
    table, validation = tables
    model = xgboost.train(
        {**params, **trial.params, "seed": trial.seed},
        table,
        ROUNDS,
        evals=[(validation, "val")],
        callbacks=[Report(trial)],
        verbose_eval=False,
    )
    model.save_model(trial.path / "model.json")
