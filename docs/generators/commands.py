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

Sizes are bytes, or have a unit: `512KiB`, `1.5MB`.

Files and folders are written whole or not at all: whenever a command is killed, what was there
before is there, or what it wrote. `condense compile` replaces the files of the folder that an
earlier compilation wrote, and leaves all others alone; `report.json` names the files that belong
together, and commands that read a folder refuse one that holds others. What a command reads (a
model, its external data, an input) it never writes over. Links are followed, devices and pipes are
written into, and `-` is standard output; what is printed otherwise then goes to standard error.

| exit status | meaning |
|--:|---|
| 0 | done |
| 1 | done, but a bound that was set is not met: the arena does not fit, outputs differ |
| 2 | the input cannot be used, or memory is exhausted: one line on standard error says why |
| 70 | a fault of the compiler, in one line; `CONDENSE_DEBUG=1` shows where it happened |
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
