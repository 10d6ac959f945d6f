"""The network: a mutable graph, and what is needed to make it a model again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import onnx
import onnx_graphsurgeon as gs

from condense_compiler.network import function_bodies, saving
from condense_compiler.network.export import (
    DEFAULT_DOMAINS,
    Encoding,
    export_graph,
    full_tensor,
    skeleton_tensor,
)
from condense_compiler.network.external_data import model_files
from condense_compiler.network.tensors import variables

MINIMUM_IR_VERSION = 10  # the first that tells overloads of a function apart

AttachFunctions = Callable[[onnx.ModelProto, gs.Graph], None]


@dataclass
class Network:
    """A network under compilation.

    Attributes:
        graph: The mutable graph. Every variable has an element type and a shape of integers.
        name: What messages call the network: the stem of its file.
        header: The model without its graph: producer, documentation, metadata.
        source: The file that it was loaded from; None for a model that was in memory.
    """

    graph: gs.Graph
    name: str
    header: onnx.ModelProto = field(default_factory=onnx.ModelProto, repr=False)
    source: Path | None = None

    @property
    def opset(self) -> int:
        """The version of the default operator set that the graph is written in."""
        imports = (o.version for o in self.graph.import_domains if o.domain in DEFAULT_DOMAINS)
        return int(next(imports, self.graph.opset))

    def to_model(self, attach_functions: AttachFunctions | None = None) -> onnx.ModelProto:
        """Return the network as a complete model, weights included.

        Args:
            attach_functions: Gives the nodes of the `condense` domain their functions, unless
                `function_bodies.attach_functions` is to do that.
        """
        return self._model(full_tensor, attach_functions)

    def skeleton(self, attach_functions: AttachFunctions | None = None) -> onnx.ModelProto:
        """Return the model with every large constant as a graph input of its type instead.

        It is small, however large the weights are: fit for the checker and shape inference.
        """
        return self._model(skeleton_tensor, attach_functions)

    def copy(self) -> "Network":
        """Return a network whose graph can be changed without changing this one.

        Weights are shared.
        """
        graph = self.graph.copy()
        for tensor in variables(graph):  # graphsurgeon shares these lists
            tensor.shape = None if tensor.shape is None else list(tensor.shape)
        for node in graph.nodes:
            for name, value in node.attrs.items():
                node.attrs[name] = list(value) if isinstance(value, list) else value
        graph.import_domains = list(self.graph.import_domains)
        graph.producer_name = self.graph.producer_name
        graph.producer_version = self.graph.producer_version
        header = onnx.ModelProto()
        header.CopyFrom(self.header)
        return Network(graph, self.name, header, self.source)

    def save(self, path: str | Path) -> None:
        """Write the network to a file; weights beyond what one file can hold go beside it.

        Raises:
            InputError: The file cannot be written, or it is what the network was loaded from.
        """
        taken = any(file.exists() for file in saving.files_of(Path(path)))
        kept = model_files(self.source) if taken and self.source is not None else ()
        saving.save(self.graph, self._model, Path(path), kept)

    def _model(self, encode: Encoding, attach: AttachFunctions | None = None) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(self.header)
        model.ir_version = max(model.ir_version, MINIMUM_IR_VERSION)
        export_graph(self.graph, encode, model.graph)
        model.opset_import.extend(self.graph.import_domains)
        imported = {entry.domain for entry in model.opset_import}
        used = {node.domain for node in model.graph.node}
        model.opset_import.extend(
            onnx.helper.make_opsetid(domain, 1) for domain in sorted(used - imported)
        )
        (attach or function_bodies.attach_functions)(model, self.graph)
        return model
