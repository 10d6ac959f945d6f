"""What is asked of the compiler, as one record that a report stores and that can be run again."""

import math
import operator
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import onnx

from condense_compiler.errors import InputError
from condense_compiler.files.manifest import digest_of
from condense_compiler.limits import Limits, with_changes
from condense_compiler.limits import limits as limits_in_force
from condense_compiler.network.external_data import model_files
from condense_compiler.network.fixed_values import read_value, values_as_text
from condense_compiler.network.interface import FORMS, GIVEN
from condense_compiler.network.selection import Model, Selection
from condense_compiler.option_text import as_texts
from condense_compiler.passes import find_pass, find_passes
from condense_compiler.plugins import closest_name
from condense_compiler.report.fields import (
    FieldCheck,
    by_name,
    flag,
    many,
    number,
    one_of,
    optional,
    text,
    whole,
)
from condense_compiler.rewriting.contract import Pass, pass_text


@dataclass(frozen=True, slots=True)
class Request:
    """What a compilation is asked for.

    Attributes:
        model: Path of the model as it was given, or the name of a model in memory.
        model_path: Absolute path of the model; None for one in memory, or where `model` is the
            path, seen from the working directory.
        model_sha256: Digest of the model's file and those of its external data, one behind the
            other, in hexadecimal; None where they are not compared.
        target: Name of the target.
        target_options: Options of the target, as text by name.
        dims: Sizes of symbolic dimensions, by name.
        outputs: Tensors to compute instead of the model's outputs; None for its own.
        values: Inputs to fix: each value as JSON text, by name.
        io: What inputs and outputs are: `given`, or `quantised` where the model quantises them.
        passes: Passes to run, in order; None for those that the target runs by default.
        memory_limit_bytes: Size that the arena should fit, if any.
        order_seconds: Longest search for an order, in seconds; None for a fixed effort.
        verify: Whether the outputs are compared with ONNX Runtime on the model as given.
        limits: What is refused as too large.
        in_memory: The model that has no file.
    """

    model: str
    model_path: str | None = None
    model_sha256: str | None = None
    target: str = "reference"
    target_options: Mapping[str, str] = field(default_factory=dict)
    dims: Mapping[str, int] = field(default_factory=dict)
    outputs: tuple[str, ...] | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    io: str = GIVEN
    passes: tuple[Pass, ...] | None = None
    memory_limit_bytes: int | None = None
    order_seconds: float | None = None
    verify: bool = True
    limits: Limits = field(default_factory=Limits)
    in_memory: onnx.ModelProto | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(  # noqa: PLR0913 - the options of a compilation
        cls,
        model: Model,
        target: str = "reference",
        *,
        dims: Mapping[str, int] | None = None,
        outputs: Sequence[str] | None = None,
        values: Mapping[str, object] | None = None,
        io: str = GIVEN,
        passes: str | Sequence[str | Pass] | None = None,
        memory_limit_bytes: int | None = None,
        order_seconds: float | None = None,
        verify_outputs: bool = True,
        target_options: Mapping[str, object] | None = None,
        limits: Limits | None = None,
    ) -> "Request":
        """Return a request in the words of `condense_compiler.compile`.

        Raises:
            InputError: A value, option or pass cannot be used.
        """
        in_memory = model if isinstance(model, onnx.ModelProto) else None
        return cls(
            model=str(model) if in_memory is None else in_memory.graph.name,
            target=target,
            target_options=as_texts(target_options or {}),
            dims={name: _whole(f"dims[{name!r}]", size) for name, size in (dims or {}).items()},
            outputs=None if outputs is None else tuple(outputs),
            values=values_as_text(values or {}),
            io=io,
            passes=_passes(passes),
            memory_limit_bytes=(
                None
                if memory_limit_bytes is None
                else _whole("memory_limit_bytes", memory_limit_bytes)
            ),
            order_seconds=None if order_seconds is None else float(order_seconds),
            verify=verify_outputs,
            limits=limits or limits_in_force(),
            in_memory=in_memory,
        )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Request":
        """Return a request from what `to_dict` returned; fields that are missing are default ones.

        Raises:
            InputError: A pass, option or limit does not exist.
            ValueError: A field does not exist, or holds something else.
        """
        check_request(content, "")
        given = dict(content)
        if given.get("outputs") is not None:
            given["outputs"] = tuple(given["outputs"])
        if given.get("passes") is not None:
            given["passes"] = tuple(map(find_pass, given["passes"]))
        return cls(**given | {"limits": with_changes(given.get("limits", {}))})

    def to_dict(self) -> dict[str, Any]:
        """Return the request as it stands in report.json."""
        return {
            "model": self.model,
            "model_path": self.model_path,
            "model_sha256": self.model_sha256,
            "target": self.target,
            "target_options": dict(self.target_options),
            "dims": dict(self.dims),
            "outputs": None if self.outputs is None else list(self.outputs),
            "values": dict(self.values),
            "io": self.io,
            "passes": None if self.passes is None else [pass_text(step) for step in self.passes],
            "memory_limit_bytes": self.memory_limit_bytes,
            "order_seconds": self.order_seconds,
            "verify": self.verify,
            "limits": self.limits.changes(),
        }

    @property
    def source(self) -> Model:
        """The model: its path, or itself where it is in memory."""
        return Path(self.model_path or self.model) if self.in_memory is None else self.in_memory

    @property
    def selection(self) -> Selection:
        """What is asked of the model beyond its file.

        Raises:
            InputError: A value of an input is none.
        """
        return Selection.from_texts(self.outputs, self.values, self.dims, self.io)

    def recorded(self) -> "Request":
        """Return the request as a report holds it: with an absolute path, or the name alone."""
        path = None if self.in_memory else str(Path(self.model_path or self.model).absolute())
        return replace(self, model_path=path, model_sha256=None, in_memory=None)

    def with_digest(self) -> "Request":
        """Return the request with the digest of its model as it is now, if that has a file."""
        path = None if self.model_path is None else Path(self.model_path)
        found = path is not None and path.is_file()
        return replace(self, model_sha256=digest_of(model_files(path)) if path and found else None)

    def warn_of_change(self) -> None:
        """Warn if the model is another one than that whose digest the request has."""
        if self.model_sha256 not in (None, self.with_digest().model_sha256):
            message = f"{self.source}: changed since it was compiled for the request"
            warnings.warn(message, stacklevel=2)


