"""Writes docs/commands.md: every command with its options, as the command line itself has them."""

from collections.abc import Iterable
from typing import Any

import typer

from condense_compiler.cli.app import app

INTRODUCTION = """\
# The command line

`condense COMMAND --help` shows what this page shows; `python docs/make_pages.py` writes it from
the commands themselves. `condense --install-completion` makes the shell (bash, zsh, fish or
PowerShell) complete commands and options. A wrong name is answered with the closest right one.

Sizes are bytes, or have a unit: `512KiB`, `1.5MB`. Files and folders are written whole or not at
all.

| exit status | meaning |
|--:|---|
| 0 | done |
| 1 | done, but a bound that was set is not met: the arena does not fit, outputs differ |
| 2 | the input cannot be used; one line on standard error says what, where, and what to do |
| 130 | interrupted |
"""


def page() -> str:
    """Return the page."""
    group: Any = typer.main.get_command(app)
    sections = (_section(name, command) for name, command in group.commands.items())
    return INTRODUCTION + "".join(sections)


def _section(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    text, examples = _split_help(command.help)
    lines = [f"\n## {name}\n", *text, "", f"Usage: `{f'condense {name} {usage}'.rstrip()}`", ""]
    rows = list(_rows(command, context))
    if rows:
        lines += ["| argument or option | meaning |", "|---|---|", *rows, ""]
    return "\n".join([*lines, "```sh", *examples, "```\n"])


def _split_help(text: str) -> tuple[list[str], list[str]]:
    """Return the description and the examples of a command's help."""
    lines = text.splitlines()
    examples = [line for line in lines if line.startswith("Example: ")]
    description = "\n".join(line for line in lines if line not in examples).strip()
    return description.splitlines(), [line.removeprefix("Example: ") for line in examples]


def _rows(command: Any, context: Any) -> Iterable[str]:
    for parameter in command.params:
        names, meaning = parameter.get_help_record(context)
        cells = (f"`{_cell(names)}`", _cell(meaning.replace("  [", " [")))
        yield f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")
