"""Reading back the folder that a compilation was saved to."""

import json
from pathlib import Path
from typing import Any

from condense_compiler.compilation import MODEL_FILE, PLAN_FILE, REPORT_FILE
from condense_compiler.errors import ContractError, InputError
from condense_compiler.memory.buffers import Plan
from condense_compiler.memory.buffers_csv import read_offsets
from condense_compiler.memory.liveness import feature_map_buffers
from condense_compiler.memory.order import file_order
from condense_compiler.memory.validation import validate
from condense_compiler.network import load_network
from condense_compiler.program import ScheduledProgram


def read_report(folder: Path) -> dict[str, Any]:
    """Return the report of a saved compilation.

    Raises:
        InputError: The folder holds none.
    """
    path = folder / REPORT_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror or error}; give a folder that `condense compile` wrote"
        ) from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}; compile the model again") from error
    names = ("target", "model")
    if not isinstance(content, dict) or not all(isinstance(content.get(n), str) for n in names):
        raise InputError(f"{path}: not a report; compile the model again")
    return content


def read_program(folder: Path) -> ScheduledProgram:
    """Return the program of a saved compilation, its plan checked against its network.

    Raises:
        InputError: Something is missing, or the plan is not one for the model.
    """
    network = load_network(folder / MODEL_FILE)
    network.name = folder.name
    order = file_order(network)
    buffers = feature_map_buffers(network, order)
    offsets = read_offsets(folder / PLAN_FILE)
    missing = [buffer.id for buffer in buffers if buffer.id not in offsets]
    if missing or len(offsets) != len(buffers):
        first = missing[0] if missing else next(iter(offsets.keys() - {b.id for b in buffers}))
        raise InputError(f"{folder / PLAN_FILE}: does not match the model at tensor {first!r}")
    arena_bytes = max((offsets[b.id] + b.size for b in buffers), default=0)
    plan = Plan(offsets, arena_bytes, lower_bound_bytes=0, optimal=False)
    try:
        validate(buffers, plan)
    except ContractError as error:
        raise InputError(f"{folder / PLAN_FILE}: {error}") from error
    return ScheduledProgram(network, order, offsets, arena_bytes)
