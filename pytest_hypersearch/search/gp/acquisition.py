"""Log expected improvement, weighted by the probability that a trial gives a score.

Notation:

    m, D       query points, features
    mu, sigma  posterior mean and standard deviation (m,) of the standardised score
    best       the standardised score to improve upon; lower is better
    z          (best - mu) / sigma (m,)
    phi, Phi   density and distribution function of the standard normal distribution

The expected improvement E[max(best - f, 0)] is sigma * h(z) with h(z) = phi(z) + z Phi(z) (Jones,
Schonlau & Welch, 1998). It underflows to exactly 0 a few sigma away from the best, where its
gradient says nothing. Its logarithm does not, if it is computed from a ratio of Phi and phi (Ament
et al., Unexpected improvements to expected improvement, NeurIPS 2023). Once trials have failed it
is weighted by the probability of a score (Gelbart, Snoek & Adams, UAI 2014).
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.search.gp.encode import Array
from pytest_hypersearch.search.gp.regression import Posterior

LOG_ROOT_TWO_PI: Final = 0.5 * np.log(2.0 * np.pi)
_ROOT_HALF_PI: Final = np.sqrt(np.pi / 2.0)
_SURE: Final = 20.0  # beyond it, phi(z) is nothing beside z and h(z) is z
_FAR: Final = -1e4  # below it, 1 + z Phi / phi has lost its digits
_AT_ENDS: Final = 0.1
_LATENT_NOISE: Final = 0.05  # relative to the prior variance; smaller is a sharper border


def cdf_over_pdf(z: Array) -> Array:
    """Return Phi(z) / phi(z) (m,) for z of at most 20."""
    # Phi(z) = erfc(-z / sqrt 2) / 2 and erfcx(t) = exp(t^2) erfc(t), which does not underflow
    ratio: Array = _ROOT_HALF_PI * erfcx(z * -np.sqrt(0.5))
    return ratio


def log_improvement(z: Array) -> tuple[Array, Array, Array]:
    """Return log h(z), Phi(z) / h(z) and phi(z) / h(z) for h(z) = phi(z) + z Phi(z).

    The latter two are the derivatives of log(sigma h(z)) by -mu and by sigma, times sigma: since
    h' = Phi, d/dmu log h(z) = -Phi / (h sigma) and d/dsigma log(sigma h(z)) = phi / (h sigma).
    """
    # log h = log phi + log(1 + z Phi / phi); far out, the second term approaches log(z^-2)
    z_low = np.minimum(z, _SURE)
    ratio = cdf_over_pdf(z_low)
    tail = 1.0 + z_low * ratio  # h / phi
    if z_low.min(initial=0.0) < _FAR:
        tail = np.where(z_low < _FAR, np.minimum(z_low, _FAR) ** -2.0, tail)
    excess = np.maximum(z, _SURE) / _SURE
    log_h = np.log(tail * excess) - 0.5 * z_low * z_low - LOG_ROOT_TWO_PI
    return log_h, ratio / (tail * excess), 1.0 / tail


class Acquisition(Protocol):
    """The value of evaluating a point, on a logarithmic scale."""

    @property
    def inverse_squared_lengthscales(self) -> Array:
        """The (D,) of the model, on which its maximisation is scaled."""
        ...

    def value(self, X: Array) -> Array:
        """Return the acquisition (m,) at points (m, D)."""
        ...

    def value_and_gradient(self, X: Array) -> tuple[Array, Array]:
        """Return the acquisition (m,) and its gradient (m, D)."""
        ...


@frozen
class LogEI:
    """Log expected improvement over the best, plus the log probability that there is a score.

    Attributes:
        posterior: The model of the standardised score and, if there were failures, of a second
            target that is 1 where there is a score and -1 where there is none.
        best: The standardised score to improve upon.
    """

    posterior: Posterior
    best: float

    @property
    def inverse_squared_lengthscales(self) -> Array:
        """The (D,) of the model."""
        return self.posterior.factor.kernel.hyper.inverse_squared_lengthscales

    def value(self, X: Array) -> Array:
        """Return the acquisition (m,) at points (m, D)."""
        mu, sigma = self.posterior.predict(X)
        value = log_improvement((self.best - mu[:, 0]) / sigma)[0] + np.log(sigma)
        for latent in mu.T[1:]:
            value += log_ndtr(latent / latent_deviation(self.posterior, sigma))
        return value

    def value_and_gradient(self, X: Array) -> tuple[Array, Array]:
        """Return the acquisition (m,) and its gradient (m, D)."""
        mu, sigma, chain_rule = self.posterior.predict_with_gradient(X)
        value, Phi_over_h, phi_over_h = log_improvement((self.best - mu[:, 0]) / sigma)
        value += np.log(sigma)
        by_mu = np.empty_like(mu)
        by_mu[:, 0] = Phi_over_h / -sigma
        by_sigma = phi_over_h / sigma
        for target in range(1, mu.shape[1]):
            log_p, by_latent, by_width = log_probability(self.posterior, mu[:, target], sigma)
            value += log_p
            by_mu[:, target] = by_latent
            by_sigma -= by_latent * by_width
        return value, chain_rule(by_mu, by_sigma)


@frozen
class LogPrior:
    """The belief that good configurations are inward, which fades as results come in.

    With t from -1 at one end of a range to 1 at the other, its logarithm is the sum of
    log(1 - t^2 + 0.1) times a weight that falls as one over the number of results (Hvarfner et al.,
    PiBO: Augmenting acquisition functions with user beliefs for Bayesian optimization, ICLR 2022).
    The model is least sure at the ends of ranges. Without the belief, early proposals would go
    around the corners, of which there are 2^D.

    Attributes:
        weight: The weight.
        ordered: Which features (D,) it is about.
    """

    weight: float
    ordered: NDArray[np.bool_]

    @property
    def inverse_squared_lengthscales(self) -> Array:
        """Zeros (D,): it bends little."""
        return np.zeros(len(self.ordered))

    def value(self, X: Array) -> Array:
        """Return the log belief (m,) at points (m, D)."""
        return self.value_and_gradient(X)[0]

    def value_and_gradient(self, X: Array) -> tuple[Array, Array]:
        """Return the log belief (m,) and its gradient (m, D)."""
        t = np.where(self.ordered, 2.0 * X - 1.0, 0.0)
        belief = 1.0 - t * t + _AT_ENDS
        return self.weight * np.log(belief).sum(axis=1), self.weight * -4.0 * t / belief


def log_probability(
    posterior: Posterior, latent: Array, sigma: Array
) -> tuple[Array, Array, Array]:
    """Return the log probability of a score (m,) and its derivatives by latent and sigma.

    It is log Phi(latent / w) with w of `latent_deviation`. The derivative by the latent mean is
    phi / (Phi w), that by sigma is -phi / (Phi w) * (latent / w) dw/dsigma; the last array
    returned is the factor (latent / w) dw/dsigma.

    Args:
        posterior: The model of the score and of whether there is one.
        latent: Posterior mean (m,) of the latter.
        sigma: Posterior standard deviation (m,).
    """
    width = latent_deviation(posterior, sigma)
    ratio = latent / width
    log_p = log_ndtr(ratio)
    by_latent = np.exp(-0.5 * ratio * ratio - LOG_ROOT_TWO_PI - log_p) / width
    return log_p, by_latent, ratio * sigma / (width * posterior.factor.kernel.variance)


def latent_deviation(posterior: Posterior, sigma: Array) -> Array:
    """Return the standard deviation (m,) of the second target, whose prior variance is 1.

    w^2 = sigma^2 / k(x, x) + noise of the latent value, as in probit classification.
    """
    width: Array = np.sqrt(sigma**2 / posterior.factor.kernel.variance + _LATENT_NOISE)
    return width
