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
    grid_of,
    many_tests,
    parametrized,
    record,
    sweep_of,
)

from pytest_hypersearch.core.goals import Goal
from pytest_hypersearch.core.space import Space, choice, loguniform, randint, uniform
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.results.terminal import lines, summary
from pytest_hypersearch.results.terminal.format import Look, columns, plain
from pytest_hypersearch.results.terminal.summary import section, word
from pytest_hypersearch.results.terminal.tables import with_params
from pytest_hypersearch.search.samplers.random import draw
from pytest_hypersearch.stats.ranking import rank_study

HOSTILE = "::error file=x::boom\n\x1b[31mred\x1b[0m\r ##[group]x \u202eabc"


def shown(*studies, width=80, verbosity=0, ascii_only=False, interrupted=False):
    """The section as the terminal shows it."""
    found = section(
        [rank_study(study) for study in studies],
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
    sweep = sweep_of(planned=5, space=grid_of({"lr": 5}), elapsed=0.03)
    trials = [record(n, 1.234 * 10.0**-n, params={"lr": 10.0**-n}) for n in range(5)]
    return StudyResults("test_train.py::test_cnn", (sweep,), tuple(trials))


def six_parameters():
    """A part of a large grid: 200 of 4096 configurations."""
    names = "abcdef"
    sweep = sweep_of(planned=4096, space=grid_of(dict.fromkeys(names, 4)), elapsed=75)
    trials = [
        record(n, 1 / (1 + n), params={name: n // 4**k % 4 for k, name in enumerate(names)})
        for n in range(200)
    ]
    return StudyResults("test_train.py::test_cnn", (sweep,), tuple(trials))


def chinese():
    """Names and values that take two columns a character."""
    acts = ["激活", "线性", "relu", "ガウス"]
    sweep = sweep_of(planned=8, space=grid_of({"激活": 4, "width": 2}), metric="损失")
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
    sweep = sweep_of(
        planned=4,
        name=f"##[a]{HOSTILE}",
        metric="::set-output name=x::1",
        space=grid_of(dict.fromkeys(names, 2)),
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


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", ["grid", "random", "stacked", "states", "three"])
def test_the_screen_at_each_width(name, width, snapshot):
    assert shown(*STUDIES[name], width=width) == snapshot


def test_quiet_is_a_line_a_sweep_and_its_best_parameters(snapshot):
    assert shown(booth_stacked(), cnn_random(), verbosity=-1, width=100) == snapshot


def test_quiet_lines_lose_what_matters_least_at_80_columns(snapshot):
    assert shown(booth_stacked(), cnn_random(), every_state(), verbosity=-1) == snapshot


def test_verbose_shows_intervals_and_the_top_10(snapshot):
    assert shown(booth_grid(), verbosity=1) == snapshot


def test_very_verbose_lists_all_trials(snapshot):
    assert shown(cnn_random(12), verbosity=2, width=100) == snapshot


def test_200_studies_of_one_test_stay_readable(snapshot):
    assert shown(*parametrized(200)) == snapshot


def test_200_tests_get_a_line_each(snapshot):
    text = shown(*many_tests(200)).splitlines()
    assert len(text) == 202
    assert "\n".join([*text[:2], *text[-3:]]) == snapshot


def test_tests_with_and_without_other_parameters_together(snapshot):
    assert (
        shown(
            *many_tests(3),
            *parametrized(10),
            replace(every_state(), nodeid="test_late.py::test_late"),
        )
        == snapshot
    )


def test_interrupted_with_notes_on_an_ascii_terminal(snapshot):
    study = booth_grid()
    notes = ("12 trials are stale: models.py changed",)
    cut_short = replace(study, trials=study.trials[:17], notes=notes)
    assert shown(cut_short, ascii_only=True, interrupted=True) == snapshot


def test_the_hint_after_an_interruption_fits_what_happened():
    study = booth_grid()
    begun = replace(study, trials=study.trials[:17])
    hint = "interrupted at 44/54: continue with pytest --sweep --sweep-resume"
    assert shown(study, begun, interrupted=True).splitlines()[-1] == hint
    assert shown(study, begun, interrupted=True, verbosity=-1).splitlines()[-1] == hint
    lost = "interrupted at 17/27; nothing was stored, the next run starts over"
    assert shown(replace(begun, run=""), interrupted=True).splitlines()[-1] == lost
    assert "interrupted" not in shown(study, interrupted=True)
    assert "interrupted" not in shown(begun)


def test_notes_of_many_studies_are_told_once():
    noted = [replace(study, notes=("the journal was damaged",)) for study in parametrized(3)]
    assert shown(*noted).count("note: the journal was damaged") == 1


def test_all_trials_failed(snapshot):
    failing = [
        replace(trial, state=State.FAILED, score=None, reason=f"assert 0.{trial.number} < 0.1")
        for trial in cnn_random(6).trials
    ]
    assert shown(replace(cnn_random(6), trials=tuple(failing))) == snapshot


def test_no_trial_ran_or_none_was_selected(snapshot):
    study = cnn_random(6)
    untouched = replace(study.sweeps[0], elapsed=0)
    waiting = [replace(trial, state=State.NOT_RUN, score=None) for trial in study.trials]
    assert shown(replace(study, sweeps=(untouched,), trials=tuple(waiting))) == snapshot
    empty = replace(study, sweeps=(replace(untouched, planned=0),), trials=())
    assert shown(empty) == snapshot
    assert shown(empty, verbosity=-1) == (
        "test_train.py::test_cnn  random  0 of 0 complete    no score"
    )
    assert shown() == ""
    assert shown(verbosity=-1) == ""


def test_one_parameter_without_replicates(snapshot):
    assert shown(one_parameter()) == snapshot


def test_many_groups_are_left_to_verbose(snapshot):
    assert shown(six_parameters()) == snapshot
    assert "more with -v" not in shown(six_parameters(), verbosity=1)


def test_group_by_groups_by_combinations_and_shows_eight(snapshot):
    study = cnn_random()
    grouped = replace(study, sweeps=(replace(study.sweeps[0], group_by=("act", "lr")),))
    assert shown(grouped).partition("\n\n")[2] == snapshot
    assert "more with -v" not in shown(grouped, verbosity=1)


def test_configurations_without_all_replicates_are_marked(snapshot):
    study = booth_grid()
    kept = tuple(trial for trial in study.trials if trial.replicate < 2 or trial.number == 0)
    text = shown(replace(study, trials=kept), verbosity=1)
    assert text == snapshot
    partial = tuple(trial for trial in kept if trial.number > 0)
    best = "best loss 0.01199 ± 0.00043 (#5, 2 of 3 replicates): lr=0.01 momentum=0.9"
    assert best in shown(replace(study, trials=partial))


def test_doubts_need_two_complete_replicates_of_the_best():
    study = booth_grid()
    one_each = tuple(trial for trial in study.trials if trial.replicate == 0)
    line = "  significance unknown: #5 has 1 complete replicate, 2 are needed"
    assert line in shown(replace(study, trials=one_each)).splitlines()


def alike(count, worse):
    """A study of configurations that scatter widely alike, and of others that are far worse."""
    trials = [
        record(
            number,
            1 + (number * 7 + replicate * 3) % 10 + 1000 * (number >= count),
            replicate=replicate,
            params={"lr": number, "opt": int(number >= count), "odd": number % 2},
        )
        for number in range(count + worse)
        for replicate in range(2)
    ]
    space = grid_of({"lr": count + worse, "opt": 2, "odd": 2})
    sweep = sweep_of(planned=len(trials), replicates=2, space=space)
    return StudyResults("t.py::test_f", (sweep,), tuple(trials))


def test_configurations_like_the_best_are_named_with_what_they_share():
    def text(study, **options):
        return " ".join(shown(study, **options).split())

    study = alike(9, 9)
    best = rank_study(study).best.number
    start = f"not significantly worse than #{best} (paired t, 5%): "
    assert re.search(re.escape(start) + r"(#\d, ){5}3 more with -v \(all with ", text(study))
    named = text(study, verbosity=1)
    assert re.search(re.escape(start) + r"(#\d, ){7}#\d \(all with lr 0 to 8, opt=0\) rerun", named)
    (of_two,) = re.findall(
        r"worse than #\d \(paired t, 5%\): #\d \(both with (.*)\) rerun", text(alike(2, 2))
    )
    assert of_two == "opt=0"
    start = f"none of 8 others is significantly worse than #{best} (paired t, 5%) rerun"
    assert start in text(alike(9, 0))
    assert "the other one is not significantly worse than #" in text(alike(2, 0))


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
    sweep = sweep_of(planned=9, replicates=3, pick=pick, space=grid_of({"x": 3}))
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
    assert "late (bayes of 27, 3 replicates, seed 0): 81 of 81 complete" in text
    assert "best loss 0.00187 ± 0.00017 (random #13, 3 replicates): lr=0.007143" in text
    assert "by steps (higher is better)" in text
    assert "best steps 0.550 ± 0.050 (late #0, 3 replicates): lr=0.1" in text
    assert text.count("rerun: ") == 2


@pytest.mark.parametrize("verbosity", [0, 1])
def test_means_of_some_replicates_are_told_from_those_of_all(verbosity):
    trials = [
        record(number, float(number + replicate), replicate=replicate, params={"x": number})
        for number in range(3)
        for replicate in range(3)
    ]
    sweep = sweep_of(planned=9, replicates=3, space=grid_of({"x": 3}))
    study = StudyResults("t.py::test_f", (sweep,), tuple(trials))
    told = "(n/m): mean of n of m replicates; ranks after configurations with all"
    partial = shown(replace(study, trials=tuple(trials[1:])), verbosity=verbosity)
    assert told in partial
    assert "#0 (2/3)" in partial
    assert "best loss 2.0 ± 1.0 (#1, 3 replicates)" in partial
    assert told not in shown(study, verbosity=verbosity)


def test_wide_characters_are_aligned(snapshot):
    assert shown(chinese()) == snapshot
    table = [line for line in shown(chinese()).splitlines() if "±" in line]
    assert len({columns(line.partition("±")[0]) for line in table[1:5]}) == 1


def wide(count=15):
    """A study whose parameters have names too long for columns of their own."""
    names = [f"parameter_with_a_long_name_{number}" for number in range(count)]
    trials = [record(n, 0.5 + n, sweep="random", params=dict.fromkeys(names, n)) for n in range(6)]
    sweep = sweep_of("random", planned=6, space=grid_of(dict.fromkeys(names, 6)), metric="val_loss")
    return StudyResults("tests/test_wide.py::test_wide", (sweep,), tuple(trials))


def test_of_many_parameters_those_that_fit_are_shown_by_the_ends_of_their_names():
    def head(width):
        lines = shown(wide(), width=width).splitlines()
        return lines[lines.index("  top 5 of 6 by val_loss (lower is better)") + 1].split()

    ends = [f"…long_name_{number}" for number in range(15)]
    assert head(80) == ["#", "score", *ends[:4], "+11", "more"]
    assert head(120) == ["#", "score", *ends[:7], "+8", "more"]
    assert head(50) == ["#", "score", *ends[:2], "+13", "more"]
    assert "…" not in shown(wide(2), width=80)
    names = dict.fromkeys(f"{one}_learning_rate_of_the_model" for one in ("encoder", "decoder"))
    look = Look(40)
    table = with_params([], [dict.fromkeys(names, 0.1), dict.fromkeys([*names, "x"], 0.1)], look)
    assert [column.header for column in table] == ["encoder_lea…", "decoder_lea…", "+1 more"]


@pytest.mark.parametrize("count", [1, 30])
def test_quiet_lines_of_60_columns_show_each_best_whole(count):
    studies = [replace(wide(), nodeid=f"tests/test_wide.py::test_{n:03d}") for n in range(count)]
    lines = shown(*studies, verbosity=-1, width=60).splitlines()
    bests = [line for line in lines if line.endswith("6 of 6  min val_loss 0.5000")]
    assert len(bests) == count
    params = [line for line in lines if line.startswith("    parameter_with_a_long_name_0=0 ")]
    assert len(params) == (count if count == 1 else 0)


def test_time_is_told_by_where_it_went():
    def time(count, duration, elapsed):
        trials = [record(n, 1.0 + n, duration=duration) for n in range(count)]
        sweep = sweep_of(planned=count, elapsed=elapsed)
        return shown(StudyResults("t.py::test_f", (sweep,), tuple(trials))).splitlines()[1]

    assert time(4, 10, 80).endswith("4 of 4 complete, 1m20s (50% within trials)")
    assert time(16, 10, 80).endswith("complete, 1m20s (2.0 trials at a time)")
    assert time(4, 10, 45).endswith("complete, 45.0s")


def test_lists_of_grids_name_each_shape():
    study = booth_grid()
    sweep = replace(
        study.sweeps[0],
        space=grid_of({"a": 3, "b": 3}, {"a": 1, "b": 4}, {"a": 1}),
        replicates=1,
    )
    assert "grid of 9 (3x3 + 4 + 1): 27 of 27 complete" in shown(replace(study, sweeps=(sweep,)))


@pytest.fixture(scope="module", autouse=True)
def _importance_is_judged_once():
    """How wide lines are has no part in it, and it takes nine tenths of the time."""
    judged = {}

    def importances(ranked):
        key = id(ranked.study)
        if key not in judged:
            judged[key] = ranked.study, lines.importances(ranked)
        return judged[key][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary, "importances", importances)
        yield


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
        for line in section([rank_study(booth_stacked())], width=80, verbosity=0, ascii_only=False)
        for text, look in line
        if look
    ]
    assert ("test_booth.py::test_booth", {"bold": True}) in markup
    assert ("78 of 81 complete,", {"green": True}) in markup
    assert ("3 failed,", {"red": True}) in markup
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
        sweeps.append(sweep_of(f"s{place}", planned=total, space=space, **changes))
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
    study = searched(Space(({**rest, "lr": loguniform(1e-4, 1)},)))
    (line,) = importances(study)
    assert line.count(",") == 5
    lines = shown(study, width=60).splitlines()
    (top,) = (at for at, text in enumerate(lines) if text.startswith("  top"))
    head = lines[top + 1].split()
    assert head[:3] == ["#", "score", "lr"]  # of those that do not fit the least important
    assert head[-1] == "more"
    assert re.search(r", 4 more 0\.\d\d$", line)
    assert importances(study, verbosity=1)[0].count(",") == 8


def test_importance_prints_hostile_names_harmlessly():
    names = {HOSTILE: uniform(0, 1), "lr": loguniform(1e-4, 1)}
    text = shown(searched(Space((names,))))
    assert "importance" in text
    assert all(line.isprintable() for line in text.split("\n"))
    assert not any(line.lstrip().startswith("::") for line in text.split("\n"))
