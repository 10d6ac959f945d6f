"""The HTML page, driven in a real browser."""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import pytest
from kit.needs import needs
from kit.pictures import (
    PROOFS,
    concatenating_picture,
    crowded_picture,
    idle_picture,
    widened_picture,
)
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, sync_playwright

from condense_compiler.report.page import render_page
from condense_compiler.report.picture import Picture

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for path in map(shutil.which, NAMES) if path), None)
pytestmark = needs("chromium", present=CHROMIUM is not None)
READY = "html[data-ready]"
TIMES = "\N{MULTIPLICATION SIGN}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@cache
def page_of(make: Callable[[], Picture]) -> str:
    return render_page(make())


class Viewer:
    """A page that shows a picture, and everything it complained about or asked for."""

    def __init__(self, browser: Browser, folder: Path, make: Callable[[], Picture]) -> None:
        self.picture = make()
        self.file = folder / "plan.html"
        self.file.write_text(page_of(make), encoding="utf-8")
        self.page: Page = browser.new_page(viewport={"width": 1400, "height": 900})
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._note)
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self) -> Page:
        """Open the page and wait until everything is drawn."""
        self.page.goto(self.file.as_uri())
        self.page.wait_for_selector(READY)
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        frame = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        self.page.evaluate(frame)

    def rows(self) -> list[int]:
        """Return the numbers of the maps listed at the top of the table."""
        self.page.evaluate("document.getElementById('scroll').scrollTop = 0")
        self.settle()
        cells = self.page.locator("tbody tr[data-map]")
        return [int(cells.nth(n).get_attribute("data-map") or -1) for n in range(cells.count())]

    def column(self, number: int) -> list[str]:
        """Return the text of a column of the rows in sight."""
        cells: Locator = self.page.locator(f"tbody tr[data-map] td:nth-child({number})")
        return cells.all_inner_texts()

    def place_of(self, side: str, number: int) -> tuple[float, float]:
        """Return where on the screen the middle of a map's rectangle is."""
        plan = self.picture.sides[side]
        each = plan.maps[number]
        x = (each.drawn_from + each.drawn_to) / 2
        y = each.offset + each.size / 2
        script = """([side, x, y]) => {
            const view = Bokeh.index.find_one(condense.model(`${side}-plan`));
            const box = view.el.getBoundingClientRect();
            const { x_scale, y_scale } = view.frame;
            return [box.left + x_scale.compute(x), box.top + y_scale.compute(y)];
        }"""
        left, top = self.page.evaluate(script, [side, x, y])
        return left, top


@pytest.fixture
def viewer(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Viewer]:
    made = Viewer(browser, tmp_path, request.param)
    yield made
    made.page.close()


widened = pytest.mark.parametrize("viewer", [widened_picture], indirect=True)
concatenating = pytest.mark.parametrize("viewer", [concatenating_picture], indirect=True)


@widened
def test_it_opens_without_complaint_or_request(viewer: Viewer) -> None:
    page = viewer.open()
    for key in ("p", "ArrowRight", "ArrowDown", "b", "+", "-", "0", "t", "?", "Escape"):
        page.keyboard.press(key)
    viewer.settle()
    assert viewer.complaints == []
    assert viewer.requests == [viewer.file.as_uri()]
    assert page.title() == f"{viewer.picture.model}: memory plan"


@widened
def test_it_holds_what_the_command_line_prints(viewer: Viewer) -> None:
    page = viewer.open()
    held = json.loads(page.locator("#picture").text_content() or "")
    assert held == viewer.picture.to_dict()


@pytest.mark.parametrize(("words", "viewer"), PROOFS.items(), indirect=["viewer"])
def test_the_headline_says_what_is_proved(viewer: Viewer, words: str) -> None:
    assert words in viewer.open().locator("#summary").inner_text()


@pytest.mark.parametrize("side", ["before", "after"])
@widened
def test_hovering_a_rectangle_shows_that_tensor(viewer: Viewer, side: str) -> None:
    page = viewer.open()
    maps = viewer.picture.sides[side].maps
    for number in sorted(range(len(maps)), key=lambda n: -maps[n].size)[:5]:
        each = maps[number]
        page.mouse.move(*viewer.place_of(side, number))
        page.locator("#tip b", has_text=each.tensor).wait_for()
        tip = page.locator("#tip").inner_text()
        assert f"{each.size:,} B" in tip
        assert f"steps: {each.first} to {each.last}" in tip
        assert f"{each.dtype}[{TIMES.join(map(str, each.shape))}]" in tip
        assert (each.pass_name or "as given") in tip


