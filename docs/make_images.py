"""Makes the pictures in docs/images: `python docs/make_images.py`.

Needs `pip install -e .[test]` and a Chromium for the screenshots. Plans and screenshots are of two
networks, the run on the accelerator of a third, smaller one.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import onnx
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
sys.path[:0] = [str(ROOT / "examples"), str(ROOT / "tests")]

import condensation_net  # noqa: E402 - found by the path above
from generators.trace import draw_runs  # noqa: E402
from kit.models import hydrated  # noqa: E402

from condense_compiler.driver import plan_request  # noqa: E402
from condense_compiler.report.figure import write_figure  # noqa: E402
from condense_compiler.report.page import render_page  # noqa: E402
from condense_compiler.report.picture import Picture  # noqa: E402
from condense_compiler.request import Request  # noqa: E402

MODELS: Mapping[str, Callable[[], onnx.ModelProto]] = {
    "densenet121": lambda: hydrated("densenet121"),
    "condensation_net_k4": lambda: condensation_net.build(k=4),
}
SIZE = {"width": 1400, "height": 880}
# What is pressed before a page is photographed, and whether the page is dark.
SCREENSHOTS: Mapping[str, tuple[str, tuple[str, ...], bool]] = {
    "densenet121_peak": ("densenet121", ("p", "+", "+", "+"), False),
    "condensation_net_k4_dark": ("condensation_net_k4", ("ArrowDown", "ArrowDown"), True),
}


def main() -> None:
    """Draw every model and the run, then photograph the pages."""
    IMAGES.mkdir(exist_ok=True)
    small = condensation_net.build(k=4, width=0.5, size=224)
    draw_runs(small, IMAGES / "accelerator_trace.png")
    pictures = {
        name: replace(plan_request(Request.of(make())).picture(), model=name)
        for name, make in MODELS.items()
    }
    for name, picture in pictures.items():
        for suffix in (".svg", ".png"):
            write_figure(picture, IMAGES / f"{name}{suffix}")
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (model, keys, dark) in SCREENSHOTS.items():
            page = browser.new_page(viewport=SIZE, color_scheme="dark" if dark else "light")
            _photograph(page, pictures[model], keys, IMAGES / f"{name}.png")
        browser.close()


def _photograph(page: Page, picture: Picture, keys: tuple[str, ...], path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.html"
        file.write_text(render_page(picture), encoding="utf-8")
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready]")
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_timeout(1000)  # until the last frame is painted
        page.screenshot(path=path)


if __name__ == "__main__":
    main()
