"""Writes what is generated in docs/: `python docs/make_pages.py`.

Whole pages from the models, the command line and the records of the code; and in other pages what
the commands of console sessions print. Needs `pip install -e .[test]`.
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent / "examples"), str(DOCS.parent / "tests")]

from generators import commands, console, instructions, operators, patterns, records, trust  # noqa: E402 - found by the path above

PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands.page,
    "operators.md": operators.page,
    "patterns.md": patterns.page,
    "report.md": records.page,
    "trust.md": trust.page,
}
# Parts of pages, by what their markers are called.
SECTIONS: Mapping[str, Callable[[], str]] = {"instructions": instructions.tables}
_SECTION = re.compile(r"(<!-- generated: (\w+) -->\n).*?(\n<!-- end -->)", re.DOTALL)


def with_sections(page: str) -> str:
    """Return a page with its generated parts as they are now."""
    return _SECTION.sub(lambda match: match[1] + SECTIONS[match[2]]() + match[3], page)


def main() -> None:
    """Write the pages."""
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
    for path in (DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))):
        page = path.read_text(encoding="utf-8")
        path.write_text(page := with_sections(page), encoding="utf-8")
        if console.SESSION.search(page):
            path.write_text(console.refreshed(page), encoding="utf-8")


if __name__ == "__main__":
    main()
