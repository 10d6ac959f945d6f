import json
import math
import re
import shutil
import sys
from pathlib import Path

import pytest
import typer
from kit.command import Condense
from kit.damage import seal
from kit.pictures import widened, widened_picture

import condense_compiler as cc
from condense_compiler.cli.app import app


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view")
    cc.load_network(widened()).save(folder / "net.onnx")
    cc.compile(folder / "net.onnx", verify_outputs=False).save(folder / "out")
    cc.compile(folder / "net.onnx", verify_outputs=False, passes=[]).save(folder / "plain")
    return folder


def test_a_folder_and_its_model_give_the_same_picture(condense: Condense, files: Path) -> None:
    from_folder = condense("view", files / "out", "--json")
    from_model = condense("view", files / "net.onnx", "--json")
    assert from_folder.status == from_model.status == 0
    assert json.loads(from_folder.out) == json.loads(from_model.out)
    expected = {**widened_picture().to_dict(), "model": "net"}
    assert json.loads(from_model.out).keys() == expected.keys()


def test_text_tells_what_json_tells(condense: Condense, files: Path) -> None:
    picture = json.loads(condense("view", files / "out", "--json").out)
    whole = condense("view", files / "out", "--text").out
    sides = dict(
        zip(("before", "after"), re.split(r"^after: ", whole, flags=re.MULTILINE), strict=True)
    )
    for side, text in sides.items():
        for each in picture[side]["maps"]:
            line = next(
                line for line in text.splitlines() if line.startswith(f"{each['tensor']}: ")
            )
            for name in ("operator", "pass_name", "overwrites", "overwritten_by"):
                assert each[name] in line
            assert all(reader in line for reader in each["readers"])
        for number, step in enumerate(picture[side]["steps"]):
            assert re.search(rf"^ *{number}  +{step['load']:,}  ", text, re.MULTILINE)
    for ghost in picture["gone"]:
        assert f"{ghost['size']:,}" in whole
        assert ghost["tensor"] in whole


@pytest.mark.parametrize(
    ("suffix", "start"),
    [("html", b"<!DOCTYPE"), ("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")],
)
def test_files(condense: Condense, files: Path, tmp_path: Path, suffix: str, start: bytes) -> None:
    target = tmp_path / f"plan.{suffix}"
    outcome = condense("view", files / "out", "-o", target)
    assert (outcome.status, outcome.out.strip()) == (0, str(target))
    assert target.read_bytes().startswith(start)


def test_without_a_name_the_page_is_called_after_the_model(
    condense: Condense, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert condense("view", files / "net.onnx").out.strip() == "net.plan.html"
    assert (tmp_path / "net.plan.html").is_file()


def test_the_terminal_picture_is_plain_text_where_there_is_no_terminal(
    condense: Condense, files: Path
) -> None:
    out = condense("view", files / "out", "--terminal").out
    assert "\x1b" not in out
    assert "after: " in out
    assert "▲" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("view", "{}/nothing"), "No such file"),
        (("view", "{}"), "give a folder that `condense compile` wrote"),
        (("view", "{}/out", "-o", "plan.txt"), "end the name with .html, .svg, .png, .pdf"),
        (("view", "{}/out", "-o", "no/such/plan.svg"), "does not exist"),
        (("view", "{}/out", "--terminal", "--json"), "give only one of"),
        (("view", "{}/out", "--dim", "n=1"), "is compiled already"),
        (("compare", "{}/out", "{}"), "give a folder that `condense compile` wrote"),
        (("inspect", "{}/nothing.onnx"), "No such file"),
        (("plan", "{}/net.onnx", "--json"), "--json for --explain"),
        (("plan", "--explain", "--buffers", "x.csv"), "--explain is for models"),
        (("complie", "x"), "Did you mean 'compile'"),
        (("view", "{}/out", "--terminl"), "--terminal"),
    ],
)
def test_errors_are_one_line(
    condense: Condense, files: Path, arguments: tuple[str, ...], message: str
) -> None:
    outcome = condense(*(argument.format(files) for argument in arguments))
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert message in outcome.err


def test_a_broken_picture_is_refused(condense: Condense, files: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(files / "out", tmp_path / "out")
    for content in ("{", "[]", '{"model": "x", "before": {}}'):
        (folder / "picture.json").write_text(content, encoding="utf-8")
        for reason in ("changed since", "not "):
            outcome = condense("view", folder, "--json")
            assert outcome.status == 2
            assert reason in outcome.err
            assert "compile the model again" in outcome.err
            seal(folder)
        shutil.copytree(files / "out", folder, dirs_exist_ok=True)


@pytest.mark.parametrize(("library", "suffix"), [("bokeh", "html"), ("matplotlib", "svg")])
def test_a_missing_library_is_named(
    condense: Condense,
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    library: str,
    suffix: str,
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, "condense_compiler.report.plots", raising=False)
    outcome = condense("view", files / "out", "-o", tmp_path / f"plan.{suffix}")
    assert outcome.status == 2
    assert "pip install 'condense-compiler[view]'" in outcome.err


def test_compare(condense: Condense, files: Path) -> None:
    text = condense("compare", files / "plain", files / "out").out
    comparison = json.loads(condense("compare", files / "plain", files / "out", "--json").out)
    arena = comparison["quantities"]["arena bytes"]
    assert arena["b"] - arena["a"] == arena["difference"] < 0
    assert f"{arena['b']:,}" in text
    assert len(comparison["fused"]["only_b"]) == 8
    assert all(line in text for line in comparison["fused"]["only_b"])


def test_inspect(condense: Condense, files: Path) -> None:
    text = condense("inspect", files / "net.onnx").out
    table = json.loads(condense("inspect", files / "net.onnx", "--json").out)
    report = json.loads((files / "out" / "report.json").read_text(encoding="utf-8"))
    totals = table["totals"]
    assert totals["macs"] == report["macs_before"] == sum(r["macs"] for r in table["operators"])
    assert totals["peak_load_bytes"] == report["feature_maps"]["before"]["lower_bound_bytes"]
    assert totals["traffic_bytes"] == report["traffic_bytes"]["before"]
    model = cc.load_network(files / "net.onnx").to_model()
    floats = [tensor for tensor in model.graph.initializer if tensor.data_type == 1]
    sizes = [math.prod(tensor.dims) for tensor in floats]
    assert totals["parameters"] == sum(sizes)
    for operator in table["operators"]:
        line = next(line for line in text.splitlines() if line.endswith(operator["name"]))
        assert f"{operator['macs']:,}" in line
        assert f"{operator['feature_map_bytes']:,}" in line


def test_explain(condense: Condense, files: Path) -> None:
    text = condense("plan", files / "net.onnx", "--explain").out
    why = json.loads(condense("plan", files / "net.onnx", "--explain", "--json").out)
    for each in why["alive"]:
        assert each["tensor"] in text
        assert f"{each['peak_without']:,}" in text
    for line in why["advice"]:
        assert line in text


def test_every_command_has_an_example_and_completion_is_on() -> None:
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert f"Example: condense {name}" in (command.help or ""), name
    assert "install_completion" in {parameter.name for parameter in group.params}
