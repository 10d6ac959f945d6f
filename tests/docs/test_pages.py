"""Pages stay true: what they show is generated, parsed or run."""

import re
import shlex
import typing
from collections.abc import Iterator
from pathlib import Path

import make_pages
import pytest
import typer
from generators import console, patterns
from kit.negatives import NEGATIVES
from kit.spellings import ALL_SPELLINGS

from condense_compiler.cli.app import app
from condense_compiler.limits import applied

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")))
}
CODE = re.compile(r"^```[^\n]*\n(.*?)^```|((?:^(?: {4}|\t).*\n)+)", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def shell_commands() -> Iterator[tuple[str, str]]:
    """Yield each `condense` command in a block of code, with its page."""
    for name, page in PAGES.items():
        for fenced, indented in CODE.findall(page):
            for line in (fenced or indented).splitlines():
                command = line.strip().removeprefix("$ ").partition("  #")[0]
                if command.startswith("condense "):
                    yield name, command


@pytest.mark.parametrize("name", make_pages.PAGES)
def test_generated_pages_are_current(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert make_pages.PAGES[name]() == written, "run python docs/make_pages.py"


def test_generated_parts_of_pages_are_current() -> None:
    stale = [name for name, page in PAGES.items() if make_pages.with_sections(page) != page]
    assert not stale, "run python docs/make_pages.py"
    assert "<!-- generated: instructions -->" in PAGES["docs/accelerator.md"]


@pytest.mark.parametrize("name", [name for name in PAGES if console.SESSION.search(PAGES[name])])
def test_console_sessions_print_what_they_show(name: str) -> None:
    page = PAGES[name]
    assert console.refreshed(page) == page, "run python docs/make_pages.py"


def test_a_session_that_prints_something_else_is_refreshed() -> None:
    session = "```console\n$ condense --version\ncondense 0.0.0\n```"
    fresh = console.refreshed(session)
    assert fresh != session
    assert fresh == console.refreshed(fresh)
    failing = console.refreshed("```console\n$ condense complie\n```")
    assert "No such command 'complie'" in failing
    assert failing.endswith("\n[exit status 2]\n```")
    with pytest.raises(RuntimeError, match="python, condense only"):
        console.refreshed("```console\n$ rm -r examples\n```")


def test_the_patterns_page_shows_every_spelling_and_refusal() -> None:
    shown = [name for family in patterns.families() for name in family.pytorch]
    assert sorted(shown) == sorted(ALL_SPELLINGS)
    page = PAGES["docs/patterns.md"]
    refused = [name for name, (_, expected) in NEGATIVES.items() if expected.refused]
    assert refused
    assert all(f"| {name.replace('_', ' ')} |" in page for name in refused)


@pytest.mark.parametrize("command", sorted({command for _, command in shell_commands()}))
def test_commands_and_options_exist(command: str) -> None:
    group: typing.Any = typer.main.get_command(app)
    name, *arguments = shlex.split(command)[1:]
    if name.startswith("-"):
        assert name in {option for parameter in group.params for option in parameter.opts}
        return
    with applied(None):  # limits that an example sets
        group.commands[name].make_context(name, arguments)


def test_commands_are_found() -> None:
    found = list(shell_commands())
    assert len(found) > 40
    assert {"README.md", "docs/accelerator.md", "docs/start.md"} <= {page for page, _ in found}


@pytest.mark.parametrize("name", PAGES)
def test_python_is_python(name: str) -> None:
    for block in PYTHON.findall(PAGES[name]):
        compile(block, name, "exec")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_front_pages_lead_to_files(name: str) -> None:
    for address in LINK.findall(PAGES[name]):
        if not address.startswith("http"):
            assert (ROOT / address.partition("#")[0]).exists(), address
