"""Cycles are those of the formula in docs/accelerator.md."""

import math

import numpy as np
import pytest
from kit.layers import Layer, Network, Window

import condense_compiler as cc
from condense_compiler.targets.accelerator.isa.convolution import Convolve
from condense_compiler.targets.accelerator.lowered import AcceleratorProgram
from condense_compiler.targets.accelerator.machine import read_machine


@pytest.mark.filterwarnings("ignore:no calibration samples")
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize(("channels", "outputs", "side"), [(3, 5, 7), (40, 24, 19), (64, 32, 40)])
def test_convolutions(kernel: int, channels: int, outputs: int, side: int) -> None:
    """Positions of sums, in steps of `lanes` products, and an overhead for each block of them."""
    window = Window((kernel, kernel), pads=(kernel // 2,) * 4)
    layer = Layer("reduce_max", outputs, 2, window)
    network = Network((layer,), channels=channels, spatial=(side, side), opset=18).build()
    compilation = cc.compile(network, target="accelerator", verify_outputs=False)
    lowered = compilation.lowered
    assert isinstance(lowered, AcceleratorProgram)
    machine = read_machine("default")
    run = lowered.simulate({"input": np.zeros((1, channels, side, side), np.float32)})
    convolutions = [t for t in run.timed if isinstance(t.issue.start, Convolve)]
    assert convolutions
    for timed in convolutions:
        start = timed.issue.start
        pixels = start.output.height * start.output.width
        tiles = math.ceil(start.wide_channels / machine.rows)
        steps = math.ceil(channels * kernel * kernel / machine.lanes)
        blocks = tiles * math.ceil(pixels / (machine.accumulators // machine.rows))
        expected = tiles * pixels * steps + blocks * machine.block_overhead_cycles
        assert timed.busy_cycles == expected