def check_request(content: object, where: str) -> None:
    """Check what a request is read from.

    Raises:
        ValueError: A field is missing, does not exist, or holds something else.
    """
    if not isinstance(content, dict) or "model" not in content:
        raise ValueError(f"{where or 'the request'}: expected an object with a model")
    for name, value in content.items():
        if name not in _FIELDS:
            hint = closest_name(str(name), _FIELDS)
            known = ", ".join(_FIELDS)
            raise ValueError(f"there is no field {name!r} in a request: {hint}it has {known}")
        _FIELDS[name](value, f"{where}.{name}".removeprefix("."))


def _value(value: object, where: str) -> None:
    text(value, where)
    read_value(str(value))


def _seconds(value: object, where: str) -> None:
    number(value, where)
    if value in (0, math.inf):
        raise ValueError(f"{where}: expected a positive number")


_FIELDS: Mapping[str, FieldCheck] = {
    "model": text,
    "model_path": optional(text),
    "model_sha256": optional(text),
    "target": text,
    "target_options": by_name(text),
    "dims": by_name(whole),
    "outputs": optional(many(text)),
    "values": by_name(_value),
    "io": one_of(FORMS),
    "passes": optional(many(text)),
    "memory_limit_bytes": optional(whole),
    "order_seconds": optional(_seconds),
    "verify": flag,
    "limits": by_name(whole),
}


def _passes(passes: str | Sequence[str | Pass] | None) -> tuple[Pass, ...] | None:
    if passes is None:
        return None
    if isinstance(passes, str):
        return find_passes(passes)
    return tuple(find_pass(step) if isinstance(step, str) else step for step in passes)


def _whole(name: str, value: object) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]  # that is what is checked
    except TypeError:
        raise InputError(f"{name}: {value!r} is not a whole number") from None
