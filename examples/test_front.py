"""Two metrics and a constraint: trees that are accurate and small, and decide fast enough."""

import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from pytest_hypersearch import lograndint, loguniform, sweep

SPACE = {
    "leaves": lograndint(5, 300),
    "min_samples": lograndint(1, 50),
    "ccp_alpha": loguniform(1e-5, 1e-2),
}


@pytest.fixture(scope="session")
def digits():
    images, labels = load_digits(return_X_y=True)
    return train_test_split(images, labels, random_state=0, stratify=labels)


@sweep(
    bayes=SPACE,
    n_trials=30,
    parallel=4,
    metric=["error", "nodes"],
    mode=["min", "min"],
    constraints={"depth": "<= 9"},
)
def test_front(leaves, min_samples, ccp_alpha, digits):
    images, test_images, labels, test_labels = digits
    tree = DecisionTreeClassifier(
        max_leaf_nodes=leaves,
        min_samples_leaf=min_samples,
        ccp_alpha=ccp_alpha,
        random_state=0,
    ).fit(images, labels)
    return {
        "error": 1 - tree.score(test_images, test_labels),
        "nodes": tree.tree_.node_count,
        "depth": tree.get_depth(),
    }


def test_the_front_has_small_and_accurate_trees(sweeps):
    front = sweeps.study("test_front").pareto
    assert min(point.metrics["error"] for point in front) < 0.2
    assert min(point.metrics["nodes"] for point in front) < 60
