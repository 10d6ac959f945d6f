"""Timing side by side: what is compared runs in turns, so that a machine's moods hit all alike."""

import statistics
import time
from collections.abc import Callable, Mapping


def alternate(
    candidates: Mapping[str, Callable[[], object]], rounds: int = 5, warm_up: int = 1
) -> dict[str, float]:
    """Run each candidate once per round, in turns.

    Args:
        candidates: What to time, by name.
        rounds: Runs of each that count.
        warm_up: Runs of each that do not.

    Returns:
        The median seconds of each candidate.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(warm_up + rounds):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}
