"""Which direction of a metric is better, by its name and in the summary."""

import pytest

from pytest_hypersearch.core.goals import implied_mode


@pytest.mark.parametrize(
    "metric",
    [
        *("accuracy", "acc", "val_acc", "valAcc", "VAL_ACC", "test/accuracy", "accuracy_val"),
        *("auc", "roc_auc", "roc_auc_ovr", "f1", "f1_macro", "f1_score", "r2", "r2_score"),
        *("average_precision", "precision_at_k", "recall@10", "pass@1", "accuracy_top1", "top5"),
        *("reward", "episode_return", "throughput", "tokens_per_second", "success_rate", "bleu"),
        *("mAP", "mIoU", "log_likelihood", "neg_log_loss", "neg_mean_squared_error", "val_score"),
        "neg_brier_score",
    ],
)
def test_these_are_to_be_high(metric):
    assert implied_mode(metric) == "max"


@pytest.mark.parametrize(
    "metric",
    [
        *("loss", "val_loss", "auc_loss", "reward_loss", "log_loss", "brier_score", "fid_score"),
        *("nll", "neg_log_likelihood", "negative_log_likelihood", "error_rate", "rmse", "wer"),
        *("perplexity", "latency", "seconds_per_step", "accuracy_gap", "false_positive_rate"),
        *("objective", "value", "x", "map_size", "\u635f\u5931", ""),
    ],
)
def test_these_are_to_be_low_or_say_nothing(metric):
    assert implied_mode(metric) == "min"


SWEEP = """
@pytest.mark.sweep(grid={"x": [1, 2, 3]}, metric="val_accuracy")
class TestNet:
    def test_f(self, x):
        return x / 4

@pytest.mark.sweep(random={"x": [1, 2, 3]}, n_trials=3, metric=["loss", "f1"])
def test_g(x):
    return {"loss": 1.0 - (x == 2), "f1": x / 4}

@pytest.mark.sweep(random={"x": [1, 2, 3]}, n_trials=3, metric="accuracy", mode="min")
def test_h(x):
    return x / 4

@pytest.mark.sweep(random={"x": [1, 2, 3]}, n_trials=3)
def test_i(x):
    return x / 4
"""


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["plain", "workers"])
def test_the_summary_says_which_direction_is_better(project, workers):
    project.write(SWEEP)
    output = project.run(*workers)[1]
    assert "val_accuracy by x (higher is better)" in output
    assert "best val_accuracy 0.7500 (#2): x=3" in output
    assert "2 on the Pareto front (lower loss, higher f1)" in output
    assert "top 3 of 3 by accuracy (lower is better)" in output
    assert "top 3 of 3 by score (lower is better)" in output
    quiet = project.run("-q")[1]
    assert "max val_accuracy 0.7500" in quiet
    assert "min score 0.2500" in quiet
