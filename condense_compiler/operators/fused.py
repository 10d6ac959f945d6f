"""The operator `condense::ConvPool`: a convolution whose wide maps are pooled before being stored.

Inputs: X (batch, channels, pixels...), W (wide channels, channels / group, kernel...), B (wide
channels) or empty, then the operands of `before` and `after`, each (channels, 1...) so that it
broadcasts. Output: (batch, wide channels / window, pixels...).

In order, at each pixel: convolution, `before`, `reduction` of each group of `window` wide
channels to one, `after`, and if `spatial` is given a spatial max-pooling.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.operators.elementwise import Program, parse
from condense_compiler.operators.window import Window

DOMAIN = "condense"
OP = "ConvPool"
BODY_OP = "ConvPoolBody"  # its name in models whose element type no native kernel computes with
KERNEL_TYPE = np.dtype(np.float32)
FIRST_OPERAND = 3  # behind data, filters and bias

Operand = npt.NDArray[np.floating]

REDUCTIONS = ("max", "min", "mean", "sum", "l2", "ordinal")


@dataclass(frozen=True, slots=True)
class ConvPool:
    """The recipe that a kernel needs; everything but the tensors.

    Attributes:
        convolution: Window of the convolution.
        group: Groups of the convolution, as in ONNX.
        reduction: One of `REDUCTIONS`.
        window: Wide channels that are reduced to one.
        members: Wide channel of each slot, `window` slots for each output channel; empty where
            the channels of a group are consecutive, which is the canonical form.
        rank_weights: For `ordinal`: weight of the largest, second largest, ... of a group.
        before: Element-wise program between convolution and reduction.
        after: Element-wise program behind the reduction; its operands follow those of `before`,
            and its numbering of operands starts again at `$0`.
        spatial: Window of the max-pooling behind, if there is one.
    """

    convolution: Window
    group: int
    reduction: str
    window: int
    members: tuple[int, ...] = ()
    rank_weights: tuple[float, ...] = ()
    before: Program = field(default_factory=Program)
    after: Program = field(default_factory=Program)
    spatial: Window | None = None

    def to_attributes(self) -> dict[str, Any]:
        """Return the ONNX attributes of the node."""
        attributes: dict[str, Any] = {
            **self.convolution.to_attributes(pooling=False),
            "group": self.group,
            "reduction": self.reduction,
            "window": self.window,
        }
        optional = {
            "members": list(self.members),
            "rank_weights": list(self.rank_weights),
            # One text each, because ONNX Runtime's C interface knows no lists of texts before 1.25.
            "before": "\n".join(self.before.lines()),
            "after": "\n".join(self.after.lines()),
        }
        attributes |= {name: value for name, value in optional.items() if value}
        if self.spatial is not None:
            attributes |= self.spatial.to_attributes("pool_", pooling=True)
        return attributes

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> Self:
        """Read the recipe back from a node's attributes."""
        return cls(
            convolution=Window.from_attributes(attributes),
            group=attributes["group"],
            reduction=attributes["reduction"],
            window=attributes["window"],
            members=tuple(attributes.get("members", ())),
            rank_weights=tuple(attributes.get("rank_weights", ())),
            before=parse(attributes.get("before", "").splitlines()),
            after=parse(attributes.get("after", "").splitlines()),
            spatial=(
                Window.from_attributes(attributes, "pool_")
                if "pool_kernel_shape" in attributes
                else None
            ),
        )


def is_conv_pool(node: gs.Node) -> bool:
    """Tell whether a node is a `condense::ConvPool`."""
    return bool(node.domain == DOMAIN and node.op == OP)


def operands_of(node: gs.Node, recipe: ConvPool) -> tuple[list[Operand], list[Operand]]:
    """Return the operands of `before` and those of `after`."""
    values = [tensor.values for tensor in node.inputs[FIRST_OPERAND:]]
    count = recipe.before.operand_count()
    return values[:count], values[count:]


def set_recipe(node: gs.Node, recipe: ConvPool, operands: Sequence[Operand]) -> None:
    """Give a node another recipe, and the operands of its two programs."""
    node.attrs = recipe.to_attributes()
    names = [f"{node.name}/operand{index}" for index in range(len(operands))]
    constants = [gs.Constant(n, values) for n, values in zip(names, operands, strict=True)]
    node.inputs = [*node.inputs[:FIRST_OPERAND], *constants]
