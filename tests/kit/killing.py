"""Running a function in a process of its own that is killed at a chosen moment."""

import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from condense_compiler.files import exchange, folders

CHANGING = ("link", "mkdir", "open", "rename", "replace", "rmdir", "symlink", "unlink")


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do the work in a child that is killed before its k-th change of names; False if it ended."""

    def child() -> None:
        left = step

        def dying(change: Callable[..., Any]) -> Callable[..., Any]:
            def changed(*arguments: Any, **options: Any) -> Any:
                nonlocal left
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
                return change(*arguments, **options)

            return changed

        for name in CHANGING:
            setattr(os, name, dying(getattr(os, name)))
        folders.exchange = dying(exchange.exchange)
        work()

    with _forked(child) as pid:
        return _ended_by_kill(pid)


def killed_after(seconds: float, work: Callable[[], object]) -> bool:
    """Do the work in a child that is killed after a time; False if it had ended by then."""
    with _forked(work) as pid:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        return _ended_by_kill(pid)


@contextmanager
def _forked(work: Callable[[], object]) -> Iterator[int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of libraries, all idle
        pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - a child must end here, whatever happened
            os._exit(1)
        os._exit(0)
    yield pid


def _ended_by_kill(pid: int) -> bool:
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status)
    assert killed or os.waitstatus_to_exitcode(status) == 0
    return killed


def content(folder: Path) -> dict[str, bytes]:
    """Return every file in a folder and the folders in it, by path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
