"""The site is built and read as a browser would."""

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cached_property
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from kit.needs import needs

ROOT = Path(__file__).parents[2]
pytestmark = needs("MkDocs", present=find_spec("mkdocs") is not None)
# Attributes by which an element has a browser load something.
LOADING = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}


class Page(HTMLParser):
    """What a page loads, links to, and can be linked to."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = {""}
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element loads, links to and is called."""
        values = {name: value or "" for name, value in attrs}
        if values.get(LOADING.get(tag, ""), ""):
            self.loaded.append(values[LOADING[tag]])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if "id" in values:
            self.anchors.add(values["id"])


class Site:
    """A built site."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def pages(self) -> Mapping[Path, Page]:
        """Every page by its file; the one for what is not found has absolute addresses."""
        files = [file for file in self.folder.rglob("*.html") if file.name != "404.html"]
        return {file.resolve(): Page(file) for file in files}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Site(folder)


def test_every_page_is_there(site: Site) -> None:
    written = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {file.stem for file in site.pages} == written
    assert len(written) > 10


def test_nothing_is_loaded_from_elsewhere(site: Site) -> None:
    for page in site.pages.values():
        assert page.loaded
        for address in page.loaded:
            parts = urlsplit(address)
            assert not parts.scheme, f"{page.file.name} loads {address}"
            assert not parts.netloc, f"{page.file.name} loads {address}"
            assert (page.file.parent / unquote(parts.path)).is_file(), address
    for sheet in site.folder.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert "url(http" not in text.replace('"', "")
        assert "@import" not in text


def test_every_link_leads_somewhere(site: Site) -> None:
    for page in site.pages.values():
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme in ("http", "https"):
                continue
            assert not parts.scheme, address
            target = (page.file.parent / unquote(parts.path)).resolve() if parts.path else page.file
            assert target.is_file(), f"{page.file.name} links to {address}"
            if target.suffix == ".html" and target.name != "404.html":
                anchors = site.pages[target.resolve()].anchors
                assert unquote(parts.fragment) in anchors, f"{page.file.name} links to {address}"