@widened
def test_hovering_a_ghost_shows_what_is_gone(viewer: Viewer) -> None:
    page = viewer.open()
    ghost = max(viewer.picture.gone, key=lambda ghost: ghost.size)
    number = viewer.picture.gone.index(ghost)
    page.evaluate("number => condense.showTip('after', 'ghost', number)", number)
    tip = page.locator("#tip").inner_text()
    assert ghost.tensor in tip
    assert "not stored" in tip
    assert ghost.operator in tip


@concatenating
def test_clicking_a_rectangle_selects_it_with_producers_and_consumers(viewer: Viewer) -> None:
    page = viewer.open()
    maps = viewer.picture.after.maps
    number = max(range(len(maps)), key=lambda n: maps[n].size)
    page.mouse.click(*viewer.place_of("after", number))
    page.locator("#details h2", has_text=maps[number].tensor).wait_for()
    viewer.settle()
    row = page.locator("tr[aria-selected=true]")
    assert row.get_attribute("data-map") == str(number)
    drawn = {
        role: len(page.evaluate(f"condense.model('after-{role}').data_source.data.left"))
        for role in ("selected", "producers", "consumers")
    }
    writer = maps[number].operator
    producers = [each for each in maps if writer in each.readers]
    consumers = [each for each in maps if each.operator in maps[number].readers]
    assert drawn == {"selected": 1, "producers": len(producers), "consumers": len(consumers)}


@concatenating
def test_sorting_and_searching(viewer: Viewer) -> None:
    page = viewer.open()
    bytes_header = page.locator("th button", has_text="bytes")
    for falling in (True, False):
        bytes_header.click()
        viewer.settle()
        sizes = [int(cell.replace(",", "")) for cell in viewer.column(5)]
        assert len(sizes) > 10
        assert sizes == sorted(sizes, reverse=falling)
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("bytes")
    page.locator("#search").fill("maxpool")
    viewer.settle()
    wanted = [n for n, each in enumerate(viewer.picture.after.maps) if each.op == "MaxPool"]
    assert set(wanted) <= set(viewer.rows())
    page.locator("#search").fill("no such tensor")
    viewer.settle()
    assert viewer.rows() == []


@pytest.mark.parametrize("side", ["before", "after"])
@concatenating
def test_selecting_the_peak_selects_what_is_alive_there(viewer: Viewer, side: str) -> None:
    page = viewer.open()
    page.locator(f"[data-list={side}]").click()
    page.locator("#peak").click()
    viewer.settle()
    plan = viewer.picture.sides[side]
    alive = {plan.maps.index(each) for each in plan.alive_at(plan.peak_steps[0])}
    assert set(viewer.rows()) == alive
    bright = page.evaluate(f"condense.model('{side}-maps').data_source.data.alpha")
    assert sum(alpha == 1 for alpha in bright) == len(alive)
    assert f"{plan.peak_bytes:,} B" in page.locator("#details").inner_text()


@widened
def test_keys_move_through_table_and_steps(viewer: Viewer) -> None:
    page = viewer.open()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("condense.state.map") == 1
    page.keyboard.press("p")
    page.keyboard.press("ArrowRight")
    peak = viewer.picture.after.peak_steps[0]
    assert page.evaluate("condense.state.step") == peak + 1
    page.keyboard.press("Escape")
    assert page.evaluate("[condense.state.map, condense.state.step]") == [None, None]


def test_names_are_text_and_never_markup(browser: Browser, tmp_path: Path) -> None:
    content = json.dumps(widened_picture().to_dict())
    name = widened_picture().after.maps[1].tensor
    hostile = content.replace(f'"{name}"', '"</script><b onclick=alert(1)>"')
    assert hostile != content
    viewer = Viewer(browser, tmp_path, lambda: Picture.from_dict(json.loads(hostile)))
    page = viewer.open()
    assert viewer.complaints == []
    assert page.locator("b[onclick]").count() == 0
    viewer.page.close()


@pytest.mark.parametrize("viewer", [idle_picture], indirect=True)
def test_a_network_without_steps_opens(viewer: Viewer) -> None:
    page = viewer.open()
    for key in ("p", "ArrowRight", "ArrowDown", "+", "b"):
        page.keyboard.press(key)
    viewer.settle()
    assert viewer.complaints == []


def test_ten_thousand_maps_are_interactive_within_two_seconds(
    browser: Browser, tmp_path: Path
) -> None:
    viewer = Viewer(browser, tmp_path, partial(crowded_picture, 10_000))
    session = viewer.page.context.new_cdp_session(viewer.page)
    # Time that the page itself computed: what else this machine does meanwhile is not counted.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page = viewer.open()
    page.evaluate("condense.select({ side: 'after', map: 5000, step: null })")
    viewer.settle()
    metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    assert metrics["TaskDuration"] < 2.0, metrics
    for start in range(0, 3000, 500):
        page.evaluate("from => condense.fit('after', from, 4000)", start)
        viewer.settle()
    assert viewer.complaints == []
    page.close()
