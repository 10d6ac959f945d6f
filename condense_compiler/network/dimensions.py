"""Fixing the symbolic dimensions of a model's inputs."""

import difflib
from collections.abc import Collection, Iterator, Mapping

import onnx

from condense_compiler.errors import InputError

Dimension = onnx.TensorShapeProto.Dimension


def fix_dimensions(
    graph: onnx.GraphProto, dims: Mapping[str, int], constants: Collection[str] = ()
) -> None:
    """Give every symbolic input dimension its size, in place.

    A dimension goes by its name; one without a name goes by "INPUT:AXIS".

    Args:
        graph: The graph whose inputs are fixed.
        dims: Sizes by dimension.
        constants: Inputs of the graph that stand for weights.

    Raises:
        InputError: A size is missing, not positive, or for a dimension that does not exist.
    """
    inputs = [value for value in graph.input if value.name not in constants]
    for value in inputs:
        _require_shape(value)
    _check_sizes(dims, sorted({key for _, _, key, _ in _symbolic(inputs)}))
    for value, axis, key, dimension in _symbolic(inputs):
        if key not in dims:
            shown = f"named '{key}'" if dimension.dim_param else "without a name"
            raise InputError(
                f"input '{value.name}': the size of axis {axis} ({shown}) is not fixed; "
                f"add --dim {key}=N"
            )
        dimension.dim_value = dims[key]


def symbolic_names(graph: onnx.GraphProto) -> set[str]:
    """Return what the symbolic dimensions of a graph's inputs go by."""
    return {key for _, _, key, _ in _symbolic(list(graph.input))}


def _symbolic(
    inputs: list[onnx.ValueInfoProto],
) -> Iterator[tuple[onnx.ValueInfoProto, int, str, Dimension]]:
    """Yield the dimensions without a size: input, axis, key, dimension."""
    for value in inputs:
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            # Some exporters write -1 for a size to be chosen.
            if not dimension.HasField("dim_value") or dimension.dim_value < 0:
                yield value, axis, key_of(value, axis), dimension


def key_of(value: onnx.ValueInfoProto, axis: int) -> str:
    """Return what a symbolic dimension of an input goes by."""
    return value.type.tensor_type.shape.dim[axis].dim_param or f"{value.name}:{axis}"


def _require_shape(value: onnx.ValueInfoProto) -> None:
    if not value.type.tensor_type.HasField("shape"):
        raise InputError(
            f"input '{value.name}' has no shape, not even a number of axes; "
            "export the model again with the shape of its inputs"
        )


def _check_sizes(dims: Mapping[str, int], known: list[str]) -> None:
    for key, size in dims.items():
        if key not in known:
            raise InputError(f"the model has no symbolic dimension '{key}'; {_hint(key, known)}")
        if not 0 < size < 2**31:
            raise InputError(f"dimension '{key}': {size} is not a size; give a positive integer")


def _hint(key: str, known: list[str]) -> str:
    if not known:
        return "every input size is already fixed"
    close = difflib.get_close_matches(key, known, n=1)
    shown = ", ".join(f"'{name}'" for name in known)
    return f"did you mean '{close[0]}'? It has {shown}" if close else f"it has {shown}"
