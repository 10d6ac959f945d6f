"""Writing folders: whoever looks sees the old files or the new ones, whenever the writer dies.

The new files are written to a folder beside the old one, which then takes its place in one step
(`exchange`); files that no compilation wrote come along as hard links. Where folders cannot be
exchanged (a folder that processes or other file systems live in, one with folders in it, no right
to write beside it), the new files are written inside and, once all are there, moved by name. They
wait in a folder called `COMMITTED` meanwhile, from which the next writer or reader moves what a
killed one left.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from condense_compiler.errors import InputError
from condense_compiler.files.exchange import exchange
from condense_compiler.files.locks import folder_lock, hold
from condense_compiler.files.manifest import (
    REPORT_FILE,
    earlier_artefacts,
    files_in,
    stale,
)
from condense_compiler.files.output import STANDARD_OUTPUT, is_same_file, sync_folder
from condense_compiler.files.temporary import remove_left_behind, temporary_folder

COMMITTED = ".condense-committed"
Write = Callable[[Path], None]


def check_folder(folder: Path, names: Collection[str] = (), kept: Collection[Path] = ()) -> None:
    """Refuse, before any work is done, a folder that cannot or must not be written.

    Args:
        folder: The folder.
        names: Files that will be written there, as patterns.
        kept: What must not be written over: what is read.

    Raises:
        InputError: It is no folder, the rights are missing, or one of `kept` would be lost.
    """
    if folder == STANDARD_OUTPUT:
        raise InputError("-: a folder cannot be written to standard output; give its name")
    place = _resolved(folder)
    if not place.is_dir():
        if place.exists():
            raise InputError(f"{folder}: is a file; give a folder to write to")
        if not place.parent.is_dir():
            raise InputError(
                f"{folder}: the folder {str(folder.parent)!r} does not exist; create it first"
            )
    existing = place if place.is_dir() else place.parent
    if not os.access(existing, os.W_OK | os.X_OK):
        shown = folder if place.is_dir() else folder.parent
        raise InputError(f"{folder}: no right to write in {str(shown)!r}")
    _check_names(folder, [p.name for name in names for p in sorted(folder.glob(name))], kept)


def _check_names(folder: Path, names: Collection[str], kept: Collection[Path]) -> None:
    """Refuse to lose what is read, or folders of the user."""
    replaced = [folder / name for name in names]
    removed = [folder / artefact.file for artefact in earlier_artefacts(folder)]
    for path in (*replaced, folder / REPORT_FILE, *removed):
        for other in kept:
            if is_same_file(path, other):
                raise InputError(
                    f"{folder}: {path.name} there is read ({other}), and would be written over; "
                    "give another folder"
                )
    for path in replaced:
        if path.is_dir():
            raise InputError(f"{path}: is a folder where a file is to be written; remove it")


def replace_folder(folder: Path, write: Write, kept: Collection[Path] = ()) -> None:
    """Write a folder, whole or not at all.

    What an earlier compilation wrote there goes, what else lies there stays.

    Args:
        folder: The folder. A link is followed.
        write: Writes the files, `REPORT_FILE` among them, into an empty folder; it may be called
            again.
        kept: What must not be written over.

    Raises:
        InputError: The folder cannot or must not be written.
    """
    check_folder(folder, (), kept)
    place = _resolved(folder)

    def checked(staging: Path) -> None:
        try:
            write(staging)
        except InputError as error:
            message = str(error).replace(str(staging), str(folder))
            raise type(error)(message) from error.__cause__
        _check_names(folder, files_in(staging), kept)

    remove_left_behind(place.parent)
    remove_left_behind(place)
    try:
        while not place.is_dir():
            if _put_first(place, checked):
                return
        if not (_may_exchange(place) and _put_whole(place, checked)):
            _put_by_name(place, checked)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _put_first(place: Path, write: Write) -> bool:
    """Create a folder; False if another process created one meanwhile."""
    with temporary_folder(place.parent) as staging:
        _fill(staging, write)
        try:
            staging.rename(place)
        except OSError:
            if place.is_dir():
                return False
            raise
        sync_folder(place.parent)
    return True


def _fill(staging: Path, write: Write) -> None:
    write(staging)
    sync_folder(staging)


def _may_exchange(place: Path) -> bool:
    """Tell whether nobody lives in a folder, so that another one can take its place."""
    if os.path.ismount(place) or not os.access(place.parent, os.W_OK | os.X_OK):
        return False
    try:
        return not Path.cwd().is_relative_to(place)
    except OSError:  # the folder that this process lives in was removed
        return True


def _put_whole(place: Path, write: Write) -> bool:
    """Exchange a folder; False if that cannot be done here."""
    with temporary_folder(place.parent) as staging:
        _fill(staging, write)
        new = files_in(staging)
        with folder_lock(place):
            _finish(place)
            try:
                _bring_along(place, staging, new)
                exchange(staging, place)
            except OSError:
                return False
            sync_folder(place.parent)
            _bring_late(staging, place, new)
            shutil.rmtree(staging, ignore_errors=True)  # the old one, while it is locked
    return True


def _bring_along(place: Path, staging: Path, new: Collection[str]) -> None:
    """Link what no compilation wrote into the new folder, and give that the rights of the old.

    Raises:
        OSError: It holds folders, or the file system has no links.
    """
    status = place.stat()
    if (status.st_uid, status.st_gid) != (staging.stat().st_uid, staging.stat().st_gid):
        os.chown(staging, status.st_uid, status.st_gid)
    shutil.copystat(place, staging)
    os.utime(staging)
    gone = {*new, *stale(place, new)}
    for name in os.listdir(place):  # noqa: PTH208 - names
        if name not in gone:
            os.link(place / name, staging / name, follow_symlinks=False)
    sync_folder(staging)


def _bring_late(old: Path, place: Path, new: Collection[str]) -> None:
    """Bring along, too, what somebody wrote to the old folder in the last moment."""
    gone = {*new, *stale(old, new)}
    for path in old.iterdir():
        if path.name in gone:
            continue
        twin = place / path.name
        if not (twin.exists() and os.path.samestat(path.lstat(), twin.lstat())):
            path.replace(twin)


def _put_by_name(place: Path, write: Write) -> None:
    """Move files into a folder one by one; the next process goes on if this one dies."""
    with folder_lock(place):
        _finish(place)
        with temporary_folder(place) as staging:
            _fill(staging, write)
            staging.rename(place / COMMITTED)
            sync_folder(place)
        try:
            _finish(place)
        except KeyboardInterrupt:
            _finish(place)
            raise


def _finish(place: Path) -> None:
    """Move what waits in a locked folder to its place; the report, which tells it all, last."""
    committed = place / COMMITTED
    if not committed.is_dir():
        return
    new = {*files_in(committed), *(each.file for each in earlier_artefacts(committed))}
    if (committed / REPORT_FILE).exists():
        for name in sorted(new - {REPORT_FILE}):
            if (committed / name).exists():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (committed / name).replace(place / name)
        for name in stale(place, new):
            (place / name).unlink(missing_ok=True)
        sync_folder(place)
        (committed / REPORT_FILE).replace(place / REPORT_FILE)
        sync_folder(place)
    shutil.rmtree(committed)


@contextlib.contextmanager
def reading_folder(folder: Path) -> Iterator[None]:
    """Read a folder while nobody writes it, once it is whole.

    Raises:
        InputError: A writer was stopped in the middle, and there is no right to finish its work.
    """
    place = _resolved(folder)
    with contextlib.ExitStack() as stack:
        if place.is_dir():
            try:
                _finish_to_read(place, stack.enter_context(folder_lock(place, shared=True)))
            except OSError as error:
                raise InputError(
                    f"{folder}: cannot be read, or not finished after a compilation that was "
                    f"stopped: {error.strerror or error}; compile the model again"
                ) from error
        yield


def _finish_to_read(place: Path, descriptor: int) -> None:
    if (place / COMMITTED).is_dir():
        hold(descriptor)
        _finish(place)
        hold(descriptor, shared=True)


def _resolved(folder: Path) -> Path:
    return Path(os.path.realpath(folder))
