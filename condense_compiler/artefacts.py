"""Reading back the folder that a compilation was saved to."""

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from condense_compiler.compilation import MODEL_FILE, PICTURE_FILE, PLAN_FILE
from condense_compiler.errors import InputError
from condense_compiler.files import reading_folder
from condense_compiler.files.manifest import REPORT_FILE, check_together, read_artefacts
from condense_compiler.memory.placement_csv import read_placement, read_sharing
from condense_compiler.network import load_network
from condense_compiler.network.selection import Selection
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.program import ScheduledProgram, Step
from condense_compiler.report.picture import Picture
from condense_compiler.report.report_check import check_report
from condense_compiler.request import Request
from condense_compiler.targets import Loading, Runnable, Target, find_target

_ADVICE = "give a folder that `condense compile` wrote, or compile the model again"
_MOST_BYTES = 1 << 30  # of a JSON file: no picture comes near


@contextlib.contextmanager
def open_folder(folder: Path, names: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the report of a saved compilation, and keep others from writing there meanwhile.

    Args:
        folder: The folder.
        names: The files that will be read, beside the report; all that it lists, if None.

    Raises:
        InputError: The folder holds no report, or its files do not belong together.
    """
    with reading_folder(folder):
        report = read_report(folder)
        check_together(folder, read_artefacts(report["artefacts"]), names)
        yield report


def read_report(folder: Path) -> dict[str, Any]:
    """Return the report of a saved compilation.

    Raises:
        InputError: The folder holds none.
    """
    path = folder / REPORT_FILE
    content = _read_json(path, _ADVICE)
    try:
        check_report(content, "")
    except ValueError as error:
        raise InputError(f"{path}: not a report: {error}; compile the model again") from None
    return dict(content)


def read_picture(folder: Path) -> Picture:
    """Return the picture of a saved compilation.

    Raises:
        InputError: The folder holds none.
    """
    path = folder / PICTURE_FILE
    content = _read_json(path, _ADVICE)
    try:
        return Picture.from_dict(content)
    except ValueError as error:
        raise InputError(
            f"{path}: not the picture of a plan: {error}; compile the model again"
        ) from None


def read_request(path: Path) -> Request:
    """Return the request in a file: a report's, or one by itself.

    The path of a model is absolute, or seen from the folder that the file lies in.

    Raises:
        InputError: It holds none, or one that names what does not exist.
    """
    content = _read_json(path, "give a report.json, or a request")
    if isinstance(content, dict) and "request" in content:
        content = content["request"]
    try:
        request = Request.from_dict(content)
    except (ValueError, InputError) as error:
        raise InputError(f"{path}: not a request: {error}") from None
    model = request.model_path or path.parent / request.model
    return replace(request, model_path=str(Path(model).absolute()))


def _read_json(path: Path, advice: str) -> Any:
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: not a file; {advice}")
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: larger than 1 GiB; {advice}")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; {advice}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}; {advice}") from error


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
    target = target_of(report)
    if isinstance(target, Loading):
        return target.load(folder, program, report["target_facts"])
    return target.lower(program)


def target_of(report: Mapping[str, Any]) -> Target:
    """Return the target of a saved compilation.

    Raises:
        InputError: There is no such target any more, or it has other options.
    """
    request = _request_of(report)
    return find_target(request.target, request.target_options)


def read_source(folder: Path, report: Mapping[str, Any]) -> tuple[Path, Selection]:
    """Return the model that a saved compilation was made from, and what was asked of it then.

    A model that changed since is warned of.

    Raises:
        InputError: It was in memory, or is not there any more.
    """
    request = _request_of(report)
    if request.model_path is None:
        raise InputError(f"{folder}: made from a model in memory; there is no file to compare with")
    if not Path(request.model_path).is_file():
        raise InputError(
            f"{request.model_path}: the model that {folder} was made from is not there any more"
        )
    request.warn_of_change()
    return Path(request.model_path), request.selection


def _request_of(report: Mapping[str, Any]) -> Request:
    """Return what a report says was asked for, but for passes: they may be installed no more."""
    return Request.from_dict(report["request"] | {"passes": None})
