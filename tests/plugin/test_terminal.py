"""What a sweep shows on terminals and in logs, in real runs."""

import os
import pty
import re
import shlex
import subprocess
import sys

import pytest

SWEPT = """
import pytest

def test_before():
    pass

@pytest.mark.sweep(
    grid={"lr": [0.1, 0.2, 0.3], "act": ["relu", "tanh"]}, metric="loss", group_by="act"
)
def test_net(lr, act, trial):
    if lr == 0.3 and act == "tanh":
        raise ValueError("exploded")
    return lr + (act == "tanh")

def test_after():
    pass
"""


@pytest.fixture
def run(pytester):
    pytester.makepyfile(test_net=SWEPT)

    def run(*arguments):
        return pytester.runpytest("--sweep", "--tb=no", *arguments)

    return run


def test_summary_names_the_best_and_how_to_run_it_again(run):
    result = run()
    result.stdout.re_match_lines(
        [
            r"=+ hypersearch =+",
            r"test_net\.py::test_net$",
            r"  grid of 6 \(3x2\): 5 of 6 complete, 1 failed,",
            r".*loss by act .*",
            r"  best loss 0\.1\d* .*: lr=0\.1 act=relu",
            r"  failed: ValueError: exploded \(1\)",
            r'  rerun: pytest "test_net\.py::test_net\[lr:0\.1-act:relu\]" --sweep-rerun',
        ]
    )


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_summary_tells_what_matters(pytester, workers):
    pytester.makepyfile(
        """
        import pytest
        from pytest_hypersearch import choice, loguniform, uniform

        @pytest.mark.sweep(
            random={"lr": loguniform(1e-4, 1), "drop": uniform(0, 1), "act": choice([abs, max])},
            n_trials=20,
        )
        def test_net(lr, drop, act):
            return (lr - 0.5) ** 2 + 0.1 * (act is abs)
        """
    )
    result = pytester.runpytest("--sweep", *workers)
    result.stdout.re_match_lines([r"  importance: \S+ 0\.\d\d ±0\.\d\d, \S+ 0\..*, \S+ 0\..*$"])


def test_rerun_line_runs_the_best_again(run, pytester):
    line = next(line for line in run().outlines if line.strip().startswith("rerun:"))
    nodeid = re.search(r'"(.*)"', line)[1]
    result = pytester.runpytest(nodeid, "--sweep-rerun", "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*test_net?lr:0.1-act:relu? PASSED 0.1 best (lr=0.1 act=relu)*"])


def test_quiet_shows_one_line_for_each_sweep(run):
    lines = run("-q").outlines
    start = next(place for place, line in enumerate(lines) if "hypersearch" in line)
    assert "test_net" in lines[start + 1]
    assert "min loss 0.1" in lines[start + 1]
    assert "rerun" not in "\n".join(lines)


def test_very_quiet_shows_nothing(run):
    result = run("-qq")
    assert "hypersearch" not in result.stdout.str()
    assert "best loss" not in result.stdout.str()


def test_verbose_shows_parameters_and_score_of_each_trial(run):
    result = run("-v")
    result.stdout.fnmatch_lines(
        [
            "*test_net?lr:0.1-act:relu? PASSED 0.1 best (lr=0.1 act=relu)*",
            "*test_net?lr:0.1-act:tanh? PASSED 1.1 (lr=0.1 act=tanh)*",
        ]
    )


def test_workers_show_the_same(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    result = run("-v", "-n2")
    result.stdout.fnmatch_lines(["*PASSED 1.1 *(lr=0.1 act=tanh) *test_net?lr:0.1-act:tanh?*"])
    result.stdout.fnmatch_lines(["*rerun: pytest *lr:0.1-act:relu*--sweep-rerun"])


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["plain", "workers"])
@pytest.mark.parametrize("width", [60, 80])
def test_verbose_lines_keep_to_the_width(run, monkeypatch, width, workers):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = [line for line in run("-v", *workers).outlines if "%]" in line]
    assert sum("PASSED" in line for line in lines) == 7
    assert max(map(len, lines)) <= width


