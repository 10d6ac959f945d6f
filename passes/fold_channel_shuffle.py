"""Folds channel shuffles into the order in which a convolution writes its channels."""

from dataclasses import dataclass, replace
from typing import ClassVar

from condense_compiler.network import Network
from condense_compiler.passes.tracing import View, trace
from condense_compiler.passes.tracing.expressions import IDENTITY
from condense_compiler.passes.tracing.fusing import fuse
from condense_compiler.passes.tracing.quantised import is_quantised
from condense_compiler.passes.tracing.regions import Region, find_regions
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
            operators = " → ".join(node.op for node in region.nodes)
            rewrite = Rewrite(region.first.name, operators)
            if settled.isdisjoint(names) and fuse(network, _as_pooled(region), self.name) is None:
                rewrites.append(rewrite)
                settled |= names
        return PassOutcome(tuple(rewrites))


def _is_shuffled(view: View) -> bool:
    keys = view.keys()
    return view.is_wide and is_canonical(view) and keys != sorted(keys)


def _as_pooled(region: Region) -> Region:
    """Return the region as a pooling of one channel at a time, activations behind it."""
    view = region.view
    reduction = "max" if is_quantised(region) else "sum"  # codes are pooled by max or min alone
    pooled = replace(view, reduction=reduction, before=IDENTITY, after=view.before)
    return replace(region, view=pooled)
