"""Writes codes with a sign as codes without, where only DequantizeLinear reads them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import is_output
from condense_compiler.operators.attributes import constant_input
from condense_compiler.rewriting.contract import PassOutcome, Rewrite

_ZERO = 2  # input at which the code of zero stands
_SHIFT = 128


@dataclass(frozen=True)
class DropSigns:
    """Raise each code by 128, and the code that means zero.

    Values stay what they are. On x86, runtimes have their fast kernels for codes without sign.
    """

    name: ClassVar[str] = "drop_signs"

    def apply(self, network: Network) -> PassOutcome:
        """Change every QuantizeLinear whose readers can follow."""
        rewrites: list[Rewrite] = []
        for node in network.graph.nodes:
            if (
                node.op != "QuantizeLinear"
                or node.domain
                or is_output(network.graph, node.outputs[0])
            ):
                continue
            codes = node.outputs[0]
            follow = all(
                reader.op == "DequantizeLinear" and not reader.domain and reader.inputs[0] is codes
                for reader in codes.outputs
            )
            if not follow or not all(_has_signed_zero(n) for n in (node, *codes.outputs)):
                continue
            for each in (node, *codes.outputs):
                _raise_zero(each)
            codes.dtype = np.dtype(np.uint8)
            rewrites.append(Rewrite(node.name, "QuantizeLinear → DequantizeLinear"))
        return PassOutcome(tuple(rewrites))


def _has_signed_zero(node: gs.Node) -> bool:
    zero = constant_input(node, _ZERO)
    return zero is not None and zero.dtype == np.int8


def _raise_zero(node: gs.Node) -> None:
    zero = constant_input(node, _ZERO)
    assert zero is not None  # the caller has looked
    higher = np.asarray(zero.astype(np.int16) + _SHIFT, np.uint8)
    node.inputs[_ZERO] = gs.Constant(f"{DropSigns.name}/{node.name}/zero", higher)
