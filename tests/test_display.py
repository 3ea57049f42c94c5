import math

import pytest

from pytest_hypersearch.results.terminal.format import (
    Look,
    clean,
    columns,
    cut,
    pad,
    scale_of,
    show_duration,
    show_mean,
    show_params,
    show_value,
)

LOOK = Look()
ASCII = Look(ascii_only=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("relu", "relu"),
        ("two\nlines", r"two\nlines"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("bell\a tab\t", r"bell\x07 tab\t"),
        ("\u202etxt.exe", r"\u202etxt.exe"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("\udc80", r"\udc80"),
        ("::error file=x::boom", r"\x3a:error file=x::boom"),
        ("  ::add-mask::x", r"  \x3a:add-mask::x"),
        ("a ##[group]b", r"a \x23#[group]b"),
        ("##vso[task.complete]", r"\x23#vso[task.complete]"),
        ("##teamcity[testFailed]", r"\x23#teamcity[testFailed]"),
        ("t.py::test_f", "t.py::test_f"),
        ("# heading ## two", "# heading ## two"),
        ("激活 é", "激活 é"),
    ],
)
def test_clean_escapes_what_could_do_harm(text, expected):
    assert clean(text, LOOK) == expected
    assert clean(expected, LOOK) == expected


def test_clean_escapes_non_ascii_for_ascii_terminals():
    assert clean("激活 é", ASCII) == r"\u6fc0\u6d3b \xe9"


def test_wide_and_combining_characters_are_counted_in_columns():
    assert columns("激活") == 4
    assert columns("e\u0301") == 1
    assert pad("激活", 6) == "激活  "


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("ab cdef", 4, "ab…"),
        ("激活函数", 6, "激活…"),
        ("激活函数", 5, "激活…"),
        ("abcdef", 1, "…"),
        ("abcdef", 0, ""),
    ],
)
def test_cut_keeps_to_the_width(text, width, expected):
    assert cut(text, width, LOOK) == expected
    assert columns(expected) <= width


def test_cut_can_take_from_the_left_and_stay_ascii():
    assert cut("tests/test_models.py::test_a", 12, LOOK, left=True) == "….py::test_a"
    assert cut("abcdefgh", 6, ASCII) == "abc..."
    assert cut("abcdefgh", 2, ASCII) == ".."


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, "1"),
        (1.0, "1.0"),
        (True, "True"),
        (None, "None"),
        ("relu", "relu"),
        ("1", "'1'"),
        ("1e-3", "'1e-3'"),
        ("True", "'True'"),
        ("none", "'none'"),
        ("nan", "'nan'"),
        ("", "''"),
        ("two words", "'two words'"),
        ("a=b", "'a=b'"),
        ("a\nb", r"'a\nb'"),
        (0.01, "0.01"),
        (1e-05, "1e-05"),
        (0.0012345678, "0.001235"),
        (123456.789, "1.235e+05"),
        (10**12, "1000000000000"),
    ],
)
def test_values_are_short_and_cannot_be_mistaken(value, expected):
    assert show_value(value, LOOK) == expected


def test_params_are_words():
    params = {"lr": 0.01, "act": "relu", "new\nline": 1}
    assert show_params(params, LOOK, without=("lr",)) == ["act=relu", r"new\nline=1"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.004, "0.00s"),
        (0.42, "0.42s"),
        (9.994, "9.99s"),
        (9.996, "10.0s"),
        (59.94, "59.9s"),
        (59.96, "1m00s"),
        (130, "2m10s"),
        (3599.6, "1h00m"),
        (3720, "1h02m"),
        (360000, "100h00m"),
    ],
)
def test_durations_take_few_columns(seconds, expected):
    assert show_duration(seconds) == expected


@pytest.mark.parametrize(
    ("values", "spreads", "expected"),
    [
        ([0.9412, 0.889], [0.0031, 0.0122], ["0.9412", "0.8890", "0.0031", "0.0122"]),
        ([0.9412, 0.889], [None, None], ["0.9412", "0.8890", "-", "-"]),
        ([12345.6], [234.0], ["12346", "234"]),
        ([1e-12, 4.4], [1e-13, 2.0], ["1.000e-12", "4.400e+00", "1.0e-13", "2.0e+00"]),
        ([0.0, 4.4e9], [0.0, 2.0e9], ["0", "4.400e+09", "0", "2.0e+09"]),
        ([4.4, 4.4], [1e-16, 0.0], ["4.400", "4.400", "0.000", "0.000"]),
        ([1e-4], [0.3], ["0.00", "0.30"]),
        ([1.234, 0.0001234], [], ["1.23400", "0.00012"]),
        ([100.00001, 100.00002], [], ["100.000010", "100.000020"]),
        ([1.0, 1 - 1e-15], [], ["1.000", "1.000"]),
        ([0.0, 0.0], [], ["0", "0"]),
        ([-1e-9, 3.0], [0.1, 0.2], ["0.00", "3.00", "0.10", "0.20"]),
        ([1e308], [None], ["1.000e+308", "-"]),
        ([math.inf, 1.0], [math.inf, 1.0], ["inf", "1.0", "inf", "1.0"]),
        ([], [], []),
    ],
)
def test_a_column_of_scores_has_equal_digits(values, spreads, expected):
    scale = scale_of(values, spreads)
    shown = [*map(scale.value, values), *map(scale.spread, spreads)]
    assert shown == expected


def test_a_mean_shows_as_many_digits_as_its_deviation():
    assert show_mean(0.943312, 0.001234, LOOK) == "0.9433 ± 0.0012"
    assert show_mean(0.943312, 0.001234, ASCII) == "0.9433 +/- 0.0012"
    assert show_mean(0.943312, None, LOOK) == "0.9433"
    assert show_mean(0.943312, 0.0, LOOK) == "0.9433 ± 0.0000"
