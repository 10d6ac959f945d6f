"""Fuses convolutions with the pooling of their channels, so that the wide maps are never stored."""

from dataclasses import dataclass
from typing import ClassVar

from condense_compiler.network import Network
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.passes.tracing import trace
from condense_compiler.passes.tracing.fusing import fuse
from condense_compiler.passes.tracing.regions import Region, find_regions
from condense_compiler.rewriting.contract import PassOutcome, Refusal, Rewrite


@dataclass(frozen=True)
class CrossChannelPooling:
    """Replace convolution → cross-channel pooling, however spelled, by `condense::ConvPool`."""

    name: ClassVar[str] = "cross_channel_pooling"

    def apply(self, network: Network) -> PassOutcome:
        """Fuse every region that may be fused, and say why the others may not."""
        rewrites: list[Rewrite] = []
        faults: list[tuple[Region, str]] = []
        settled: set[str] = set()
        for region in find_regions(network, trace(network), lambda view: not view.is_wide):
            names = {node.name for node in region.nodes}
            if not settled.isdisjoint(names):
                continue
            rewrite = Rewrite(region.first.name, _describe(region), _virtual_bytes(region))
            fault = fuse(network, region, self.name)
            if fault is not None:
                faults.append((region, fault))
                continue
            rewrites.append(rewrite)
            settled |= names
        refusals: dict[str, Refusal] = {}
        for region, fault in faults:
            if settled.isdisjoint(_names(region)):
                name = region.first.name
                refusals.setdefault(name, Refusal(name, fault))
        return PassOutcome(tuple(rewrites), tuple(refusals.values()))


def _names(region: Region) -> set[str]:
    return {node.name for node in region.convolutions.values()}


def _describe(region: Region) -> str:
    operators = " → ".join(node.op for node in region.nodes)
    return f"{region.view.reduction} of {region.view.window}: {operators}"


def _virtual_bytes(region: Region) -> int:
    """Return the size of the maps that no longer exist: the wide ones, and the un-pooled one."""
    wide = sum(tensor_bytes(node.outputs[0]) for node in region.convolutions.values())
    return wide + (wide // region.view.window if region.view.spatial is not None else 0)
