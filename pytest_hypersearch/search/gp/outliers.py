"""Outliers: scores that are far worse than a model of all others expects.

A run that diverged or met a busy machine has a bad score whatever its parameters. A few of them
look like noise, which then is everywhere, or like waves of a short length scale; either way the
model no longer tells where scores are good. So scores that are far worse than expected are taken
out and the model is fitted anew, which is kept if it makes the scores much more probable: those
taken out come from a broad distribution, and how rare they are is not known (a mixture as in Box &
Tiao, A Bayesian approach to some outlier problems, Biometrika 1968, of which the one assignment
stands that a search from the worst ones finds).

To the model, outliers are failures: what their score would have been is not known, and where there
are many of them, a score is improbable. So the search does not go on where it always ends badly.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

from pytest_hypersearch.search.gp.encode import Array
from pytest_hypersearch.search.gp.fit import (
    CEILING,
    Data,
    default_theta,
    fit,
    standardised,
    standardised_as,
)
from pytest_hypersearch.search.gp.regression import (
    Factor,
    Hyperparameters,
    Kernel,
    factor_of,
    posterior_of,
)

_FEWEST: Final = 16  # scores
_MOST: Final = 0.3  # of the scores
_SUSPECT: Final = 1.5  # deviations from what a smooth and noisy model expects
_SURPRISING: Final = 2.0  # from what the fit to all scores expects
_OUTLYING: Final = 4.0  # from what a fit without the outliers expects
_ROUNDS: Final = 4
_NOISE: Final = 0.1  # variance, of the smooth model
_RARE: Final = 9.0  # outliers are a tenth of the scores: their share has a Beta(1, 9) prior
_EVIDENCE: Final = 5.0  # very strong (Kass & Raftery, Bayes factors, JASA 1995)


def robust_fit(
    data: Data, categorical: NDArray[np.bool_]
) -> tuple[Hyperparameters, NDArray[np.bool_]]:
    """Return the hyperparameters of largest posterior density, and which targets (n,) are outliers.

    The first suspects are what is surprising to a smooth and noisy model, as that which is fitted
    to outliers expects many of them; but where it expects all of them, nothing is to be gained.

    Args:
        data: The training data.
        categorical: Which features (D,) hold unordered numbers.
    """
    outlying = np.zeros(len(data.t), dtype=bool)
    hyper, least = fit(data, categorical)
    best = hyper, outlying
    if len(data.t) < _FEWEST:
        return best
    smooth = Kernel(_smooth(len(categorical), hyper.deviation), categorical)
    suspects = _worst(_surprises(data, outlying, smooth), _SUSPECT)
    surprises = _surprises(data, outlying, Kernel(hyper, categorical))
    if surprises[suspects].max(initial=0.0) < _SURPRISING:
        return best
    least -= _EVIDENCE
    for _ in range(_ROUNDS):
        # Where the others are all equal, nothing is to be explained.
        if not suspects.any() or np.ptp(data.t[~suspects]) == 0 or (suspects == outlying).all():
            break
        outlying = suspects
        hyper, value = fit(_part(data, ~outlying), categorical)
        value += _rarity(int(outlying.sum()), len(data.t))
        if value < least:
            best, least = (hyper, outlying), value
        suspects = _worst(_surprises(data, outlying, Kernel(hyper, categorical)), _OUTLYING)
    return best


def are_outliers(data: Data, others: Data, kernel: Kernel) -> NDArray[np.bool_]:
    """Return which other targets (m,) are outliers to a model that was fitted to data without."""
    factor = _factor(data, kernel)
    if factor is None or not len(others.t):
        return np.zeros(len(others.t), dtype=bool)
    return _expected_by(factor, data, others) > _OUTLYING


def _smooth(D: int, deviation: float) -> Hyperparameters:
    theta = default_theta(D)
    joint, additive = np.exp(theta[D : D + 2]).tolist()
    return Hyperparameters(np.exp(theta[:D]), joint, additive, _NOISE, 1.0, deviation)


def _rarity(count: int, size: int) -> float:
    """Return minus the log density of so many outliers among scores, by place and value."""
    chosen = float(betaln(1.0 + count, _RARE + size - count) - betaln(1.0, _RARE))
    return count * float(np.log(2.0 * CEILING)) - chosen


def _part(data: Data, which: NDArray[np.bool_]) -> Data:
    gaps = None if data.gaps is None else data.gaps[which]
    X, t, counts = data.X[which], data.t[which], data.counts[which]
    return replace(data, X=X, t=t, counts=counts, measured=data.measured[which], gaps=gaps)


def _worst(surprises: Array, least: float) -> NDArray[np.bool_]:
    """Return what is surprising by so many deviations, the most surprising ones if it is much."""
    order = np.argsort(-surprises, kind="stable")[: int(_MOST * len(surprises))]
    worst = np.zeros(len(surprises), dtype=bool)
    worst[order] = surprises[order] > least
    return worst


def _surprises(data: Data, outlying: NDArray[np.bool_], kernel: Kernel) -> Array:
    """Return by how many deviations (n,) each is worse than expected from the others that are in.

    The mean of z_i given the others is z_i - alpha_i / K^-1_ii and its variance 1 / K^-1_ii
    (Rasmussen & Williams, eq. 5.12).
    """
    surprises = np.zeros(len(data.t))
    rest = _part(data, ~outlying)
    factor = _factor(rest, kernel)
    if factor is None:
        return surprises
    (z,), _ = standardised(rest.t, np.array([kernel.hyper.warp_exponent]))
    alpha = posterior_of(factor, z[:, None]).alpha[:, 0]
    surprises[~outlying] = alpha / np.sqrt(np.einsum("ij,ij->j", factor.L_inv, factor.L_inv))
    if outlying.any():
        surprises[outlying] = _expected_by(factor, rest, _part(data, outlying))
    return np.where(_are_scores(data), surprises, 0.0)


def _factor(data: Data, kernel: Kernel) -> Factor | None:
    return factor_of(kernel, data.X, data.counts, data.gaps)


def _expected_by(factor: Factor, data: Data, others: Data) -> Array:
    """Return by how many deviations (m,) others are worse than expected from the data."""
    exponent = factor.kernel.hyper.warp_exponent
    (z,), _ = standardised(data.t, np.array([exponent]))
    mu, sigma = posterior_of(factor, z[:, None]).predict(others.X)
    noise = factor.kernel.hyper.noise_variance / others.counts
    levels = standardised_as(data.t, others.t, exponent)
    surprises: Array = (levels - mu[:, 0]) / np.sqrt(sigma**2 + noise)
    return np.where(_are_scores(others), surprises, 0.0)


def _are_scores(data: Data) -> NDArray[np.bool_]:
    """Return which targets (n,) are scores, not what pruned trials reported."""
    return data.measured if data.gaps is None else data.measured & (data.gaps == 0)
