"""Our sampler in Optuna's studies: Optuna's own test suite for samplers, and what it leaves out."""

from __future__ import annotations

import pytest
from optuna.testing import pytest_samplers as suite

from pytest_hypersearch.optuna import HypersearchSampler


class TestOfOptuna(
    suite.BasicSamplerTestCase, suite.RelativeSamplerTestCase, suite.SingleOnlySamplerTestCase
):
    @pytest.fixture
    def sampler(self):
        return HypersearchSampler
