"""The workflows of the CI guide, played with directories in place of jobs, caches and artifacts.

What GitHub does is played: checkouts, caches, artifacts, expressions, and ``gh`` for comments. The
commands of the steps run as they are written.
"""

import json
import os
import re
import shutil
import subprocess
from functools import reduce
from itertools import product
from operator import getitem
from pathlib import Path

import pytest
import yaml
from docs_parts import NOT_RUN, PAGES, blocks_of

GUIDE = [*blocks_of(PAGES["how-to/ci.md"].read_text())]
WORKFLOWS = {
    Path(block.file).stem: block.text for block in GUIDE if block.file.startswith(".github/")
}
RUNS = ".pytest_cache/d/hypersearch"
WORSE = "def loss(lr, rng):\n    return abs(lr - 0.1) + 0.25 + rng.normal(0, 0.012)\n"
# Only what the guide's step asks of it.
GH = r"""#!/usr/bin/env python3
import json, re, sys
from pathlib import Path

store = Path(__file__).with_name("comments.json")
comments = json.loads(store.read_text()) if store.exists() else []
match sys.argv[1:]:
    case ["api", "repos/me/it/issues/7/comments", "--paginate", "--jq", asked]:
        form = r'\.\[\] \| select\(\.body \| startswith\("(.*)"\)\) \| \.id'
        marker = re.fullmatch(form, asked)[1]
        for number, body in enumerate(comments):
            if body.startswith(marker):
                print(number)
    case ["api", "-X", "PATCH", url, "-F", field]:
        prefix, _, number = url.rpartition("/")
        assert prefix == "repos/me/it/issues/comments", url
        comments[int(number)] = Path(field.removeprefix("body=@")).read_text()
    case ["api", "repos/me/it/issues/7/comments", "-F", field]:
        comments.append(Path(field.removeprefix("body=@")).read_text())
    case other:
        sys.exit(f"gh {other}")
store.write_text(json.dumps(comments))
"""


def git(*args):
    subprocess.run(["git", *args], check=True, capture_output=True)


