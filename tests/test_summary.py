import math
import re
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest
from example_studies import (
    booth_grid,
    booth_stacked,
    cnn_random,
    many_tests,
    parametrized,
    record,
    sweep_info,
)

from pytest_hypersearch.core.goals import Goal
from pytest_hypersearch.core.space import Space, choice, loguniform, randint, uniform
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.results.terminal.format import columns, plain
from pytest_hypersearch.results.terminal.summary import section, word
from pytest_hypersearch.search.samplers.random import draw

HOSTILE = "::error file=x::boom\n\x1b[31mred\x1b[0m\r ##[group]x \u202eabc"


def shown(*studies, width=80, verbosity=0, ascii_only=False, interrupted=False):
    """The section as the terminal shows it."""
    found = section(
        studies,
        width=width,
        verbosity=verbosity,
        ascii_only=ascii_only,
        interrupted=interrupted,
    )
    return "\n".join(map(plain, found))


def every_state():
    """A study in which trials ended in all ways, the first of them replayed."""
    odd = {State.RUNNING, State.COMPLETE, State.RACED_OUT}
    states = [state for state in State if state not in odd]
    trials = [
        replace(trial, cached=trial.number < 20)
        if trial.number % 3
        else replace(
            trial,
            state=states[trial.number % 7 % 6],
            score=None,
            reason=f"reason {trial.number % 5}",
        )
        for trial in cnn_random(60).trials
    ]
    return replace(cnn_random(60), trials=tuple(trials))


def one_parameter():
    """A grid over one parameter without replicates; scores over four orders of magnitude."""
    sweep = sweep_info(planned=5, varied=("lr",), shape=((5,),), elapsed=0.03)
    trials = [record(n, 1.234 * 10.0**-n, params={"lr": 10.0**-n}) for n in range(5)]
    return StudyResults("test_train.py::test_cnn", (sweep,), tuple(trials))


