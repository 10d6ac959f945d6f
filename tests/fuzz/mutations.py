"""Changes of bytes and structure that make a damaged model of a valid one, chosen by a seed."""

import math
import random
from collections.abc import Callable, Sequence

import onnx

LARGEST_SEED_BYTES = 20_000

Mutation = Callable[[onnx.ModelProto, random.Random], None]

_NUMBERS = (
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    16,
    64,
    -1,
    -2,
    255,
    2**16,
    2**31 - 1,
    2**31,
    2**40,
    2**62,
    -(2**63),
)


def damaged(seed: int, models: Sequence[bytes]) -> bytes:
    """Return the damaged model of a seed."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    content = rng.choice(models)
    if rng.random() < 0.15:
        return _changed_bytes(content, rng)
    model = onnx.ModelProto.FromString(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        mutation = rng.choice(MUTATIONS)
        if model.graph.node:
            mutation(model, rng)
    return bytes(model.SerializeToString())


def _changed_bytes(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        place = rng.randrange(max(len(changed), 1))
        kind = rng.randrange(4)
        if kind == 0:
            changed[place : place + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            del changed[place : place + rng.choice((1, 2, 8, 64))]
        elif kind == 2:
            changed[place:place] = changed[place : place + rng.choice((1, 4, 32))]
        else:
            changed[place : place + 1] = (
                bytes([changed[place] ^ 1 << rng.randrange(8)]) if changed else b""
            )
    return bytes(changed)


def _node(model: onnx.ModelProto, rng: random.Random) -> onnx.NodeProto:
    bodies = [model.graph.node, *(f.node for f in model.functions if f.node)]
    return rng.choice(rng.choice(bodies))


def _attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    """Change a number, a text or the length of an attribute."""
    node = _node(model, rng)
    if not node.attribute:
        return
    attribute = rng.choice(node.attribute)
    kind = rng.randrange(5)
    if attribute.ints and kind < 3:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(_NUMBERS)
    elif attribute.ints and kind == 3:
        attribute.ints.append(rng.choice(_NUMBERS))
    elif attribute.ints:
        attribute.ints.pop()
    elif attribute.type == onnx.AttributeProto.INT:
        attribute.i = rng.choice(_NUMBERS)
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = rng.choice((0.0, -1.0, 1e30, float("nan"), float("inf")))
    elif attribute.type == onnx.AttributeProto.STRING:
        attribute.s = rng.choice(
            (b"", b"SAME_UPPER", b"VALID", b"linear", b"\xff\xfe", b"max", b"x")
        )


def _attribute_set(model: onnx.ModelProto, rng: random.Random) -> None:
    """Remove an attribute, rename it, change its type, or add a common one."""
    node = _node(model, rng)
    known = onnx.defs.has(node.op_type) and onnx.defs.get_schema(node.op_type).attributes
    name = rng.choice(sorted(known) if known and rng.random() < 0.9 else ["axis", "window"])
    kind = rng.randrange(4)
    if node.attribute and kind == 0:
        del node.attribute[rng.randrange(len(node.attribute))]
    elif node.attribute and kind == 1:
        rng.choice(node.attribute).name = name
    elif node.attribute and kind == 2:
        rng.choice(node.attribute).type = rng.randrange(15)
    else:
        numbers = [rng.choice(_NUMBERS) for _ in range(rng.randrange(5))]
        value = rng.choice((rng.choice(_NUMBERS), numbers, "SAME_LOWER"))
        node.attribute.append(onnx.helper.make_attribute(name, value or 0))


def _dims(model: onnx.ModelProto, rng: random.Random) -> None:
    """Change a size of an input, an output or a constant."""
    values = [*model.graph.input, *model.graph.output]
    if rng.random() < 0.5 and model.graph.initializer:
        _resize(rng.choice(model.graph.initializer), rng)
        return
    dims = rng.choice(values).type.tensor_type.shape.dim
    if dims and rng.random() < 0.8:
        rng.choice(dims).dim_value = rng.choice(_NUMBERS)
    elif dims and rng.random() < 0.5:
        del dims[-1]
    else:
        dims.add(dim_value=rng.choice(_NUMBERS))


def _resize(tensor: onnx.TensorProto, rng: random.Random) -> None:
    """Change a size or the number of axes of a constant, and mostly its bytes to fit."""
    if tensor.dims and rng.random() < 0.7:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(_NUMBERS)
    elif tensor.dims and rng.random() < 0.5:
        tensor.dims.pop()
    else:
        tensor.dims.append(1)
    needed = _ITEM_BYTES.get(tensor.data_type, 4) * math.prod(tensor.dims)
    if tensor.raw_data and 0 <= needed <= LARGEST_SEED_BYTES and rng.random() < 0.9:
        times = needed // len(tensor.raw_data) + 1
        tensor.raw_data = (tensor.raw_data * times)[:needed]


_ITEM_BYTES = {onnx.TensorProto.INT64: 8, onnx.TensorProto.UINT8: 1, onnx.TensorProto.INT8: 1}


def _wiring(model: onnx.ModelProto, rng: random.Random) -> None:
    """Swap, drop, repeat or redirect inputs and outputs of a node."""
    node = _node(model, rng)
    names = [name for other in model.graph.node for name in (*other.input, *other.output)]
    names += [value.name for value in model.graph.input]
    kind = rng.randrange(6)
    if node.input and kind == 0:
        rng.shuffle(node.input)
    elif node.input and kind == 1:
        node.input.pop()
    elif node.input and kind == 2:
        node.input[rng.randrange(len(node.input))] = rng.choice(("", *names))
    elif kind == 3:
        node.input.append(rng.choice(names))
    elif node.output and kind == 4:
        node.output[rng.randrange(len(node.output))] = rng.choice(("", *names))
    else:
        node.output.append(f"more{len(node.output)}")


def _nodes(model: onnx.ModelProto, rng: random.Random) -> None:
    """Duplicate, remove, move or rename a node."""
    nodes = model.graph.node
    index, kind = rng.randrange(len(nodes)), rng.randrange(5)
    if kind == 0:
        copy = nodes.add()
        copy.CopyFrom(nodes[index])
        copy.output[:] = [f"{name}_copy" for name in copy.output]
    elif kind == 1:
        del nodes[index]
    elif kind == 2:
        nodes[index].op_type = rng.choice(_OPERATORS)
    elif kind == 3:
        nodes[index].domain = rng.choice(("", "ai.onnx", "com.microsoft", "condense", "other"))
    else:
        copy = onnx.NodeProto()
        copy.CopyFrom(nodes[index])
        del nodes[index]
        nodes.add().CopyFrom(copy)


_OPERATORS = sorted({s.name for s in onnx.defs.get_all_schemas() if not s.domain} | {"ConvPool"})


def _types(model: onnx.ModelProto, rng: random.Random) -> None:
    """Change an element type."""
    kind = rng.randrange(25)
    if rng.random() < 0.5 and model.graph.initializer:
        rng.choice(model.graph.initializer).data_type = kind
    else:
        values = [*model.graph.input, *model.graph.output]
        rng.choice(values).type.tensor_type.elem_type = kind


def _constants(model: onnx.ModelProto, rng: random.Random) -> None:
    """Truncate, change or remove a constant."""
    if not model.graph.initializer:
        return
    index, kind = rng.randrange(len(model.graph.initializer)), rng.randrange(5)
    tensor = model.graph.initializer[index]
    if kind == 0:
        tensor.raw_data = tensor.raw_data[: rng.randrange(len(tensor.raw_data) + 1)]
    elif kind == 1:
        del model.graph.initializer[index]
    elif kind == 2 and tensor.int64_data:
        tensor.int64_data[rng.randrange(len(tensor.int64_data))] = rng.choice(_NUMBERS)
    elif kind == 3 and tensor.raw_data:
        size = len(tensor.raw_data)
        tensor.raw_data = (
            bytes(rng.randrange(256) for _ in range(min(size, 64))) + tensor.raw_data[64:]
        )
    elif tensor.data_type == onnx.TensorProto.INT64 and tensor.raw_data:
        value = rng.choice(_NUMBERS).to_bytes(8, "little", signed=True)
        place = 8 * rng.randrange(len(tensor.raw_data) // 8 or 1)
        tensor.raw_data = tensor.raw_data[:place] + value + tensor.raw_data[place + 8 :]


def _header(model: onnx.ModelProto, rng: random.Random) -> None:
    """Change versions."""
    if model.opset_import and rng.random() < 0.8:
        rng.choice(model.opset_import).version = rng.choice(
            (6, 7, 9, 11, 13, 17, 18, 20, 22, 23, 99, -1)
        )
    else:
        model.ir_version = rng.choice((1, 3, 8, 10, 11, 99, -1))


MUTATIONS: Sequence[Mutation] = (
    *(_attribute, _attribute, _attribute_set, _constants, _dims, _dims),
    *(_header, _nodes, _types, _wiring),
)
