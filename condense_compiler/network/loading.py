"""From an ONNX model, as exporters write it, to a network that the compiler can work on."""

from collections.abc import Mapping
from pathlib import Path

import onnx
import onnx_graphsurgeon as gs
from onnx.inliner import inline_selected_functions
from onnx_graphsurgeon.importers.onnx_importer import OnnxImporter
from onnx_graphsurgeon.ir.tensor import LazyValues

from condense_compiler.errors import InputError
from condense_compiler.network import rules
from condense_compiler.network.checking import check_model, check_opsets
from condense_compiler.network.cleaning import drop_unused_outputs, name_nodes
from condense_compiler.network.conditionals import inline_conditionals
from condense_compiler.network.dimensions import fix_dimensions
from condense_compiler.network.export import export_graph, skeleton_tensor
from condense_compiler.network.external_data import (
    Extent,
    ExternalValues,
    resolve_external_data,
)
from condense_compiler.network.folding import fold
from condense_compiler.network.network import Network
from condense_compiler.network.ordering import sort_nodes
from condense_compiler.network.reading import first_line, read_model
from condense_compiler.network.shapes import all_static, annotate, infer_shapes
from condense_compiler.network.silence import quiet_libraries
from condense_compiler.network.weights import Skeleton, set_weights_aside
from condense_compiler.operators.fused import DOMAIN as CONDENSE_DOMAIN


def load_network(
    source: str | Path | onnx.ModelProto, dims: Mapping[str, int] | None = None
) -> Network:
    """Load a model: check it, fix its dimensions, infer every shape.

    Args:
        source: The path of an ONNX file, or a model in memory.
        dims: Sizes of symbolic dimensions by name, or by "INPUT:AXIS" for those without a name.

    Returns:
        A network in which every tensor has an element type and a shape of integers.

    Raises:
        InputError: The model cannot be used; the message says what, where, and what to do.
    """
    if isinstance(source, onnx.ModelProto):
        model = onnx.ModelProto()
        model.CopyFrom(source)
        return _load(model, None, source.graph.name or "model", dims or {})
    path = Path(source)
    model = read_model(path)
    try:
        return _load(model, path.parent, path.stem, dims or {})
    except InputError as error:
        raise type(error)(f"{path}: {error}") from None


def _load(
    model: onnx.ModelProto, folder: Path | None, name: str, dims: Mapping[str, int]
) -> Network:
    with quiet_libraries():
        check_opsets(model)
        extents = resolve_external_data(model, folder)
        skeleton = set_weights_aside(model)
        weights = frozenset(skeleton.weights)
        sort_nodes(skeleton.model.graph)
        rules.check_operators(skeleton.model)
        check_model(skeleton.model)
        small = _inline_functions(skeleton.model)
        fix_dimensions(small.graph, dims, weights)
        _forget_shapes(small.graph)
        graph = _import(Skeleton(small, skeleton.weights), extents)
        drop_unused_outputs(graph)
        _make_static(graph, small)
        graph.cleanup()
        name_nodes(graph)
        rules.check_network(graph)
        return Network(graph, name, _header(model))


def _inline_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace the calls of model-local functions by their bodies, except for our own."""
    others = [f for f in model.functions if f.domain != CONDENSE_DOMAIN]
    if not others:
        return model
    ours = sorted({(f.domain, f.name) for f in model.functions if f.domain == CONDENSE_DOMAIN})
    try:
        return inline_selected_functions(model, ours, exclude=True)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"functions cannot be inlined: {first_line(error)}") from None


def _forget_shapes(graph: onnx.GraphProto) -> None:
    """Drop the shapes that the exporter noted: they are inferred again, for the fixed sizes."""
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")


def _import(skeleton: Skeleton, extents: Mapping[str, Extent]) -> gs.Graph:
    """Make the mutable graph, its large constants lazy."""
    model = skeleton.model
    graph = OnnxImporter.import_graph(
        model.graph,
        opset=OnnxImporter.get_opset(model),
        import_domains=list(model.opset_import),
        producer_name=model.producer_name,
        producer_version=model.producer_version,
        ir_version=model.ir_version,
    )
    for tensor in graph.inputs:
        proto = skeleton.weights.get(tensor.name)
        if proto is None:
            continue
        extent = extents.get(tensor.name)
        values = LazyValues(proto) if extent is None else ExternalValues(proto, extent)
        tensor.to_constant(values)
    graph.inputs = [tensor for tensor in graph.inputs if isinstance(tensor, gs.Variable)]
    return graph


def _make_static(graph: gs.Graph, model: onnx.ModelProto) -> None:
    """Infer shapes and fold what they depend on, in turns, until neither finds anything more."""
    failure: InputError | None = None
    changed = True
    while changed:
        skeleton = _skeleton(graph, model)
        try:
            annotate(graph, infer_shapes(skeleton, strict=True))
            failure = None
        except InputError as error:  # may go away once more is folded
            failure = error
            annotate(graph, infer_shapes(skeleton, strict=False))
        changed = fold(graph) | inline_conditionals(graph)
    if failure:
        raise failure
    if not all_static(graph):
        rules.refuse_first_unknown(graph)


def _skeleton(graph: gs.Graph, model: onnx.ModelProto) -> onnx.ModelProto:
    skeleton = onnx.ModelProto(
        ir_version=model.ir_version, graph=export_graph(graph, skeleton_tensor)
    )
    skeleton.opset_import.extend(model.opset_import)
    skeleton.functions.extend(model.functions)
    return skeleton


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
