"""Writes networks of 8 bits in operators that take 8 bits."""

from dataclasses import dataclass
from typing import ClassVar

from condense_compiler.errors import UnsupportedError
from condense_compiler.network import Network
from condense_compiler.network.lifting import LIFTED_OPSET, lift
from condense_compiler.rewriting.contract import PassOutcome, Refusal, Rewrite

_QUANTISING = ("QuantizeLinear", "DequantizeLinear", "QLinearConv")


@dataclass(frozen=True)
class LiftOpset:
    """Write a quantised network of an opset below 13 in opset 13.

    Before, many operators that move values took no codes, and filters had one scale together.
    """

    name: ClassVar[str] = "lift_opset"

    def apply(self, network: Network) -> PassOutcome:
        """Rewrite the network if any of its operators quantises."""
        quantising = [node for node in network.graph.nodes if node.op in _QUANTISING]
        if not quantising or network.opset >= LIFTED_OPSET:
            return PassOutcome()
        given, first = network.opset, quantising[0].name
        lifted = network.copy()
        try:
            lift(lifted)
        except UnsupportedError as error:
            return PassOutcome(refusals=(Refusal(first, str(error)),))
        network.graph = lifted.graph
        return PassOutcome((Rewrite(first, f"opset {given} → {LIFTED_OPSET}"),))
