"""Whether a model is whole, and valid ONNX of versions that are known."""

import math
import re
from collections.abc import Iterator, Mapping

import onnx
from google.protobuf.message import Message
from onnx.external_data_helper import uses_external_data

from condense_compiler.errors import InputError, UnsupportedError
from condense_compiler.limits import limits
from condense_compiler.network.export import DEFAULT_DOMAINS
from condense_compiler.network.reading import first_line
from condense_compiler.network.tensors import PACKED_BITS, bytes_of
from condense_compiler.network.traversal import main_tensors, nested_tensors, nodes_within

OLDEST_OPSET = 7  # earlier operators broadcast by other rules
OLDEST_IR_VERSION = 3  # the first with operator sets
NOT_TEXT = "a name in it is not text; the file is damaged: export or copy it again"
_DAMAGED = "the file is damaged: export or copy it again"
_TYPES = frozenset(onnx.TensorProto.DataType.values())
_COMPLEX = frozenset({onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128})


def check_versions(model: onnx.ModelProto) -> None:
    """Refuse models of versions that the installed onnx package does not know.

    The default operator set is made to go by one name.
    """
    imported: dict[str, int] = {}
    for entry in model.opset_import:
        domain = "" if entry.domain in DEFAULT_DOMAINS else entry.domain
        if imported.setdefault(domain, entry.version) != entry.version:
            raise InputError(f"two versions of the operator set '{entry.domain}' are imported")
    if "" not in imported:
        raise InputError(
            "the model does not say which version of the default operator set it uses; "
            "export it again"
        )
    _check_range("opset", imported[""], OLDEST_OPSET, onnx.defs.onnx_opset_version())
    _check_range("IR version", model.ir_version, OLDEST_IR_VERSION, onnx.IR_VERSION)
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(*entry) for entry in imported.items())


def _check_range(what: str, version: int, oldest: int, newest: int) -> None:
    if version > newest:
        raise UnsupportedError(
            f"{what} {version} is newer than {newest}, the newest that the installed onnx package "
            "knows; upgrade onnx"
        )
    if version < oldest:
        raise UnsupportedError(
            f"{what} {version} is older than {oldest}, the oldest supported; "
            "export the model again, or convert it with onnx.version_converter"
        )


def check_tensors(model: onnx.ModelProto) -> None:
    """Refuse constants whose bytes are not what their type and shape promise."""
    for sparse in model.graph.sparse_initializer:
        raise UnsupportedError(
            f"initializer '{sparse.values.name}' is sparse, which is not supported; store it dense"
        )
    names: set[str] = set()
    for tensor in model.graph.initializer:
        if tensor.name in names:
            raise InputError(f"two initializers are called '{tensor.name}'; export the model again")
        names.add(tensor.name)
    nested = ((tensor.name, tensor) for tensor in nested_tensors(model))
    for name, tensor in (*main_tensors(model.graph), *nested):
        _check_tensor(name, tensor)


def _check_tensor(name: str, tensor: onnx.TensorProto) -> None:
    if tensor.data_type not in _TYPES - {onnx.TensorProto.UNDEFINED}:
        raise InputError(f"constant '{name}' has no known element type ({tensor.data_type})")
    if min(tensor.dims, default=0) < 0:
        raise InputError(f"constant '{name}' has a negative size: {list(tensor.dims)}")
    if uses_external_data(tensor):
        return
    found, expected = _stored_and_expected(tensor)
    if found != expected:
        raise InputError(
            f"constant '{name}' holds {found} of {expected} "
            f"{'bytes' if tensor.HasField('raw_data') else 'values'}; the file is damaged, or its "
            "weights were left out: export or copy it again"
        )


def _stored_and_expected(tensor: onnx.TensorProto) -> tuple[int, int]:
    """Return how much data a tensor has, and how much it should: bytes if raw, else values."""
    if tensor.HasField("raw_data"):
        return len(tensor.raw_data), bytes_of(tensor.data_type, tensor.dims)
    values = getattr(tensor, onnx.helper.tensor_dtype_to_field(tensor.data_type))
    expected = math.prod(tensor.dims)
    if tensor.data_type in _COMPLEX:
        expected *= 2
    if tensor.data_type in PACKED_BITS:
        expected = bytes_of(tensor.data_type, tensor.dims)
    return len(values), expected


