"""Objectives and constraints: metrics to optimise, bounds to keep, and rules to stop early."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from pytest_hypersearch.core.values import number_of, shown, shown_number

Mode: TypeAlias = Literal["min", "max"]

ScopeName: TypeAlias = Literal["session", "package", "module", "class", "function"]

_CONSTRAINT = re.compile(r"\s*(<=|>=)\s*(\S+)\s*")


class Goal(NamedTuple):
    """A metric and its better direction.

    Attributes:
        metric: Name of the metric.
        mode: Whether lower or higher values are better.
    """

    metric: str
    mode: Mode

    def signed(self, value: float) -> float:
        """Return a value of the metric so that lower is better."""
        return value if self.mode == "min" else -value


_WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*")
_QUALIFIERS = frozenset(
    {
        *("at", "average", "avg", "best", "dev", "eval", "final", "k", "macro", "mean", "median"),
        *("micro", "ovo", "ovr", "samples", "test", "top", "train", "val", "valid", "validation"),
        "weighted",
    }
)
_HIGHER = frozenset(
    {
        *("acc", "accuracy", "ap", "auc", "aucpr", "auprc", "auroc", "bleu", "chrf", "dice"),
        *("elbo", "f1", "f2", "fbeta", "fitness", "fps", "gain", "hits", "iou", "jaccard"),
        *("kappa", "likelihood", "map", "mcc", "meteor", "mfu", "miou", "mrr", "ndcg", "pass"),
        *("precision", "profit", "psnr", "qps", "r2", "recall", "return", "returns", "revenue"),
        *("reward", "rewards", "roc", "rouge", "rouge1", "rouge2", "rougel", "sacrebleu"),
        *("score", "sensitivity", "specificity", "speedup", "ssim", "tflops", "throughput"),
        *("top1", "top5", "utility"),
    }
)
_HIGHER_RATES = frozenset({"acceptance", "completion", "hit", "pass", "solve", "success", "win"})
_LOWER = frozenset(
    {
        *("bouldin", "brier", "cer", "cost", "deviance", "entropy", "err", "error", "fid", "kl"),
        *("latency", "loss", "mae", "mape", "mse", "perplexity", "ppl", "regret", "rmse", "time"),
        "wer",
    }
)


def implied_mode(metric: str) -> Mode:
    """Return the better direction of a metric as its name has it, ``min`` if it says nothing.

    The last word decides, after what only tells of which data or average it is: ``val_accuracy``,
    ``roc_auc_ovr`` and ``r2_score`` are to be high, ``log_loss`` and ``brier_score`` low. As in
    scikit-learn, ``neg_`` before a loss turns it round.
    """
    words = [word.lower() for word in _WORD.findall(metric)]
    negated = words[:1] in (["neg"], ["negative"])
    while len(words) > 1 and words[-1] in _QUALIFIERS:
        words.pop()
    *before, last = words or [""]
    end = re.split(r"[\W_]", metric)[-1].lower()  # mIoU
    previous = before[-1] if before else ""
    if last == "score" and previous in _LOWER:
        last = previous
    higher = (
        last in _HIGHER
        or (end in _HIGHER and end not in words)
        or (last == "rate" and previous in _HIGHER_RATES)
        or (last in {"second", "sec", "s"} and previous == "per")
    )
    return "max" if higher is not negated and (higher or last in _LOWER) else "min"


class Constraint(NamedTuple):
    """A bound on a metric.

    Attributes:
        metric: Name of the metric.
        sign: ``<=`` for an upper bound, ``>=`` for a lower one.
        bound: The bound, which a value may reach.
    """

    metric: str
    sign: str
    bound: float

    def excess(self, value: float) -> float:
        """Return by how much a value breaks the bound, relative to the bound's size.

        Negative or zero where the bound is kept; absolute if the bound is 0.
        """
        beyond = value - self.bound if self.sign == "<=" else self.bound - value
        return beyond / (abs(self.bound) or 1.0)

    def __str__(self) -> str:
        return f"{self.metric} {self.sign} {shown_number(self.bound)}"


ALPHA: Final = 0.05
TOP: Final = 3
TOLERANCE: Final = "1%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What fails a session: a metric that got worse than in a baseline, or that misses a bound.

    Attributes:
        metric: Name of the metric.
        mode: Whether lower or higher values are better.
        tolerance: The largest loss that does not matter: a number, or a percentage (``"1%"``) of
            the judged configurations' mean in the baseline.
        bound: What the mean of the best configuration must reach; None to compare with a baseline.
        top: How many configurations are judged; None for all.
        alpha: Probability of a false alarm.
        strict: Whether an alarm needs a loss that is significantly above the tolerance.
    """

    metric: str
    mode: Mode
    tolerance: float | str = TOLERANCE
    bound: float | None = None
    top: int | None = TOP
    alpha: float = ALPHA
    strict: bool = False

    @property
    def name(self) -> str:
        """Its name among the gates of its sweep, ``loss`` or ``accuracy >= 0.95``."""
        if self.bound is None:
            return self.metric
        return str(Constraint(self.metric, "<=" if self.mode == "min" else ">=", self.bound))


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """What ends a sweep before its plan; None for what does not.

    Attributes:
        score: Target: a score as good as this is good enough.
        patience: Trials without a better best score.
        min_delta: By how much a best score must be better to count as such.
        time: Wall time in seconds, from the sweep's first trial in this session.
        trials: Trials that have ended, those of earlier sessions included.
    """

    score: float | None = None
    patience: int | None = None
    min_delta: float = 0.0
    time: float | None = None
    trials: int | None = None


def constraint_of(metric: str, text: object) -> Constraint:
    """Return the constraint on a metric that a text like ``<= 50`` states.

    Raises:
        ValueError: It states none.
    """
    match = _CONSTRAINT.fullmatch(text) if isinstance(text, str) else None
    bound = _number(match[2]) if match else None
    if match is None or bound is None:
        raise ValueError(f"{metric}: {shown(text)}: expected '<= number' or '>= number'")
    return Constraint(metric, match[1], bound)


def _number(text: str) -> float | None:
    try:
        return number_of(float(text))
    except ValueError:
        return None


ONE_SE = "one-se"


def simplest_of(pick: str) -> str:
    """Returns the parameter or metric whose lowest value is the simplest; often there is none."""
    return pick.partition(":")[2]
