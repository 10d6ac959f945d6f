"""Writes docs/patterns.md: every spelling in PyTorch and ONNX, what it becomes, what is refused."""

import re
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from kit.exporters import EXPORTED
from kit.layers import Layer, Network
from kit.negatives import NEGATIVES
from kit.quantising import quantised
from kit.rewriting import Rewritten, rewrite
from kit.topology_writer import build
from onnx import numpy_helper

from condense_compiler.operators.fused import DOMAIN, OP, ConvPool
from condense_compiler.operators.quantized import QUANTIZED_OP

SPELLINGS_FILE = Path(__file__).with_name("spellings.toml")
GROUPS, WINDOW, CHANNELS, SPATIAL = 8, 4, 3, (16, 16)
LONGEST_CONSTANT = 8  # longer ones are shortened

INTRODUCTION = f"""\
# Patterns

ONNX has no operator for cross-channel pooling; each exporter and author spells it with others.
`condense` does not match spellings: it follows what each tensor holds in terms of a convolution's
channels (see [architecture](architecture.md#recognising-cross-channel-pooling)), so any composition
of operators that it knows is understood. This page shows those that the tests hold it to, as real
models and what really becomes of them: `python docs/make_pages.py` writes it.

In the PyTorch code, `y` is the wide map, with batch norm and activation already applied:

```python
y = self.activation(self.normalisation(self.convolution(x)))  # (n, g * k, h, w)
n, c, h, w = y.shape
g = c // k
```

With PyTorch installed, `python docs/check_pytorch.py` checks that each piece of code computes what
the ONNX model below it computes, and that what PyTorch's two exporters write of it is fused.

The ONNX listings are of a convolution and a leaky ReLU with g = {GROUPS} and k = {WINDOW} (k = 2
where two parts meet), {SPATIAL[0]} pixels high and wide: operator, shape of its result, attributes
and constants. An activation that never decreases moves behind a max or min; in front of other
poolings it stays. A mean or sum with nothing non-linear in front of it needs no fused operator at
all: it is folded into the filters, and a plain `Conv` with g filters is left.
"""

BEFORE_EXPORTED = """
## As exporters write it

What exporters and authors write beyond variants of these, from `tests/kit/exporters.py`:

| spelling | in PyTorch, or what it is | ONNX operators | becomes |
|---|---|---|---|
"""

BEFORE_QUANTISED = """
## In 8 bits

Layers whose feature maps are quantised to 8 bits are fused to `condense::QLinearConvPool`, whether
they are written in QDQ form (QuantizeLinear and DequantizeLinear) or with QLinear operators:
maximum and minimum of quantised values are the quantised maximum and minimum. Other reductions of
quantised values are not fused here; the [accelerator](accelerator.md) has units for them. If only
the filters are quantised, any reduction is fused to `condense::ConvPool`, with dequantised filters.
The spellings above, quantised to QDQ by ONNX Runtime's own tool:

| becomes, or why not | spellings |
|---|---|
"""

BEFORE_REFUSALS = """
## What is refused

A layer is left alone if the wide map is needed elsewhere, if the windows do not tile the channels,
or if the filters are not constant. The report names the reason; these are the answers to the
networks of `tests/kit/negatives.py`:

| network | operators | reason given |
|---|---|---|
"""

BEHIND = """
Not refused but partly fused: what stands behind the pooling belongs to the operator only if it may
change places with what follows, such as an activation that never decreases in front of a spatial
max-pooling. The rest stays behind as it was. Reductions over pixels or the batch are no
cross-channel pooling, and nothing is reported for them.
"""


@dataclass(frozen=True)
class Family:
    """Spellings that have something in common.

    Attributes:
        title: What.
        text: A sentence about them.
        pytorch: Code that computes the same, by spelling.
        window: Number of channels pooled into one where it is not `WINDOW`, by spelling.
    """

    title: str
    text: str
    pytorch: Mapping[str, str]
    window: Mapping[str, int]

    def layer(self, name: str) -> Layer:
        """Return the layer that shows a spelling."""
        return Layer(name, GROUPS, self.window.get(name, WINDOW), before=("leaky_relu",))

    def model(self, name: str) -> onnx.ModelProto:
        """Return the model that shows a spelling."""
        return Network((self.layer(name),), CHANNELS, SPATIAL).build()


def families() -> Iterator[Family]:
    """Read all families."""
    for entry in tomllib.loads(SPELLINGS_FILE.read_text(encoding="utf-8"))["family"]:
        yield Family(entry["title"], entry["text"], entry["pytorch"], entry.get("window", {}))


