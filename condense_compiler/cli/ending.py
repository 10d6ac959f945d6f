"""How a command ends that did not end well: one line on standard error, and an exit status.

Imports next to nothing, so that Ctrl-C is heard as soon as possible.
"""

import atexit
import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from condense_compiler.cli.status import DONE, FAULT, INTERRUPTED, UNUSABLE
from condense_compiler.errors import CondenseError, ContractError

DEBUG = "CONDENSE_DEBUG"
# What libraries say, in exceptions of their own, where memory ends.
_MEMORY = ("bad_alloc", "annot allocate memory", "ailed to allocate memory", "ut of memory")


class Interrupts:
    """What Ctrl-C does.

    Attributes:
        importing: Modules are being imported, where libraries turn KeyboardInterrupt into errors
            of their own; as nothing has been done yet, the process ends at once.
        interrupted: Ctrl-C was heard. The second time, the process ends at once.
    """

    def __init__(self) -> None:
        self.importing = True
        self.interrupted = False

    def hear(self, _signal: int, _frame: FrameType | None) -> None:
        """Handle the signal."""
        if self.importing or self.interrupted:
            os.write(2, b"condense: interrupted\n")
            os._exit(INTERRUPTED)
        self.interrupted = True
        raise KeyboardInterrupt


@contextlib.contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Listen for Ctrl-C, unless this process was told to ignore it."""
    heard = Interrupts()
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield heard
        return
    signal.signal(signal.SIGINT, heard.hear)
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # While Python ends, nobody can catch KeyboardInterrupt any more.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_DFL)


def ending(error: BaseException, *, interrupted: bool) -> int:
    """Tell what went wrong, and return the exit status."""
    if _is_closed_pipe(error):  # whoever read the output had enough
        discard_output()
        return DONE
    if interrupted or isinstance(error, KeyboardInterrupt):
        return complain("interrupted", INTERRUPTED)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else DONE
    reason = _reason(error)
    return _on_fault(error) if reason is None else complain(reason)


def _reason(error: BaseException) -> str | None:
    """Return why the command could not do what was asked; None if the compiler is at fault."""
    if isinstance(error, CondenseError):
        return None if isinstance(error, ContractError) else str(error)
    if _is_out_of_memory(error):
        return "memory exhausted; use a smaller network, or a machine with more memory"
    if not isinstance(error, OSError):
        return None
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {reason}"
    discard_output()  # the output itself: a full disk, a closed terminal
    return f"the output cannot be written: {reason}"


def _is_closed_pipe(error: BaseException | None) -> bool:
    """Tell whether an error is one of a closed pipe, or was raised on its account."""
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            return True
        error = error.__context__ if isinstance(error, SystemExit) else None
    return False


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return any(words in str(error) for words in _MEMORY)


def _on_fault(error: BaseException) -> int:
    if os.environ.get(DEBUG, "0") not in ("", "0"):
        import traceback  # noqa: PLC0415 - hardly ever needed

        traceback.print_exception(error)
    kind = "" if isinstance(error, ContractError) else f"{type(error).__name__}: "
    advice = f"please report it; {DEBUG}=1 shows where it happened"
    return complain(f"fault of the compiler: {kind}{error}; {advice}", FAULT)


def complain(message: str, status: int = UNUSABLE) -> int:
    """Print the one line of an error; return the exit status."""
    line = " ".join(message.split())
    with contextlib.suppress(OSError, AttributeError):  # no standard error: nobody to tell
        print(f"condense: {line}", file=sys.stderr)  # noqa: T201 - the command line's error line
    return status


def discard_output() -> None:
    """Keep Python from trying once more, when it ends, to write what cannot be written."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
