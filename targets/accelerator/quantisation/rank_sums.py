"""Ordinal pooling in one piece: no rounding between sorting, weighing and summing."""

import onnx

_VIEWS = ("Reshape", "Squeeze", "Transpose", "Unsqueeze")


def keep_rank_sums_exact(model: onnx.ModelProto) -> None:
    """Remove quantisation behind TopK, and behind the products that its values are part of."""
    sources = {
        output: node
        for node in model.graph.node
        if node.op_type == "TopK"
        for output in node.output[:1]
    }
    pending = list(sources)
    while pending:
        tensor = pending.pop()
        _unquantise(model.graph, tensor)
        for node in model.graph.node:
            if tensor in node.input and node.op_type in ("Mul", *_VIEWS):
                pending.extend(node.output)


def _unquantise(graph: onnx.GraphProto, tensor: str) -> None:
    """Let what reads a quantised tensor read the tensor itself."""
    ends = {value.name for value in graph.output}
    for quantise in _readers(graph, tensor, "QuantizeLinear"):
        readers = _readers(graph, quantise.output[0], "DequantizeLinear")
        if any(reader.output[0] in ends for reader in readers):
            continue
        for dequantise in readers:
            for node in graph.node:
                names = [tensor if name == dequantise.output[0] else name for name in node.input]
                node.input[:] = names
            graph.node.remove(dequantise)
        graph.node.remove(quantise)


def _readers(graph: onnx.GraphProto, tensor: str, op: str) -> list[onnx.NodeProto]:
    return [node for node in graph.node if node.op_type == op and tensor in node.input]