class GitHub:
    """Runs workflows on a repository.

    Attributes:
        repository: Where its main branch is checked out.
        outputs: What each job of the last workflow printed.
        summaries: Their job summaries.
        lost: The names of artifacts that do not come through.
    """

    def __init__(self, reader, monkeypatch):
        self.path = reader.pytester.path
        self.repository = self.path / "repository"
        self.comments = self.path / "bin" / "comments.json"
        self.caches = {}
        self.attempts = 0
        self.lost = set()
        self._reader = reader
        self._patch = monkeypatch

    def push(self, message, branch="main", **files):
        """Commit files to a branch."""
        self._patch.chdir(self.repository)
        git("checkout", "-q", "-B", branch)
        for name, text in files.items():
            Path(f"{name}.py").write_text(text)
        git("add", "-A")
        git("commit", "-q", "-m", message)
        git("checkout", "-q", "main")

    def accept(self, artifact=""):
        """Put the scores of the last workflow's artifact, or new ones, into main's baseline."""
        self._patch.chdir(self.repository)
        command = "pytest --sweep --sweep-update-baseline=all"
        if artifact:
            update = "pytest-hypersearch baseline update sweeps.baseline.json --all"
            command = f"{update} {self._artifacts[artifact]}"
        code, output = self._reader.run(command)
        assert code == 0, output
        self.push("Accepted")

    def play(self, workflow, branch="", number="", *, fork=False):
        """Run a workflow, and return which jobs are green: of a branch, merged with main."""
        self.attempts += 1
        self.outputs, self.summaries, self._artifacts = {}, {}, {}
        head = {"repo": {"fork": fork}}
        context = {
            "repository": "me/it",
            "token": "secret",
            "run_id": 1,
            "run_attempt": self.attempts,
            "event": {"number": number, "pull_request": {"head": head}},
        }
        green = {}
        for name, job in yaml.safe_load(workflow)["jobs"].items():
            ready = "needs" not in job or green[job["needs"]]
            if not self._holds(job.get("if", "success()"), {"github": context}, ready):
                continue
            matrix = job.get("strategy", {}).get("matrix", {})
            results = []
            for values in product(*matrix.values()):
                chosen = dict(zip(matrix, values, strict=True))
                names = {"github": context, "matrix": chosen}
                label = "-".join([name, *map(str, values)])
                results.append(self._job(label, job, names, branch))
                green[label] = results[-1]
            green[name] = all(results)
        return {name: green[name] for name in self.outputs}

    def _job(self, label, job, names, branch):
        place = self.path / f"attempt-{self.attempts}" / label
        place.mkdir(parents=True)
        self.outputs[label] = self.summaries[label] = ""
        green = True
        for step in job["steps"]:
            if self._holds(step.get("if", "success()"), names, green):
                self._patch.chdir(place)
                given = {key: self._filled(text, names) for key, text in _inputs(step).items()}
                if "run" in step:
                    script = self._filled(step["run"], names).strip()
                    green &= self._run(label, script, given)
                else:
                    action = re.fullmatch(r"actions/([\w/-]+)@v\d+", step["uses"])[1]
                    getattr(self, action.replace("-", "_").replace("/", "_"))(given, branch)
        return green

    def _run(self, label, script, variables):
        if script in NOT_RUN:
            return True
        summary = self.path / "summary.md"
        summary.write_text("")
        with self._patch.context() as patch:
            for name, value in {**variables, "GITHUB_STEP_SUMMARY": str(summary)}.items():
                patch.setenv(name, value)
            patch.setenv("CI", "true")
            patch.setenv("GITHUB_ACTIONS", "true")
            patch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "0")
            code, output = self._reader.run(script)
        self.outputs[label] += output
        self.summaries[label] += summary.read_text()
        return code == 0

    def _filled(self, text, names):
        def value(match):
            return str(reduce(getitem, match[1].split("."), names))

        return re.sub(r"\$\{\{ ([\w.]+) \}\}", value, str(text))

    def _holds(self, condition, names, green):
        """Whether a condition of some of the forms that GitHub knows holds."""
        for part in condition.split(" && "):
            match part:
                case "success()" if not green:
                    return False
                case "always()" | "success()":
                    pass
                case _:
                    name = re.fullmatch(r"!([\w.]+)", part)[1]
                    if reduce(getitem, name.split("."), names):
                        return False
        return True

    def checkout(self, _given, branch):
        git("clone", "-q", str(self.repository), ".")
        if branch:
            git("merge", "-q", "--no-edit", f"origin/{branch}")

    def setup_python(self, _given, _branch):
        pass

    def cache_restore(self, given, _branch):
        keys = [key for key in self.caches if key == given["key"]]
        for prefix in given["restore-keys"].split():
            keys = keys or [key for key in reversed(self.caches) if key.startswith(prefix)]
        if keys:
            shutil.copytree(self.caches[keys[0]], given["path"], symlinks=True)

    def cache_save(self, given, _branch):
        if given["key"] not in self.caches:  # a cache is never replaced
            saved = self.path / "caches" / given["key"]
            shutil.copytree(given["path"], saved, symlinks=True)
            self.caches[given["key"]] = saved

    def upload_artifact(self, given, _branch):
        path = Path(given["path"])
        hidden = any(part.startswith(".") for part in path.parts)
        assert not hidden or given["include-hidden-files"] == "True"
        artifact = self.path / "artifacts" / f"{self.attempts}" / given["name"]
        shutil.copytree(path, artifact)  # follows links
        self._artifacts[given["name"]] = artifact

    def download_artifact(self, given, _branch):
        assert not given
        for name, artifact in self._artifacts.items():
            if name not in self.lost:
                shutil.copytree(artifact, name)


def _inputs(step):
    return {**step.get("with", {}), **step.get("env", {})}


