"""Ctrl-C at a moment that does not depend on the clock."""

import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int], None]


@contextmanager
def interrupted_once(wanted: Callable[[int], bool]) -> Iterator[Report]:
    """Send an interrupt once a search reports what is wanted.

    Args:
        wanted: Whether a report is the one that is waited for.

    Yields:
        What the search is to report to. It is written in C: no Python runs in the thread of the
        search, where the interrupt would be raised instead of in the search.
    """
    reports: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def wait() -> None:
        while (report := reports.get()) is not None:
            if wanted(report):
                os.kill(os.getpid(), signal.SIGINT)
                return

    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        yield reports.put
    finally:
        reports.put(None)
        waiting.join()
