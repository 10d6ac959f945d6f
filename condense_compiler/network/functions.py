"""The one place where operators of this project's own domain get their function bodies."""

import onnx
import onnx_graphsurgeon as gs

CONDENSE_DOMAIN = "condense"


def attach_functions(model: onnx.ModelProto, graph: gs.Graph) -> None:
    """Give every node of the `condense` domain in an exported model its function.

    Args:
        model: The model just made from `graph`: `model.graph.node[i]` is `graph.nodes[i]`. Gets
            the functions, and nodes get the overload that selects among them.
        graph: The graph it was made from.
    """
