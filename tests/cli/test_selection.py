"""`--outputs` and `--set`: compiling, planning and verifying a part of a model."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from kit.detector import detector

from .conftest import Place

ASKED = ("--outputs", "boxes,scores", "--set", "training=true")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    onnx.save(detector(), tmp_path / "detector.onnx")
    return Place(tmp_path)


def test_what_is_refused_says_what_to_write(place: Place) -> None:
    dims = ("--dim", "many=1")
    first = place.call("compile", "detector.onnx", *dims).error
    assert first.endswith("fix what it depends on: --set training=VALUE")
    second = place.call("compile", "detector.onnx", *dims, "--set", "training=true").error
    assert second.endswith("cut the network before it: --outputs boxes,scores")
    place.call("compile", "detector.onnx", *ASKED, status=0)


@pytest.mark.parametrize("target", ["reference", "onnxruntime"])
def test_a_part_is_compiled_run_and_verified(place: Place, target: str) -> None:
    place.call("compile", "detector.onnx", "-o", "out", "--target", target, *ASKED, status=0)
    report = json.loads((place.folder / "out/report.json").read_text())
    assert report["request"]["outputs"] == ["boxes", "scores"]
    assert report["request"]["values"] == {"training": "true"}
    np.save(place.folder / "x.npy", np.ones((1, 3, 7, 6), np.float32))
    ran = place.call("run", "out", "--input", "x.npy", status=0)
    assert [line.split(":")[0] for line in ran.out.splitlines()] == ["boxes", "scores"]
    assert place.call("verify", "out", status=0).out.startswith("outputs agree")


def test_verifying_compares_with_the_branch_that_was_asked_for(place: Place) -> None:
    place.call("compile", "detector.onnx", "-o", "out", *ASKED, status=0)
    path = place.folder / "out/report.json"
    path.write_text(path.read_text().replace('"training": "true"', '"training": "false"'))
    assert place.call("verify", "out", status=1).out.startswith("outputs differ")


def test_weights_in_files_of_their_own_are_found(place: Place) -> None:
    model = onnx.load(place.folder / "detector.onnx")
    onnx.save(
        model,
        place.folder / "detector.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    place.call("compile", "detector.onnx", "-o", "out", *ASKED, status=0)
    place.call("verify", "out", status=0)


def test_planning_viewing_and_inspecting_a_part(place: Place) -> None:
    assert place.call("plan", "detector.onnx", *ASKED, status=0).out
    assert "Relu" in place.call("inspect", "detector.onnx", *ASKED, status=0).out
    seen = place.call("view", "detector.onnx", *ASKED, "--text", status=0).out
    assert "NonMaxSuppression" not in seen
    assert "scores" in seen


def test_a_compiled_folder_cannot_be_cut(place: Place) -> None:
    place.call("compile", "detector.onnx", "-o", "out", *ASKED, status=0)
    assert "--outputs" in place.call("view", "out", "--outputs", "boxes").error


REFUSED = {
    "no value": (["--set", "training"], "--set 'training': write NAME=VALUE"),
    "no name": (["--set", "=1"], "--set '=1': write NAME=VALUE"),
    "text": (["--set", "training=maybe"], "--set 'training=maybe': write NAME=VALUE"),
    "twice": (["--set", "training=1", "--set", "training=0"], "--set 'training' is given twice"),
    "unknown": (["--set", "trainin=1"], "no input 'trainin'; did you mean 'training'?"),
    "unknown output": (["--outputs", "boxes,score"], "no tensor 'score'; did you mean 'scores'"),
    "no output": (["--outputs", ""], "no outputs are asked for"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_asked_for(place: Place, kind: str) -> None:
    options, message = REFUSED[kind]
    assert message in place.call("compile", "detector.onnx", *options).error
    assert not list(place.folder.glob("*.condensed"))


BROKEN: Sequence[dict[str, object]] = (
    {"outputs": "boxes"},
    {"outputs": [1]},
    {"values": {"training": True}},
    {"values": {"training": "maybe"}},
    {"values": ["training"]},
    {"values": {"unheard": "1"}},
    {"outputs": ["unheard"]},
    {"dims": {"many": "one"}},
)


@pytest.mark.parametrize("entry", BROKEN, ids=map(str, BROKEN))
def test_a_report_whose_selection_is_broken(place: Place, entry: dict[str, object]) -> None:
    place.call("compile", "detector.onnx", "-o", "out", *ASKED, "--no-verify", status=0)
    path = place.folder / "out/report.json"
    report = json.loads(path.read_text())
    path.write_text(json.dumps(report | {"request": report["request"] | entry}))
    assert place.call("verify", "out").error
