"""Calls of the `condense` domain in a model that is read: their attributes must be a recipe.

What a file says about our operators is believed only as far as it is checked here: the attributes
have the types, lengths and ranges that kernels rely on, the body that they stand for is inferred
operator by operator, and the function in the file is that body.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from condense_compiler.errors import InputError
from condense_compiler.network.function_bodies import FUNCTION_OF
from condense_compiler.network.inference import infer_results
from condense_compiler.operators.elementwise import parse
from condense_compiler.operators.function_body import operand_count
from condense_compiler.operators.fused import BODY_OP, FIRST_OPERAND, OP, REDUCTIONS, ConvPool
from condense_compiler.operators.fused_elementwise import program_of
from condense_compiler.operators.on_codes import INPUTS_OF_OPERAND, OPERATORS
from condense_compiler.operators.quantized import FILTERS, INPUTS

Attributes = Mapping[str, object]

_ADVICE = "it is not as condense writes it; compile the original model again"
_LARGEST = 2**31


def _integers(least: int) -> Callable[[object], bool]:
    def fits(value: object) -> bool:
        return isinstance(value, list | tuple) and all(_integer(least)(item) for item in value)

    return fits


def _integer(least: int, most: int = _LARGEST) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and least <= value <= most


def _floats(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(v, float | int) for v in value)


def _program(value: object) -> bool:
    if not isinstance(value, str) or any(not line.split() for line in value.splitlines()):
        return False
    try:
        parse(value.splitlines())
    except (InputError, ValueError):
        return False
    return True


_WINDOW: Mapping[str, Callable[[object], bool]] = {
    "kernel_shape": _integers(1),
    "strides": _integers(1),
    "pads": _integers(0),
    "dilations": _integers(1),
}
_RECIPE: Mapping[str, Callable[[object], bool]] = {
    **_WINDOW,
    "group": _integer(1),
    "reduction": lambda value: value in REDUCTIONS,
    "window": _integer(1),
}
_OPTIONAL: Mapping[str, Callable[[object], bool]] = {
    "members": _integers(0),
    "rank_weights": _floats,
    "before": _program,
    "after": _program,
}
_POOL: Mapping[str, Callable[[object], bool]] = {
    **{f"pool_{name}": fits for name, fits in _WINDOW.items()},
    "pool_ceil_mode": _integer(0, 1),
}


def _attribute_faults(attributes: Attributes) -> Iterator[str]:
    """Yield what is wrong with single attributes of a recipe."""
    pool = _POOL if "pool_kernel_shape" in attributes else {}
    required, known = {**_RECIPE, **pool}, {**_RECIPE, **_OPTIONAL, **_POOL}
    yield from (f"attribute '{name}' is missing" for name in required if name not in attributes)
    for name, value in attributes.items():
        if name not in known:
            yield f"attribute '{name}' is not one of its own"
        elif not known[name](value):
            yield f"attribute '{name}' cannot be {str(value)[:60]!r}"


def _length_faults(recipe: ConvPool, rank: int) -> Iterator[str]:
    for prefix, window in (("", recipe.convolution), ("pool_", recipe.spatial)):
        if window is None:
            continue
        for name, length in (("kernel_shape", 1), ("strides", 1), ("pads", 2), ("dilations", 1)):
            if len(getattr(window, name)) != length * (rank - 2):
                yield f"attribute '{prefix}{name}' must have {length * (rank - 2)} entries"


def _group_faults(recipe: ConvPool, wide: int) -> Iterator[str]:
    slots = len(recipe.members) or wide
    if slots % recipe.window or max(recipe.members, default=0) >= wide:
        yield f"{wide} wide channels cannot be pooled {recipe.window} at a time"
    if recipe.reduction == "ordinal" and len(recipe.rank_weights) != recipe.window:
        yield f"attribute 'rank_weights' must have {recipe.window} entries"


def _conv_pool_faults(node: gs.Node, filters: int, inputs: int) -> Iterator[str]:
    """Yield what is wrong with a ConvPool or a QLinearConvPool, the first thing first."""
    yield from _attribute_faults(node.attrs)
    recipe = ConvPool.from_attributes(node.attrs)
    expected = [inputs + operand_count(recipe)]
    if node.op == "QLinearConvPool":
        expected = [inputs - 1, inputs, inputs + 1]  # without bias, and with a table
        if recipe.before or recipe.after or recipe.reduction not in ("max", "min"):
            yield "attributes 'before', 'after' and 'reduction' are those of another operator"
    elif np.issubdtype(node.inputs[filters].dtype, np.integer):
        yield "its filters are integers"
    if len(node.inputs) not in expected:
        yield f"it has {len(node.inputs)} inputs instead of {expected[-1]}"
    shape, weights = node.inputs[0].shape, node.inputs[filters].shape
    if len(shape) < 3 or len(weights) != len(shape):
        yield f"a map of shape {[*shape]} and filters of shape {[*weights]} do not fit together"
    yield from _length_faults(recipe, len(shape))
    yield from _group_faults(recipe, weights[0])


def _on_codes_faults(node: gs.Node) -> Iterator[str]:
    if not _integer(1)(node.attrs.get("operands")):
        yield "attribute 'operands' must be a positive number"
    if node.attrs.get("op") not in OPERATORS:
        yield f"attribute 'op' cannot be {str(node.attrs.get('op'))[:60]!r}"
    axes = node.attrs.get("operand_axes", [])
    if not _integers(-_LARGEST)(axes) or len(axes) not in (0, node.attrs["operands"]):
        yield "attribute 'operand_axes' must have a number for each operand"
    if len(node.inputs) < INPUTS_OF_OPERAND * node.attrs["operands"] + 2:
        yield f"it has {len(node.inputs)} inputs, too few for {node.attrs['operands']} operands"


def _elementwise_faults(node: gs.Node) -> Iterator[str]:
    if set(node.attrs) != {"program"} or not _program(node.attrs["program"]):
        yield "attribute 'program' is not a program"
    if len(node.inputs) != 1 + program_of(node).operand_count():
        yield "it has not as many constants as its program reads"


_FAULTS: Mapping[str, Callable[[gs.Node], Iterator[str]]] = {
    "ConvPool": lambda node: _conv_pool_faults(node, 1, FIRST_OPERAND),
    "QLinearConvPool": lambda node: _conv_pool_faults(node, FILTERS, len(INPUTS)),
    "OnCodes": _on_codes_faults,
    "Elementwise": _elementwise_faults,
}

_LEAST_INPUTS: Mapping[str, int] = {"Elementwise": 1}


def is_own(op: str) -> bool:
    """Tell whether the `condense` domain has an operator of this name."""
    return op in FUNCTION_OF or op == BODY_OP


def own_function(node: gs.Node, opset: int) -> onnx.FunctionProto:
    """Return the function that a call stands for, once its attributes are checked.

    Raises:
        InputError: The attributes or the number of inputs are not those of our operator.
    """
    op = OP if node.op == BODY_OP else node.op
    place = f"node '{node.name}' ({node.op} of domain 'condense')"
    if op not in FUNCTION_OF:
        raise InputError(f"{place}: there is no such operator in this domain")
    least = _LEAST_INPUTS.get(op, FIRST_OPERAND)
    if len(node.inputs) < least or any(not t.name for t in node.inputs[: min(least, 2)]):
        raise InputError(f"{place}: it has too few inputs; {_ADVICE}")
    fault = next(_FAULTS[op](node), None)
    if fault is not None:
        raise InputError(f"{place}: {fault}; {_ADVICE}")
    return FUNCTION_OF[op](node, opset)


def infer_own_call(
    node: gs.Node,
    types: Mapping[str, onnx.TypeProto],
    values: Mapping[str, onnx.TensorProto],
    opsets: Mapping[str, int],
) -> dict[str, onnx.TypeProto]:
    """Return the types of the results of a call of our own, inferred along its body.

    Raises:
        InputError: The call is not as we write it, or its operands do not fit.
    """
    function = own_function(node, opsets[""])
    operands = [*zip(function.input, (tensor.name for tensor in node.inputs), strict=False)]
    known = {inner: types[outer] for inner, outer in operands if outer in types}
    constants = {inner: values[outer] for inner, outer in operands if outer in values}
    for inner in function.node:
        if inner.op_type == "Constant":  # before opset 9 it has no integers, but runs
            value = constants[inner.output[0]] = inner.attribute[0].t
            shape = list(value.dims)
            known[inner.output[0]] = onnx.helper.make_tensor_type_proto(value.data_type, shape)
            continue
        call = onnx.NodeProto()
        call.CopyFrom(inner)
        call.name = f"{node.name}/{inner.op_type}"
        call.input[:] = [name if name in known else "" for name in inner.input]
        used = {name: known[name] for name in call.input if name}
        read = {name: constants[name] for name in used if name in constants}
        known |= infer_results(call, used, read, {**opsets, "": opsets[""]})
    results = zip(node.outputs, function.output, strict=False)
    return {tensor.name: known[name] for tensor, name in results if name in known}


def check_own_functions(graph: gs.Graph, model: onnx.ModelProto, opset: int) -> None:
    """Refuse a model in which the function of one of our operators is not its body.

    Args:
        graph: The graph, shapes inferred.
        model: The model it was made from.
        opset: Version of the default operator set.
    """
    functions = {(f.name, f.overload): f for f in model.functions}
    overloads = {name: n.overload for n in model.graph.node for name in n.output if name}
    for node in graph.nodes:
        if node.domain != "condense":
            continue
        key = (node.op, overloads.get(node.outputs[0].name, ""))
        given, own = functions.get(key), own_function(node, opset)
        if given is None or _body(given) != _body(own):
            state = "missing" if given is None else "another one"
            raise InputError(
                f"node '{node.name}' ({node.op} of domain 'condense'): its function is {state}; "
                f"{_ADVICE}"
            )


def _body(function: onnx.FunctionProto) -> tuple[bytes, ...]:
    """Return what a function computes, in a form that can be compared."""
    nodes = (node.SerializeToString(deterministic=True) for node in function.node)
    names = (name.encode() for name in (*function.input, *function.output))
    return tuple(chain(names, nodes))
