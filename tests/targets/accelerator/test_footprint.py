"""What reports say of the accelerator: codes, two memories, and bytes that really move."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from condensation_net import build
from kit.command import Condense
from onnx import helper, numpy_helper

from condense_compiler.compilation import Compilation
from condense_compiler.driver import compile_model
from condense_compiler.report.report import Report
from condense_compiler.report.report_text import report_lines
from condense_compiler.targets.accelerator.fallback import AcceleratedPart
from condense_compiler.targets.accelerator.simulator.simulate import simulate

pytestmark = pytest.mark.filterwarnings("ignore:no calibration samples")

FLOAT = onnx.TensorProto.FLOAT


def network() -> onnx.ModelProto:
    return build(k=2, width=0.25, size=32)


def compiled(limit: int | None = None, **options: str) -> Compilation:
    return compile_model(
        network(),
        "accelerator",
        memory_limit_bytes=limit,
        verify_outputs=False,
        target_options=options,
    )


@pytest.fixture(scope="module")
def whole() -> Compilation:
    return compiled()


def feeds_of(compilation: Compilation) -> dict[str, np.ndarray]:
    inputs = compilation.program.network.graph.inputs
    generator = np.random.default_rng(4)
    return {t.name: generator.standard_normal(t.shape).astype(np.float32) for t in inputs}


@pytest.mark.parametrize("limit", [None, 3000, 1500])
@pytest.mark.parametrize("machine", ["default", "small"])
def test_traffic_is_what_the_simulator_counts(limit: int | None, machine: str) -> None:
    compilation = compiled(limit, machine=machine)
    counts = compilation.lowered.simulate(feeds_of(compilation)).counts
    report = compilation.report
    assert report.traffic_after == counts.traffic_bytes
    assert counts.chip_bytes <= report.after.arena_bytes
    assert report.residency is not None
    assert counts.dram_bytes <= report.residency.dram_bytes


def test_maps_are_codes(whole: Compilation) -> None:
    """One byte for each element, before and after; the wide maps are there before alone."""
    plain = compile_model(network(), verify_outputs=False).report
    report = whole.report
    assert report.before.arena_bytes == plain.before.arena_bytes / 4
    assert report.before.sum_bytes == plain.before.sum_bytes / 4
    assert report.after.arena_bytes == plain.after.arena_bytes / 4
    assert report.after.optimal
    assert report.after.order_optimal


def test_given_in_codes_or_not_it_is_the_same_network(whole: Compilation) -> None:
    """Operators that only quantise store nothing."""
    again = compile_model(whole.lowered.quantised, "accelerator", verify_outputs=False).report
    assert again.before.arena_bytes <= whole.report.before.arena_bytes
    assert again.after == whole.report.after
    assert again.traffic_after == whole.report.traffic_after


def test_before_counts_every_operator_and_the_weights() -> None:
    weights = np.random.default_rng(0).standard_normal((4, 3, 1, 1)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="first"),
            helper.make_node("Relu", ["c"], ["y"], name="second"),
        ],
        "net",
        [helper.make_tensor_value_info("x", FLOAT, (1, 3, 7, 5))],
        [helper.make_tensor_value_info("y", FLOAT, (1, 4, 7, 5))],
        [numpy_helper.from_array(weights, "w")],
    )
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    compilation = compile_model(model, "accelerator", verify_outputs=False)
    pixels, packed = 35, len(compilation.lowered.code.binary.weights)
    assert compilation.report.before.sum_bytes == (3 + 4 + 4) * pixels
    assert compilation.report.before.arena_bytes == (4 + 4) * pixels
    assert compilation.report.traffic_before == (3 + 4 + 4 + 4) * pixels + packed


def test_everything_is_on_the_chip_or_the_report_tells_what_is_not(whole: Compilation) -> None:
    residency = whole.report.residency
    assert residency is not None
    assert (residency.in_dram, residency.traffic_optimal) == (0, True)
    limit = whole.report.after.arena_bytes - 1
    report = compiled(limit).report
    assert report.residency is not None
    assert report.residency.in_dram > 0
    assert report.residency.on_chip + report.residency.in_dram == residency.on_chip
    assert report.fits
    assert report.traffic_after > whole.report.traffic_after
    assert not report.after.order_optimal


def test_too_little_even_for_stripes_does_not_fit() -> None:
    compilation = compiled(100)
    report = compilation.report
    assert not report.fits
    assert report.after.arena_bytes > 100
    assert compiled(report.after.arena_bytes).report.fits
    expected = compiled().run(feeds_of(compilation))
    for name, values in compilation.run(feeds_of(compilation)).items():
        np.testing.assert_array_equal(values, expected[name])


def lines_of(report: Report) -> str:
    return "\n".join(report_lines(report))


def test_people_are_told(whole: Compilation) -> None:
    assert "chip memory" in lines_of(whole.report)
    assert " 0 in DRAM" in lines_of(whole.report)
    assert "proved minimal for every order" in lines_of(whole.report)
    text = lines_of(compiled(3000).report)
    assert "with 1 of 10 feature maps in DRAM, runs in 2.93 KiB: chip memory" in text
    assert "traffic proved least" in text
    assert "does not fit 100 B" in lines_of(compiled(100).report)


def test_memory_on_the_command_line(tmp_path: Path, condense: Condense) -> None:
    onnx.save(network(), tmp_path / "net.onnx")
    arguments = ("--target", "accelerator", "--no-verify", "--json", "-o", tmp_path / "out")
    for size, status in (("3000", 0), ("100", 1)):
        outcome = condense("compile", tmp_path / "net.onnx", "--memory", size, *arguments)
        assert outcome.status == status
        report = json.loads(outcome.out)
        assert report["request"]["memory_limit_bytes"] == int(size)
        assert report["fits"] == (status == 0)
        assert (tmp_path / "out" / "program.bin").is_file()


def test_parts_are_counted_together_with_what_runs_elsewhere() -> None:
    generator = np.random.default_rng(1)
    weights = {
        name: generator.standard_normal((3, 3, 3, 3)).astype(np.float32) for name in ("v", "w")
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "v"], ["a"], name="first", pads=[1] * 4),
            helper.make_node("Softmax", ["a"], ["b"], name="middle", axis=1),
            helper.make_node("Conv", ["b", "w"], ["y"], name="second", pads=[1] * 4),
        ],
        "mixed",
        [helper.make_tensor_value_info("x", FLOAT, (1, 3, 9, 7))],
        [helper.make_tensor_value_info("y", FLOAT, (1, 3, 9, 7))],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = {"allow_fallback": "true"}
    compilation = compile_model(
        model, "accelerator", memory_limit_bytes=300, verify_outputs=False, target_options=options
    )
    report, map_bytes = compilation.report, 3 * 9 * 7
    parts = [p for p in compilation.lowered.parts if isinstance(p, AcceleratedPart)]
    moved = 0
    for part in parts:
        feeds = {name: np.ones(p.shape, np.float32) for name, p in part.network.inputs.items()}
        moved += simulate(part.binary, feeds).counts.traffic_bytes
    assert len(parts) == 2
    assert report.traffic_after == moved + 2 * 4 * map_bytes  # the softmax, in floating point
    assert report.after.arena_bytes == max(part.binary.chip_bytes for part in parts)
    assert report.after.sum_bytes == 4 * map_bytes + 4 * map_bytes
    assert report.fits
