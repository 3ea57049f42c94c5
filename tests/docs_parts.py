"""The blocks of the documentation's pages, and a reader who does what they say."""

import re
import runpy
import shlex
import subprocess
from contextlib import redirect_stdout
from dataclasses import dataclass
from glob import glob
from io import BytesIO, TextIOWrapper
from pathlib import Path

from pytest_hypersearch.results.cli import main

ROOT = Path(__file__).parents[1]
PAGES = {str(page.relative_to(ROOT / "docs")): page for page in (ROOT / "docs").rglob("*.md")}
PATIENCE = 120

# Installing needs the network, viewers do not end, and MLflow and W&B take seconds to start: the
# trackers have tests of their own.
NOT_RUN = {
    'pip install "pytest-hypersearch[mlflow]"',
    'pip install "pytest-hypersearch[tensorboard]"',
    'pip install "pytest-hypersearch[wandb]"',
    'pip install "pytest-hypersearch[optuna]"',
    "pip install pytest-hypersearch",
    'pip install -e ".[test]"',
    'pip install "pytest-hypersearch[report]"',
    "pip install pytest-timeout",
    "pytest --sweep --sweep-track=mlflow",
    "pytest --sweep --sweep-track=wandb",
    "mlflow ui --backend-store-uri sqlite:///mlflow.db",
    "pytest-hypersearch report --serve",
    "tensorboard --logdir runs",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: ``python``, ``console`` and so on.
        file: Its caption: the file whose content it is, empty without.
        text: What is between the fences, without options.
    """

    language: str
    file: str
    text: str


def blocks_of(page):
    for info, body in re.findall(r"^```(\S.*)\n((?:.*\n)*?)```$", page, re.MULTILINE):
        if info.startswith(("{code-block} ", "python", "console", "toml", "yaml", "text")):
            options, text = re.fullmatch(r"((?::.*\n)*)\n?((?:.*\n)*)", body).groups()
            caption = re.search(r":caption: (.*)", options)
            language = info.removeprefix("{code-block} ")
            yield Block(language, caption[1] if caption else "", text)


def dialog_of(text):
    """The commands of a console block, each with the lines that it prints."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        yield command, shown


def shape_of(line):
    """A line without its numbers, and with rulers and gaps of one length."""
    line = re.sub(r"\d[\d.e+-]*", "0", line)
    return " ".join(re.sub(r"([=-])\1+", r"\1", line).split())


def missing_in(output, shown):
    """The first shown line that does not come in the output after those before it."""
    lines = iter([shape_of(line) for line in output.splitlines()])
    wanted = [line for line in shown if line.strip()]
    return next((line for line in wanted if shape_of(line) not in lines), None)


class Reader:
    """Does in an own directory what a page tells its reader to do."""

    def __init__(self, pytester):
        self.pytester = pytester
        self.unused = set()

    def follow(self, block):
        if block.language == "console":
            for command, shown in dialog_of(block.text):
                self.check(command, shown)
        elif block.file:
            self.write(block)

    def write(self, block):
        path = self.pytester.path / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        if block.language != "yaml":  # workflows are played in test_workflows.py
            self.unused.add(block.file)

    def check(self, command, shown):
        if command in NOT_RUN:
            assert not shown, f"{command}: shows what nobody checks"
            return
        code, output = self.run(command)
        self.unused.clear()
        fails = any(
            re.search(r"^(=.*\d (failed|error|regressed|missed)|ERROR: )", s) for s in shown
        )
        assert bool(code) == fails, f"$ {command}\n{output}"
        line = missing_in(output.replace(str(self.pytester.path), "/project"), shown)
        assert line is None, f"$ {command}\nexpected: {line}\n{output}"

    def run(self, command):
        """Run a command; what is Python in this process, which spares the start of another."""
        words = [] if "\n" in command else shlex.split(command)
        match [path for word in words for path in sorted(glob(word)) or [word]]:  # noqa: PTH207  as a shell
            case ["pytest", *args]:
                result = self.pytester.runpytest_inprocess(*args)
                return result.ret, "\n".join([*result.outlines, *result.errlines])
            case ["pytest-hypersearch", *args]:
                return printed(lambda: main(args))
            case ["python", script]:
                return printed(lambda: runpy.run_path(script, run_name="__main__") and 0)
        done = subprocess.run(
            ["bash", "-ec", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout


def printed(call):
    """What a call returns and prints."""
    with redirect_stdout(TextIOWrapper(BytesIO(), "utf-8")) as output:
        code = call()
        output.flush()
        return code, output.buffer.getvalue().decode()
