"""Ways in which a file can be broken."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

Damage = Callable[[Path], None]


def truncated(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def random_bytes(path: Path) -> None:
    path.write_bytes(np.random.default_rng(6).bytes(4000))


def text(path: Path) -> None:
    path.write_text("this is no model\n")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def nothing_there(path: Path) -> None:
    path.unlink()


def seal(folder: Path) -> None:
    """Have the report of a compiled folder name its files as they are now, changed or not."""
    path = folder / "report.json"
    report = json.loads(path.read_text())
    for artefact in report["artefacts"]:
        if (folder / artefact["file"]).is_file():
            content = (folder / artefact["file"]).read_bytes()
            artefact |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    path.write_text(json.dumps(report))
