"""From an ONNX model, as exporters write it, to a network that the compiler can work on."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import onnx
import onnx_graphsurgeon as gs
from onnx.inliner import inline_selected_functions

from condense_compiler.errors import InputError, UnsupportedError
from condense_compiler.network import acceptance
from condense_compiler.network.cleaning import detach_strangers, drop_unused_outputs, name_nodes
from condense_compiler.network.conditionals import inline_conditionals
from condense_compiler.network.dimensions import fix_dimensions, symbolic_names
from condense_compiler.network.external_data import resolve_external_data
from condense_compiler.network.folding import drop_folded, fold_node
from condense_compiler.network.function_bodies import recognise_functions
from condense_compiler.network.importing import import_graph, unify_values
from condense_compiler.network.integer_operators import (
    has_codes,
    restore_axes,
    use_standard_operators,
)
from condense_compiler.network.known_results import is_empty, replace_known_results
from condense_compiler.network.known_shapes import complete_shape
from condense_compiler.network.lifting import lift
from condense_compiler.network.model_checks import (
    NOT_TEXT,
    check_fields,
    check_functions,
    check_model,
    check_tensors,
    check_versions,
)
from condense_compiler.network.network import Network
from condense_compiler.network.ordering import sort_nodes
from condense_compiler.network.own_calls import check_own_functions, is_own
from condense_compiler.network.reading import first_line, read_model
from condense_compiler.network.repeated_axes import drop_repeated_axes
from condense_compiler.network.respelling import respell
from condense_compiler.network.rounded_windows import leave_out_empty_windows, prepare_pool
from condense_compiler.network.selection import Model, Selection, select
from condense_compiler.network.sequences import replace_sequences
from condense_compiler.network.shapes import ShapeInference, all_static, infer_graph, versions
from condense_compiler.network.silence import quiet_libraries
from condense_compiler.network.weights_aside import set_weights_aside
from condense_compiler.operators.fused import DOMAIN as CONDENSE_DOMAIN


def load_network(
    source: Model,
    dims: Mapping[str, int] | None = None,
    *,
    outputs: Sequence[str] | None = None,
    values: Mapping[str, object] | None = None,
) -> Network:
    """Load a model: check it, fix its dimensions, infer every shape.

    Args:
        source: The path of an ONNX file, or a model in memory.
        dims: Sizes of symbolic dimensions by name, or by "INPUT:AXIS" for those without a name.
        outputs: Names of tensors to compute instead of the model's outputs; what they do not need
            is left out.
        values: Values of inputs to fix, by name: numbers, truth values, lists or arrays.

    Returns:
        A network in which every tensor has an element type and a shape of integers.

    Raises:
        InputError: The model cannot be used; the message says what, where, and what to do.
    """
    return load_selected(source, Selection(outputs, values or {}, dims or {}))


def load_selected(source: Model, selection: Selection) -> Network:
    """Load what is asked for of a model, as `load_network` does.

    Raises:
        InputError: The model cannot be used.
    """
    if isinstance(source, onnx.ModelProto):
        model = onnx.ModelProto()
        model.CopyFrom(source)
        file, folder, name = None, None, source.graph.name or "model"
    else:
        path = Path(source)
        model = read_model(path)
        file, folder, name = path.absolute(), path.parent, path.stem
    shown = name if folder is None else source
    try:
        with quiet_libraries():
            network = Network(_load(model, folder, selection), name, _header(model), file)
            return _in_operators_for_codes(network) if has_codes(network.graph) else network
    except InputError as error:
        raise type(error)(f"{shown}: {_one_line(error)}") from None
    except UnicodeDecodeError:
        raise InputError(f"{shown}: {NOT_TEXT}") from None


def _in_operators_for_codes(network: Network) -> Network:
    """Return a network in an opset in which whole networks can stay in codes, if it has one."""
    lifted = network.copy()
    try:
        if not lift(lifted):
            return network
    except UnsupportedError:  # it is right as it is
        return network
    restore_axes(lifted.graph)
    return lifted


def _load(model: onnx.ModelProto, folder: Path | None, selection: Selection) -> gs.Graph:
    check_versions(model)
    dims = _select(model, selection)
    check_functions(model)
    check_tensors(model)
    respell(model)
    use_standard_operators(model)
    extents = resolve_external_data(model, folder)
    skeleton, weights = set_weights_aside(model)
    check_fields(skeleton)
    acceptance.check_operators(skeleton)
    fix_dimensions(skeleton.graph, dims, weights.keys())
    sort_nodes(skeleton.graph)
    check_model(skeleton)
    skeleton = _inline_functions(skeleton)
    _forget_shapes(skeleton.graph)
    graph = import_graph(skeleton, weights, extents)
    drop_unused_outputs(graph)
    name_nodes(graph)
    _make_static(graph)
    graph.cleanup()
    detach_strangers(graph)
    name_nodes(graph)
    unify_values(graph)
    check_own_functions(graph, skeleton, versions(graph.import_domains)[""])
    recognise_functions(graph)
    acceptance.check_network(graph)
    return graph


def _select(model: onnx.ModelProto, selection: Selection) -> dict[str, int]:
    """Make the model what is asked for; return the sizes of its symbolic dimensions."""
    before = symbolic_names(model.graph)
    select(model, selection)
    for value in model.graph.output:
        if not value.HasField("type"):
            value.type.tensor_type.elem_type = onnx.TensorProto.UNDEFINED  # inference finds it
    gone = before - symbolic_names(model.graph)
    return {name: size for name, size in selection.dims.items() if name not in gone}


def _inline_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace the calls of model-local functions by their bodies, except for our own."""
    ours = sorted({(f.domain, f.name) for f in model.functions if _is_ours(f)})
    if all(_is_ours(function) for function in model.functions):
        return model
    try:
        result: onnx.ModelProto = inline_selected_functions(model, ours, exclude=True)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"functions cannot be inlined: {first_line(error)}") from None
    for function in result.functions:
        if not _is_ours(function):
            raise InputError(
                f"function '{function.name}' of domain '{function.domain}' cannot be inlined; "
                "it may be written for another opset than the model"
            )
    return result


