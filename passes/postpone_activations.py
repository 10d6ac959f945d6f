"""Moves activations that never decrease behind the pooling, where there are fewer elements."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.operators.channel_pooling import FusedConvolution
from condense_compiler.operators.elementwise import Program
from condense_compiler.operators.fused import ConvPool, is_conv_pool, operands_of, set_recipe
from condense_compiler.operators.registry import parse_as
from condense_compiler.rewriting.contract import PassOutcome, Rewrite

# The largest member stays the largest under a function that never decreases.
_KEEPS_CHOICE = ("max", "min")


@dataclass(frozen=True)
class PostponeActivations:
    """In `condense::ConvPool`, apply activations to the pooled map instead of the wide ones."""

    name: ClassVar[str] = "postpone_activations"

    def apply(self, network: Network) -> PassOutcome:
        """Move every program that may be moved."""
        rewrites = [
            Rewrite(node.name, "activation behind pooling")
            for node in network.graph.nodes
            if is_conv_pool(node) and _postpone(node)
        ]
        return PassOutcome(tuple(rewrites))


def _postpone(node: gs.Node) -> bool:
    recipe = parse_as(FusedConvolution, node).recipe
    if not recipe.before or recipe.reduction not in _KEEPS_CHOICE:
        return False
    before, after = operands_of(node, recipe)
    pooled = [_one_for_each_group(values, recipe) for values in before]
    known = [values for values in pooled if values is not None]
    if len(known) < len(pooled) or not recipe.before.is_non_decreasing(known):
        return False
    moved = replace(recipe, before=Program(), after=recipe.before.followed_by(recipe.after))
    set_recipe(node, moved, [*known, *after])
    return True


def _one_for_each_group(
    values: npt.NDArray[np.floating], recipe: ConvPool
) -> npt.NDArray[np.floating] | None:
    """Return an operand's value for each group, if the members of each group share it."""
    slots = values[list(recipe.members)] if recipe.members else values
    grouped = slots.reshape(-1, recipe.window, *values.shape[1:])
    if not np.all(grouped == grouped[:, :1]):
        return None
    return np.ascontiguousarray(grouped[:, 0])
