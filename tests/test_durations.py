"""Spans of time as users write them."""

import pytest

from pytest_hypersearch.core.values import duration_of


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (90, 90),
        (0.5, 0.5),
        ("90", 90),
        ("90s", 90),
        ("1.5 h", 5400),
        ("1h30m", 5400),
        ("1d 2h", 93600),
        (" 10m ", 600),
    ],
)
def test_seconds_of_a_duration(given, seconds):
    assert duration_of(given) == seconds


@pytest.mark.parametrize("given", [0, -1, "", "1x", "m", "1h30", "30m1", float("inf"), True, None])
def test_what_is_no_duration_is_refused(given):
    with pytest.raises(ValueError, match="expected seconds, or a text such as '90s' or '1h30m'"):
        duration_of(given)


@pytest.mark.parametrize("given", ["9" * 400 + "h", "1000000000000h", 1e11])
def test_what_no_timer_can_measure_is_refused(given):
    with pytest.raises(ValueError, match="expected at most 100 years"):
        duration_of(given)
