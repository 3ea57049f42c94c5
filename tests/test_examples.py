"""The examples and the README, run as their readers would run them."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from pytest_hypersearch.results.cli import main

ROOT = Path(__file__).parents[1]


def shape_of(lines):
    """The sweeps' section without its numbers: a model's differ from machine to machine."""
    start = next(place for place, line in enumerate(lines) if "= hypersearch =" in line)
    words = " ".join(line for line in lines[start:] if not line.startswith("====")).split()
    return [re.sub(r"\d[\d.e+-]*", "0", word) for word in words]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def block(language, text):
    """The block of the README that has this text."""
    return next(block for block in blocks(language) if text in block)


def test_examples_find_good_configurations(pytester, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    shutil.copytree(ROOT / "examples", pytester.path / "examples")
    result = pytester.runpytest_subprocess("--sweep", "examples")
    counts = result.parseoutcomes()
    passed = counts["passed"] + counts["pruned"] + counts["tolerated"]
    assert passed == 27 + 81 + 81 + 1 + 20 + 20 + 1 + 3 * 48 + 24 + 1 + 48
    assert counts["no"] == 2  # no baseline
    result.stdout.re_match_lines(
        [
            r".*test_booth +grid +27 of 27 complete +min final_value .*",
            r".*test_booth +random +81 of 81 complete +.*",
            r".*test_booth +bayes +81 of 81 complete +.*",
            r".*test_digits +random +20 of 20 complete +max accuracy 0\.9\d+",
            r".*test_digits +bayes +20 of 20 complete +max accuracy 0\.9\d+",
            r".*test_nearest_neighbours +grid +24 of 24 complete +max accuracy 0\.9\d+",
            r".*test_network +grid +\d+ of 48.* +min val_loss 0\.2\d+",
            r".*test_prompts +grid +48 of 48 complete +max grade 0\.[89]\d+",
            r"examples/test_knn\.py::test_nearest_neighbours \[gate accuracy >= 0\.9\]  met .*",
        ]
    )


def test_examples_are_skipped_without_the_option(pytester):
    shutil.copytree(ROOT / "examples", pytester.path / "examples")
    result = pytester.runpytest("examples")
    result.assert_outcomes(skipped=3 + 1 + 2 + 1 + 3 + 1 + 1)


def test_readme_shows_what_its_first_test_prints(pytester):
    pytester.makepyfile(test_booth=blocks("python")[0])
    result = pytester.runpytest("--sweep", "-n4")
    result.assert_outcomes(passed=75)
    shown = shape_of(blocks("console")[0].splitlines())
    assert shape_of(result.outlines) == shown


def test_readme_works_without_pytest(capsys):
    example = block("python", "Optimizer")
    exec(compile(example, "README.md", "exec"), {})  # noqa: S102
    shown = capsys.readouterr().out
    assert re.fullmatch(r"<bayes #\d+: score 1\S*: lr=0\.0\d+, layers=1>\n", shown)


def test_readme_finds_a_front(pytester):
    example = block("python", "test_tradeoff")
    pytester.makepyfile(
        test_net="import pytest\nfrom pytest_hypersearch import randint, uniform\n" + example
    )
    result = pytester.runpytest("--sweep")
    result.assert_outcomes(passed=31)
    result.stdout.re_match_lines([r"  \d+ on the Pareto front .*"])


@pytest.mark.parametrize("name", ["test_training", "test_the_best_model"])
def test_readme_training_works(pytester, name):
    pytester.makepyfile(
        "import pytest\n"
        "class Model:\n"
        "    size = 3\n"
        "    def __init__(self, lr): self.lr = lr\n"
        "    def train(self, seed): return self.lr + seed % 7\n"
        "    def save(self, path): path.write_text(str(self.lr))\n"
        "    @classmethod\n"
        "    def load(cls, path): return cls(float(path.read_text()))\n"
        "    def accuracy(self): return 1 - self.lr\n"
        "    def is_good(self): return self.lr == 0.01\n" + block("python", "test_training")
    )
    result = pytester.runpytest("--sweep", "-v")
    result.assert_outcomes(passed=11)
    result.stdout.fnmatch_lines([f"*::{name}*PASSED*"])


def test_readme_spends_less(pytester):
    pytester.makepyfile(
        "import pytest\nfrom pytest_hypersearch import loguniform\n"
        "@pytest.fixture\n"
        "def dataset(): return 3\n"
        "class Network:\n"
        "    def __init__(self, lr, seed): self.loss = 0.1 + lr + seed % 7 / 1000\n"
        "    def train(self, dataset): return self.loss\n" + block("python", "test_network")
    )
    result = pytester.runpytest("--sweep")
    result.stdout.re_match_lines([r"=+ \d+ passed, \d+ pruned, \d+ raced out in .*"])


MLP = """
import pytest
from pytest_hypersearch import choice, loguniform

SPACE = {"lr": loguniform(1e-3, 0.1), "act": choice(["relu", "tanh"])}

@pytest.mark.sweep(bayes=SPACE, n_trials=4, metric="loss", replicates=3)
@pytest.mark.sweep(random=SPACE, n_trials=12, metric="loss", replicates=3)
def test_mlp(lr, act, trial):
    return abs(lr - 0.02) + 0.01 * (act == "relu") + 0.001 * trial.rng.normal()
"""


def test_readme_looks_at_results(pytester, capsys):
    pytester.makepyfile(test_mlp=MLP)
    for _ in range(2):
        pytester.runpytest("--sweep").assert_outcomes(passed=48)
    names = {}
    exec(compile(block("python", "load_results()"), "README.md", "exec"), names)  # noqa: S102
    assert "loss by strategy (lower is better)" in capsys.readouterr().out
    assert len(names["table"]) == len(names["good"]) > 0
    assert (pytester.path / "good.csv").stat().st_size > 0


def test_readme_commands_find_something(pytester, capsys):
    pytester.makepyfile(test_mlp=MLP)
    for _ in range(2):
        pytester.runpytest("--sweep")
    console = block("console", "$ pytest-hypersearch list")
    commands = [line.removeprefix("$ pytest-hypersearch ") for line in console.splitlines()]
    assert len(commands) == 9
    for command in commands:
        assert main(shlex.split(command)) == 0, command
        assert not capsys.readouterr().err, command
