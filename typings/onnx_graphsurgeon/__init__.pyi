from onnx import ModelProto
from onnx_graphsurgeon.ir.graph import Graph as Graph
from onnx_graphsurgeon.ir.node import Node as Node
from onnx_graphsurgeon.ir.tensor import Constant as Constant
from onnx_graphsurgeon.ir.tensor import Tensor as Tensor
from onnx_graphsurgeon.ir.tensor import Variable as Variable

__version__: str

def import_onnx(onnx_model: ModelProto) -> Graph: ...
def export_onnx(graph: Graph, do_type_check: bool = ...) -> ModelProto: ...
