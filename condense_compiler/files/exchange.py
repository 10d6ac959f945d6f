"""Exchanging two folders in one step, which Linux can and Python does not offer."""

import ctypes
import errno
import os
from pathlib import Path

_AT_CURRENT_FOLDER = -100  # AT_FDCWD of fcntl.h
_EXCHANGE = 2  # RENAME_EXCHANGE of linux/fs.h


def exchange(one: Path, other: Path) -> None:
    """Give each of two folders the place of the other: at no moment is there none.

    Raises:
        OSError: System or file system cannot do it, or not for these.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    here = ctypes.c_int(_AT_CURRENT_FOLDER)
    names = (ctypes.c_char_p(os.fsencode(path)) for path in (one, other))
    first, second = names
    if rename(here, first, here, second, ctypes.c_uint(_EXCHANGE)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))
