"""Reading back the folder that a compilation was saved to."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from condense_compiler.compilation import MODEL_FILE, PICTURE_FILE, PLAN_FILE, REPORT_FILE
from condense_compiler.errors import InputError
from condense_compiler.memory.placement_csv import read_placement, read_sharing
from condense_compiler.network import load_network
from condense_compiler.network.fixed_values import read_value
from condense_compiler.network.selection import Selection, as_selected
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.program import ScheduledProgram, Step
from condense_compiler.report.picture import Picture
from condense_compiler.targets import Loading, Runnable, find_target


def read_report(folder: Path) -> dict[str, Any]:
    """Return the report of a saved compilation.

    Raises:
        InputError: The folder holds none.
    """
    path = folder / REPORT_FILE
    content = _read_json(path)
    if not isinstance(content, dict) or not _is_report(content):
        raise InputError(f"{path}: not a report; compile the model again")
    return content


def _is_report(content: Mapping[str, Any]) -> bool:
    """Tell whether the entries that later commands rely on are there."""
    options, maps = content.get("target_options"), content.get("feature_maps")
    return (
        all(isinstance(content.get(name), str) for name in ("target", "model"))
        and isinstance(content.get("model_path"), str | None)
        and _is_selection(content)
        and isinstance(options, dict)
        and all(isinstance(value, str) for value in options.values())
        and isinstance(content.get("target_facts"), dict)
        and isinstance(content.get("residency", ""), dict | None)
        and isinstance(maps, dict)
        and isinstance(maps.get("after"), dict)
        and isinstance(maps["after"].get("arena_bytes"), int)
    )


def _is_selection(content: Mapping[str, Any]) -> bool:
    """Tell whether what was asked of the model is there, or left out as in older reports."""
    outputs, values = content.get("outputs"), content.get("values", {})
    dims = content.get("dims", {})
    return (
        isinstance(outputs, list | None)
        and all(isinstance(name, str) for name in outputs or ())
        and isinstance(values, dict)
        and all(isinstance(text, str) for text in values.values())
        and isinstance(dims, dict)
        and all(isinstance(size, int) for size in dims.values())
    )


def read_picture(folder: Path) -> Picture:
    """Return the picture of a saved compilation.

    Raises:
        InputError: The folder holds none.
    """
    path = folder / PICTURE_FILE
    content = _read_json(path)
    try:
        return Picture.from_dict(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not the picture of a plan; compile the model again") from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror or error}; give a folder that `condense compile` wrote"
        ) from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}; compile the model again") from error


def read_program(folder: Path) -> ScheduledProgram:
    """Return the program of a saved compilation, its placement checked against its network.

    Raises:
        InputError: Something is missing, or does not belong to the model.
    """
    network = load_network(folder / MODEL_FILE)
    network.name = folder.name
    sharing = read_sharing(folder / PLAN_FILE, network)
    steps, offsets, arena_bytes = read_placement(folder / PLAN_FILE, sharing)
    if arena_bytes > 2 * sum(map(tensor_bytes, sharing.tensors.values())):
        raise InputError(f"{folder / PLAN_FILE}: offsets beyond any need; compile the model again")
    program_steps = tuple(Step(*(sharing.order[number] for number in step)) for step in steps)
    return ScheduledProgram(network, program_steps, offsets, arena_bytes)


def read_runnable(folder: Path, report: Mapping[str, Any], program: ScheduledProgram) -> Runnable:
    """Return what a saved compilation runs: what its target saved, or its program lowered again.

    Args:
        folder: The folder.
        report: Its report, which tells the target and the options that were given.
        program: Its program.

    Raises:
        InputError: Something is missing or damaged, or does not belong to the model.
    """
    target = find_target(report["target"], report["target_options"])
    if isinstance(target, Loading):
        return target.load(folder, program, report["target_facts"])
    return target.lower(program)


def read_source(folder: Path, report: Mapping[str, Any]) -> str | Path | onnx.ModelProto:
    """Return the model that a saved compilation was made from, cut and fixed as it was then.

    Raises:
        InputError: It was in memory, or is not there any more, or does not fit the report.
    """
    if report["model_path"] is None:
        raise InputError(f"{folder}: made from a model in memory; there is no file to compare with")
    source = Path(report["model_path"])
    if not source.is_file():
        raise InputError(f"{source}: the model that {folder} was made from is not there any more")
    texts: Mapping[str, str] = report.get("values", {})
    try:
        values = {name: read_value(text) for name, text in texts.items()}
    except ValueError as error:
        raise InputError(f"{folder / REPORT_FILE}: {error}; compile the model again") from None
    dims = report.get("dims", {})
    return as_selected(source, Selection(report.get("outputs"), values, dims))