def page() -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    for family in families():
        parts.append(f"\n## {family.title}\n\n{family.text}\n")
        parts += [_section(family, name) for name in family.pytorch]
    parts += [
        BEFORE_EXPORTED,
        *_exported(),
        BEFORE_QUANTISED,
        *_quantised(),
        BEFORE_REFUSALS,
        *_refusals(),
        BEHIND,
    ]
    return "".join(parts)


def _section(family: Family, name: str) -> str:
    model = family.model(name)
    code = family.pytorch[name].strip()
    listing = "\n".join(_listing(model))
    return (
        f"\n### {name}\n\n```python\n{code}\n```\n\n```text\n{listing}\n```\n\n"
        f"becomes {_outcome(rewrite(model))}\n"
    )


def _listing(model: onnx.ModelProto) -> Iterable[str]:
    """Return a line for each operator: type, shape of the result, attributes and constants."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    values = (*inferred.graph.value_info, *inferred.graph.output)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
    constants = {tensor.name: tensor for tensor in inferred.graph.initializer}
    rows = [
        (node.op_type, _shape(shapes[node.output[0]]), ", ".join(_facts(node, constants)))
        for node in inferred.graph.node
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for op, shape, facts in rows:
        yield f"{op:<{widths[0]}}  {shape:<{widths[1]}}  {facts}".rstrip()


def _shape(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes)) or "scalar"


def _facts(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> Iterable[str]:
    if node.op_type == "Conv":
        return
    for attribute in node.attribute:
        yield f"{attribute.name}={_short(onnx.helper.get_attribute_value(attribute))}"
    for name in node.input:
        constant = constants.get(name)
        if constant is not None:
            kind = name.rpartition("/")[2].rstrip("_0123456789")
            yield f"{kind}={_short(numpy_helper.to_array(constant).tolist())}"


def _short(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        more = ", …" if len(value) > LONGEST_CONSTANT else ""
        return f"[{', '.join(map(_short, value[:LONGEST_CONSTANT]))}{more}]"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _outcome(result: Rewritten) -> str:
    """Return what is left of a model, and how much of it is virtual."""
    virtual = sum(r.virtual_bytes for outcome in result.outcomes.values() for r in outcome.rewrites)
    left = " → ".join(_operator(result, op) for op in result.operators)
    return f"{left}; {virtual:,} bytes are no longer stored."


def _operator(result: Rewritten, op: str) -> str:
    if op != OP:
        return f"`{op}`"
    recipe = ConvPool.from_attributes(result.node(op).attrs)
    programs = {"in front": recipe.before.lines(), "behind": recipe.after.lines()}
    facts = [f"{recipe.reduction} of {recipe.window}"]
    facts += [f"{place}: `{', '.join(lines)}`" for place, lines in programs.items() if lines]
    return f"`condense::{op}` ({_rounded('; '.join(facts))})"


def _rounded(text: str) -> str:
    """Return a text with the long numbers in it as people write them."""
    return re.sub(r"\d+\.\d{6,}", lambda match: f"{float(match[0]):.3g}", text)


def _exported() -> Iterable[str]:
    for name, write in EXPORTED.items():
        model = build(write)
        described = " ".join((write.__doc__ or "").removesuffix(".").split()).replace("*", "\\*")
        becomes = " → ".join(f"`{node.op}`" for node in rewrite(model).network.graph.nodes)
        yield f"| {name.replace('_', ' ')} | {described} | {_chain(model)} | {becomes} |\n"


def _quantised() -> Iterable[str]:
    """Return what becomes of the spellings in 8 bits, a row for each outcome."""
    names: dict[str, list[str]] = {}
    for family in families():
        for name in family.pytorch:
            with tempfile.TemporaryDirectory() as folder:
                model = quantised(family.model(name), Path(folder))
            result = rewrite(model)
            fused = f"`{DOMAIN}::{QUANTIZED_OP}`" if QUANTIZED_OP in result.operators else ""
            outcome = fused or "; ".join(result.reasons) or "not recognised"
            names.setdefault(outcome, []).append(name)
    for outcome, spellings in names.items():
        yield f"| {outcome} | {', '.join(spellings)} |\n"


def _chain(model: onnx.ModelProto) -> str:
    return " → ".join(node.op_type for node in model.graph.node)


def _refusals() -> Iterable[str]:
    for name, (write, expected) in NEGATIVES.items():
        if expected.refused is None:
            continue
        model = build(write)
        reasons = "; ".join(rewrite(model).reasons).replace("|", "\\|")
        yield f"| {name.replace('_', ' ')} | {_chain(model)} | {reasons} |\n"
