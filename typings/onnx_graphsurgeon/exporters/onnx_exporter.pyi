from collections.abc import Mapping

from onnx import AttributeProto, NodeProto
from onnx_graphsurgeon.ir.node import Node

class OnnxExporter:
    @staticmethod
    def export_attributes(attrs: Mapping[str, object]) -> list[AttributeProto]: ...
    @staticmethod
    def export_node(node: Node) -> NodeProto: ...
