from collections.abc import Mapping, Sequence
from typing import Any

from onnx_graphsurgeon.ir.graph import Graph
from onnx_graphsurgeon.ir.tensor import Tensor

class Node:
    op: str
    name: str
    domain: str | None
    attrs: dict[str, Any]
    @property
    def inputs(self) -> list[Tensor]: ...
    @inputs.setter
    def inputs(self, tensors: Sequence[Tensor]) -> None: ...
    @property
    def outputs(self) -> list[Tensor]: ...
    @outputs.setter
    def outputs(self, tensors: Sequence[Tensor]) -> None: ...
    def __init__(
        self,
        op: str,
        name: str | None = ...,
        attrs: Mapping[str, Any] | None = ...,
        inputs: Sequence[Tensor] | None = ...,
        outputs: Sequence[Tensor] | None = ...,
        domain: str | None = ...,
    ) -> None: ...
    def subgraphs(self, recursive: bool = ...) -> list[Graph]: ...
