"""How long the report takes to open, to draw its views and to filter, in a real browser.

    python benchmarks/opening.py [--trials 20000] [--repeats 5]

The run of `loading.py` with a learning curve for each trial becomes a page, which Chromium opens
without a display from its file, each time in a new tab. Times are wall times by the page's own
clock, from the start of the navigation: until its data is unpacked and the table of configurations
is there (ready), and until the first figure is painted. Then somebody scrolls through all views,
and back at the top takes the failed trials out.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import tempfile
from pathlib import Path
from statistics import median
from time import process_time
from typing import TYPE_CHECKING

from loading import write
from playwright.sync_api import sync_playwright

from pytest_hypersearch import load_results

if TYPE_CHECKING:
    from playwright.sync_api import Browser

STEPS = 20
SCREEN = {"width": 1280, "height": 900}
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
WATCH = """
    window.painted = {};
    new MutationObserver(() => {
        if (document.body?.dataset.ready) painted.ready ??= performance.now();
        for (const view of document.querySelectorAll("[data-drawn]"))
            painted[view.id] ??= performance.now();
    }).observe(document, { subtree: true, attributes: true, childList: true });
"""
SCROLL = """
    async () => {
        const start = performance.now();
        for (const view of document.querySelectorAll("#views > section")) {
            view.scrollIntoView();
            while (!view.matches("[data-drawn]"))
                await new Promise(done => requestAnimationFrame(done));
        }
        return performance.now() - start;
    }
"""
FILTER = """
    async () => {
        scrollTo(0, 0);
        const start = performance.now();
        document.querySelector("#filters input[value=failed]").click();
        while (!document.querySelector("#history[data-drawn]"))
            await new Promise(done => requestAnimationFrame(done));
        return performance.now() - start;
    }
"""


def opened(browser: Browser, address: str) -> dict[str, float]:
    """Open the page in a new tab; return the milliseconds of each step."""
    page = browser.new_page(viewport=SCREEN)
    page.add_init_script(WATCH)
    page.goto(address)
    page.wait_for_selector("#history[data-drawn]")
    seen = page.evaluate("painted")
    times = {"ready": seen["ready"], "first figure": seen["history"]}
    times["the rest, scrolling"] = page.evaluate(SCROLL)
    times["filter"] = page.evaluate(FILTER)
    page.close()
    return times


def written(folder: Path, trials: int) -> Path:
    """Write a run and its page, and tell how long the page took."""
    write(folder, trials, steps=STEPS)
    start = process_time()
    results = load_results(folder)
    loaded = process_time()
    page = folder / "report.html"
    results.to_html(page)
    print(f"{len(results)} trials read in {loaded - start:.1f} s, written as a page of", end=" ")
    print(f"{page.stat().st_size / 1e6:.1f} MB in {process_time() - loaded:.1f} s of CPU time")
    return page


def main() -> None:
    """Print the times of each step."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    print(f"{platform.platform()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = written(Path(folder), given.trials)
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        print(f"Chromium {browser.version}, {given.repeats} times")
        rows = [opened(browser, page.as_uri()) for _ in range(given.repeats)]
        browser.close()
    for name in rows[0]:
        times = sorted(row[name] for row in rows)
        print(f"{name:20} {times[0]:6.0f} ms least, {median(times):6.0f} ms median")


if __name__ == "__main__":
    main()
