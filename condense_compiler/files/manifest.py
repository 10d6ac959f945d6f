"""Which files of a folder a compilation wrote: listed in its report, with sizes and digests."""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from condense_compiler.errors import InputError

REPORT_FILE = "report.json"
_ADVICE = "compile the model again"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Artefact:
    """A file that a compilation wrote.

    Attributes:
        file: Its path inside the folder, parts separated by slashes.
        bytes: Its size.
        sha256: Digest of its content, in hexadecimal.
    """

    file: str
    bytes: int
    sha256: str

    def is_in(self, folder: Path) -> bool:
        """Tell whether the file is there as it was written."""
        try:
            path = folder / self.file
            return path.is_file() and path.stat().st_size == self.bytes and self._matches(path)
        except (OSError, ValueError):
            return False

    def _matches(self, path: Path) -> bool:
        return digest_of([path]) == self.sha256


def describe(folder: Path) -> tuple[Artefact, ...]:
    """Return all files of a folder, by name."""
    return tuple(_describe(folder, name) for name in files_in(folder))


def files_in(folder: Path) -> list[str]:
    """Return the paths of all files in a folder, seen from there."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def _describe(folder: Path, name: str) -> Artefact:
    path = folder / name
    return Artefact(name, path.stat().st_size, digest_of([path]))


def digest_of(paths: Iterable[Path]) -> str:
    """Return the digest of the contents of files, one behind the other, in hexadecimal.

    Raises:
        OSError: One cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def read_artefacts(entries: object) -> tuple[Artefact, ...]:
    """Return the artefacts that a report lists.

    Raises:
        ValueError: It is no such list, or a file in it does not lie in the folder.
    """
    if not isinstance(entries, list):
        raise ValueError("artefacts: expected a list")  # noqa: TRY004 - as for every other field
    return tuple(_read_artefact(number, entry) for number, entry in enumerate(entries))


def _read_artefact(number: int, entry: Any) -> Artefact:
    match entry:
        case {"file": str(file), "bytes": int(size), "sha256": str(digest)} if _is_inside(file):
            return Artefact(file, size, digest)
        case _:
            raise ValueError(f"artefacts[{number}]: expected file, bytes, sha256")


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    parts = path.parts
    return bool(parts) and not path.is_absolute() and ".." not in parts and "\0" not in name


def earlier_artefacts(folder: Path) -> tuple[Artefact, ...]:
    """Return what the report in a folder says was written there; nothing if there is no report."""
    try:
        report = json.loads((folder / REPORT_FILE).read_bytes())
        return read_artefacts(report["artefacts"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ()


def check_together(
    folder: Path, artefacts: Sequence[Artefact], names: Collection[str] | None = None
) -> None:
    """Refuse a folder whose files are not those that its report names.

    Args:
        folder: The folder.
        artefacts: What its report lists.
        names: Check these alone; all, if None.

    Raises:
        InputError: One is missing, not listed, or another one.
    """
    listed = {artefact.file: artefact for artefact in artefacts}
    for name in listed if names is None else names:
        _check_one(folder, name, listed.get(name))


def _check_one(folder: Path, name: str, artefact: Artefact | None) -> None:
    path = folder / name
    if artefact is None:
        raise InputError(f"{path}: is not of the compilation that {REPORT_FILE} tells; {_ADVICE}")
    try:
        if not path.is_file():
            raise InputError(f"{path}: No such file; {_ADVICE}")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; {_ADVICE}") from None
    if not artefact.is_in(folder):
        raise InputError(
            f"{path}: changed since, or of another compilation than {REPORT_FILE}; {_ADVICE}"
        )


def stale(folder: Path, new: Iterable[str]) -> list[str]:
    """Return the files that an earlier compilation wrote to a folder and the new one does not.

    Those that somebody changed since are not among them.
    """
    kept = {*new, REPORT_FILE}
    old = (artefact for artefact in earlier_artefacts(folder) if artefact.file not in kept)
    return [artefact.file for artefact in old if artefact.is_in(folder)]