def check_fields(skeleton: onnx.ModelProto) -> None:
    """Refuse damage that libraries trip over: names that are not text, types that do not exist."""
    for value in (*skeleton.graph.input, *skeleton.graph.output):
        _check_kind(value)
    for message in _messages(skeleton):
        for field, value in message.ListFields():
            # Protobuf gives the bytes where a name does not decode.
            texts = value if field.is_repeated else [value]
            if field.type == field.TYPE_STRING and any(isinstance(t, bytes) for t in texts):
                raise InputError(NOT_TEXT)
        if isinstance(message, onnx.TypeProto.Tensor) and message.elem_type not in _TYPES:
            raise InputError(f"element type {message.elem_type} does not exist; {_DAMAGED}")


def _check_kind(value: onnx.ValueInfoProto) -> None:
    kind = value.type.WhichOneof("value") or "tensor_type"
    if kind != "tensor_type":
        shown = kind.removesuffix("_type").replace("_", " ")
        raise UnsupportedError(f"'{value.name}' is of type {shown}; only tensors are supported")


def _messages(message: Message) -> Iterator[Message]:
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in value if field.is_repeated else [value]:
                yield from _messages(inner)


def check_model(skeleton: onnx.ModelProto) -> None:
    """Run the ONNX checker.

    Raises:
        InputError: The model breaks a rule of ONNX.
    """
    # Before version 4 every initializer had to be an input, which it no longer is here.
    skeleton.ir_version = max(skeleton.ir_version, 4)
    for value in skeleton.graph.output:
        if value.type.HasField("tensor_type"):
            # The checker wants a shape; inference finds it without.
            value.type.tensor_type.shape.SetInParent()
    try:
        onnx.checker.check_model(skeleton)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise InputError(f"not a valid ONNX model: {_place(error)}{first_line(error)}") from None


def _place(error: Exception) -> str:
    """Return which node the checker complains about, where it says so."""
    place = re.search(r"Bad node spec for node\. Name: (.*) OpType: (\w+)", str(error))
    return "" if place is None else f"node '{place[1]}' ({place[2]}): "


def check_functions(model: onnx.ModelProto) -> None:
    """Refuse too many operators, and functions that shadow operators or call themselves.

    Operators count once for each call of the function that they are in.

    Raises:
        InputError: There are.
    """
    bodies = {(f.domain, f.name, f.overload): f for f in model.functions}
    for domain, name, _ in bodies:
        if domain in DEFAULT_DOMAINS and onnx.defs.has(name):
            raise InputError(
                f"function '{name}' has the name of a standard operator; rename it, or give it a "
                "domain of its own"
            )
    sizes: dict[tuple[str, str, str], int] = {}
    for key in bodies:
        _count_operators(key, bodies, sizes)
    total = sum(sizes.get(_callee(node), 1) for node in nodes_within(model.graph.node))
    limits().check("operators", total, "the model, its functions inlined")


def _callee(node: onnx.NodeProto) -> tuple[str, str, str]:
    return node.domain, node.op_type, node.overload


def _count_operators(
    start: tuple[str, str, str],
    bodies: Mapping[tuple[str, str, str], onnx.FunctionProto],
    sizes: dict[tuple[str, str, str], int],
) -> None:
    """Count the operators and calls that each function unfolds into, callees first."""
    open_calls, stack = set[tuple[str, str, str]](), [start]
    while stack:
        key = stack[-1]
        callees = {_callee(node) for node in nodes_within(bodies[key].node)} & bodies.keys()
        waiting = [callee for callee in callees if callee not in sizes]
        if key in sizes or not waiting:
            inner = nodes_within(bodies[key].node)
            sizes[key] = 1 + sum(sizes.get(_callee(node), 1) for node in inner)
            open_calls.discard(stack.pop())
            continue
        open_calls.add(key)
        cycle = next((callee for callee in waiting if callee in open_calls), None)
        if cycle is not None:
            raise InputError(f"function '{cycle[1]}' calls itself; functions must not")
        stack += waiting