def _is_ours(function: onnx.FunctionProto) -> bool:
    return function.domain == CONDENSE_DOMAIN and is_own(function.name)


def _forget_shapes(graph: onnx.GraphProto) -> None:
    """Drop the shapes that the exporter noted: they are inferred again, for the fixed sizes."""
    del graph.value_info[:]
    for value in graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")


def _make_static(graph: gs.Graph) -> None:
    """Infer every shape, folding what shapes depend on.

    Raises:
        InputError: A shape contradicts another, or is only known at run time.
    """
    for integers_only in (True, False):  # few shapes depend on other numbers
        failure = _infer_and_fold(graph, integers_only)
        if failure is None and _is_done(graph):
            return
    name_nodes(graph)
    if failure:
        raise failure
    acceptance.refuse_first_unknown(graph)


def _infer_and_fold(graph: gs.Graph, integers_only: bool) -> InputError | None:
    """Infer and fold in turns until neither finds more; return what still contradicts itself."""
    opset = versions(graph.import_domains)[""]
    rewrites: Sequence[Callable[[gs.Graph], bool]] = (
        drop_folded,
        inline_conditionals,
        partial(replace_sequences, opset=opset),
        partial(replace_known_results, opset=opset),
    )

    def visit(inference: ShapeInference, node: gs.Node) -> None:
        prepare_pool(node, opset)
        drop_repeated_axes(node)
        inference.infer(node)
        if leave_out_empty_windows(node):
            inference.infer(node)
        complete_shape(node)
        fold_node(node, graph, integers_only=integers_only)

    while True:
        failure = infer_graph(graph, visit)
        changed = [rewrite(graph) for rewrite in rewrites]
        done = failure is None and not any(changed[1:]) and _is_done(graph)
        if done or not any(changed):
            return failure


def _is_done(graph: gs.Graph) -> bool:
    """Tell whether every shape is known, and nothing is left that loading writes otherwise."""
    simple = all(node.op != "If" and not _is_replaceable(node) for node in graph.nodes)
    return simple and all_static(graph)


def _is_replaceable(node: gs.Node) -> bool:
    masks = node.op == "Dropout" and len(node.outputs) > 1
    return masks or any(is_empty(tensor) for tensor in node.outputs)


def _header(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return what a model says about itself, without its graph."""
    header = onnx.ModelProto(
        ir_version=model.ir_version,
        producer_name=model.producer_name,
        producer_version=model.producer_version,
        domain=model.domain,
        model_version=model.model_version,
        doc_string=model.doc_string,
    )
    header.metadata_props.extend(model.metadata_props)
    return header


def _one_line(error: InputError) -> str:
    """Return a message fit for one line of a terminal, whatever the names in the model hold."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
