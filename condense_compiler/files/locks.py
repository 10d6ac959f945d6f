"""Locks on files and folders, which end with the process that holds them, however it ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


def is_same(descriptor: int, path: Path) -> bool:
    """Tell whether a path still leads to what was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def hold(descriptor: int, *, shared: bool = False) -> None:
    """Wait for a lock. Where the file system has none, go on without."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)


def take(descriptor: int) -> bool:
    """Take a lock if nobody holds it; where the file system has none, it cannot be taken."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def folder_lock(folder: Path, *, shared: bool = False) -> Iterator[int]:
    """Hold the lock of the folder that a path leads to, and yield its descriptor.

    While one waits, another process may put a new folder in the old one's place; then the new one
    is locked.

    Args:
        folder: The folder, links resolved.
        shared: Among readers; a writer is alone.

    Raises:
        OSError: There is no such folder.
    """
    while True:
        descriptor = os.open(folder, _FLAGS | os.O_DIRECTORY)
        try:
            hold(descriptor, shared=shared)
            if is_same(descriptor, folder):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def open_entry(path: Path) -> int:
    """Open a file or folder, no link, to ask for its lock.

    Raises:
        OSError: It cannot be opened.
    """
    return os.open(path, _FLAGS | os.O_NOFOLLOW)
