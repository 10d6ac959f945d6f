"""Timing the stages of a compilation."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

StageWatcher = Callable[[str], object]

STAGES = ("load", "prepare", "rewrite", "select", "schedule", "plan", "lower", "verify")


class Stages:
    """Measures how long each stage takes, and tells a watcher when one starts.

    Attributes:
        seconds: Time spent in each stage so far, by name; 0 for those that were not run.
    """

    def __init__(self, watcher: StageWatcher | None = None) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._watcher = watcher

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the time of a block as that of the stage `name`."""
        if self._watcher is not None:
            self._watcher(name)
        start = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - start
