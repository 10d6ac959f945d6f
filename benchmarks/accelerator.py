#!/usr/bin/env python3
"""What the accelerator saves: traffic, storage and cycles, counted by its simulator.

    python benchmarks/accelerator.py                     Condensation-Net, k = 1, 2, 4, 8
    python benchmarks/accelerator.py --networks *.onnx   which networks compile, and match

All on the same machine. Unfused stores the wide maps, pools their channels from memory, then pools
pixels; channels: cross-channel pooling is fused, pooling of pixels is not; fused: both are.
Compulsory is each byte of input, weights and output once.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from condense_compiler.driver import compile_model
from condense_compiler.errors import CondenseError
from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.codegen.generate import Code, generate
from condense_compiler.targets.accelerator.codegen.placement import place
from condense_compiler.targets.accelerator.integer.network import Convolution, IntegerNetwork
from condense_compiler.targets.accelerator.integer.separating import (
    separate_pooling,
    separate_spatial,
)
from condense_compiler.targets.accelerator.isa.records import Queue
from condense_compiler.targets.accelerator.lowered import AcceleratorProgram
from condense_compiler.targets.accelerator.machine import Machine, read_machine
from condense_compiler.targets.accelerator.simulator.program import decode_program
from condense_compiler.targets.accelerator.simulator.simulate import Run, simulate

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
from condensation_net import build

_MANY_CHANNELS = 64
_WINDOW = (3, 3)


@dataclass(frozen=True, slots=True)
class Measured:
    """A run, and what it was a run of."""

    network: IntegerNetwork
    code: Code
    run: Run


def measure(network: IntegerNetwork, machine: Machine, *, all_in_dram: bool) -> Measured:
    """Place, write and simulate a network on random input."""
    code = generate(network, place(network, machine, all_in_dram=all_in_dram), machine)
    generator = np.random.default_rng(1)
    feeds = {
        name: generator.standard_normal(port.shape).astype(np.float32)
        for name, port in network.inputs.items()
    }
    return Measured(network, code, simulate(code.binary, feeds))


def compulsory_bytes(measured: Measured) -> int:
    """Return the least traffic: input, weights and output once."""
    ports = [*measured.network.inputs.values(), *measured.network.outputs.values()]
    return sum(p.map.size_bytes for p in ports) + len(measured.code.binary.weights)


def utilisations(measured: Measured) -> Iterator[tuple[str, float]]:
    """Yield each 3x3 convolution of many channels, and how busy its units are, stalls included."""
    machine, before = measured.code.binary.machine, 0
    computed = [entry for entry in measured.run.timed if entry.issue.queue is Queue.COMPUTE]
    names = _names_of_computing(measured)
    for operator in measured.network.operators:
        mine = [e for e, name in zip(computed, names, strict=True) if name == operator.name]
        end = max(entry.last_cycle for entry in mine)
        if _is_counted(operator):
            done = sum(entry.issue.macs for entry in mine)
            yield operator.name, done / ((end - before) * machine.rows * machine.lanes)
        before = end


def _is_counted(operator: object) -> bool:
    if not isinstance(operator, Convolution):
        return False
    window: Window = operator.window
    return window.kernel_shape == _WINDOW and operator.inputs[0].shape[0] >= _MANY_CHANNELS


def _names_of_computing(measured: Measured) -> list[str]:
    """Return the operator behind each instruction of the compute queue, in order."""
    by_queue: dict[int, str] = {}
    issues = decode_program(measured.code.binary)
    for issue, name in zip(issues, measured.code.names, strict=True):
        if issue.queue is Queue.COMPUTE:
            by_queue[issue.number] = name
    return [by_queue[number] for number in sorted(by_queue)]


def condensation_net(k: int, size: int) -> IntegerNetwork:
    """Return Condensation-Net in integers."""
    compilation = compile_model(build(k=k, size=size), "accelerator", verify_outputs=False)
    assert isinstance(compilation.lowered, AcceleratorProgram)
    return compilation.lowered.fused


def print_condensation_net(factors: list[int], size: int, machine: Machine) -> None:
    """Print a table of one line for each k."""
    unit = machine.pooling_unit_bytes
    share = unit / machine.on_chip_bytes
    print(f"machine {machine.name}: pooling unit {unit} B, {share:.4%} of the chip")
    print(_HEADINGS)
    for k in factors:
        print(_line(k, size, machine), flush=True)


_HEADINGS = (
    " k      unfused     channels  saved        fused  saved   compulsory  over      on chip  over"
    "   storage      cycles  busy least 3x3     s"
)


def _line(k: int, size: int, machine: Machine) -> str:
    started = time.perf_counter()
    fused = condensation_net(k, size)
    unfused = measure(separate_pooling(fused), machine, all_in_dram=True).run.counts
    channels = measure(separate_spatial(fused), machine, all_in_dram=True).run.counts
    dram = measure(fused, machine, all_in_dram=True)
    chip = measure(fused, machine, all_in_dram=False)
    least = compulsory_bytes(dram)
    before, counts = unfused.traffic_bytes, chip.run.counts
    between, after, inside = (c.traffic_bytes for c in (channels, dram.run.counts, counts))
    busy = min((share for _, share in utilisations(chip)), default=0.0)
    return (
        f"{k:2} {before:12,} {between:12,} {1 - between / before:6.1%} {after:12,} "
        f"{1 - after / before:6.1%} {least:12,} {after / least - 1:5.1%} {inside:12,} "
        f"{inside / least - 1:5.1%} {counts.chip_bytes:9,} {counts.cycles:11,} "
        f"{counts.mac_utilisation:5.1%} {busy:9.1%} {time.perf_counter() - started:5.1f}"
    )


def print_networks(paths: list[Path], *, allow_fallback: bool) -> None:
    """Print for each network whether it compiles and matches, or why not."""
    for path in paths:
        print(f"{path.stem:26} {_one_network(path, allow_fallback=allow_fallback)}", flush=True)


def _one_network(path: Path, *, allow_fallback: bool) -> str:
    dims = {
        dimension.dim_param: 1
        for value in onnx.load(path, load_external_data=False).graph.input
        for dimension in value.type.tensor_type.shape.dim
        if dimension.dim_param
    }
    started = time.perf_counter()
    try:
        options = {"allow_fallback": str(allow_fallback)}
        compilation = compile_model(path, "accelerator", dims=dims, target_options=options)
    except CondenseError as error:
        return f"refused: {error}"
    result = compilation.report.verification
    assert result is not None
    verdict = "matches" if result.passed else "DIFFERS"
    hosted = compilation.report.target_facts.get("fallback", ())
    assert isinstance(hosted, list | tuple)
    if hosted:
        verdict += f" ({len(hosted)} nodes on the reference executor)"
    return (
        f"{verdict}: {1 - result.relative_difference:.4%} of the codes equal, largest "
        f"{result.largest_difference:.0f} steps, {time.perf_counter() - started:.1f} s"
    )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--k", type=int, nargs="+", default=[1, 2, 4, 8], help="widening factors")
    parser.add_argument("--size", type=int, default=416, help="height and width of the image")
    parser.add_argument("--machine", default="default", help="name or TOML file")
    parser.add_argument("--networks", type=Path, nargs="+", help="ONNX files to compile instead")
    parser.add_argument("--allow-fallback", action="store_true", help="for networks")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.networks:
        print_networks(options.networks, allow_fallback=options.allow_fallback)
    else:
        print_condensation_net(options.k, options.size, read_machine(options.machine))


if __name__ == "__main__":
    main()