def test_unit_tests_beside_a_sweep_need_no_section(pytester):
    pytester.makepyfile("def test_one(): pass")
    assert "hypersearch" not in "\n".join(pytester.runpytest("--sweep").outlines[5:])


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_only_what_the_terminal_can_show_is_written(pytester, monkeypatch, encoding):
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.sweep(grid={"x": [1, 2], "name": ["größe", "b"]}, replicates=2)
        def test_it(x, name, trial):
            return x + trial.replicate
        """
    )
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    result = pytester.runpytest_subprocess("--sweep")
    text = result.stdout.str()
    assert result.ret == 0
    assert ("+/-" in text) == (encoding == "ascii")
    assert ("±" in text) == (encoding == "utf-8")


def test_an_interrupted_run_says_how_to_go_on(pytester):
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.sweep(grid={"x": range(6)})
        def test_it(x):
            if x == 3:
                raise KeyboardInterrupt
            return x
        """
    )
    result = pytester.runpytest_subprocess("--sweep")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["interrupted at 3/6: continue with pytest --sweep --sweep-resume"])


def in_a_terminal(command, columns=80):
    """The bytes that a command writes to a terminal."""
    terminal, child = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": str(columns)}
    process = subprocess.Popen(command, env=environment, stdin=child, stdout=child, stderr=child)
    os.close(child)
    written = b""
    while True:
        try:
            some = os.read(terminal, 65536)
        except OSError:
            break
        if not some:
            break
        written += some
    process.wait()
    os.close(terminal)
    return written.decode()


SLOW = SWEPT.replace("    if lr ==", "    import time; time.sleep(0.15)\n    if lr ==")


LATE = shlex.join([sys.executable, "-c", "import time; time.sleep(99)"])
ELSEWHERE = ("--sweep-on={python}", f"--sweep-on={LATE} {{args}}")


@pytest.mark.parametrize("workers", [(), ("-n2",), ELSEWHERE], ids=["plain", "n2", "elsewhere"])
def test_a_terminal_follows_the_sweep_in_one_line(pytester, workers):
    pytester.makepyfile(test_net=SLOW)
    command = [sys.executable, "-m", "pytest", "--sweep", "--tb=no", *workers]
    written = in_a_terminal(command)
    lines = re.findall(r"\r\x1b\[K(\[#*-*\] [^\r\n]*)", written)
    assert len(lines) >= 2
    assert all(len(line) < 80 for line in lines)
    # Of two workers, either may end its trials first.
    assert re.match(r"\[#+-*\] test_net \d/6 best [01]\.\d \(#\d\)", lines[1])
    assert ("1 worker, 1 awaited" in lines[1]) == (workers == ELSEWHERE)
    # What comes after the last of them begins in an emptied line.
    rest = written.rpartition(lines[-1])[2]
    assert rest.startswith("\r\x1b[K")
    assert "\x1b[31m" in written or "failed" in rest


def test_logs_get_milestones_instead(pytester):
    pytester.makepyfile(test_net=SWEPT)
    pytester.makeconftest(
        "from pytest_hypersearch.plugin import live\nlive.MILESTONE_SECONDS = 0.0\n"
    )
    result = pytester.runpytest_subprocess("--sweep", "--tb=no")
    text = result.stdout.str()
    assert "\r" not in text
    result.stdout.re_match_lines([r"test_net 3/6 best 0\.1 \(#0\).*"])


def test_control_characters_of_users_are_shown_not_obeyed(pytester):
    pytester.makepyfile(
        r"""
        import pytest
        @pytest.mark.sweep(grid={"x": ["\x1b[31mred", "::error::boo\nnext"]})
        def test_it(x):
            return len(x)
        """
    )
    result = pytester.runpytest("--sweep", "-vv", "--color=no")
    text = result.stdout.str()
    assert "\x1b[31mred" not in text
    assert not any(line.lstrip().startswith("::error") for line in result.outlines)
