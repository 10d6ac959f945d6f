"""A run in the Chrome trace format, which chrome://tracing and Perfetto open."""

import json
from collections.abc import Sequence

from condense_compiler.targets.accelerator.isa.records import Queue
from condense_compiler.targets.accelerator.simulator.timing import Timed

_PROCESS = 1


def to_trace(timed: Sequence[Timed]) -> str:
    """Return a trace; one cycle is shown as one microsecond."""
    events: list[dict[str, object]] = [
        {
            "name": "thread_name",
            "ph": "M",
            "pid": _PROCESS,
            "tid": int(queue),
            "args": {"name": queue.name.lower()},
        }
        for queue in Queue
    ]
    events += [_event(entry) for entry in timed]
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ms"})


def _event(entry: Timed) -> dict[str, object]:
    issue = entry.issue
    areas = list(issue.access.writes.values())
    arguments: dict[str, object] = {
        "number": issue.number,
        "bytes written": sum(area.size_bytes for area in areas),
        "address": areas[0].address,
    }
    if issue.queue is Queue.COMPUTE:
        arguments |= {"macs": issue.macs, "waited": entry.waited_cycles}
        arguments |= {"waited for": entry.waited_for} if entry.waited_for else {}
    return {
        "name": issue.instruction.name,
        "ph": "X",
        "pid": _PROCESS,
        "tid": int(issue.queue),
        "ts": entry.first_cycle,
        "dur": max(entry.busy_cycles, 1),
        "args": arguments,
    }
