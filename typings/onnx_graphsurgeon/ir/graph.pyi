from collections.abc import Sequence
from typing import Any, Self

from onnx import OperatorSetIdProto
from onnx_graphsurgeon.ir.node import Node
from onnx_graphsurgeon.ir.tensor import Tensor

class Graph:
    nodes: list[Node]
    inputs: list[Tensor]
    outputs: list[Tensor]
    name: str
    doc_string: str
    opset: int
    producer_name: str
    producer_version: str
    import_domains: list[OperatorSetIdProto]
    ir_version: int
    def __init__(
        self,
        nodes: Sequence[Node] = ...,
        inputs: Sequence[Tensor] = ...,
        outputs: Sequence[Tensor] = ...,
        name: str | None = ...,
        doc_string: str | None = ...,
        opset: int | None = ...,
        import_domains: Sequence[OperatorSetIdProto] | None = ...,
        producer_name: str | None = ...,
        producer_version: str | None = ...,
        functions: Sequence[Any] | None = ...,
        ir_version: int | None = ...,
    ) -> None: ...
    def cleanup(
        self,
        remove_unused_node_outputs: bool = ...,
        recurse_subgraphs: bool = ...,
        remove_unused_graph_inputs: bool = ...,
        recurse_functions: bool = ...,
    ) -> Self: ...
    def toposort(self, recurse_subgraphs: bool = ..., mode: str = ...) -> Self: ...
    def _local_tensors(self) -> dict[str, Tensor]: ...
    def tensors(self, check_duplicates: bool = ...) -> dict[str, Tensor]: ...
    def copy(self, tensor_map: dict[str, Tensor] | None = ...) -> Self: ...
    def subgraphs(self, recursive: bool = ...) -> list[Graph]: ...
