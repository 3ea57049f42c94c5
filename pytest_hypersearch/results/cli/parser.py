"""What the command line takes."""

from __future__ import annotations

import argparse
from textwrap import dedent
from typing import TYPE_CHECKING

from pytest_hypersearch.results.cli import commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


_WHAT = """
    WHAT is a test (its node id or the end of it) or a path: a project's directory, a cache of
    pytest's, a study or a run in it. Without it, all tests of the project around the working
    directory. WHAT@RUN is a certain run instead of the newest: its number, -2 for the one before
    the newest, the beginning of the commit that it ran, or all.
"""
_EXITS = "exit codes: 0 found, 1 nothing found or worse than before, 2 misused"
_EXAMPLES = (
    "pytest-hypersearch list",
    "pytest-hypersearch list shard-1/.pytest_cache shard-2/.pytest_cache",
    "pytest-hypersearch show test_mlp --group-by optimizer --filter 'lr<0.1'",
    "pytest-hypersearch show test_mlp --group-by lr,optimizer --sort=-n --columns lr,n,mean",
    "pytest-hypersearch show --columns number,lr,score --sort score --format markdown",
    "pytest-hypersearch best test_mlp --format yaml > best.yaml",
    'eval "$(pytest-hypersearch best test_mlp --format pytest)"',
    "pytest-hypersearch compare test_mlp@-2 test_mlp",
    "pytest-hypersearch compare test_mlp test_mlp --filters strategy=random strategy=bayes",
    "pytest-hypersearch export --to csv - test_mlp --filter status=success | head",
    "pytest-hypersearch export --to optuna sweep.log && optuna-dashboard sweep.log",
    "pytest-hypersearch report test_mlp --file report.html",
    "pytest-hypersearch report --serve",
    "pytest-hypersearch clean --keep 2 --dry-run",
)


def parser() -> argparse.ArgumentParser:
    """Return the parser; a parsed command line has the command's function as ``run``."""
    made = argparse.ArgumentParser(
        prog="pytest-hypersearch",
        description="Look at stored sweeps, without running tests.",
        epilog=_epilog(_EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    subparsers = made.add_subparsers(metavar="COMMAND", required=True)
    _list(_command(subparsers, "list", "list the stored runs", commands.list_runs))
    _show(_command(subparsers, "show", "show what was found", commands.show))
    _best(_command(subparsers, "best", "print the best parameters", commands.best))
    _compare(
        _command(subparsers, "compare", "compare two runs, commits or strategies", commands.compare)
    )
    _export(_command(subparsers, "export", "write a file for other programs", commands.export))
    _report(_command(subparsers, "report", "write or serve the HTML report", commands.report))
    _clean(_command(subparsers, "clean", "remove old runs", commands.clean))
    return made


def _command(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    what: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    made = subparsers.add_parser(
        name,
        help=what,
        description=f"{what.capitalize()}.\n{dedent(_WHAT).strip()}",
        epilog=_epilog(one for one in _EXAMPLES if f"pytest-hypersearch {name}" in one),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.set_defaults(run=run)
    return made


def _epilog(examples: Iterable[str]) -> str:
    return "\n  ".join(["examples:", *examples]) + f"\n\n{_EXITS}"


def _list(command: argparse.ArgumentParser) -> None:
    _what(command)
    _formats(command)


def _show(command: argparse.ArgumentParser) -> None:
    _what(command)
    _filters(command)
    command.add_argument(
        "--group-by", metavar="NAMES", type=_names, default=(), help="a table of groups: lr,opt"
    )
    command.add_argument(
        "--sort",
        metavar="NAME",
        help="a table of trials or groups, sorted; -NAME (--sort=-score) descending",
    )
    command.add_argument(
        "--columns",
        metavar="NAMES",
        type=_names,
        default=(),
        help="a table of trials or groups: lr,score",
    )
    command.add_argument("-v", "--verbose", action="count", default=0, help="a longer summary")
    _formats(command)


def _best(command: argparse.ArgumentParser) -> None:
    _what(command)
    _filters(command)
    command.add_argument(
        "--format",
        choices=("json", "yaml", "toml", "pytest"),
        default="json",
        help="parameters as JSON (default), YAML or TOML, or the command that runs them again",
    )


def _compare(command: argparse.ArgumentParser) -> None:
    command.add_argument("before", metavar="A", help="what was before: WHAT or WHAT@RUN")
    command.add_argument("now", metavar="B", help="what is now")
    _filters(command)
    command.add_argument(
        "--filters",
        nargs=2,
        metavar=("A", "B"),
        help="a condition for each side: strategy=random strategy=bayes",
    )
    _formats(command)


def _export(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="what to write; - is standard output")
    _what(command)
    _filters(command)
    command.add_argument("--to", required=True, choices=("csv", "json", "parquet", "optuna"))


def _report(command: argparse.ArgumentParser) -> None:
    _what(command)
    _filters(command)
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--file", metavar="FILE", default="report.html", help="what to write; report.html"
    )
    where.add_argument(
        "--serve",
        action="store_true",
        help="write nothing: show it to a browser on this machine, and follow sweeps that run",
    )


def _clean(command: argparse.ArgumentParser) -> None:
    _what(command)
    command.add_argument(
        "--keep",
        metavar="N",
        type=_positive,
        default=5,
        help="how many of the newest runs of each test stay; 5 by default",
    )
    command.add_argument("--dry-run", action="store_true", help="only tell what would be removed")


def _what(command: argparse.ArgumentParser) -> None:
    command.add_argument("what", metavar="WHAT", nargs="*", help="tests or paths, see above")


def _filters(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--filter",
        metavar="CONDITION",
        action="append",
        default=[],
        help="only such trials: status=success, 'lr<0.1', optimizer!=sgd, reason~nan; repeatable",
    )


def _formats(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--format",
        choices=("table", "markdown", "json", "csv"),
        default="table",
        help="how to print it",
    )


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r}: expected names, with commas between them")
    return names


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected an integer of at least 1")
    return int(text)
