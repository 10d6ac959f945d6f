"""Writing single files: regular ones, links, devices, pipes, standard output."""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from condense_compiler.errors import InputError
from condense_compiler.files.temporary import temporary_file

STANDARD_OUTPUT = Path("-")
_DESCRIPTORS = (Path("/dev/fd"), Path("/proc/self/fd"), Path("/proc/thread-self/fd"))
_MOST_LINKS = 40  # as the kernel follows


def is_standard_output(path: Path | None) -> bool:
    """Tell whether a path means standard output: `-`, /dev/stdout and what leads there."""
    return path is not None and (path == STANDARD_OUTPUT or _descriptor(path) == 1)


def check_file(path: Path, kept: Collection[Path] = ()) -> None:
    """Refuse, before any work is done, a file that cannot or must not be written.

    Args:
        path: The file.
        kept: What must not be written over: what is read.

    Raises:
        InputError: It is a folder, lies in no folder, or is one of `kept` by whatever name.
    """
    if is_standard_output(path):
        return
    try:
        status = path.stat()
    except FileNotFoundError:
        status = None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be written: {_reason(error)}") from None
    if status is None:
        folder = _target(path).parent
        if not folder.is_dir():
            shown = path.parent if not path.is_symlink() else folder
            raise InputError(
                f"{path}: cannot be written: the folder {str(shown)!r} does not exist; create it "
                "first"
            )
        return
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: cannot be written: is a folder; give a file")
    for other in kept:
        if is_same_file(path, other):
            raise InputError(
                f"{path}: cannot be written: is what is read ({other}); give another file"
            )


def is_same_file(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to the same file, through links of whatever kind."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False


def write_file(path: Path, content: bytes | str, kept: Collection[Path] = ()) -> None:
    """Write a file, whole or not at all; text as UTF-8.

    Args:
        path: Where; see `writing`.
        content: What.
        kept: What must not be written over.

    Raises:
        InputError: The file cannot or must not be written.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "backslashreplace")
    with writing(path, kept) as file:
        file.write(content)


@contextlib.contextmanager
def writing(path: Path, kept: Collection[Path] = ()) -> Iterator[BinaryIO]:
    """Open a file that appears when the block ends, if it ends well.

    Args:
        path: Where. A link is followed; a device or pipe is written into; `-` is standard output.
        kept: What must not be written over.

    Raises:
        InputError: The file cannot or must not be written.
    """
    check_file(path, kept)
    try:
        with _opened(path) as file:
            yield file
    except OSError as error:
        if error.errno == errno.EPIPE and is_standard_output(path):
            raise  # nobody reads any more, which is no fault
        raise InputError(f"{path}: cannot be written: {_reason(error)}") from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    descriptor = _descriptor(path)
    if is_standard_output(path):
        sys.stdout.flush()  # what was printed before comes first
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif descriptor is not None:
        with open(os.dup(descriptor), "wb") as file:  # noqa: PTH123 - a descriptor
            yield file
    elif _is_special(path):
        with open(os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC), "wb") as file:  # noqa: PTH123
            yield file
    else:
        with _replacing(_target(path)) as file:
            yield file


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of a regular one, or of none, when the block ends."""
    with temporary_file(target.parent) as (temporary, file):
        yield file
        file.flush()
        _keep_rights(file.fileno(), target)
        os.fsync(file.fileno())
        os.replace(temporary, target)  # noqa: PTH105 - says what it does
        sync_folder(target.parent)


def _keep_rights(descriptor: int, target: Path) -> None:
    """Give a file the rights and the owner of the one whose place it takes, as far as allowed."""
    with contextlib.suppress(FileNotFoundError):
        status = target.stat()
        with contextlib.suppress(OSError):
            os.fchown(descriptor, status.st_uid, status.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))


def sync_folder(folder: Path) -> None:
    """Have the names in a folder reach the disk, where file systems can be asked for that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_special(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False


def _target(path: Path) -> Path:
    """Return where a file really lies, or is to lie."""
    return Path(os.path.realpath(path))


def _descriptor(path: Path) -> int | None:
    """Return the open file that a path such as /dev/stdout names, if it names one.

    What it was opened for is written on, even if it is a regular file: replacing that would leave
    whoever holds it with the old one.
    """
    for _ in range(_MOST_LINKS):
        path = Path(os.path.abspath(path))  # noqa: PTH100 - links are followed one by one here
        folders = (*_DESCRIPTORS, Path(f"/proc/{os.getpid()}/fd"))
        if path.parent in folders and path.name.isdecimal():
            return int(path.name)
        try:
            path = path.parent / path.readlink()
        except (OSError, ValueError):  # no link
            return None
    return None


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
