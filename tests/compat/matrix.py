"""Run one project beside other pytest plugins, and print a table of what works.

    python tests/compat/matrix.py                  # all plugins of the extra compat
    python tests/compat/matrix.py pytest-cov flaky # some of them

Each plugin gets a virtual environment of its own, on top of one with this package. The project is
swept in three ways: plain, with two workers, and isolated. A plugin passes if each trial runs
exactly once, the stored trials are those of a run without the plugin, and so is the exit code.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROJECT = Path(__file__).parent / "project"
WAYS = {"plain": [], "-n 2": ["-n", "2"], "isolated": []}
PATIENCE = 300

# Options by which a plugin that does nothing by itself takes part.
OPTIONS = {
    "allure-pytest": ["--alluredir=allure"],
    "pytest-cov": ["--cov=."],
    "pytest-fail-slow": ["--fail-slow=60"],
    "pytest-forked": ["--forked"],
    "pytest-html": ["--html=report.html"],
    "pytest-instafail": ["--instafail"],
    "pytest-json-report": ["--json-report"],
    "pytest-memray": ["--memray"],
    "pytest-mpl": ["--mpl"],
    "pytest-order": ["--sparse-ordering"],
    "pytest-random-order": ["--random-order"],
    "pytest-reportlog": ["--report-log=log.jsonl"],
    "pytest-rerunfailures": ["--reruns=2"],
    "pytest-retry": ["--retries=2"],
    "pytest-rich": ["--rich"],
    "pytest-split": ["--splits=1", "--group=1"],
    "pytest-testmon": ["--testmon"],
    "pytest-timeout": ["--timeout=60"],
    "flaky": ["--force-flaky", "--max-runs=3"],
    "teamcity-messages": ["--teamcity"],
}
# What is rejected at collection, and the way out that the error names.
REJECTED = {"pytest-forked": "sweep(isolate=True)"}

LOAD = """
import json
from pytest_hypersearch import load_results
rows = [
    [trial.nodeid, trial.number, trial.replicate, trial.params, str(trial.state), trial.score]
    for trial in load_results()
]
print(json.dumps(sorted(rows)))
"""


class Environment:
    """A virtual environment on top of others."""

    def __init__(self, folder: Path, below: list[Path], *requirements: str) -> None:
        self.python = folder / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        (self.packages,) = folder.glob("lib/python*/site-packages")
        lines = "".join(f"{path}\n" for path in below)
        (self.packages / "below.pth").write_text(lines)
        command = [sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet"]
        subprocess.run([*command, "--disable-pip-version-check", *requirements], check=True)

    def run(self, *args: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python; without what the environment of this process says of pytest."""
        given = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
        return subprocess.run(
            [self.python, *args],
            cwd=folder,
            env={**given, "PYTHONPATH": "", "OMP_NUM_THREADS": "1", **variables},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def version(self, package: str) -> str:
        """The installed version of a package."""
        code = f"from importlib.metadata import version; print(version({package!r}))"
        return self.run("-c", code, folder=PROJECT).stdout.strip()


@dataclass(frozen=True)
class Session:
    """What a session left.

    Attributes:
        code: Its exit code.
        output: What it printed.
        repeated: Trials that ran more than once.
        stored: All trials: node id, number, replicate, parameters, state, score.
    """

    code: int
    output: str
    repeated: list[str]
    stored: list[list[Any]]


def swept(environment: Environment, way: str, options: list[str]) -> Session:
    """Sweep a copy of the project."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "project"
        shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))
        variables = {"ISOLATE": str(int(way == "isolated"))}
        args = ["-m", "pytest", "--sweep", *WAYS[way], *options]
        done = environment.run(*args, folder=folder, **variables)
        ran = folder / "ran"
        counts = Counter(ran.read_text().splitlines() if ran.exists() else ())
        stored = environment.run("-c", LOAD, folder=folder).stdout
        repeated = sorted(name for name, count in counts.items() if count != 1)
        output = done.stdout + done.stderr
        return Session(done.returncode, output, repeated, json.loads(stored or "[]"))


def verdict(environment: Environment, way: str, plugin: str, expected: Session) -> str:
    """How the project fares with a plugin."""
    try:
        found = swept(environment, way, OPTIONS.get(plugin, []))
    except subprocess.TimeoutExpired:
        return "hangs"
    if plugin in REJECTED:
        named = found.code and not found.stored and REJECTED[plugin] in found.output
        return "rejected" if named else f"not rejected, exit code {found.code}"
    if found.repeated:
        return f"{len(found.repeated)} trials repeated"
    if found.stored != expected.stored:
        return f"{sum(row not in found.stored for row in expected.stored)} trials differ"
    return "works" if found.code == 0 else f"exit code {found.code}"


def main(plugins: list[str]) -> int:
    """Print the table; return 1 if a plugin neither works nor is rejected as it should be."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    plugins = plugins or extras["optional-dependencies"]["compat"]
    with tempfile.TemporaryDirectory() as parent:
        base = Environment(Path(parent) / "base", [], str(ROOT))
        expected = swept(base, "plain", [])
        assert expected.code == 0, expected.output
        versions = {name: base.version(name) for name in ("pytest", "pytest-xdist")}
        print(f"Python {sys.version.split()[0]}, {', '.join(map(' '.join, versions.items()))}\n")
        print("| plugin | options |", " | ".join(WAYS), "|")
        print("|---|---|", "---|" * len(WAYS), sep="")
        good = True
        for plugin in plugins:
            environment = Environment(Path(parent) / plugin, [base.packages], plugin)
            found = [verdict(environment, way, plugin, expected) for way in WAYS]
            good &= set(found) <= {"works", "rejected"}
            name = f"{plugin} {environment.version(plugin)}"
            options = " ".join(OPTIONS.get(plugin, []))
            print(f"| {name} | {options and f'`{options}`'} |", " | ".join(found), "|", flush=True)
            shutil.rmtree(environment.python.parents[1])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
