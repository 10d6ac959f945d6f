"""Refreshes the console sessions of pages: what stands behind `$` is run, what it prints replaces.

All sessions of a page run one behind the other in one empty folder, with `examples` in it.
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


def refreshed(page: str) -> str:
    """Return a page with what its commands print now.

    Raises:
        RuntimeError: A page names another program than those of `PROGRAMS`.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "examples").symlink_to(ROOT / "examples")
        return SESSION.sub(lambda match: _session(match[1], Path(folder)), page)


def _session(text: str, folder: Path) -> str:
    commands = [line for line in text.splitlines() if line.startswith(PROMPT)]
    return "".join(["```console\n", *_outputs(commands, folder), "```"])


def _outputs(commands: Iterable[str], folder: Path) -> Iterable[str]:
    for command in commands:
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
        yield f"{command}\n{done.stdout.rstrip()}\n"
        if done.returncode:
            yield f"[exit status {done.returncode}]\n"
