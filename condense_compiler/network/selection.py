"""What is asked of a model beyond its file: which tensors are its outputs, which inputs are fixed.

The same selection makes the model that is compiled and the one that it is compared with.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from onnx.external_data_helper import load_external_data_for_model, uses_external_data
from onnx.inliner import inline_local_functions

from condense_compiler.errors import InputError
from condense_compiler.network import interface
from condense_compiler.network.dimensions import symbolic_names
from condense_compiler.network.fixed_values import fixed_tensor, read_value
from condense_compiler.network.model_checks import NOT_TEXT
from condense_compiler.network.nearest import nearest
from condense_compiler.network.reading import first_line, read_model
from condense_compiler.network.traversal import all_nodes, main_tensors, reads

Model = str | Path | onnx.ModelProto

_LARGEST_BYTES = 2**31 - 1  # of a model in memory: what protobuf can encode


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked of a model beyond its file.

    Attributes:
        outputs: Tensors to compute instead of the model's outputs; None for its own.
        values: Values of inputs that are no inputs any more, as numbers, lists or arrays.
        dims: Sizes of symbolic dimensions, which the values must fit.
        io: What inputs and outputs are: as given, or quantised values where the model has them.
    """

    outputs: Sequence[str] | None = None
    values: Mapping[str, object] = field(default_factory=dict)
    dims: Mapping[str, int] = field(default_factory=dict)
    io: str = interface.GIVEN

    def __post_init__(self) -> None:
        """Check what is asked of inputs and outputs.

        Raises:
            InputError: It is none of the known forms.
        """
        if self.io not in interface.FORMS:
            known = " or ".join(interface.FORMS)
            raise InputError(f"io cannot be {self.io!r}: inputs and outputs stay {known}")

    @property
    def changes(self) -> bool:
        """Whether anything but sizes is asked for."""
        return self.outputs is not None or bool(self.values) or self.io != interface.GIVEN

    @classmethod
    def from_texts(
        cls,
        outputs: Sequence[str] | None,
        values: Mapping[str, str],
        dims: Mapping[str, int],
        io: str = interface.GIVEN,
    ) -> "Selection":
        """Return a selection whose values are given as text.

        Raises:
            InputError: One of them is no value.
        """
        try:
            read = {name: read_value(text) for name, text in values.items()}
        except ValueError as error:
            raise InputError(str(error)) from None
        return cls(outputs, read, dims, io)


def select(model: onnx.ModelProto, selection: Selection) -> bool:
    """Fix inputs, replace the outputs, and drop what no output needs, in place.

    Inputs that the cut leaves without a reader go, too.

    Returns:
        Whether the model was changed.

    Raises:
        InputError: An input or tensor does not exist, or a value does not suit its input.
    """
    for name, value in selection.values.items():
        _fix(model.graph, name, value, selection.dims)
    was_read = _read_names(model.graph)
    if selection.outputs is not None:
        if model.functions and not _made(model.graph).issuperset(selection.outputs):
            _inline_functions(model)  # one of them may lie in a function
        _replace_outputs(model.graph, selection.outputs)
    changed = [_drop_unneeded(model), *map(_omit_trailing_outputs, all_nodes(model))]
    if selection.outputs is not None:
        wanted = _read_names(model.graph) | {value.name for value in model.graph.output}
        dropped = was_read - wanted
        _keep(model.graph.input, lambda value: value.name not in dropped)
        _keep(model.graph.initializer, lambda tensor: tensor.name in wanted)
    if selection.io == interface.QUANTISED:
        interface.quantise_interface(model)
    return any(changed) or selection.changes


def as_selected(source: Model, selection: Selection) -> Model:
    """Return the model that ONNX Runtime must run for a selection; the source where it is that.

    Raises:
        InputError: The model cannot be read, or does not have what is asked for.
    """
    folder = None if isinstance(source, onnx.ModelProto) else Path(source).parent
    if isinstance(source, onnx.ModelProto):
        model = onnx.ModelProto()
        model.CopyFrom(source)
    else:
        model = read_model(Path(source))
    before = _operators(model)
    try:
        changed = select(model, selection)
    except UnicodeDecodeError:
        raise InputError(f"{source}: {NOT_TEXT}") from None
    if not changed:
        return source
    if folder is None:
        return model
    dropped = before - _operators(model)
    if (
        not selection.changes
        and _external_bytes(model)
        and all(onnx.defs.has(*key) for key in dropped)
    ):
        return source  # what is not needed does no harm there
    if model.ByteSize() + _external_bytes(model) > _LARGEST_BYTES:
        raise InputError(
            f"{source}: the part asked for has more than 2 GiB of weights; cut the file itself, "
            "with onnx.utils.extract_model"
        )
    load_external_data_for_model(model, str(folder))
    return model


