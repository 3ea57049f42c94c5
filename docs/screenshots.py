"""Take the pictures of the report that the README and the documentation show.

python docs/screenshots.py

The sweeps of the examples run anew, one trial after the other, so that only times differ from one
run to the next. Needs the extra ``test`` and Chromium.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 250_000
WIDTH = 1280
PICTURES = {"report": ("", "history", 1350), "parameters": ("#by=p.activation", "parallel", 990)}
GALLERY = {
    "folds": "slices",
    "boosting": "curves",
    "network": "strategies",
    "optimizers": "aggregation",
    "prompts": "aggregation",
    "front": "pareto",
}
"""The view that shows the sweep of an example best."""


def reports_in(folder: Path) -> dict[str, str]:
    """Run the sweeps of the gallery; return the addresses of their reports."""
    for name in GALLERY:
        shutil.copy(ROOT / "examples" / f"test_{name}.py", folder)
    run(folder, "pytest", "--sweep", "-q")
    reports = {}
    for name in GALLERY:
        run(folder, "pytest_hypersearch", "report", f"test_{name}", "--file", f"{name}.html")
        reports[name] = (folder / f"{name}.html").as_uri()
    return reports


def run(folder: Path, *command: str) -> None:
    """Run a module in a directory."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", *command], cwd=folder, env=environment, check=True)


def opened(page: Page, address: str) -> None:
    """Open a report, and have all of its views drawn."""
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    page.add_style_tag(content=".filters { position: static !important }")
    for name in page.eval_on_selector_all("#views > section", "all => all.map(one => one.id)"):
        page.locator(f"#{name}").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{name}[data-drawn]")


def picture(page: Page, address: str, view: str) -> bytes:
    """Take a picture of the report: of its top, or from a later view on."""
    opened(page, address)
    top = page.locator(f"#{view}").evaluate("view => view.offsetTop")
    page.evaluate("top => scrollTo(0, top < innerHeight ? 0 : top - 16)", top)
    page.wait_for_timeout(300)  # plotly fades labels in
    return page.screenshot()


def view_picture(page: Page, address: str, view: str) -> bytes:
    """Take a picture of a view."""
    opened(page, address)
    page.wait_for_timeout(300)
    return page.locator(f"#{view}").screenshot()


def keep(taken: bytes, path: Path) -> None:
    """Write a picture in 256 colours: those of its areas as they are, others as they come near."""
    image = Image.open(BytesIO(taken)).convert("RGB")
    counts = sorted(image.getcolors(image.width * image.height), reverse=True)
    areas = [part for _, colour in counts[:64] for part in colour]
    others = image.quantize(192, method=Image.Quantize.MAXCOVERAGE).getpalette()
    palette = Image.new("P", (1, 1))
    palette.putpalette(areas + others)
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{path}: {path.stat().st_size} bytes, expected {MOST_BYTES} at most")


def main() -> None:
    """Take each picture on light and on dark."""
    IMAGES.mkdir(exist_ok=True)
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        reports = reports_in(Path(folder))
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(device_scale_factor=2, color_scheme=scheme)
            for name, (state, view, height) in PICTURES.items():
                page.set_viewport_size({"width": WIDTH, "height": height})
                taken = picture(page, reports["network"] + state, view)
                keep(taken, IMAGES / f"{name}-{scheme}.png")
            for name, view in GALLERY.items():
                taken = view_picture(page, reports[name], view)
                keep(taken, IMAGES / f"gallery-{name}-{scheme}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
