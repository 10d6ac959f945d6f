from collections.abc import Sequence
from typing import Any

from onnx import GraphProto, ModelProto, OperatorSetIdProto
from onnx_graphsurgeon.ir.graph import Graph

class OnnxImporter:
    @staticmethod
    def get_opset(model: ModelProto) -> int: ...
    @staticmethod
    def get_import_domains(model: ModelProto) -> Sequence[OperatorSetIdProto]: ...
    @staticmethod
    def import_graph(onnx_graph: GraphProto, **options: Any) -> Graph: ...
