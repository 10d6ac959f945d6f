import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from kit.command import Condense
from kit.models import hydrated
from kit.pictures import widened
from rich.console import Console

import condense_compiler as cc
from condense_compiler.errors import InputError
from condense_compiler.report.report import Verification
from condense_compiler.report.report_text import difference_text, headline, print_report

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
# A network whose wide maps become virtual, one with views and overwriting, and a refusal.
MODELS = {
    "widened": widened,
    "squeezenet1_1": lambda: hydrated("squeezenet1_1"),
    "ccp_still_needed": lambda: hydrated("ccp_still_needed"),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("options", [{}, {"memory_limit_bytes": 1, "passes": []}])
def test_reports_follow_the_schema(name: str, options: dict[str, Any]) -> None:
    target = "reference" if name == "widened" else "onnxruntime"
    verify = name == "widened"
    compilation = cc.compile(MODELS[name](), target, verify_outputs=verify, **options)
    report = json.loads(json.dumps(compilation.report.to_dict()))
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(report, SCHEMA)
    assert report.keys() == SCHEMA["properties"].keys()


@pytest.mark.filterwarnings("ignore:no calibration samples")
def test_reports_of_the_accelerator_follow_the_schema() -> None:
    compilation = cc.compile(widened(), "accelerator", memory_limit_bytes=2000)
    report = json.loads(json.dumps(compilation.report.to_dict()))
    jsonschema.validate(report, SCHEMA)
    assert report.keys() == SCHEMA["properties"].keys()
    assert report["residency"] is not None


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (
            (3e-5, 2e-6, 1e-4),
            "largest difference 2.0e-06 of the largest magnitude, allowed 1.0e-04",
        ),
        ((1.0, 0.00025, 1e-3, True), "0.0250% of the quantised values differ, by at most 1 steps"),
        ((7.0, float("inf"), 1e-3, True), "quantised values differ by up to 7 steps"),
        ((float("inf"), float("inf"), 0.0, True), "quantised values differ"),
    ],
)
def test_differences_are_told_in_their_units(result: tuple[Any, ...], text: str) -> None:
    assert difference_text(Verification(*result)) == text


@pytest.fixture(scope="module")
def compilation() -> cc.Compilation:
    return cc.compile(widened(), memory_limit_bytes=2**20)


def test_picture_and_report_prove_the_same(compilation: cc.Compilation) -> None:
    reported, drawn = compilation.report.after, compilation.picture.after
    assert (drawn.optimal, drawn.order_optimal) == (reported.optimal, reported.order_optimal)
    assert drawn.order_optimal
    assert not compilation.picture.before.order_optimal


def test_whether_it_fits_stands_first(compilation: cc.Compilation) -> None:
    assert "fits 1 MiB" in headline(compilation.report)
    small = cc.compile(widened(), memory_limit_bytes=1024, verify_outputs=False)
    assert "does not fit 1 KiB" in headline(small.report)


def test_no_line_is_wrapped_where_there_is_no_terminal(
    compilation: cc.Compilation, tmp_path: Path
) -> None:
    file = tmp_path / "report.txt"
    with file.open("w", encoding="utf-8") as stream:
        print_report(compilation.report, Path("out"), Console(file=stream, width=40))
    lines = file.read_text(encoding="utf-8").splitlines()
    arena = next(line for line in lines if line.strip().startswith("feature-map arena"))
    assert f"{compilation.report.before.arena_bytes:,} B" in arena
    assert f"{compilation.report.after.arena_bytes:,} B" in arena
    for layer in compilation.report.fused:
        assert f"  {layer.node}: {layer.pattern}" in lines


def test_notebooks_show_everything(compilation: cc.Compilation) -> None:
    shown = compilation._repr_html_()
    for each in compilation.picture.after.maps:
        assert f"<title>{each.tensor}:" in shown
    assert headline(compilation.report) in shown
    assert f"{compilation.plan.arena_bytes:,} B" in compilation.plan._repr_html_()
    assert compilation.report._repr_html_() in shown


def test_a_report_becomes_a_frame(compilation: cc.Compilation) -> None:
    frame = compilation.report.to_frame()
    assert frame.loc["arena_bytes", "after"] == compilation.report.after.arena_bytes
    assert frame.loc["traffic_bytes", "before"] == compilation.report.traffic_before


def test_without_pandas_the_error_says_what_to_install(
    compilation: cc.Compilation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="pip install pandas"):
        compilation.report.to_frame()


def test_compiling_prints_json_alone(condense: Condense, tmp_path: Path) -> None:
    cc.load_network(widened()).save(tmp_path / "model.onnx")
    outcome = condense("compile", tmp_path / "model.onnx", "-o", tmp_path / "out", "--json")
    assert outcome.status == 0
    written = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert json.loads(outcome.out) == written
