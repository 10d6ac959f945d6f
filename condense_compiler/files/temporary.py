"""Files and folders that exist while something is written, and what killed runs left of them.

Each is locked by its process as long as that lives. One that nobody holds was left behind: the
next run that writes into the same folder removes it.
"""

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from condense_compiler.files.locks import hold, is_same, open_entry, take

_NAME = re.compile(r"\.condense-[0-9a-f]{16}")


@contextlib.contextmanager
def temporary_file(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Yield a new file, open for writing; it is removed unless it was renamed.

    Raises:
        OSError: It cannot be written.
    """
    remove_left_behind(folder)
    path, descriptor = _new(folder, is_folder=False)
    try:
        with open(descriptor, "w+b") as file:  # noqa: PTH123 - a descriptor
            yield path, file
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder; whatever then has its name is removed.

    Raises:
        OSError: It cannot be written.
    """
    remove_left_behind(parent)
    path, descriptor = _new(parent, is_folder=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def _new(folder: Path, *, is_folder: bool) -> tuple[Path, int]:
    """Create a file or folder under a name of its own, and lock it.

    In the moment before it is locked, another process may take it for one that was left.
    """
    while True:
        path = folder / f".condense-{secrets.token_hex(8)}"
        descriptor = _created_folder(path) if is_folder else _created_file(path)
        if descriptor is None:
            continue
        hold(descriptor)
        if is_same(descriptor, path):
            return path, descriptor
        os.close(descriptor)


def _created_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _created_folder(path: Path) -> int | None:
    path.mkdir()
    try:
        return open_entry(path)
    except FileNotFoundError:
        return None


def remove_left_behind(folder: Path) -> None:
    """Remove what earlier runs left in a folder; what cannot be removed stays."""
    with contextlib.suppress(OSError):
        names = [name for name in os.listdir(folder) if _NAME.fullmatch(name)]  # noqa: PTH208 - names
        for name in names:
            _remove_if_left(folder / name)


def _remove_if_left(path: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = open_entry(path)
        try:
            if not take(descriptor) or not is_same(descriptor, path):
                return
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        finally:
            os.close(descriptor)