def selected_with_dims(source: Model, selection: Selection) -> tuple[Model, Mapping[str, int]]:
    """Return the model of a selection, and the sizes of the symbolic dimensions that it has left.

    Raises:
        InputError: As for `as_selected`.
    """
    selected = as_selected(source, selection)
    if selected is source or not isinstance(selected, onnx.ModelProto):
        return source, selection.dims
    left = symbolic_names(selected.graph)
    return selected, {name: size for name, size in selection.dims.items() if name in left}


def _operators(model: onnx.ModelProto) -> set[tuple[str, str]]:
    return {(node.op_type, node.domain) for node in model.graph.node}


def _external_bytes(model: onnx.ModelProto) -> int:
    external = (tensor for _, tensor in main_tensors(model.graph) if uses_external_data(tensor))
    lengths = (e.value for t in external for e in t.external_data if e.key == "length")
    return sum(int(length) for length in lengths if length.isdigit())


def _fix(graph: onnx.GraphProto, name: str, value: object, dims: Mapping[str, int]) -> None:
    """Make an input a constant."""
    found = next((known for known in graph.input if known.name == name), None)
    if found is None:
        raise InputError(f"the model has no input '{name}'{nearest(name, _names(graph.input))}")
    tensor = fixed_tensor(found, value, dims)
    _keep(graph.input, lambda known: known.name != name)
    _keep(graph.initializer, lambda known: known.name != name)
    graph.initializer.append(tensor)


def _replace_outputs(graph: onnx.GraphProto, names: Sequence[str]) -> None:
    """Make the named tensors the outputs, each once."""
    if not names:
        raise InputError("no outputs are asked for; name at least one tensor")
    typed = {v.name: v for v in (*graph.input, *graph.value_info, *graph.output)}
    known = {*_made(graph), *_names(graph.input), *_names(graph.initializer)}
    for name in names:
        if name not in known:
            raise InputError(f"the model has no tensor '{name}'{nearest(name, sorted(known))}")
    outputs = [typed.get(name) or onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names)]
    copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in outputs]
    del graph.output[:]
    graph.output.extend(copies)


def _made(graph: onnx.GraphProto) -> set[str]:
    return {name for node in graph.node for name in node.output if name}


def _inline_functions(model: onnx.ModelProto) -> None:
    try:
        inlined = inline_local_functions(model)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"functions cannot be inlined: {first_line(error)}") from None
    model.CopyFrom(inlined)


def _drop_unneeded(model: onnx.ModelProto) -> bool:
    """Drop nodes that no output needs, and functions that nothing calls."""
    graph = model.graph
    producers: dict[str, list[int]] = {}
    for number, node in enumerate(graph.node):
        for name in node.output:
            producers.setdefault(name, []).append(number)
    needed: set[int] = set()
    pending = [value.name for value in graph.output]
    while pending:
        for number in producers.pop(pending.pop(), ()):
            if number not in needed:
                needed.add(number)
                pending.extend(reads(graph.node[number]))
    if len(needed) == len(graph.node):
        return False
    kept = [graph.node[number] for number in sorted(needed)]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)
    _drop_uncalled_functions(model)
    return True


def _drop_uncalled_functions(model: onnx.ModelProto) -> None:
    functions = {(f.domain, f.name, f.overload): f for f in model.functions}
    bodies = onnx.ModelProto(graph=model.graph)
    pending, called = [bodies], set[tuple[str, str, str]]()
    while pending:
        for node in all_nodes(pending.pop()):
            key = (node.domain, node.op_type, node.overload)
            if key in functions and key not in called:
                called.add(key)
                pending.append(onnx.ModelProto(functions=[functions[key]]))
    _keep(model.functions, lambda f: (f.domain, f.name, f.overload) in called)


def _omit_trailing_outputs(node: onnx.NodeProto) -> bool:
    """Leave out names that are empty at the end: ONNX Runtime trips over some of them."""
    count = len(node.output)
    while len(node.output) > 1 and not node.output[-1]:
        del node.output[-1]
    return len(node.output) < count


def _read_names(graph: onnx.GraphProto) -> set[str]:
    return {name for node in graph.node for name in reads(node)}


def _names(values: Iterable[onnx.ValueInfoProto | onnx.TensorProto]) -> list[str]:
    return [value.name for value in values]


def _keep(values: Any, wanted: Callable[[Any], bool]) -> None:
    """Remove, in place, what is not wanted from a repeated field, of which there is no one type."""
    for number in reversed(range(len(values))):
        if not wanted(values[number]):
            del values[number]
