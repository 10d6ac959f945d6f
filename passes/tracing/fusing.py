"""From a region to the fused operator that takes its place, or the reason why there is none."""

import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.passes.tracing.building import conv_pool, replace_region
from condense_compiler.passes.tracing.quantised import (
    NotFusableError,
    is_quantised,
    quantised_layer,
)
from condense_compiler.passes.tracing.quantised_building import (
    quantised_conv_pool,
    remove_unread_dequantisations,
)
from condense_compiler.passes.tracing.regions import Region, fault_of


def fuse(network: Network, region: Region, pass_name: str) -> str | None:
    """Put one operator, called after the pass, in the place of a region.

    Returns:
        Why the region must stay as it is; None if it was replaced.
    """
    fault = fault_of(region, network.graph.outputs)
    if fault is not None:
        return fault
    try:
        nodes = _operator(network, region, f"{pass_name}/{region.first.name}")
    except NotFusableError as error:
        return str(error)
    had_codes = any(
        isinstance(t, gs.Variable) for n in region.convolutions.values() for t in n.inputs[1:]
    )
    replace_region(network.graph, region, nodes)
    if had_codes:
        remove_unread_dequantisations(network.graph)
    return None


def _operator(network: Network, region: Region, name: str) -> list[gs.Node]:
    if not is_quantised(region):
        if region.output.dtype != region.first.outputs[0].dtype:
            raise NotFusableError("the pooled maps become codes, the convolution is not of codes")
        return conv_pool(region, name)
    return quantised_conv_pool(region, quantised_layer(region, network.opset), name)
