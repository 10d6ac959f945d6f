"""Refreshes the console sessions of pages: what stands behind `$` is run, what it prints replaces.

All sessions of a page run one behind the other in one folder, with nothing but `examples` in it at
first. What only times and last digits tell apart stays as it was.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
SESSION = re.compile(r"```console\n(.*?)```", re.DOTALL)
PROMPT = "$ "
PROGRAMS = {"python": sys.executable, "condense": str(Path(sys.executable).with_name("condense"))}
# Times, and differences between floating-point runtimes: they vary from run to run and machine.
_VARYING = re.compile(r"^seconds: .*|\d\.\de-\d\d of the largest|from \S+ to \S+", re.MULTILINE)


def refreshed(page: str) -> str:
    """Return a page with what its commands print now.

    Raises:
        RuntimeError: A page names another program than those of `PROGRAMS`.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "examples").symlink_to(ROOT / "examples")
        return SESSION.sub(lambda match: _session(match[1], Path(folder)), page)


def without_varying(text: str) -> str:
    """Return a text without what varies from run to run."""
    return _VARYING.sub("", text)


def _session(text: str, folder: Path) -> str:
    commands = [line for line in text.splitlines() if line.startswith(PROMPT)]
    found = "".join(f"{line}\n" for command in commands for line in _run(command, folder))
    same = without_varying(found) == without_varying(text)
    return f"```console\n{text if same else found}```"


def _run(command: str, folder: Path) -> Iterable[str]:
    """Run a command; return it, what it prints, and how it ends where that is no success."""
    program, *arguments = shlex.split(command.removeprefix(PROMPT))
    if program not in PROGRAMS:
        raise RuntimeError(f"{command}: pages run {', '.join(PROGRAMS)} only")
    done = subprocess.run(
        [PROGRAMS[program], *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    yield command
    yield from (line.rstrip() for line in done.stdout.splitlines())
    if done.returncode:
        yield f"[exit status {done.returncode}]"
