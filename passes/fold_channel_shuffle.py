"""Folds channel shuffles into the order in which a convolution writes its channels."""

from dataclasses import dataclass, replace
from typing import ClassVar

from condense_compiler.network import Network
from condense_compiler.passes.tracing import View, trace
from condense_compiler.passes.tracing.building import replace_region
from condense_compiler.passes.tracing.expressions import IDENTITY
from condense_compiler.passes.tracing.regions import Region, fault_of, find_regions
from condense_compiler.passes.tracing.views import is_canonical
from condense_compiler.rewriting.contract import PassOutcome, Rewrite


@dataclass(frozen=True)
class FoldChannelShuffle:
    """Let a convolution write its channels in the order that a shuffle behind it asks for.

    A convolution that is pooled already has its channels in order; this is for the others, as in
    ShuffleNet, where a transposition would store the whole map a second time.
    """

    name: ClassVar[str] = "fold_channel_shuffle"

    def apply(self, network: Network) -> PassOutcome:
        """Fold every shuffle whose convolution nothing else reads."""
        rewrites: list[Rewrite] = []
        settled: set[str] = set()
        for region in find_regions(network, trace(network), _is_shuffled):
            names = {node.name for node in region.nodes}
            if settled.isdisjoint(names) and fault_of(region, network.graph.outputs) is None:
                operators = " → ".join(node.op for node in region.nodes)
                rewrites.append(Rewrite(region.first.name, operators))
                replace_region(network.graph, _as_pooled(region), self.name)
                settled |= names
        return PassOutcome(tuple(rewrites))


def _is_shuffled(view: View) -> bool:
    keys = view.keys()
    return view.is_wide and is_canonical(view) and keys != sorted(keys)


def _as_pooled(region: Region) -> Region:
    """Return the region as a pooling of one channel at a time, activations behind it."""
    view = region.view
    pooled = replace(view, reduction="sum", before=IDENTITY, after=view.before)
    return replace(region, view=pooled)