@pytest.fixture
def github(reader, monkeypatch):
    """The repository of the guide, with the baseline that it writes."""
    github = GitHub(reader, monkeypatch)
    for block in GUIDE:
        if block.file in {"model.py", "test_train.py", "pyproject.toml"}:
            path = github.repository / block.file
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
    gh = github.path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(GH)
    gh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{gh.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(github.repository)
    git("init", "-q", "-b", "main")
    Path(".gitignore").write_text(".pytest_cache\n__pycache__\n")
    github.accept()
    return github


def test_every_workflow_of_the_guide_is_played():
    assert set(WORKFLOWS) == {"check", "pull-request", "night", "shards"}


def test_a_push_is_red_if_the_best_got_worse(github):
    assert github.play(WORKFLOWS["check"]) == {"check": True}
    assert "4 passed" in github.outputs["check"]
    github.push("Worse", model=WORSE)
    assert github.play(WORKFLOWS["check"]) == {"check": False}
    assert "1 regressed" in github.outputs["check"]


def test_a_pull_request_is_judged_by_the_baseline_of_main_and_has_one_comment(github):
    workflow = WORKFLOWS["pull-request"]
    github.push("A note", "change", notes="# Notes\n")
    github.push("Better", model=WORSE.replace("0.25", "0.15"))
    github.accept()
    assert github.play(workflow, "change", 7) == {"sweep": True}
    (comment,) = json.loads(github.comments.read_text())
    assert comment.startswith("<!-- pytest-hypersearch -->")
    assert "| same " in comment
    github.comments.write_text(json.dumps(["Looks good to me", comment]))
    github.push("Worse", "change", model=WORSE)
    assert github.play(workflow, "change", 7) == {"sweep": False}
    assert github.outputs["sweep"].count("::error file=test_train.py") == 1
    other, comment = json.loads(github.comments.read_text())
    assert other == "Looks good to me"
    assert "| REGRESSED " in comment
    assert "accept: pytest --sweep-resume --sweep-update-baseline=all" in comment
    assert github.summaries["sweep"] == comment
    github.comments.unlink()
    assert github.play(workflow, "change", 7, fork=True) == {"sweep": False}
    assert not github.comments.exists()
    assert "| REGRESSED " in github.summaries["sweep"]


def test_a_night_goes_on_where_the_last_one_stopped_also_after_a_red_one(github):
    workflow = WORKFLOWS["night"]
    slow = "import time\n\ndef loss(lr, rng):\n    time.sleep(0.02)\n"
    github.push("Slow", model=slow + "    return abs(lr - 0.1) + 0.2 + rng.normal(0, 0.01)\n")
    github.play(workflow.replace("50m", "0.01s"))
    assert " not run" in github.outputs["sweep"]
    assert github.play(workflow) == {"sweep": True}
    assert "not run" not in github.outputs["sweep"]
    assert "[gate loss]  same 0.2" in github.outputs["sweep"]
    github.push("Worse", model=WORSE)
    assert github.play(workflow) == {"sweep": False}
    assert "20 passed, 1 regressed" in github.outputs["sweep"]
    assert github.play(workflow) == {"sweep": False}
    assert "20 cached, 1 regressed" in github.outputs["sweep"]
    github.accept("sweep")
    assert github.play(workflow) == {"sweep": True}
    assert "1 passed, 20 cached" in github.outputs["sweep"]


def test_four_shards_and_what_is_made_of_them_are_red_once_for_one_regression(github):
    shards = {f"shard-{number}": True for number in (1, 2, 3, 4)}
    assert github.play(WORKFLOWS["shards"]) == {**shards, "whole": True}
    assert "20 cached" in github.outputs["whole"]
    github.lost = {"shard-2"}
    assert github.play(WORKFLOWS["shards"]) == {**shards, "whole": False}
    assert re.search(r"=+ [1-9] passed, 15 cached", github.outputs["whole"])
    github.lost = set()
    github.push("Worse", model=WORSE)
    assert github.play(WORKFLOWS["shards"]) == {**shards, "whole": False}
    assert "20 cached, 1 regressed" in github.outputs["whole"]
    assert [job for job, text in github.summaries.items() if "| REGRESSED" in text] == ["whole"]
