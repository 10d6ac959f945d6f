"""Transfers and computing overlap, wherever feature maps lie."""

import numpy as np
import onnx
import pytest
from kit.layers import Layer, Network, Window

import condense_compiler as cc
from condense_compiler.targets.accelerator.isa.records import Queue
from condense_compiler.targets.accelerator.isa.transfers import LoadWeights
from condense_compiler.targets.accelerator.lowered import AcceleratorProgram


def network() -> onnx.ModelProto:
    """Return layers whose weights take several blocks, and about as long as computing."""
    wide = Window((3, 3), pads=(1, 1, 1, 1))
    layers = tuple(Layer("reduce_max", 128, 4, wide, before=("leaky_relu",)) for _ in range(3))
    return Network(layers, channels=64, spatial=(12, 12), opset=18).build()


@pytest.mark.filterwarnings("ignore:no calibration samples")
@pytest.mark.parametrize("feature_maps", ["auto", "dram"])
def test_a_run_takes_little_longer_than_its_busiest_unit(feature_maps: str) -> None:
    """A store kept the next weights waiting, and transfers alternated with computing."""
    compilation = cc.compile(
        network(),
        target="accelerator",
        target_options={"feature_maps": feature_maps},
        verify_outputs=False,
    )
    lowered = compilation.lowered
    assert isinstance(lowered, AcceleratorProgram)
    run = lowered.simulate({"input": np.zeros((1, 64, 12, 12), np.float32)})
    blocks = sum(isinstance(timed.issue.start, LoadWeights) for timed in run.timed)
    assert blocks > 3 * 3
    busy = dict.fromkeys(Queue, 0)
    for timed in run.timed:
        busy[timed.issue.queue] += timed.busy_cycles
    busiest = max(busy[Queue.COMPUTE], busy[Queue.LOAD] + busy[Queue.STORE])
    # Each layer of 3 starts with weights that nothing overlaps.
    assert run.counts.cycles <= 1.25 * busiest
