"""The parser of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from textwrap import dedent

from pytest_hypersearch.core.goals import TOLERANCE
from pytest_hypersearch.results.cli import commands, tables
from pytest_hypersearch.results.cli.selection import INCOMPARABLE, NOTHING
from pytest_hypersearch.results.export import MARKUP

_WHAT = """
    WHAT is a test (its node id or the end of it) or a path (a project directory, a pytest cache,
    or a study or run directory in it); default: all tests of the project that contains the
    current directory. WHAT@RUN selects a run other than the newest: a run number, -2 for the one
    before the newest, a name given by --sweep-name, the beginning of the commit hash that was run,
    or all.
"""
_EXITS = (
    "exit codes: 0 success, 1 nothing found or scores are worse, 2 usage or file error, "
    "3 nothing to compare"
)
_EXAMPLES = (
    "pytest-hypersearch list",
    "pytest-hypersearch list shard-1/.pytest_cache shard-2/.pytest_cache",
    "pytest-hypersearch show test_mlp --group-by optimizer --filter 'lr<0.1'",
    "pytest-hypersearch show test_mlp --group-by lr,optimizer --sort=-n --columns lr,n,mean",
    "pytest-hypersearch show --columns number,lr,score --sort score --format github",
    "pytest-hypersearch show test_mlp --rows optimizer --columns data --format latex",
    "pytest-hypersearch show test_mlp --rows strategy --metric loss,accuracy",
    "pytest-hypersearch best test_mlp > best.json",
    'eval "$(pytest-hypersearch best test_mlp --format pytest)"',
    "pytest-hypersearch compare test_mlp@-2 test_mlp",
    "pytest-hypersearch compare test_mlp@1f3c9ab test_mlp --tolerance 0.005",
    "pytest-hypersearch compare test_mlp --by optimizer=adam,sgd",
    "pytest-hypersearch compare test_mlp@all --by strategy",
    "pytest-hypersearch baseline check sweeps.baseline.json shard-1/.pytest_cache shard-2",
    "pytest-hypersearch baseline update sweeps.baseline.json --all test_mlp",
    "pytest-hypersearch history test_mlp --metric accuracy",
    "pytest-hypersearch export --to csv - test_mlp --filter status=success | head",
    "pytest-hypersearch export --to optuna sweep.log && optuna-dashboard sweep.log",
    "pytest-hypersearch report test_mlp --file report.html",
    "pytest-hypersearch report test_mlp@all --baseline sweeps.baseline.json",
    "pytest-hypersearch report --serve",
    "pytest-hypersearch tag test_mlp random-7-r0 good",
    "pytest-hypersearch tag test_mlp run candidate",
    "pytest-hypersearch note test_mlp random-7 'overfits after epoch 10'",
    "pytest-hypersearch merge shard-1 shard-2 shard-3 shard-4 --into .pytest_cache",
    "pytest-hypersearch clean --keep 2 --dry-run",
)


def parser() -> argparse.ArgumentParser:
    """Return the parser; a parsed command line has the command's function as ``run``.

    The exit code if nothing is stored or selected is ``absent``.
    """
    made = argparse.ArgumentParser(
        prog="pytest-hypersearch",
        description="Show and export stored sweeps, without running tests.",
        epilog=_epilog(_EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    subparsers = made.add_subparsers(metavar="COMMAND", required=True)
    for run, what, arguments in (
        (tables.list_runs, "list stored runs", (_what, _judges, _formats)),
        (tables.show, "show a summary or table of results", (_what, _filters, _show, _formats)),
        (commands.best, "print the best configuration", (_what, _filters, _best)),
        (
            commands.compare,
            "compare runs, values or strategies",
            (_compare, _filters, _tolerance, _formats),
        ),
        (
            commands.baseline,
            "judge runs against a baseline, or write one",
            (_baseline, _what, _filters),
        ),
        (
            commands.history,
            "show scores over runs",
            (_what, _filters, _history, _tolerance, _formats),
        ),
        (commands.export, "export trials to a file", (_export, _what, _filters)),
        (commands.report, "write or serve an HTML report", (_what, _filters, _report, _judges)),
        (commands.tag, "tag trials or a run", (_target, _tag)),
        (commands.note, "write a note on trials or a run", (_target, _note)),
        (commands.merge, "merge the runs of shards into one", (_merge,)),
        (commands.clean, "remove old runs", (_what, _clean)),
    ):
        name = run.__name__.partition("_")[0]  # `list` itself is Python's
        command = subparsers.add_parser(
            name,
            help=what,
            description=f"{what[0].upper()}{what[1:]}.\n{dedent(_WHAT).strip()}",
            epilog=_epilog(one for one in _EXAMPLES if f"pytest-hypersearch {name}" in one),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        judges = run in {commands.compare, commands.baseline}
        command.set_defaults(run=run, absent=INCOMPARABLE if judges else NOTHING)
        for add in arguments:
            add(command)
    return made


def _epilog(examples: Iterable[str]) -> str:
    return "\n  ".join(["examples:", *examples]) + f"\n\n{_EXITS}"


def _show(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--group-by",
        metavar="NAMES",
        type=_names,
        default=(),
        help="show a table grouped by these fields, such as lr,opt",
    )
    command.add_argument(
        "--sort",
        metavar="NAME",
        help="sort the trials or groups by a field; --sort=-NAME for descending order",
    )
    command.add_argument(
        "--columns",
        metavar="NAMES",
        type=_names,
        default=(),
        help="show these columns of the trials or groups, such as lr,score; with --rows, the "
        "fields whose values are columns",
    )
    command.add_argument(
        "--rows",
        metavar="NAMES",
        type=_names,
        default=(),
        help="show a table of mean and standard deviation, with the values of these fields as "
        "rows, such as optimizer",
    )
    command.add_argument(
        "--metric",
        metavar="NAMES",
        type=_names,
        default=(),
        help="with --rows: show these metrics instead of the score",
    )
    command.add_argument(
        "-v", "--verbose", action="count", default=0, help="show more of the summary"
    )


def _best(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--format",
        choices=("json", "pytest"),
        default="json",
        help="json (default), or pytest for the command that reruns it",
    )


def _compare(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "before", metavar="A", help="the results to compare with: WHAT or WHAT@RUN"
    )
    command.add_argument("now", metavar="B", nargs="?", help="the new results: WHAT or WHAT@RUN")
    command.add_argument(
        "--by",
        metavar="NAME[=X,Y]",
        help="compare values within A: of a parameter, or strategy, such as optimizer=adam,sgd",
    )
    command.add_argument(
        "--filters",
        nargs=2,
        metavar=("A", "B"),
        help="a condition for each side, such as strategy=random strategy=bayes",
    )


def _baseline(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "action",
        choices=("check", "update", "show"),
        help="check: judge the gates of stored runs; update: add the scores of gated sweeps that "
        "the file lacks; show: list what is in it",
    )
    command.add_argument("file", metavar="FILE", help="the baseline")
    command.add_argument(
        "--all", action="store_true", help="update: also replace the scores of trials that ran"
    )


def _history(command: argparse.ArgumentParser) -> None:
    command.add_argument("--metric", metavar="NAME", help="judge this metric instead of the score")


def _export(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "file", metavar="FILE", help="output file; - for standard output (csv and json)"
    )
    command.add_argument(
        "--to", required=True, choices=("csv", "json", "parquet", "optuna"), help="file format"
    )


def _report(command: argparse.ArgumentParser) -> None:
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--file", metavar="FILE", default="report.html", help="output file; default: report.html"
    )
    where.add_argument(
        "--serve",
        action="store_true",
        help="serve the report on this machine and follow running sweeps, writing no file",
    )


def _judges(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--baseline",
        metavar="FILE",
        help="judge gates by this baseline; without one, only those with a threshold are judged",
    )


def _tag(command: argparse.ArgumentParser) -> None:
    command.add_argument("tags", metavar="TAG", nargs="+", help="a tag")
    command.add_argument("--remove", action="store_true", help="take the tags away")


def _note(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "text", metavar="TEXT", nargs="+", help="the note; '' takes an earlier one away"
    )


def _target(command: argparse.ArgumentParser) -> None:
    command.add_argument("test", metavar="WHAT", help="a test, WHAT or WHAT@RUN")
    command.add_argument(
        "trial",
        metavar="TRIAL",
        help="a trial (random-7-r0), all trials of a configuration (random-7), or run",
    )


def _merge(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "what",
        metavar="DIR",
        nargs="+",
        help="a directory with the runs of a job: a project, a pytest cache or its part "
        "d/hypersearch",
    )
    command.add_argument(
        "--into",
        metavar="CACHE",
        required=True,
        help="the pytest cache that gets the run, such as .pytest_cache; it need not exist",
    )


def _clean(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--keep",
        metavar="N",
        type=_positive,
        default=5,
        help="number of runs to keep of each test, the newest; default: 5",
    )
    command.add_argument("--dry-run", action="store_true", help="only print what would be removed")


def _what(command: argparse.ArgumentParser) -> None:
    command.add_argument("what", metavar="WHAT", nargs="*", help="tests or paths; see above")


def _filters(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--filter",
        metavar="CONDITION",
        action="append",
        default=[],
        help="only trials that match: status=success, 'lr<0.1', opt!=sgd, reason~nan; repeatable",
    )


def _tolerance(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--tolerance",
        metavar="LOSS",
        help="the largest loss that does not matter: a number or a percentage; default: "
        + TOLERANCE.replace("%", "%%"),
    )


def _formats(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--format",
        choices=("table", "json", "csv", *MARKUP),
        default="table",
        help="output format; default: table",
    )


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r}: expected comma-separated names")
    return names


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected an integer of at least 1")
    return int(text)
