"""The one place where operators of this project's own domain get their function bodies."""

from collections.abc import Callable, Mapping

import onnx
import onnx_graphsurgeon as gs

from condense_compiler.operators.function_body import function_of
from condense_compiler.operators.fused import BODY_OP, KERNEL_TYPE, OP
from condense_compiler.operators.fused import DOMAIN as CONDENSE_DOMAIN
from condense_compiler.operators.fused_elementwise import ELEMENTWISE_OP, elementwise_function
from condense_compiler.operators.on_codes import ON_CODES_OP, on_codes_function
from condense_compiler.operators.quantized import QUANTIZED_OP, quantized_function_of

FUNCTION_OF: Mapping[str, Callable[[gs.Node, int], onnx.FunctionProto]] = {
    OP: function_of,
    QUANTIZED_OP: quantized_function_of,
    ON_CODES_OP: on_codes_function,
    ELEMENTWISE_OP: elementwise_function,
}


def attach_functions(model: onnx.ModelProto, graph: gs.Graph) -> None:
    """Give every node of the `condense` domain in an exported model its function.

    Args:
        model: The model just made from `graph`: `model.graph.node[i]` is `graph.nodes[i]`. Gets
            the functions, and nodes get the overload that selects among them.
        graph: The graph it was made from.
    """
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    functions: dict[str, onnx.FunctionProto] = {}
    for exported, node in zip(model.graph.node, graph.nodes, strict=True):
        if node.domain == CONDENSE_DOMAIN:
            function = FUNCTION_OF[node.op](node, opset)
            if node.op == OP and node.inputs[1].dtype != KERNEL_TYPE:
                # A runtime that has the kernels would not look at the function of this name.
                exported.op_type = function.name = BODY_OP
            exported.overload = function.overload
            functions[f"{function.name}:{function.overload}"] = function
    model.functions.extend(functions.values())


def recognise_functions(graph: gs.Graph) -> None:
    """Give the nodes of an imported graph the one name that our operator has."""
    for node in graph.nodes:
        if node.domain == CONDENSE_DOMAIN and node.op == BODY_OP:
            node.op = OP
