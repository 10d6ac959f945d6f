"""Damaged models: bytes and structure of valid ones changed at random, each by its own seed.

    python tests/fuzz/mutate.py [--files 100000] [--first SEED] [--keep FOLDER]

Every file must be compiled, or refused by an `InputError` of one line; anything else is a finding:
another exception, an abort, more seconds or more memory than a file may take.
"""

import argparse
import math
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

_TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(_TESTS), str(_TESTS.parent / "examples")]

from condense_compiler.driver import compile_model, plan_model  # noqa: E402 - as above
from condense_compiler.errors import InputError  # noqa: E402 - as above
from fuzz.seeds import seeds  # noqa: E402 - found by the path above

SECONDS = 20  # for one file
MEMORY_BYTES = 4 << 30
INVALID = Path(__file__).parent.parent / "data" / "invalid"
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


@dataclass(frozen=True, slots=True)
class Finding:
    """A file that was neither compiled nor refused.

    Attributes:
        seed: What the file is made from, by `damaged`.
        what: The exception, the signal, or the limit.
    """

    seed: int
    what: str


def sources() -> list[bytes]:
    """Return the models that are changed: valid ones, and those that once broke something."""
    valid = [bytes(model.SerializeToString(deterministic=True)) for model in seeds()]
    small = [content for content in valid if len(content) <= LARGEST_SEED_BYTES]
    return [*small, *(path.read_bytes() for path in sorted(INVALID.glob("*.onnx")))]


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


def examine(content: bytes, folder: Path, *, run: bool) -> str | None:
    """Compile a file; return what is wrong with the compiler, or None."""
    path = folder / "damaged.onnx"
    path.write_bytes(content)
    try:
        if run:
            compile_model(path)
        else:
            plan_model(path)
    except InputError as error:
        return None if len(str(error).splitlines()) == 1 else f"several lines: {error}"
    except MemoryError:
        return "memory exhausted"
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        own = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "condense" in f.filename]
        came = own[-1] if own else "?"
        return f"{type(error).__name__} at {place} (from {came}): {str(error)[:160]}"
    return None


def _work(seeds: Sequence[int], models: Sequence[bytes], pipe: int) -> None:
    """Examine files in a process of its own; say over the pipe which is next and what is found."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    sys.stdout.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            os.write(pipe, f"next {seed}\n".encode())
            found = examine(damaged(seed, models), Path(folder), run=seed % 4 == 0)
            if found is not None:
                os.write(pipe, f"found {seed} {' '.join(found.split())}\n".encode())
    os.write(pipe, b"done\n")


def findings(seeds: Sequence[int], models: Sequence[bytes]) -> Iterator[Finding]:
    """Examine files, in a forked process that is replaced whenever it dies or hangs."""
    left = list(seeds)
    while left:
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            try:
                _work(left, models, writing)
            finally:
                os._exit(0)
        os.close(writing)
        current, death, ended = left[0], "", False
        for line in _lines(reading):
            kind, _, rest = line.partition(" ")
            if kind == "next":
                current = int(rest)
            elif kind == "found":
                seed, _, what = rest.partition(" ")
                yield Finding(int(seed), what)
            elif kind == "late":
                os.kill(process, signal.SIGKILL)
                death = f"no answer in {SECONDS} s"
            elif kind == "done":
                current, ended = left[-1], True
        os.close(reading)
        _, status = os.waitpid(process, 0)
        if os.WIFSIGNALED(status):
            yield Finding(current, death or f"killed by signal {os.WTERMSIG(status)}")
        elif not ended:
            yield Finding(current, "the process ended")
        left = left[left.index(current) + 1 :]


def _lines(pipe: int) -> Iterator[str]:
    """Yield lines of a pipe until it is closed; `late` when none comes for too long."""
    import select  # noqa: PLC0415 - used here alone

    rest = b""
    while True:
        ready, _, _ = select.select([pipe], [], [], SECONDS)
        if not ready:
            yield "late"
            return
        chunk = os.read(pipe, 1 << 16)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in lines)


def main() -> None:
    """Examine files and print what is found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    arguments = parser.parse_args()
    models, began, kinds = sources(), time.monotonic(), Counter[str]()
    for finding in findings(range(arguments.first, arguments.first + arguments.files), models):
        kinds[finding.what.split(": ")[0]] += 1
        print(f"seed {finding.seed}: {finding.what}", flush=True)
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
            path = arguments.keep / f"{finding.seed}.onnx"
            path.write_bytes(damaged(finding.seed, models))
    print(
        f"{arguments.files} files, {sum(kinds.values())} findings, {time.monotonic() - began:.0f} s"
    )
    for what, count in kinds.most_common():
        print(f"  {count} {what}")
    sys.exit(1 if kinds else 0)


if __name__ == "__main__":
    main()
