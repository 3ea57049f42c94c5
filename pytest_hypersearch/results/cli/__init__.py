"""The command ``pytest-hypersearch``: a look at stored sweeps, without running a test.

Exit codes: 0 if there was something to show, 1 if nothing was found, 2 for a command that makes no
sense or a file that cannot be read or written. In ``compare`` and ``baseline``, 1 if scores have
become worse or judged configurations fail, 3 if there is nothing to decide by.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The command line without the program's name; that of this process by default.

    Returns:
        The exit code.
    """
    from pytest_hypersearch.core.errors import StoreError
    from pytest_hypersearch.results.cli.selection import MISUSED, warn
    from pytest_hypersearch.store.find import NothingStoredError

    given = _parsed(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    code: int
    try:
        code = given.run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough; Python must not find the pipe broken again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except NothingStoredError as error:
        problem, code = str(error), given.absent
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        code = MISUSED
    except (ImportError, StoreError, ValueError) as error:
        problem, code = str(error), MISUSED
    else:
        return code
    warn(problem)
    return code


def _parsed(arguments: Sequence[str] | None) -> Namespace:
    from pytest_hypersearch.results.cli.parser import parser

    made = parser()
    given, others = made.parse_known_args(arguments)
    # argparse has already given a list of none to WHAT when an option comes before it, as in
    # ``baseline update FILE --all WHAT``: https://github.com/python/cpython/issues/59317
    if others and ("what" not in given or any(each.startswith("-") for each in others)):
        made.error(f"unrecognized arguments: {' '.join(others)}")
    if others:
        given.what += others
    return given
