"""The command pytest-hypersearch on stored sweeps: what it prints, and how it ends."""

import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_hypersearch.results.cli import main
from pytest_hypersearch.results.cli.tables import _shared
from pytest_hypersearch.results.results import load_results
from pytest_hypersearch.store.annotations import annotate
from pytest_hypersearch.store.journal import batches, decode, encode
from pytest_hypersearch.store.runs import Run

FORMS = ("github", "latex", "html", "json", "csv")
ROOT = Path(__file__).parents[1]


class Command:
    """Runs the command in this process, in the directory of the project."""

    def __init__(self, capsys):
        self._capsys = capsys

    def __call__(self, *args):
        try:
            code = main(list(args))
        except SystemExit as end:
            code = end.code
        out, self.errors = self._capsys.readouterr()
        self.lines = out.splitlines()
        self.out = out
        return code


@pytest.fixture
def command(swept, monkeypatch, capsys):
    monkeypatch.chdir(swept)
    monkeypatch.setenv("COLUMNS", "80")
    return Command(capsys)


def process(folder, *args, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "pytest_hypersearch", *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_list_has_a_line_for_each_run(command):
    assert command("list") == 0
    assert len(command.lines) == 2 + 8
    assert all(len(line) <= 80 for line in command.lines)
    assert command("list", "test_net", "--format", "json") == 0
    rows = json.loads(command.out)
    assert [row["run"] for row in rows] == ["0001", "0002"]
    assert rows[0]["complete"] == 45
    assert rows[0]["planned"] == 48
    assert rows[0]["best"] < rows[1]["best"]


def test_tags_and_notes_are_kept_beside_the_journal(swept, tmp_path, monkeypatch, capsys):
    shutil.copytree(swept, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("DEPLOY_TOKEN", "a-very-secret-token")
    command = Command(capsys)
    (study,) = load_results("test_net").studies
    journal = (Path(study.run) / "journal.jsonl").read_bytes()
    one = study.trials[0]
    name = f"{one.sweep}-{one.number}"
    assert command("tag", "test_net", f"{name}-r0", "good", "to check") == 0
    assert command("tag", "test_net", name, "seen") == 0
    assert command("tag", "test_net", f"{name}-r0", "to check", "--remove") == 0
    assert command.out == "untagged: 1 trial of test_it.py::test_net, run 0002\n"
    text = "password=hunter2 a-very-secret-token is fine"
    assert command("note", "test_net", "run", text, "= 1") == 0
    assert command.out == "noted: test_it.py::test_net, run 0002\n"
    with (Path(study.run) / "notes.jsonl").open("ab") as file:  # damaged: costs itself alone
        file.write(b'{"k":"note","tags":["forged"],"c":1}\n{"k":"note","ta')
    assert command("note", "test_net", one.nodeid, "=1+1") == 0
    results = load_results("test_net")
    assert [t.tags for t in results[:2]] == [("good", "seen"), ("seen",)]
    assert results.studies[0].note == "password=*** *** is fine = 1"
    assert len(results.filter(tags__contains="good")) == 1
    assert len(results.filter(run_note__contains="fine")) == len(results)
    assert command("show", "test_net", "--filter", "tags~good", "--format", "csv") == 0
    ((row),) = csv.DictReader(io.StringIO(command.out))
    assert (row["tags"], row["note"]) == ("good, seen", "'=1+1")
    assert command("show", "test_net") == 0
    assert f"{name}-r0 [good, seen] =1+1" in command.out
    assert "run 0002 password=*** *** is fine = 1" in command.out
    assert command("list", "test_net", "--format", "json") == 0
    assert json.loads(command.out)[-1]["note"] == "password=*** *** is fine = 1"
    assert command("export", "-", "test_net", "--to", "json") == 0
    trials = json.loads(command.out)["studies"][0]["trials"]
    assert (trials[0]["tags"], trials[0]["note"]) == (["good", "seen"], "=1+1")
    assert command("export", "-", "test_net", "--to", "csv") == 0
    assert next(csv.DictReader(io.StringIO(command.out)))["tags"] == "good, seen"
    assert (Path(study.run) / "journal.jsonl").read_bytes() == journal
    assert command("note", "test_net", "run", "") == 0
    tags = [f"t{k}" for k in range(12)]
    with ThreadPoolExecutor(6) as pool:  # nobody's tags are lost
        list(pool.map(lambda tag: annotate(Run(Path(study.run)), [None], add=[tag]), tags))
    (study,) = load_results("test_net").studies
    assert (study.note, sorted(study.tags)) == ("", sorted(tags))
    for args, problem in [
        (("tag", "test_net", "nope-1", "good"), "'nope-1': expected a trial such as"),
        (("tag", "test_net", "run", "a,b"), "expected 1 to 60 characters without a comma"),
        (("note", "test_net", "run", "x" * 10_001), "expected at most 10000"),
        (("tag", ".", "run", "good"), "expected one test, not"),
    ]:
        assert command(*args) == 2
        assert problem in command.errors


def test_groups_are_sorted_and_cut(command):
    asked = ("show", "test_net", "--group-by", "strategy,opt", "--format", "csv")
    assert command(*asked, "--sort=-n", "--columns", "opt,n,metric") == 0
    rows = list(csv.DictReader(io.StringIO(command.out)))
    assert list(rows[0]) == ["params.opt", "n", "metric"]
    counts = [int(row["n"]) for row in rows]
    assert counts == sorted(counts, reverse=True)
    assert command(*asked, "--columns", "nope") == 2
    assert "nope: expected one of strategy, params.opt, metric, n, mean" in command.errors


def test_each_command_has_examples(command):
    for name in ("list", "show", "best", "compare", "history", "export", "report", "clean"):
        assert command(name, "--help") == 0
        assert f"examples:\n  pytest-hypersearch {name}" in command.out


def test_what_cannot_be_written_is_named(command):
    assert command("export", "nowhere/out.csv", "--to", "csv") == 2
    assert command.errors == "pytest-hypersearch: nowhere/out.csv: No such file or directory\n"
    assert command("show", "--columns", "lr,") == 2
    assert "'lr,': expected comma-separated names" in command.errors


def test_show_is_the_summary(command):
    assert command("show", "test_net") == 0
    assert command.lines[0] == "test_it.py::test_net"
    assert "grid of 4 (2x2), 3 replicates: " in command.out
    assert "failed: AssertionError: too high (3)" in command.out
    assert "rerun: pytest" in command.out
    assert command("show", "test_net", "-v") == 0
    assert "top 10 of 15 by loss (lower is better)" in command.out


def test_show_groups_filters_sorts_and_chooses_columns(command):
    assert command("show", "test_net", "--group-by", "opt", "--filter", "strategy=grid") == 0
    assert command.lines[0] == "loss by opt (lower is better)"
    assert [line.split()[0] for line in command.lines[3:]] == ["adam", "sgd"]
    columns = ("--columns", "number,params.lr,score", "--sort=-score")
    assert command("show", "test_net", "--filter", "params.lr<0.05", *columns) == 0
    assert command.lines[0].split() == ["number", "params.lr", "score"]
    scores = [float(line.split()[-1]) for line in command.lines[2:]]
    assert scores == sorted(scores, reverse=True)
    assert all(float(line.split()[1]) < 0.05 for line in command.lines[2:])


def test_missing_values_sort_last_both_ways(command):
    for by in ("score", "-score"):
        columns = ("--columns", "score", f"--sort={by}", "--filter", "strategy=grid")
        assert command("show", "test_net", *columns, "--format", "json") == 0
        scores = [row["score"] for row in json.loads(command.out)]
        assert scores[-3:] == [None] * 3
        assert None not in scores[:-3]


def test_show_writes_tables_for_documents_json_and_csv(command):
    assert command("show", "test_hostile", "--format", "github", "--columns", "name,score") == 0
    assert command.lines[0].replace(" ", "") == "|params.name|score|"
    assert command.lines[1].endswith("-:|")
    assert all(line.replace("\\|", "").count("|") == 3 for line in command.lines)
    assert len(command.lines) == 2 + 6
    assert "<script>" not in command.out.replace("\\<script\\>", "")
    assert command("show", "test_hostile", "--format", "html", "--columns", "name,score") == 0
    assert "<script>" not in command.out
    assert command.out.count("<tr>") == 1 + 6
    assert command("show", "test_net", "--format", "latex", "--columns", "number,score") == 0
    assert command.lines[0] == r"\begin{tabular}{rr}"
    assert command("show", "test_net", "--format", "json") == 0
    assert len(json.loads(command.out)) == 48
    assert command("show", "test_hostile", "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(command.out)))
    assert rows[0]["params.name"].startswith("'=cmd")
    assert command("show", "test_net", "--group-by", "opt", "--format", "json") == 0
    assert {row["params.opt"] for row in json.loads(command.out)} == {"adam", "sgd"}


def test_show_pivots(command, net):
    asked = ("show", "test_net", "--rows", "strategy", "--columns", "opt")
    assert command(*asked, "--format", "json") == 0
    cells = {(row["strategy"], row["opt"]): row for row in json.loads(command.out)}
    assert len(cells) == 4
    for (strategy, opt), cell in cells.items():
        best = net.filter(strategy=strategy, opt=opt).best()[0]
        assert (cell["n"], cell["mean"], cell["std"]) == (3, best.mean, best.std)
    for opt in ("adam", "sgd"):
        best = min(("grid", "random"), key=lambda name: cells[name, opt]["mean"])
        assert [name for name in ("grid", "random") if cells[name, opt]["best"]] == [best]
    assert command(*asked) == 0
    title = "loss (lower is better): mean ± std over replicates of the best configuration"
    assert command.lines[0] == title
    assert command.lines[1].split() == ["strategy", "adam", "sgd"]
    assert re.fullmatch(r"random +\*0\.\d+ ± 0\.\d+ +\*0\.\d+ ± 0\.\d+", command.lines[4])
    assert command(*asked, "--format", "latex") == 0
    assert command.lines[5].count(r"\textbf{0.") == command.out.count(r"\textbf{") == 2
    assert command("show", "test_net", "--rows", "strategy", "--metric", "loss,lr") == 0
    assert command.lines[2].split() == ["strategy", "loss", "lr"]
    asked = ("show", "test_net@all", "--rows", "strategy", "--columns", "opt")
    assert command(*asked) == 0
    assert "over studies" in command.lines[0]
    assert command(*asked, "--format", "json") == 0
    for cell in json.loads(command.out):  # the first run was better by 0.5 throughout
        mean = cells[cell["strategy"], cell["opt"]]["mean"] - 0.25
        assert (cell["n"], cell["mean"]) == (2, pytest.approx(mean))
        assert cell["std"] == pytest.approx(0.5 / 2**0.5)
    rows = ("--rows", "opt")
    refused = [("--metric", "loss"), (*rows, "--sort", "n"), (*rows, "--filter", "status=failed")]
    for wrong in (*refused, (*rows, "--metric", "nothing"), ("--rows", "nothing")):
        assert command("show", "test_net", *wrong) == 2, wrong
        assert len(command.errors.splitlines()) == 1


@pytest.mark.parametrize("args", [(), ("--group-by", "name"), ("--columns", "name,text,score")])
def test_what_users_wrote_cannot_command_a_terminal(command, args):
    assert command("show", "test_hostile", *args) == 0
    assert not any(line.startswith("::") for line in command.lines)
    assert "a|b\n" not in command.out


def test_best_prints_parameters(command, swept):
    params = load_results(swept).filter(test="test_net").best()[0].params
    assert command("best", "test_net") == 0
    assert json.loads(command.out) == params
    assert command("best", "test_other[x]", "--filter", "a<0.5") == 0
    assert json.loads(command.out)["a"] < 0.5


def test_best_prints_the_command_that_runs_it_again(command, swept):
    assert command("best", "test_net", "--format", "pytest") == 0
    trials = load_results(swept).filter(test="test_net").best()[0].trials
    items = [trial.nodeid for trial in trials]
    assert shlex.split(command.out) == ["pytest", *items, "--sweep-rerun"]
    found = subprocess.run(
        [sys.executable, "-m", *shlex.split(command.out), "--collect-only", "-q"],
        cwd=swept,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.splitlines()[:3] == items


@pytest.fixture
def forged(swept, tmp_path, monkeypatch, capsys):
    """Copies the project, changes records of ``test_net``, and runs a command on the copy."""
    folder = tmp_path / "project"
    shutil.copytree(swept, folder)
    (folder / "setup.py").touch()
    for place in (".pytest_cache", "evil"):
        (folder / place).mkdir(exist_ok=True)
        (folder / place / "test_evil.py").touch()
    (tmp_path / "test_evil.py").touch()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")

    def forge(change):
        for journal in folder.glob("**/*-test_net/*/journal.jsonl"):
            with journal.open("rb") as file:
                records = decode([body for bodies, _ in batches(file) for body in bodies])
            journal.write_bytes(b"".join(encode(change(record)) for record in records))
        return Command(capsys)

    return forge


@pytest.mark.parametrize(
    "item",
    [
        "-oaddopts=-p evil",
        "-pevil::test_f",
        "test_it.py",
        "test_gone.py::test_f",
        "setup.py::test_f",
        ".pytest_cache/test_evil.py::test_f",
        "evil/../.pytest_cache/test_evil.py::test_f",
        "../test_evil.py::test_f",
        "{folder}/test_it.py::test_f",
        "test_it.py::test_f[\x1b[31m]",
        "test_it.py::test_f\nrm -r .",
    ],
)
def test_what_is_no_test_of_the_project_is_not_printed_to_be_run(forged, item):
    item = item.format(folder=Path.cwd())
    command = forged(lambda record: record | ({"item": item} if "item" in record else {}))
    assert command("best", "test_net", "--format", "pytest") == 2
    assert command.out == ""
    assert "expected a test in a test file below the working directory" in command.errors
    assert controls(command.errors) == set()
    assert command("show", "test_net") == 0
    assert "rerun: pytest '-" not in command.out
    assert command("best", "test_net") == 0


def test_test_files_are_those_of_the_project_s_settings(forged):
    Path("check_it.py").touch()
    items = {"item": "check_it.py::test_f"}
    command = forged(lambda record: record | (items if "item" in record else {}))
    assert command("best", "test_net", "--format", "pytest") == 2
    Path("pytest.ini").write_text("[pytest]\npython_files = check_*.py other.py\n")
    assert command("best", "test_net", "--format", "pytest") == 0
    assert command.out.startswith("pytest check_it.py::test_f ")


def controls(text):
    return {sign for sign in text if not sign.isprintable() and sign not in "\n\t"}


EVIL = "\x1b[31m\x9b\x07\x7f\r\u202e\x00\u2028"


def poisoned(value):
    """What a record says, with control characters in all that users or tests may have chosen."""
    if isinstance(value, list):
        return [*map(poisoned, value)]
    if not isinstance(value, dict):
        return value
    kept = {name: poisoned(each) for name, each in value.items()}
    texts = ("item", "nodeid", "worker", "reason", "error", "metric", "opt", "note", "host")
    kept |= {name: f"{kept[name]}{EVIL}" for name in texts if isinstance(kept.get(name), str)}
    if kept.get("kind") == "choice":
        kept["options"] = [
            f"{each}{EVIL}" if isinstance(each, str) else each for each in kept["options"]
        ]
    for name in ("metrics", "logged"):
        if name in kept:
            kept[name] = {f"{metric}{EVIL}": each for metric, each in kept[name].items()}
    return kept


@pytest.mark.parametrize(
    "args",
    [
        ("list",),
        ("list", "nothing"),
        ("show",),
        ("show", "-v"),
        ("show", "--group-by", "opt"),
        ("show", "--columns", "opt,reason,error,logged__note,item,score"),
        ("show", "--columns", "nothing"),
        ("show", "--rows", "opt", "--columns", "params__lr"),
        ("best", "--filter", "status=success"),
        ("best", "--format", "pytest"),
        ("compare", "@1", "@2"),
        ("compare", "@1", "@2", "--format", "csv"),
        ("export", "-", "--to", "csv"),
        ("export", "-", "--to", "json"),
        ("clean", "--keep", "1"),
        *(("show", "--format", form) for form in FORMS),
        *(("list", "--format", form) for form in FORMS),
    ],
)
def test_no_command_prints_control_characters(forged, args):
    for other in Path(".pytest_cache/d/hypersearch").glob("*"):
        if not other.name.endswith("-test_net"):
            shutil.rmtree(other)
    command = forged(poisoned)
    assert command(*args) in {0, 1, 2, 3}
    assert command.out or command.errors
    assert controls(command.out) == controls(command.errors) == set()


def test_compare_ends_as_the_verdict_says(command):
    assert command("compare", "test_net@1", "test_net@2") == 1
    assert command.lines[0] == "test_it.py::test_net  loss (lower is better)"
    assert command.lines[1].startswith("  REGRESSED ")
    assert command("compare", "test_net@1", "test_net@2", "--tolerance", "0.6") == 0
    assert command.lines[1].startswith("  same ")
    assert command("compare", "test_net@2", "test_net@-2") == 0
    assert command.lines[1].startswith("  better ")
    assert command("compare", "test_other[x]@1", "test_other[x]", "--format", "json") == 0
    assert {row["loss"] for row in json.loads(command.out)} == {0.0}


def test_what_cannot_be_compared_is_no_success(command):
    filters = ("--filters", "strategy=random", "strategy=grid")
    assert command("compare", "test_net", "test_net", *filters) == 3
    assert "not comparable (other sweeps (random and grid)" in " ".join(command.out.split())
    assert command("compare", "test_net", "test_other") == 3
    assert "the test has no results now" in command.out
    assert command("compare", "test_net@-9", "test_net") == 3
    assert "there is no run -9" in command.errors
    assert command("compare", "test_other[y]@1", "test_other[y]") == 3
    assert "1 seed, 3 or more are needed" in command.out
    for wrong in ("much", ""):  # an empty variable of a CI is no default
        for args in (("compare", "test_net@1", "test_net"), ("history", "test_net")):
            assert command(*args, "--tolerance", wrong) == 2
            assert f"tolerance: {wrong!r}: expected a number of at least 0" in command.errors


def test_export_writes_files(command, tmp_path):
    for form in ("csv", "json", "parquet", "optuna"):
        assert command("export", str(tmp_path / form), "test_net", "--to", form) == 0
        assert (tmp_path / form).stat().st_size > 1000
    assert command("export", "-", "test_net", "--to", "csv", "--filter", "opt=adam") == 0
    assert {row["params.opt"] for row in csv.DictReader(io.StringIO(command.out))} == {"adam"}
    assert "\\u" not in command.out
    assert command("export", "-", "--to", "json") == 0
    assert len(json.loads(command.out)["studies"]) == 4
    assert command("export", "-", "--to", "parquet") == 2
    assert command("export", str(tmp_path / "no" / "file"), "--to", "csv") == 2
    assert "No such file" in command.errors


def runs(folder):
    return sorted(path.parent.name for path in folder.glob("**/journal.jsonl"))


def test_clean_removes_old_runs_but_none_that_is_alive(swept, tmp_path, capsys):
    command, folder = Command(capsys), tmp_path / "project"
    shutil.copytree(swept, folder)
    assert command("clean", str(folder), "--keep", "1", "--dry-run") == 0
    assert len(command.lines) == 4
    assert all(line.startswith("would remove /") for line in command.lines)
    assert runs(folder) == ["0001"] * 4 + ["0002"] * 4
    (tagged,) = folder.glob("**/*-test_hostile/0001")  # a run that somebody tagged stays
    assert command("tag", str(tagged), "run", "reference") == 0
    assert command("clean", str(folder), "--keep", "1", "--dry-run") == 0
    assert len(command.lines) == 3
    assert command("tag", str(tagged), "run", "reference", "--remove") == 0
    (alive,) = folder.glob("**/*-test_net/0001")
    run = Run(alive)
    run.acquire()
    assert command("clean", str(folder), "--keep", "1", "--dry-run") == 0
    assert len(command.lines) == 3
    assert command("clean", str(folder), "--keep", "1") == 0
    assert len(command.lines) == 3
    assert f"kept: {alive} is in use by another pytest session" in command.errors
    assert runs(folder) == ["0001"] + ["0002"] * 4
    run.close()
    assert command("clean", str(folder)) == 0
    assert runs(folder) == ["0001"] + ["0002"] * 4


def test_clean_removes_only_runs_that_were_named(swept, tmp_path, capsys):
    command = Command(capsys)
    (study,) = swept.glob("**/*-test_net")
    for name in ("0001", "0002", "0004"):
        shutil.copytree(study / "0001", tmp_path / "exp" / name)
    (tmp_path / "exp" / "0004" / "journal.jsonl").write_text("mine\n")
    for name in ("2023", "2024"):
        (tmp_path / "exp" / name).mkdir()
        (tmp_path / "exp" / name / "thesis.txt").touch()
    everything = names(tmp_path / "exp")
    assert command("clean", "--keep", "1", str(tmp_path / "exp" / "0001")) == 0
    assert (command.out, names(tmp_path / "exp")) == ("", everything)
    assert command("clean", "--keep", "1", str(tmp_path / "exp"), "--dry-run") == 0
    told = [line.removeprefix("would remove ") for line in command.lines]
    assert told == [str(tmp_path / "exp" / "0001")]
    assert command("clean", "--keep", "1", str(tmp_path / "exp")) == 0
    assert [line.removeprefix("removed ") for line in command.lines] == told
    assert names(tmp_path / "exp") == everything[1:]


def test_a_run_may_be_kept_under_any_name(swept, tmp_path, capsys):
    command = Command(capsys)
    kept = shutil.copytree(next(swept.glob("**/*-test_net")) / "0001", tmp_path / "last-good")
    assert command("show", f"{kept}@1") == 1
    assert "there is no run 1 of" in command.errors
    assert command("clean", str(kept), "--keep", "1") == 0
    assert command("list", str(kept)) == 0
    assert "test_net" in command.out


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("args", "code", "problem"),
    [
        (["show", "test_nett"], 1, "test_nett: no such path or test; there are runs of test_it"),
        (["show", "test_net@9"], 1, "there is no run 9 of test_it.py::test_net"),
        (["show", "--filter", "status=crashed"], 1, "no trials match"),
        (["best", "test_net", "--filter", "params.lr>5"], 1, "no trials match"),
        (["show", "--filter", "lrr=1"], 2, "lrr: no such name; expected one of test, run"),
        (["show", "--filter", "lr"], 2, "'lr': expected a condition such as status=success"),
        (["show", "--group-by", "lrr"], 2, "lrr: no such name"),
        (["show", "--columns", "lr"], 2, "lr is a parameter and a metric: write params__lr"),
        (["best"], 2, "best: expected one test, not test_it.py::test_hostile, test_it"),
        (["show", "test_net@1", "test_other@2"], 2, "expected the same @RUN for all"),
        (["clean", "--keep", "0"], 2, "'0': expected an integer of at least 1"),
        (["export", "x", "--to", "xml"], 2, "invalid choice: 'xml'"),
        (["shoo"], 2, "invalid choice: 'shoo'"),
        ([], 2, "the following arguments are required: COMMAND"),
    ],
)
def test_what_makes_no_sense_is_said_on_standard_error(command, args, code, problem):
    assert command(*args) == code
    assert problem in command.errors
    assert "Traceback" not in command.errors
    assert command.out == ""


@pytest.mark.parametrize("name", ["", "list", "show", "best", "compare", "export", "clean"])
def test_help_tells_how(command, name):
    assert command(*filter(None, [name]), "--help") == 0
    assert (
        "exit codes: 0 success, 1 nothing found or scores are worse, 2 usage or file error"
        in command.out
    )
    assert name or "examples:" in command.out


def test_notes_go_to_standard_error(swept, tmp_path, capsys):
    command, folder = Command(capsys), tmp_path / "project"
    shutil.copytree(swept, folder)
    (journal,) = folder.glob("**/*-test_net/0002/journal.jsonl")
    with journal.open("a") as file:
        file.write("torn")
    assert command("show", str(folder), "--format", "json", "--filter", "test=test_net") == 0
    assert len(json.loads(command.out)) == 48
    assert "note: 1 damaged line skipped in " in command.errors


def test_a_reader_that_has_seen_enough_is_no_error(swept):
    with process(swept, "export", "-", "--to", "json") as running:
        running.stdout.read(10)
        running.stdout.close()
        assert running.wait(60) == 0
        assert running.stderr.read() == ""


def test_any_encoding_of_the_terminal_will_do(swept):
    with process(swept, "show", "test_net", env={"PYTHONIOENCODING": "ascii"}) as running:
        out, errors = running.communicate(timeout=60)
    assert (running.returncode, errors) == (0, "")
    assert "+/-" in out


def test_the_command_imports_neither_numpy_nor_pandas_for_a_table(swept):
    code = (
        "import sys; from pytest_hypersearch.results.cli import main; "
        "main(['show', 'test_net', '--columns', 'number,score']); "
        "print({'numpy', 'pandas', 'scipy', 'optuna'} & set(sys.modules), file=sys.stderr)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=swept,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stderr == "set()\n"


def test_list_tells_failures_commit_and_direction(command):
    assert command("list", "--format", "json") == 0
    rows = {(row["test"], row["run"]): row for row in json.loads(command.out)}
    row = rows["test_it.py::test_net", "0002"]
    assert (row["complete"], row["failed"], row["metric"], row["mode"]) == (45, 3, "loss", "min")
    assert "commit" in row


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["a/b/test_x.py::test_f", "a/b/test_y.py::test_f"], ["test_x.py::test_f"] * 2),
        (["a/test_x.py::TestA::test_f[p/q]", "a/test_x.py::TestA::test_f[p/r]"], ["test_f[p/q]"]),
        (["test_x.py::test_f"] * 2, ["test_f"] * 2),
        (["test_x.py::test_f", "other/test_x.py::test_f"], ["test_x.py::test_f"]),
    ],
)
def test_list_shows_the_part_of_names_that_differs(names, shown):
    assert names[0][_shared(names) :] == shown[0]
