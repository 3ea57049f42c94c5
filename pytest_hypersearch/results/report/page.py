"""The report as a page: one file that needs no network, and the colours of its figures."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template

from pytest_hypersearch.core.errors import needs
from pytest_hypersearch.results.report.payload import Link, payload
from pytest_hypersearch.results.report.runs import Judge
from pytest_hypersearch.results.study_history import Reported
from pytest_hypersearch.results.terminal.format import plain
from pytest_hypersearch.results.terminal.summary import section
from pytest_hypersearch.stats.ranking import RankedStudy, rank_study

LIGHT = ("#0b62a8", "#b6540b", "#084c39", "#6d22ba", "#7a4014", "#5a6370")
DARK = ("#6cb2f2", "#f1a55b", "#58e596", "#cba0c8", "#dad640", "#abbcac")
"""Told apart in each kind of colour vision as Machado et al. (2009) simulate it, by at least 18 of
CIE 1976's units, and from their background by a contrast of at least 4.5. In the order of use."""

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "star")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SCORES = "Cividis"
PALETTE = {"light": LIGHT, "dark": DARK, "symbols": SYMBOLS, "dashes": DASHES, "scores": SCORES}

SCRIPTS = (
    "data.js",
    "address.js",
    "words.js",
    "statistics.js",
    "elements.js",
    "keys.js",
    "figures.js",
    "marks.js",
    "scores.js",
    "parameters.js",
    "time.js",
    "runs.js",
    "views.js",
    "filters.js",
    "annotations.js",
    "trials.js",
    "main.js",
)


def page(
    studies: Iterable[Reported], link: Link, *, live: str = "", judge: Judge | None = None
) -> str:
    """Return an HTML page on studies that needs no network and no other file.

    Args:
        studies: What to show, each on its own.
        link: Tells the address of a directory of artifacts; see `artifacts.beside`.
        live: Where newer data is to be asked for again and again, relative to the page; nowhere if
            empty.
        judge: Judges the gates of the newest runs; by default their thresholds.

    Raises:
        ModuleNotFoundError: plotly is not installed.
    """
    require_plotly()
    known = list(studies)
    ranked = [rank_study(each.study) for each in known]
    style, script = _asset("page.css"), _script()
    return Template(_asset("page.html")).substitute(
        policy=_policy(script, live=bool(live)),
        style=style,
        script=script,
        plotly=_plotly()[0],
        summary=escape(_summary(ranked)),
        data=packed_text(data(known, link, ranked, judge)),
        live=live,
    )


def _summary(ranked: Sequence[RankedStudy]) -> str:
    """What pytest says at the end, for those whose browser runs no scripts."""
    lines = section(ranked, width=80, verbosity=0, ascii_only=False)
    return "\n".join(map(plain, lines))


def data(
    studies: Iterable[Reported],
    link: Link,
    ranked: Iterable[RankedStudy] | None = None,
    judge: Judge | None = None,
) -> bytes:
    """Return what the page shows as compressed JSON; see `payload`."""
    known = {**payload(studies, link, ranked, judge), "palette": PALETTE}
    text = json.dumps(known, allow_nan=False, separators=(",", ":"))
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def require_plotly() -> None:
    """Make sure that plotly is there.

    Raises:
        ModuleNotFoundError: It is not; the message says what to install.
    """
    with needs("the report", "plotly", "report"):
        import plotly  # noqa: F401  its script is read from its files


def packed_text(packed: bytes) -> str:
    """Return bytes as text that HTML leaves alone."""
    return b64encode(packed).decode("ascii")


def _policy(script: str, *, live: bool) -> str:
    scripts = f"{_hash(script)} {_plotly()[1]}"
    connections = "'self'" if live else "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {scripts}",
            "style-src 'unsafe-inline'",  # plotly adds styles of its own
            "img-src data: blob:",
            f"connect-src {connections}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _script() -> str:
    parts = "\n".join(_asset(name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();'


def _asset(name: str) -> str:
    return (
        files("pytest_hypersearch.results.report")
        .joinpath("assets", name)
        .read_text(encoding="utf-8")
    )


@cache
def _plotly() -> tuple[str, str]:
    """The script of plotly, compressed, and its hash."""
    source = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    packed = gzip.compress(source, compresslevel=6, mtime=0)
    return packed_text(packed), _hash(source.decode("utf-8"))


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode('ascii')}'"
