"""Compiled folders that were broken end with status 2 and one line, nothing written."""

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from kit.damage import Damage, empty, nothing_there, random_bytes, seal, truncated

import condense_compiler as cc

from .conftest import Place


def replace_line(path: Path, number: int, change: Callable[[list[str]], list[str]]) -> None:
    lines = path.read_text().splitlines()
    lines[number] = ",".join(change(lines[number].split(",")))
    path.write_text("\n".join(lines) + "\n")


def offset(text: str) -> Damage:
    """Change the offset of the first map."""
    return lambda path: replace_line(path, 1, lambda cells: [*cells[:-1], text])


def all_at_the_start(path: Path) -> None:
    for number in range(1, len(path.read_text().splitlines())):
        replace_line(path, number, lambda cells: [*cells[:-1], "0"])


def line_left_out(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def last_line_twice(path: Path) -> None:
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")


def other_name(path: Path) -> None:
    replace_line(path, 1, lambda cells: ["other", *cells[1:]])


def longer_life(path: Path) -> None:
    replace_line(path, 1, lambda cells: [*cells[:2], "9", *cells[3:]])


TAMPERED: dict[str, tuple[Damage, str]] = {
    "maps on top of each other": (all_at_the_start, "is written over"),
    "line left out": (line_left_out, "no row"),
    "line twice": (last_line_twice, "output"),
    "another name": (other_name, "input"),
    "another lifetime": (longer_life, "does not match the model"),
    "negative offset": (offset("-4"), "outside the arena"),
    "offset that is no number": (offset("zero"), "not a number"),
    "no offset": (offset(""), "plan.csv"),
    "offset that is too large": (offset(str(2**59)), "beyond any need"),
    "cell missing": (lambda path: replace_line(path, 1, lambda cells: cells[:-1]), "plan.csv"),
    "no offsets": (lambda p: replace_line(p, 0, lambda c: [*c[:-1], "place"]), "offset"),
    "empty": (empty, "empty"),
    "missing": (nothing_there, "No such file"),
    "random bytes": (random_bytes, "plan.csv"),
}


@pytest.mark.parametrize(("damage", "reason"), TAMPERED.values(), ids=TAMPERED)
def test_plan_that_was_tampered_with(compiled: Place, damage: Damage, reason: str) -> None:
    damage(compiled.folder / "out" / "plan.csv")
    seal(compiled.folder / "out")
    error = compiled.refused("run", "out", "--input", "x.npy")
    assert "plan.csv" in error
    assert reason in error


BROKEN_REPORTS: dict[str, str] = {
    "not JSON": "{",
    "not an object": "[]",
    "nothing in it": "{}",
}
BROKEN_ENTRIES: dict[str, dict[str, object]] = {
    "target is a number": {"target": 3},
    "target is a list": {"target": []},
    "model is a number": {"model": 3},
    "no request": {"request": None},
    "request of no model": {"request": {}},
    "path of the model is a number": {"request": {"model": "a", "model_path": 3}},
    "target of the request is a number": {"request": {"model": "a", "target": 3}},
    "unknown target": {"request": {"model": "a", "target": "tpu"}},
    "options are a list": {"request": {"model": "a", "target_options": []}},
    "option is a number": {"request": {"model": "a", "target_options": {"poison": 1}}},
    "unknown option": {"request": {"model": "a", "target_options": {"speed": "9"}}},
    "unknown field": {"request": {"model": "a", "seed": 9}},
    "no facts": {"target_facts": None},
    "no feature maps": {"feature_maps": {}},
    "residency is a number": {"residency": 3},
}


@pytest.mark.parametrize("command", ["run", "verify"])
@pytest.mark.parametrize("report", BROKEN_REPORTS.values(), ids=BROKEN_REPORTS)
def test_report_that_is_broken(compiled: Place, report: str, command: str) -> None:
    (compiled.folder / "out" / "report.json").write_text(report)
    assert compiled.refused(command, "out")


@pytest.mark.parametrize("command", ["run", "verify"])
@pytest.mark.parametrize("entries", BROKEN_ENTRIES.values(), ids=BROKEN_ENTRIES)
def test_report_with_a_broken_entry(
    compiled: Place, entries: dict[str, object], command: str
) -> None:
    report = compiled.json("out/report.json") | entries
    (compiled.folder / "out" / "report.json").write_text(json.dumps(report))
    assert compiled.refused(command, "out")


@pytest.mark.parametrize("command", ["run", "verify", "view"])
@pytest.mark.parametrize("name", ["model.onnx", "plan.csv", "picture.json"])
def test_files_that_do_not_belong_together(compiled: Place, name: str, command: str) -> None:
    compiled.call("compile", "net.onnx", "-o", "other", "--passes", "", "--no-verify", status=0)
    content = (compiled.folder / "other" / name).read_bytes()
    (compiled.folder / "out" / name).write_bytes(content)
    if command == "view" and name != "picture.json":
        compiled.call("view", "out", "--json", status=0)
        return
    error = compiled.refused(command, "out")
    assert f"out/{name}: changed since, or of another compilation" in error
    assert "compile the model again" in error


@pytest.mark.parametrize("damage", [truncated, empty, nothing_there])
def test_compiled_model_that_is_broken(compiled: Place, damage: Damage) -> None:
    damage(compiled.folder / "out" / "model.onnx")
    seal(compiled.folder / "out")
    assert "model.onnx" in compiled.refused("run", "out", "--input", "x.npy")


def test_model_in_memory_cannot_be_verified_against(place: Place) -> None:
    compilation = cc.compile(onnx.load(place.folder / "net.onnx"), verify_outputs=False)
    compilation.save(place.folder / "out")
    assert "no file to compare with" in place.refused("verify", "out")


def test_model_that_is_gone_cannot_be_verified_against(compiled: Place) -> None:
    (compiled.folder / "net.onnx").unlink()
    assert "not there any more" in compiled.refused("verify", "out")
