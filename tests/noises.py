"""Noise of scores as training has it, for simulations."""

import numpy as np

KINDS = ("normal", "student", "outliers", "uneven")


def noise(kind, rng, m, n):
    """Draws noise (m, n) of a size of about 1."""
    drawn = rng.standard_t(3, size=(m, n)) if kind == "student" else rng.normal(size=(m, n))
    if kind == "outliers":
        drawn *= np.where(rng.random((m, n)) < 0.05, 10, 1)
    elif kind == "uneven":
        drawn[::3] *= 4
    return drawn
