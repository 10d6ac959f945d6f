"""The compiler as a backend of ONNX's own test suite (`onnx.backend.test`)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.backend.base import Backend, BackendRep

import condense_compiler as cc
from condense_compiler.errors import UnsupportedError

Array = npt.NDArray[Any]


class CompiledModel(BackendRep):
    """A model that is compiled once its inputs are there, for they may select shapes.

    Attributes:
        fixed: Names of the inputs whose values were given as constants, as an exporter writes
            them: all but the first, where the shapes are not known without.
    """

    def __init__(self, model: onnx.ModelProto, target: str) -> None:
        self._model = model
        self._target = target
        self.fixed: tuple[str, ...] = ()

    def run(self, inputs: Sequence[Any], **_options: Any) -> tuple[Array, ...]:
        """Compile the model and run it.

        Raises:
            InputError: The compiler refuses the model.
        """
        names = [value.name for value in self._model.graph.input]
        feeds = dict(zip(names, inputs, strict=False))
        try:
            compilation = self._compile(self._model)
        except UnsupportedError:
            operands = {name: feeds[name] for name in names[1:] if name in feeds}
            if not operands or not all(_is_tensor(value) for value in operands.values()):
                raise
            compilation = self._compile(with_constants(self._model, operands))
            self.fixed = tuple(operands)
        outputs = compilation.run(
            {n: np.asarray(v) for n, v in feeds.items() if n not in self.fixed}
        )
        return tuple(outputs[value.name] for value in self._model.graph.output)

    def _compile(self, model: onnx.ModelProto) -> cc.Compilation:
        return cc.compile(model, target=self._target, verify_outputs=False)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic) and np.asarray(value).dtype != object


def with_constants(model: onnx.ModelProto, values: Mapping[str, Array]) -> onnx.ModelProto:
    """Return a model some inputs of which are constants."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    left = [value for value in result.graph.input if value.name not in values]
    del result.graph.input[:]
    result.graph.input.extend(left)
    result.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(v), n) for n, v in values.items()
    )
    return result


class CondenseBackend(Backend):
    """Compiles for one of the targets."""

    target: ClassVar[str]

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Tell whether a device can be chosen."""
        return device == "CPU"

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **_options: Any) -> CompiledModel:
        """Return the model, ready to run."""
        assert cls.supports_device(device)
        return CompiledModel(model, cls.target)

    @classmethod
    def run_model(
        cls, model: onnx.ModelProto, inputs: Sequence[Any], device: str = "CPU", **options: Any
    ) -> tuple[Array, ...]:
        """Compile a model and run it once."""
        return cls.prepare(model, device, **options).run(inputs)

    @classmethod
    def run_node(  # type: ignore[override]  # the base class names a field of no interest here
        cls,
        node: onnx.NodeProto,
        inputs: Sequence[Any],
        device: str = "CPU",
        outputs_info: Sequence[tuple[Any, Sequence[int]]] = (),
        **options: Any,
    ) -> tuple[Array, ...]:
        """Run one node of the newest operators; its outputs have to be described."""
        values = [np.asarray(value) for value in inputs]
        names = [name for name in node.input if name]
        graph = helper.make_graph(
            [node],
            "node",
            [_described(n, v.dtype, v.shape) for n, v in zip(names, values, strict=True)],
            [_described(n, *info) for n, info in zip(node.output, outputs_info, strict=True)],
        )
        model = helper.make_model(graph)
        return cls.run_model(model, values, device, **options)


def _described(name: str, dtype: Any, shape: Sequence[int]) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, kind, list(shape))


class ReferenceBackend(CondenseBackend):
    """The reference target."""

    target = "reference"


class OnnxRuntimeBackend(CondenseBackend):
    """The onnxruntime target."""

    target = "onnxruntime"


BACKENDS: Mapping[str, type[CondenseBackend]] = {
    backend.target: backend for backend in (ReferenceBackend, OnnxRuntimeBackend)
}