def six_parameters():
    """A part of a large grid: 200 of 4096 configurations."""
    names = "abcdef"
    sweep = sweep_info(planned=4096, varied=tuple(names), shape=((4,) * 6,), elapsed=75)
    trials = [
        record(n, 1 / (1 + n), params={name: n // 4**k % 4 for k, name in enumerate(names)})
        for n in range(200)
    ]
    return StudyResults("test_train.py::test_cnn", (sweep,), tuple(trials))


def chinese():
    """Names and values that take two columns a character."""
    acts = ["激活", "线性", "relu", "ガウス"]
    sweep = sweep_info(planned=8, varied=("激活", "width"), shape=((4, 2),), metric="损失")
    trials = [
        record(
            n,
            0.5 - 0.03 * n,
            params={"激活": acts[n // 2], "width": (64, 128)[n % 2]},
            nodeid=f"test_文.py::test_f[{n}]",
        )
        for n in range(8)
    ]
    return StudyResults("test_文.py::test_f", (sweep,), tuple(trials))


def hostile():
    """A study in which every text that users choose tries to break the terminal or the CI log."""
    names = ("::warning::p", "lr\n::error::x")
    sweep = sweep_info(
        planned=5, name=f"##[a]{HOSTILE}", metric="::set-output name=x::1", varied=names
    )
    trials = [
        record(
            n,
            0.1 * n if n < 3 else None,
            sweep=sweep.name,
            params=dict(zip(names, ([HOSTILE, "##vso[task.x]"][n // 2 % 2], n % 2), strict=True)),
            reason=HOSTILE if n > 2 else "",
            nodeid=f"test_x.py::test_f[{HOSTILE}]",
        )
        for n in range(5)
    ]
    other = replace(sweep, name="::debug::", mode="max")
    return StudyResults(
        f"test_x.py::test_f[{HOSTILE}]", (sweep, other), tuple(trials), (HOSTILE,), HOSTILE
    )


STUDIES = {
    "grid": [booth_grid()],
    "random": [cnn_random()],
    "stacked": [booth_stacked()],
    "states": [every_state()],
    "one": [one_parameter()],
    "six": [six_parameters()],
    "chinese": [chinese()],
    "hostile": [hostile()],
    "three": parametrized(3),
    "many": [*many_tests(20), *parametrized(20), hostile(), chinese()],
}


def test_grid_at_80_columns():
    assert (
        shown(booth_grid())
        == """\
test_booth.py::test_booth
  grid 3x3 x 3 replicates  27 complete of 27  1.23s

  loss by lr (lower is better)
  lr     n   mean ± std     best  at
  -----  -  -----------  -------  ---------------
  0.01   9  0.21 ± 0.24  0.01230  #5 momentum=0.9
  0.1    9  0.49 ± 0.66  0.04410  #6 momentum=0.0
  0.001  9  2.62 ± 1.91  0.41200  #2 momentum=0.9

  loss by momentum (lower is better)
  momentum  n   mean ± std     best  at
  --------  -  -----------  -------  ----------
  0.9       9  0.60 ± 0.61  0.01230  #5 lr=0.01
  0.0       9  1.79 ± 2.28  0.04410  #6 lr=0.1
  0.5       9  0.93 ± 1.28  0.06520  #7 lr=0.1

  best loss 0.01230 ± 0.00062 (#5, 3 replicates): lr=0.01 momentum=0.9
  ~best: none; #5 is significantly better than 8 others (paired t-test)
  rerun: pytest "test_booth.py::test_booth[lr:0.01-momentum:0.9-r0]" --sweep-rerun"""
    )


def test_grid_at_120_columns_shows_intervals_medians_and_times():
    assert (
        shown(booth_grid(), width=120)
        == """\
test_booth.py::test_booth
  grid 3x3 x 3 replicates  27 complete of 27  1.23s

  loss by lr (lower is better)
  lr     n   mean ± std         95% CI  median     best  at               time/trial
  -----  -  -----------  -------------  ------  -------  ---------------  ----------
  0.01   9  0.21 ± 0.24   [0.02, 0.39]   0.087  0.01230  #5 momentum=0.9       0.50s
  0.1    9  0.49 ± 0.66  [-0.01, 1.00]   0.065  0.04410  #6 momentum=0.0       0.50s
  0.001  9  2.62 ± 1.91   [1.15, 4.08]   2.630  0.41200  #2 momentum=0.9       0.50s

  loss by momentum (lower is better)
  momentum  n   mean ± std         95% CI  median     best  at          time/trial
  --------  -  -----------  -------------  ------  -------  ----------  ----------
  0.9       9  0.60 ± 0.61   [0.13, 1.06]  0.4120  0.01230  #5 lr=0.01       0.50s
  0.0       9  1.79 ± 2.28   [0.04, 3.54]  0.5230  0.04410  #6 lr=0.1        0.50s
  0.5       9  0.93 ± 1.28  [-0.06, 1.91]  0.0871  0.06520  #7 lr=0.1        0.50s

  best loss 0.01230 ± 0.00062 (#5, 3 replicates): lr=0.01 momentum=0.9
  ~best: none; #5 is significantly better than 8 others (paired t-test)
  rerun: pytest "test_booth.py::test_booth[lr:0.01-momentum:0.9-r0]" --sweep-rerun"""
    )


def test_random_search_for_the_highest_score():
    assert (
        shown(cnn_random())
        == """\
test_train.py::test_cnn
  random seed=0  37 complete, 3 failed of 40  31.0s

  best val_acc 0.9500 (#0): lr=0.1 width=32 act=relu
  top 5: 0.9500 #0, 0.9449 #17, 0.9398 #34, 0.9388 #4, 0.9337 #21
  failed: ValueError: loss is nan (2), MemoryError (1)
  rerun: pytest "test_train.py::test_cnn[random-000]" --sweep-rerun"""
    )


def test_stacked_sweeps_are_compared():
    assert (
        shown(booth_stacked())
        == """\
test_booth.py::test_booth
  grid 3x3 x 3 replicates       27 complete of 27            1.23s
  random seed=0 x 3 replicates  78 complete, 3 failed of 81  3.90s
  bayes seed=0 x 3 replicates   81 complete of 81            12.3s

  loss by sweep (lower is better)
  sweep    n   mean ± std      best  at
  ------  --  -----------  --------  -------------------------------
  bayes   81  0.05 ± 0.14  0.001040  #13 lr=0.007143 momentum=0.4074
  random  78  0.10 ± 0.26  0.001871  #13 lr=0.007143 momentum=0.4074
  grid    27  1.11 ± 1.57  0.012300  #5 lr=0.01 momentum=0.9

  grid: loss by lr (lower is better)
  lr     n   mean ± std     best  at
  -----  -  -----------  -------  ---------------
  0.01   9  0.21 ± 0.24  0.01230  #5 momentum=0.9
  0.1    9  0.49 ± 0.66  0.04410  #6 momentum=0.0
  0.001  9  2.62 ± 1.91  0.41200  #2 momentum=0.9

  grid: loss by momentum (lower is better)
  momentum  n   mean ± std     best  at
  --------  -  -----------  -------  ----------
  0.9       9  0.60 ± 0.61  0.01230  #5 lr=0.01
  0.0       9  1.79 ± 2.28  0.04410  #6 lr=0.1
  0.5       9  0.93 ± 1.28  0.06520  #7 lr=0.1

  best loss 0.001040 ± 0.000095 (bayes #13, 3 replicates): lr=0.007143
    momentum=0.4074
  ~best of grid: none; #5 is significantly better than 8 others (paired t-test)
  ~best of random: 8 of 25 others are not significantly worse than #13 (paired
    t-test): #3, #26, #16, #6, #19, 3 more with -v
  ~best of bayes: 8 of 26 others are not significantly worse than #13 (paired
    t-test): #3, #26, #16, #6, #19, 3 more with -v
  top 5 of random: 0.001871 #13, 0.002045 #3, 0.002045 #26, 0.002245 #16,
    0.002475 #6
  top 5 of bayes: 0.001040 #13, 0.001136 #3, 0.001136 #26, 0.001247 #16,
    0.001375 #6
  failed: OverflowError: math range error (3)
  rerun: pytest "test_booth.py::test_booth[bayes-013-r0]" --sweep-rerun"""
    )


def test_quiet_is_one_line_a_sweep():
    assert (
        shown(booth_stacked(), cnn_random(), verbosity=-1, width=100)
        == """\
test_booth.py::test_booth  grid    27 complete of 27            best loss 0.01230 (#5)    1.23s
test_booth.py::test_booth  random  78 complete, 3 failed of 81  best loss 0.001871 (#13)  3.90s
test_booth.py::test_booth  bayes   81 complete of 81            best loss 0.001040 (#13)  12.3s
test_train.py::test_cnn    random  37 complete, 3 failed of 40  best val_acc 0.9500 (#0)  31.0s"""
    )


def test_quiet_lines_lose_what_matters_least_at_80_columns():
    assert (
        shown(booth_stacked(), cnn_random(), every_state(), verbosity=-1)
        == """\
test_booth.py::test_booth  grid    27 of 27 complete  best loss 0.01230    1.23s
test_booth.py::test_booth  random  78 of 81 complete  best loss 0.001871   3.90s
test_booth.py::test_booth  bayes   81 of 81 complete  best loss 0.001040   12.3s
test_train.py::test_cnn    random  37 of 40 complete  best val_acc 0.9500  31.0s
test_train.py::test_cnn    random  38 of 60 complete  best val_acc 0.9449  31.0s"""
    )


def test_verbose_shows_intervals_and_the_top_10():
    assert (
        shown(booth_grid(), verbosity=1)
        == """\
test_booth.py::test_booth
  grid 3x3 x 3 replicates  27 complete of 27  1.23s

  loss by lr (lower is better)
  lr     n   mean ± std         95% CI     best  at
  -----  -  -----------  -------------  -------  ---------------
  0.01   9  0.21 ± 0.24   [0.02, 0.39]  0.01230  #5 momentum=0.9
  0.1    9  0.49 ± 0.66  [-0.01, 1.00]  0.04410  #6 momentum=0.0
  0.001  9  2.62 ± 1.91   [1.15, 4.08]  0.41200  #2 momentum=0.9

  loss by momentum (lower is better)
  momentum  n   mean ± std         95% CI     best  at
  --------  -  -----------  -------------  -------  ----------
  0.9       9  0.60 ± 0.61   [0.13, 1.06]  0.01230  #5 lr=0.01
  0.0       9  1.79 ± 2.28   [0.04, 3.54]  0.04410  #6 lr=0.1
  0.5       9  0.93 ± 1.28  [-0.06, 1.91]  0.06520  #7 lr=0.1

  top 9
  #         mean ± std     lr  momentum
  -  -----------------  -----  --------
  5  0.01230 ± 0.00062   0.01       0.9
  6  0.04410 ± 0.00220    0.1       0.0
  7  0.06520 ± 0.00326    0.1       0.5
  4  0.08710 ± 0.00435   0.01       0.5
  2  0.41200 ± 0.02060  0.001       0.9
  3  0.52300 ± 0.02615   0.01       0.0
  8  1.37000 ± 0.06850    0.1       0.9
  1  2.63000 ± 0.13150  0.001       0.5
  0  4.81000 ± 0.24050  0.001       0.0

  best loss 0.01230 ± 0.00062 (#5, 3 replicates): lr=0.01 momentum=0.9
  ~best: none; #5 is significantly better than 8 others (paired t-test)
  rerun: pytest "test_booth.py::test_booth[lr:0.01-momentum:0.9-r0]" --sweep-rerun
  stored: /cache/run-001"""
    )


def test_very_verbose_lists_all_trials():
    assert (
        shown(cnn_random(12), verbosity=2, width=100)
        == """\
test_train.py::test_cnn
  random seed=0  9 complete, 3 failed of 12  31.0s

  top 9
   #   score         lr  width  act
  --  ------  ---------  -----  ----
   0  0.9500        0.1     32  relu
   4  0.9388  0.0006026     32  relu
   7  0.8879   0.001413    128  tanh
   2  0.8594   0.007762     96  relu
   6  0.8482  4.677e-05     96  relu
  10  0.8370   0.003311     96  relu
   1  0.8197   0.000257     64  tanh
   5  0.8085     0.0182     64  tanh
   9  0.7973  0.0001096     64  tanh

   #  state      score   time         lr  width  act   reason
  --  --------  ------  -----  ---------  -----  ----  -----------------------
   0  complete  0.9500  0.50s        0.1     32  relu
   1  complete  0.8197  0.50s   0.000257     64  tanh
   2  complete  0.8594  0.50s   0.007762     96  relu
   3  failed         -  0.50s  1.995e-05    128  tanh  ValueError: loss is nan
   4  complete  0.9388  0.50s  0.0006026     32  relu
   5  complete  0.8085  0.50s     0.0182     64  tanh
   6  complete  0.8482  0.50s  4.677e-05     96  relu
   7  complete  0.8879  0.50s   0.001413    128  tanh
   8  failed         -  0.50s    0.04266     32  relu  MemoryError
   9  complete  0.7973  0.50s  0.0001096     64  tanh
  10  complete  0.8370  0.50s   0.003311     96  relu
  11  failed         -  0.50s        0.1    128  tanh  ValueError: loss is nan

  best val_acc 0.9500 (#0): lr=0.1 width=32 act=relu
  failed: ValueError: loss is nan (2)
  failed: MemoryError (1)
  rerun: pytest "test_train.py::test_cnn[random-000]" --sweep-rerun
  stored: /cache/run-001"""
    )


def test_studies_of_one_test_are_compared_by_its_other_parameters():
    assert (
        shown(*parametrized(3))
        == """\
test_train.py::test_cnn[data0]
  random seed=0  10 complete of 10  2.50s

  best val_acc 0.9500 (#0): lr=0.1 width=32 act=relu
  top 5: 0.9500 #0, 0.9388 #4, 0.9276 #8, 0.8991 #3, 0.8879 #7
  rerun: pytest "test_train.py::test_cnn[data0-random-000]" --sweep-rerun

test_train.py::test_cnn[data1]
  random seed=0  10 complete of 10  2.50s

  best val_acc 0.8760 (#0): lr=0.1 width=32 act=relu
  top 5: 0.8760 #0, 0.8648 #4, 0.8536 #8, 0.8251 #3, 0.8139 #7
  rerun: pytest "test_train.py::test_cnn[data1-random-000]" --sweep-rerun

test_train.py::test_cnn[data2]
  random seed=0  10 complete of 10  2.50s

  best val_acc 0.8020 (#0): lr=0.1 width=32 act=relu
  top 5: 0.8020 #0, 0.7908 #4, 0.7796 #8, 0.7511 #3, 0.7399 #7
  rerun: pytest "test_train.py::test_cnn[data2-random-000]" --sweep-rerun

test_train.py::test_cnn
  val_acc by the test's other parameters (higher is better)
  parameters   n     mean ± std    best  at
  ----------  --  -------------  ------  ---------------------------
  data0       10  0.874 ± 0.055  0.9500  #0 lr=0.1 width=32 act=relu
  data1       10  0.800 ± 0.055  0.8760  #0 lr=0.1 width=32 act=relu
  data2       10  0.726 ± 0.055  0.8020  #0 lr=0.1 width=32 act=relu"""
    )


def test_200_studies_of_one_test_stay_readable():
    assert (
        shown(*parametrized(200))
        == """\
test_train.py::test_cnn
  200 studies  2000 complete of 2000

  val_acc by the test's other parameters (higher is better)
  parameters   n     mean ± std    best  at
  ----------  --  -------------  ------  ---------------------------
  data0       10  0.874 ± 0.055  0.9500  #0 lr=0.1 width=32 act=relu
  data101     10  0.874 ± 0.055  0.9500  #0 lr=0.1 width=32 act=relu
  data71      10  0.872 ± 0.055  0.9480  #0 lr=0.1 width=32 act=relu
  data172     10  0.872 ± 0.055  0.9480  #0 lr=0.1 width=32 act=relu
  data41      10  0.870 ± 0.055  0.9460  #0 lr=0.1 width=32 act=relu
  data142     10  0.870 ± 0.055  0.9460  #0 lr=0.1 width=32 act=relu
  data11      10  0.868 ± 0.055  0.9440  #0 lr=0.1 width=32 act=relu
  data112     10  0.868 ± 0.055  0.9440  #0 lr=0.1 width=32 act=relu
  and 192 more with -v

  best val_acc 0.9500 ([data0] #0): lr=0.1 width=32 act=relu
  rerun: pytest "test_train.py::test_cnn[data0-random-000]" --sweep-rerun

each study in full with -v"""
    )


def test_200_tests_get_a_line_each():
    text = shown(*many_tests(200)).splitlines()
    assert len(text) == 202
    assert (
        "\n".join([*text[:2], *text[-3:]])
        == """\
tests/test_models.py::test_000  random  10 complete of 10  best val_acc 0.9500
tests/test_models.py::test_001  random  10 complete of 10  best val_acc 0.9500
tests/test_models.py::test_199  random  10 complete of 10  best val_acc 0.9500

each study in full with -v"""
    )


def test_tests_with_and_without_other_parameters_together():
    assert (
        shown(
            *many_tests(3),
            *parametrized(10),
            replace(every_state(), nodeid="test_late.py::test_late"),
        )
        == """\
tests/test_models.py::test_000  random  10 of 10 complete  best val_acc 0.9500
tests/test_models.py::test_001  random  10 of 10 complete  best val_acc 0.9500
tests/test_models.py::test_002  random  10 of 10 complete  best val_acc 0.9500
test_late.py::test_late         random  38 of 60 complete  best val_acc 0.9449

  failed: reason 1 (2), reason 2 (2), reason 0 (1), and 3 more kinds with -v
  invalid: reason 0 (1), reason 1 (1), reason 2 (1)
  crashed: reason 3 (1), reason 4 (1), reason 0 (1)
  timed out: reason 3 (1), reason 4 (1)

test_train.py::test_cnn
  10 studies  100 complete of 100

  val_acc by the test's other parameters (higher is better)
  parameters   n     mean ± std    best  at
  ----------  --  -------------  ------  ---------------------------
  data0       10  0.874 ± 0.055  0.9500  #0 lr=0.1 width=32 act=relu
  data3       10  0.854 ± 0.055  0.9300  #0 lr=0.1 width=32 act=relu
  data6       10  0.834 ± 0.055  0.9100  #0 lr=0.1 width=32 act=relu
  data9       10  0.814 ± 0.055  0.8900  #0 lr=0.1 width=32 act=relu
  data1       10  0.800 ± 0.055  0.8760  #0 lr=0.1 width=32 act=relu
  data4       10  0.780 ± 0.055  0.8560  #0 lr=0.1 width=32 act=relu
  data7       10  0.760 ± 0.055  0.8360  #0 lr=0.1 width=32 act=relu
  data2       10  0.726 ± 0.055  0.8020  #0 lr=0.1 width=32 act=relu
  and 2 more with -v

  best val_acc 0.9500 ([data0] #0): lr=0.1 width=32 act=relu
  rerun: pytest "test_train.py::test_cnn[data0-random-000]" --sweep-rerun

each study in full with -v"""
    )


def test_interrupted_with_notes_on_an_ascii_terminal():
    study = booth_grid()
    notes = ("12 trials are stale: models.py changed",)
    cut_short = replace(study, trials=study.trials[:17], notes=notes)
    assert (
        shown(cut_short, ascii_only=True, interrupted=True)
        == """\
test_booth.py::test_booth
  grid 3x3 x 3 replicates  17 complete, 10 not run of 27  1.23s

  loss by lr (lower is better)
  lr     n   mean +/- std    best  at
  -----  -  -------------  ------  ---------------
  0.01   8  0.23 +/- 0.24  0.0871  #4 momentum=0.5
  0.001  9  2.62 +/- 1.91  0.4120  #2 momentum=0.9

  loss by momentum (lower is better)
  momentum  n   mean +/- std    best  at
  --------  -  -------------  ------  -----------
  0.5       6  1.36 +/- 1.40  0.0871  #4 lr=0.01
  0.9       5  0.25 +/- 0.22  0.4120  #2 lr=0.001
  0.0       6  2.67 +/- 2.35  0.5230  #3 lr=0.01

  best loss 0.0871 +/- 0.0044 (#4, 3 replicates): lr=0.01 momentum=0.5
  ~best: 1 of 5 others is not significantly worse than #4 (paired t-test): #5
  rerun: pytest "test_booth.py::test_booth[lr:0.01-momentum:0.5-r0]" --sweep-rerun

note: 12 trials are stale: models.py changed

interrupted at 17/27: continue with pytest --sweep --sweep-resume"""
    )


def test_the_hint_after_an_interruption_fits_what_happened():
    study = booth_grid()
    begun = replace(study, trials=study.trials[:17])
    hint = "interrupted at 44/54: continue with pytest --sweep --sweep-resume"
    assert shown(study, begun, interrupted=True).splitlines()[-1] == hint
    assert shown(study, begun, interrupted=True, verbosity=-1).splitlines()[-1] == hint
    lost = "interrupted at 17/27; nothing is stored: the next run starts anew"
    assert shown(replace(begun, run=""), interrupted=True).splitlines()[-1] == lost
    assert "interrupted" not in shown(study, interrupted=True)
    assert "interrupted" not in shown(begun)


def test_notes_of_many_studies_are_told_once():
    noted = [replace(study, notes=("the journal was damaged",)) for study in parametrized(3)]
    assert shown(*noted).count("note: the journal was damaged") == 1


def test_all_trials_failed():
    failing = [
        replace(trial, state=State.FAILED, score=None, reason=f"assert 0.{trial.number} < 0.1")
        for trial in cnn_random(6).trials
    ]
    assert (
        shown(replace(cnn_random(6), trials=tuple(failing)))
        == """\
test_train.py::test_cnn
  random seed=0  6 failed of 6  31.0s

  no trial is complete: there is no best
  failed: assert 0.0 < 0.1 (6)"""
    )


def test_no_trial_ran_or_none_was_selected():
    study = cnn_random(6)
    untouched = replace(study.sweeps[0], elapsed=0)
    waiting = [replace(trial, state=State.NOT_RUN, score=None) for trial in study.trials]
    assert (
        shown(replace(study, sweeps=(untouched,), trials=tuple(waiting)))
        == """\
test_train.py::test_cnn
  random seed=0  6 not run of 6"""
    )
    empty = replace(study, sweeps=(replace(untouched, planned=0),), trials=())
    assert (
        shown(empty)
        == """\
test_train.py::test_cnn
  random seed=0  0 complete of 0"""
    )
    assert shown(empty, verbosity=-1) == (
        "test_train.py::test_cnn  random  0 complete of 0  no score"
    )
    assert shown() == ""
    assert shown(verbosity=-1) == ""


def test_every_state_is_counted_apart():
    assert (
        shown(every_state())
        == """\
test_train.py::test_cnn
  random seed=0  38 complete, 8 failed, 3 invalid, 3 pruned, 3 crashed,
    2 timed out, 3 not run of 60 (13 from cache)  31.0s

  best val_acc 0.9449 (#17): lr=4.677e-05 width=64 act=tanh
  top 5: 0.9449 #17, 0.9398 #34, 0.9388 #4, 0.9286 #38, 0.9235 #55
  failed: reason 1 (2), reason 2 (2), reason 0 (1), and 3 more kinds with -v
  invalid: reason 0 (1), reason 1 (1), reason 2 (1)
  crashed: reason 3 (1), reason 4 (1), reason 0 (1)
  timed out: reason 3 (1), reason 4 (1)
  rerun: pytest "test_train.py::test_cnn[random-017]" --sweep-rerun"""
    )


def test_one_parameter_without_replicates():
    assert (
        shown(one_parameter())
        == """\
test_train.py::test_cnn
  grid 5  5 complete of 5  0.03s

  loss by lr (lower is better)
  lr      n    score  at
  ------  -  -------  --
  0.0001  1  0.00012  #4
  0.001   1  0.00123  #3
  0.01    1  0.01234  #2
  0.1     1  0.12340  #1
  1.0     1  1.23400  #0

  best loss 1.234e-04 (#4): lr=0.0001
  rerun: pytest "test_train.py::test_cnn[grid-004-r0]" --sweep-rerun"""
    )


def test_many_groups_are_left_to_verbose():
    assert (
        shown(six_parameters())
        == """\
test_train.py::test_cnn
  grid 4x4x4x4x4x4  200 complete, 3896 not run of 4096  1m15s

  loss by a (lower is better)
  a   n     mean ± std      best  at
  -  --  -------------  --------  ------------------------
  3  50  0.022 ± 0.039  0.005000  #199 b=1 c=0 d=3 e=0 f=0
  2  50  0.025 ± 0.051  0.005025  #198 b=1 c=0 d=3 e=0 f=0
  1  50  0.029 ± 0.073  0.005051  #197 b=1 c=0 d=3 e=0 f=0
  0  50  0.041 ± 0.142  0.005076  #196 b=1 c=0 d=3 e=0 f=0

  loss by b (lower is better)
  b   n     mean ± std      best  at
  -  --  -------------  --------  ------------------------
  1  52  0.025 ± 0.041  0.005000  #199 a=3 c=0 d=3 e=0 f=0
  0  52  0.054 ± 0.159  0.005102  #195 a=3 c=0 d=3 e=0 f=0
  3  48  0.017 ± 0.018  0.005208  #191 a=3 c=3 d=2 e=0 f=0
  2  48  0.020 ± 0.025  0.005319  #187 a=3 c=3 d=2 e=0 f=0
  more with -v: by c, d

  best loss 0.005000 (#199): a=3 b=1 c=0 d=3 e=0 f=0
  rerun: pytest "test_train.py::test_cnn[grid-199-r0]" --sweep-rerun"""
    )
    assert "more with -v" not in shown(six_parameters(), verbosity=1)


def test_group_by_groups_by_combinations_and_shows_eight():
    study = cnn_random()
    grouped = replace(study, sweeps=(replace(study.sweeps[0], group_by=("act", "lr")),))
    assert (
        shown(grouped).partition("\n\n")[2]
        == """\
  val_acc by act, lr (higher is better)
  act   lr         n     mean ± std    best  at
  ----  ---------  -  -------------  ------  ------------
  relu  0.1        2  0.877 ± 0.104  0.9500  #0 width=32
  tanh  4.677e-05  2  0.872 ± 0.104  0.9449  #17 width=64
  relu  0.000257   2  0.928 ± 0.017  0.9398  #34 width=96
  relu  0.0006026  2  0.865 ± 0.104  0.9388  #4 width=32
  tanh  0.003311   1  0.934          0.9337  #21 width=64
  relu  0.0182     2  0.917 ± 0.017  0.9286  #38 width=96
  tanh  1.995e-05  1  0.922          0.9225  #25 width=64
  tanh  0.001413   2  0.900 ± 0.017  0.9113  #29 width=64
  and 14 more with -v

  best val_acc 0.9500 (#0): lr=0.1 width=32 act=relu
  top 5: 0.9500 #0, 0.9449 #17, 0.9398 #34, 0.9388 #4, 0.9337 #21
  failed: ValueError: loss is nan (2), MemoryError (1)
  rerun: pytest "test_train.py::test_cnn[random-000]" --sweep-rerun"""
    )
    assert "more with -v" not in shown(grouped, verbosity=1)


def test_configurations_without_all_replicates_are_marked():
    study = booth_grid()
    kept = tuple(trial for trial in study.trials if trial.replicate < 2 or trial.number == 0)
    text = shown(replace(study, trials=kept), verbosity=1)
    assert (
        text
        == """\
test_booth.py::test_booth
  grid 3x3 x 3 replicates  19 complete, 8 not run of 27  1.23s

  loss by lr (lower is better)
  lr     n   mean ± std         95% CI     best  at
  -----  -  -----------  -------------  -------  ---------------------
  0.001  7  2.91 ± 1.99   [1.07, 4.75]  4.81000  #0 momentum=0.0
  0.01   6  0.20 ± 0.24  [-0.05, 0.45]  0.01199  #5 (2/3) momentum=0.9
  0.1    6  0.48 ± 0.66  [-0.21, 1.18]  0.04300  #6 (2/3) momentum=0.0

  loss by momentum (lower is better)
  momentum  n   mean ± std         95% CI     best  at
  --------  -  -----------  -------------  -------  ----------------
  0.0       7  2.22 ± 2.43  [-0.03, 4.47]  4.81000  #0 lr=0.001
  0.9       6  0.58 ± 0.61  [-0.06, 1.22]  0.01199  #5 (2/3) lr=0.01
  0.5       6  0.90 ± 1.29  [-0.45, 2.25]  0.06357  #7 (2/3) lr=0.1

  top 9
        #         mean ± std  vs best     lr  momentum
  -------  -----------------  -------  -----  --------
        0  4.81000 ± 0.24050  best     0.001       0.0
  5 (2/3)  0.01199 ± 0.00043  ~best     0.01       0.9
  6 (2/3)  0.04300 ± 0.00156  ~best      0.1       0.0
  7 (2/3)  0.06357 ± 0.00231  ~best      0.1       0.5
  4 (2/3)  0.08492 ± 0.00308  ~best     0.01       0.5
  2 (2/3)  0.40170 ± 0.01457  ~best    0.001       0.9
  3 (2/3)  0.50992 ± 0.01849  ~best     0.01       0.0
  8 (2/3)  1.33575 ± 0.04844  ~best      0.1       0.9
  1 (2/3)  2.56425 ± 0.09298  ~best    0.001       0.5

  best loss 4.81 ± 0.24 (#0, 3 replicates): lr=0.001 momentum=0.0
  ~best: 8 of 8 others are not significantly worse than #0 (paired t-test): #5,
    #6, #7, #4, #2, #3, #8, #1
  rerun: pytest "test_booth.py::test_booth[lr:0.001-momentum:0.0-r0]" --sweep-rerun
  stored: /cache/run-001"""
    )
    partial = tuple(trial for trial in kept if trial.number > 0)
    best = "best loss 0.01199 ± 0.00043 (#5, 2 of 3 replicates): lr=0.01 momentum=0.9"
    assert best in shown(replace(study, trials=partial))


def test_doubts_need_two_complete_replicates_of_the_best():
    study = booth_grid()
    one_each = tuple(trial for trial in study.trials if trial.replicate == 0)
    line = "  ~best: unknown, 2 complete replicates are needed and #5 has 1"
    assert line in shown(replace(study, trials=one_each)).splitlines()


def test_many_doubts_are_named_with_verbose():
    trials = [
        record(number, 1 + (number * 7 + replicate * 3) % 10, replicate=replicate)
        for number in range(9)
        for replicate in range(2)
    ]
    study = StudyResults("t.py::test_f", (sweep_info(planned=18, replicates=2),), tuple(trials))
    start = "~best: 8 of 8 others are not significantly worse than #"
    text = " ".join(shown(study).split())
    assert start in text
    assert re.search(r"(#\d, ){5}3 more with -v", text)
    assert re.search(r"(#\d, ){7}#\d", " ".join(shown(study, verbosity=1).split()))


@pytest.mark.parametrize(
    ("pick", "expected"),
    [
        ("median", "best loss 1.000 (#0, median of 3 replicates):"),
        ("max", "best loss 3.000 (#1, max of 3 replicates):"),
        ("one-se", "best loss 3.000 ± 0.000 (#1, 3 replicates, one-se):"),
    ],
)
def test_the_rule_is_named_with_the_best(pick, expected):
    scores = [[1, 1, 9], [3, 3, 3], [4, 4, 4]]
    trials = [
        record(number, score, replicate=replicate, params={"x": number})
        for number, row in enumerate(scores)
        for replicate, score in enumerate(row)
    ]
    sweep = sweep_info(planned=9, replicates=3, pick=pick, varied=("x",))
    text = shown(StudyResults("t.py::test_f", (sweep,), tuple(trials)), verbosity=1)
    assert expected in text
    assert "~best" not in text
    assert (f" {pick} " in text.split("top 3")[1].split("\n")[1]) == (pick != "one-se")


def test_sweeps_of_different_metrics_have_a_best_each():
    study = booth_stacked()
    others = (*study.sweeps[:2], replace(study.sweeps[2], metric="steps", mode="max", name="late"))
    renamed = [
        replace(trial, sweep="late") if trial.sweep == "bayes" else trial for trial in study.trials
    ]
    text = shown(replace(study, sweeps=others, trials=tuple(renamed)))
    assert "late (bayes seed=0 x 3 replicates)  81 complete of 81" in text
    assert "best loss 0.00187 ± 0.00017 (random #13, 3 replicates): lr=0.007143" in text
    assert "best steps 0.550 ± 0.050 (late #0, 3 replicates): lr=0.1 momentum=0.0" in text
    assert text.count("rerun: ") == 2


def test_wide_characters_are_aligned():
    assert (
        shown(chinese())
        == """\
test_文.py::test_f
  grid 4x2  8 complete of 8

  损失 by 激活 (lower is better)
  激活    n     mean ± std    best  at
  ------  -  -------------  ------  ------------
  ガウス  2  0.305 ± 0.021  0.2900  #7 width=128
  relu    2  0.365 ± 0.021  0.3500  #5 width=128
  线性    2  0.425 ± 0.021  0.4100  #3 width=128
  激活    2  0.485 ± 0.021  0.4700  #1 width=128

  损失 by width (lower is better)
  width  n     mean ± std    best  at
  -----  -  -------------  ------  --------------
  128    4  0.380 ± 0.077  0.2900  #7 激活=ガウス
  64     4  0.410 ± 0.077  0.3200  #6 激活=ガウス

  best 损失 0.2900 (#7): 激活=ガウス width=128
  rerun: pytest "test_文.py::test_f[7]" --sweep-rerun"""
    )
    table = [line for line in shown(chinese()).splitlines() if "±" in line]
    assert len({columns(line.partition("±")[0]) for line in table[1:5]}) == 1


def test_lists_of_grids_name_each_shape():
    study = booth_grid()
    sweep = replace(study.sweeps[0], shape=((3, 3), (1, 4), (1,)), replicates=1)
    assert "grid 3x3 + 4 + 1  27 complete" in shown(replace(study, sweeps=(sweep,)))


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("verbosity", [-1, 0, 1, 2])
@pytest.mark.parametrize("name", STUDIES)
def test_lines_are_harmless_and_keep_to_the_width(name, verbosity, ascii_only):
    for width in (50, 80, 120, 200):
        text = shown(
            *STUDIES[name],
            width=width,
            verbosity=verbosity,
            ascii_only=ascii_only,
            interrupted=True,
        )
        for line in text.split("\n"):
            assert line.isprintable()
            assert line == line.rstrip()
            assert line.isascii() or not ascii_only
            assert not line.lstrip().startswith("::")
            assert not re.search(r"##\w*\[", line)
            assert columns(line) <= width or "rerun: " in line or line.startswith("interrupted")


def test_lines_are_segments_for_the_terminal():
    markup = [
        (text.strip(), look)
        for line in section([booth_stacked()], width=80, verbosity=0, ascii_only=False)
        for text, look in line
        if look
    ]
    assert ("test_booth.py::test_booth", {"bold": True}) in markup
    assert ("78 complete,", {"green": True}) in markup
    assert ("3 failed", {"red": True}) in markup
    assert ("0.001040 ± 0.000095", {"green": True, "bold": True}) in markup


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("test_x.py::test_f[lr:0.1-r0]", 'pytest "test_x.py::test_f[lr:0.1-r0]" --sweep-rerun'),
        (
            "my tests/test_x.py::test_f[a'b]",
            """pytest "my tests/test_x.py::test_f[a'b]" --sweep-rerun""",
        ),
        ("test_x.py::test_f[$HOME]", "pytest 'test_x.py::test_f[$HOME]' --sweep-rerun"),
        ('test_x.py::test_f["`a`"]', "pytest 'test_x.py::test_f[\"`a`\"]' --sweep-rerun"),
        (r"test_x.py::test_f[\u6587]", r"pytest 'test_x.py::test_f[\u6587]' --sweep-rerun"),
    ],
)
def test_the_command_to_rerun_the_best_survives_the_shell(nodeid, expected):
    study = replace(one_parameter(), trials=(record(0, 1.0, nodeid=nodeid),))
    command = shown(study).rpartition("rerun: ")[2]
    assert command == expected
    assert shlex.split(command) == ["pytest", nodeid, "--sweep-rerun"]


def test_no_command_is_shown_that_would_name_another_test():
    study = replace(one_parameter(), trials=(record(0, 1.0, nodeid="test_文.py::test_f[0]"),))
    assert "rerun: " in shown(study)
    assert "rerun: " not in shown(study, ascii_only=True)
    assert "rerun: " not in shown(hostile())


@pytest.mark.parametrize(
    ("trial", "best", "expected"),
    [
        (record(0, 0.012312, params={"lr": 0.01, "m": 0.9}), False, "0.01231 (lr=0.01 m=0.9)"),
        (record(0, 0.012312, params={"lr": 0.01, "m": 0.9}), True, "0.01231 best (lr=0.01 m=0.9)"),
        (record(0, params={"lr": 0.01}), False, "(lr=0.01)"),
        (record(0, 0.5, state=State.PRUNED), False, "0.5"),
        (record(0, state=State.NOT_RUN), False, ""),
        (record(0, params={"a": "x\n::error::"}), False, r"(a='x\n::error::')"),
    ],
)
def test_the_word_beside_a_trial(trial, best, expected):
    assert word(trial, best) == expected


def test_the_word_beside_a_trial_is_short():
    trial = record(0, 1e-9, params={f"parameter_{n}": n for n in range(9)})
    text = "1e-09 (parameter_0=0 parameter_1=1 parameter_2=2 parameter_3=3 par…)"
    assert word(trial, best=False) == text
    assert word(trial, best=False, ascii_only=True) == text.replace("ar…", "...")


def test_the_summary_imports_nothing_heavy():
    code = (
        "import sys, pytest_hypersearch.results.terminal.summary\n"
        "print({'numpy', 'scipy', 'pandas', 'pytest', 'wcwidth', 'tabulate'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


LR_MATTERS = Space(
    ({"lr": loguniform(1e-4, 1), "width": randint(1, 8), "act": choice(["relu", "tanh"])},)
)


def searched(*spaces, total=30, test="test_train.py::test_cnn", **changes):
    """A study with a sweep over each space, in which lr matters, and act a little."""
    sweeps, trials = [], []
    for place, space in enumerate(spaces):
        sweeps.append(sweep_info(f"s{place}", planned=total, space=space, **changes))
        count = total if space.size is None else min(total, space.size)
        for number in range(count):
            params = draw(space, place, number)
            score = abs(math.log10(params["lr"]) + 2) + 0.2 * (params.get("act") == "relu")
            loss = record(number, score, sweep=f"s{place}", params=params, metrics={"size": 1.0})
            trials.append(loss)
    return StudyResults(test, tuple(sweeps), tuple(trials))


def importances(*studies, **look):
    """The lines that tell importances, each as a whole."""
    lines = shown(*studies, width=300, **look).splitlines()
    return [line.strip() for line in lines if line.startswith("  importance")]


def test_importance_is_shown_largest_first():
    (line,) = importances(searched(LR_MATTERS))
    number = r"0\.\d\d ±0\.\d\d"
    found = re.fullmatch(f"importance: lr {number}, act {number}, width {number}", line)
    assert found
    assert 0.9 < float(line.split()[2]) < 1.0
    assert "±" not in importances(searched(LR_MATTERS), ascii_only=True)[0]


def test_importance_is_the_same_whatever_is_better():
    study = searched(LR_MATTERS)
    trials = tuple(replace(trial, score=-trial.score) for trial in study.trials)
    sweeps = (replace(study.sweeps[0], mode="max"),)
    assert importances(replace(study, trials=trials, sweeps=sweeps)) == importances(study)


def test_importance_needs_ten_configurations():
    assert importances(searched(LR_MATTERS, total=10))
    assert not importances(searched(LR_MATTERS, total=9))
    failed = searched(LR_MATTERS, total=10)
    first = replace(failed.trials[0], state=State.PRUNED)
    assert not importances(replace(failed, trials=(first, *failed.trials[1:])))


def test_importance_needs_two_parameters_and_scores_that_differ():
    assert not importances(searched(Space(({"lr": loguniform(1e-4, 1)},))))
    study = searched(LR_MATTERS)
    trials = tuple(replace(trial, score=1.0) for trial in study.trials)
    assert not importances(replace(study, trials=trials))


def test_importance_takes_no_time_from_quiet_summaries_and_those_of_many_studies():
    studies = [searched(LR_MATTERS, test=f"test_train.py::test_{n}") for n in range(3)]
    assert len(importances(*studies[:2])) == 2
    assert not importances(*studies)
    assert not importances(studies[0], verbosity=-1)


def test_importance_of_strategies_that_search_the_same_parameters_is_one():
    grid = Space(
        ({"lr": choice([0.001, 0.1, 1]), "width": choice([1, 4]), "act": choice(["relu", "tanh"])},)
    )
    alone = searched(LR_MATTERS, total=9)
    assert not importances(alone)
    (line,) = importances(searched(LR_MATTERS, grid, total=9))
    assert line.startswith("importance: lr 0.")


def test_importance_of_strategies_that_search_other_parameters_is_told_apart():
    other = Space(({"lr": loguniform(1e-4, 1), "beta": uniform(0, 1)},))
    first, second = importances(searched(LR_MATTERS, other))
    assert first.startswith("importance in s0: lr 0.")
    assert second.startswith("importance in s1: lr 0.")
    assert "beta" in second


def test_importance_of_several_metrics_is_for_the_first():
    (line,) = importances(searched(LR_MATTERS, others=(Goal("size", "min"),)))
    assert line.startswith("importance for loss: lr 0.")


def test_importance_of_many_parameters_is_cut_unless_verbose():
    rest = {f"x{n}": uniform(0, 1) for n in range(8)}
    study = searched(Space(({"lr": loguniform(1e-4, 1), **rest},)))
    (line,) = importances(study)
    assert line.count(",") == 5
    assert re.search(r", 4 more 0\.\d\d$", line)
    assert importances(study, verbosity=1)[0].count(",") == 8


def test_importance_prints_hostile_names_harmlessly():
    names = {HOSTILE: uniform(0, 1), "lr": loguniform(1e-4, 1)}
    text = shown(searched(Space((names,))))
    assert "importance" in text
    assert all(line.isprintable() for line in text.split("\n"))
    assert not any(line.lstrip().startswith("::") for line in text.split("\n"))
