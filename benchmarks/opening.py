"""How long the report takes to open, to draw its views and to filter, in a real browser.

    python benchmarks/opening.py [--trials 20000] [--repeats 5]

The run of `loading.py` with a learning curve for each trial becomes a page, which Chromium opens
without a display from its file, each time in a new tab. Times are wall times by the page's own
clock, from the start of the navigation: until its data is unpacked and the table of configurations
is there (ready), and until the first figure is painted. Then somebody scrolls through all views,
and back at the top does one thing after the other: until all that is in sight is drawn anew. The
CPU time is that of the process that shows the page, all of its threads together; it grows less than
the wall time where other programs run.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import tempfile
from math import nan
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
ACTIONS = {
    "a state is filtered out": "document.querySelector('#filters input[value=failed]').click()",
    "it comes back": "document.querySelector('#filters input[value=failed]').click()",
    "a range of a parameter": "location.hash = 'in.lr=0.2..'",
    "all trials again": "location.hash = ''",
    "sorted by a column": "document.querySelector('[data-key=\"sort m.loss\"]').click()",
    "the next page": "[...document.querySelectorAll('.pager button')].at(-1).click()",
    "a configuration is ticked": "document.querySelector('#trials tbody input').click()",
    "its details": "document.querySelector('#trials tbody .plain:not(.fold)').click()",
    "closed again": "document.querySelector('#detail [data-key=close]').click()",
    "another metric": "location.hash = 'metric=accuracy'",
}
DONE = """
    async () => {
        const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
        const away = ({ top, bottom }) => top > innerHeight + 200 || bottom < -200;
        const stale = () => [...document.querySelectorAll("#views > section")].some(
            view => !view.matches("[data-drawn]") && !away(view.getBoundingClientRect()));
        scrollTo(0, 0);
        await frame();
        const start = performance.now();
        ACTION;
        await frame();
        while (stale()) await frame();
        return performance.now() - start;
    }
"""


def opened(browser: Browser, address: str) -> dict[str, tuple[float, float]]:
    """Open the page in a new tab; return the milliseconds of each step, by clock and of CPU."""
    page = browser.new_page(viewport=SCREEN)
    devtools = browser.new_browser_cdp_session()

    def cpu() -> float:
        known = devtools.send("SystemInfo.getProcessInfo")["processInfo"]
        return 1000 * max(one["cpuTime"] for one in known if one["type"] == "renderer")

    page.add_init_script(WATCH)
    page.goto(address)
    page.wait_for_selector("#history[data-drawn]")
    seen, spent = page.evaluate("painted"), cpu()
    times = {"table": (seen["ready"], nan), "first figure": (seen["history"], spent)}
    page.wait_for_timeout(1000)
    for name, script in {"scrolling": SCROLL, **ACTIONS}.items():
        before = cpu()
        wall = page.evaluate(script if name == "scrolling" else DONE.replace("ACTION", script))
        page.wait_for_timeout(300)
        times[name] = wall, cpu() - before
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
    print("median (least) ms     by clock        CPU")
    for name in rows[0]:
        sides = zip(*(row[name] for row in rows), strict=True)
        texts = (f"{median(side):6.0f} ({min(side):.0f})" for side in sides)
        print(f"{name:26}", *texts)


if __name__ == "__main__":
    main()
