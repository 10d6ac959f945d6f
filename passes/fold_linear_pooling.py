"""Folds mean and sum pooling into the filters where nothing non-linear stands in between."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.operators.channel_pooling import FusedConvolution
from condense_compiler.operators.fused import ConvPool, is_conv_pool
from condense_compiler.operators.registry import parse_as
from condense_compiler.rewriting.contract import PassOutcome, Rewrite

_SCALE: Mapping[str, Callable[[int], float]] = {
    "mean": lambda window: 1.0 / window,
    "sum": lambda _window: 1.0,
}


@dataclass(frozen=True)
class FoldLinearPooling:
    """Average or add the filters of a group: one convolution instead of `window` of them.

    What is then a convolution alone becomes a plain Conv again.
    """

    name: ClassVar[str] = "fold_linear_pooling"

    def apply(self, network: Network) -> PassOutcome:
        """Fold every mean and sum that follows its convolution directly."""
        rewrites = [
            Rewrite(node.name, "pooling folded into the filters")
            for node in network.graph.nodes
            if is_conv_pool(node) and _fold(node)
        ]
        return PassOutcome(tuple(rewrites))


def _fold(node: gs.Node) -> bool:
    recipe = parse_as(FusedConvolution, node).recipe
    if recipe.reduction not in _SCALE or recipe.before or recipe.members:
        return False
    filters_in_group = node.inputs[1].shape[0] // recipe.group
    if filters_in_group % recipe.window:
        return False  # a pool reaches over filters that see different inputs
    if recipe.window > 1:
        _fold_filters(node, recipe)
        recipe = replace(recipe, window=1, reduction="sum")
    elif recipe.after or recipe.spatial:
        return False
    node.attrs = recipe.to_attributes()
    if not recipe.after and recipe.spatial is None:
        _make_plain(node, recipe)
    return True


def _fold_filters(node: gs.Node, recipe: ConvPool) -> None:
    scale = _SCALE[recipe.reduction](recipe.window)
    for index in (1, 2):
        values = node.inputs[index].values
        grouped = values.reshape(-1, recipe.window, *values.shape[1:]).astype(np.float64)
        folded = (grouped.sum(axis=1) * scale).astype(values.dtype)
        name = f"{FoldLinearPooling.name}/{node.inputs[index].name}"
        node.inputs[index] = gs.Constant(name, folded)


def _make_plain(node: gs.Node, recipe: ConvPool) -> None:
    node.op, node.domain = "Conv", ""
    node.attrs = recipe.convolution.to_attributes(pooling=False) | {"group": recipe.group}
