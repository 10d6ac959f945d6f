"""`condense compile --request`: compiling again what an earlier report or a file asks for."""

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Place

OPTIONS = ("--memory", "1MiB", "--passes", "clean_up,fold_constants", "--limit", "operators=900")


def report_of(place: Place, folder: str) -> dict[str, Any]:
    return {k: v for k, v in place.json(f"{folder}/report.json").items() if k != "seconds"}


def write(place: Place, name: str, **content: object) -> None:
    (place.folder / name).write_text(json.dumps(content))


def test_a_report_compiles_the_same_again(place: Place) -> None:
    place.call("compile", "symbolic.onnx", "-o", "one", "--dim", "batch=2", *OPTIONS, status=0)
    place.call("compile", "--request", "one/report.json", "-o", "two", status=0)
    assert report_of(place, "one") == report_of(place, "two")
    one, two = (place.folder / name / "model.onnx" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_options_beside_a_request_replace_what_it_says(place: Place) -> None:
    place.call("compile", "symbolic.onnx", "-o", "one", "--dim", "batch=2", *OPTIONS, status=0)
    beside = ("--dim", "batch=3", "--memory", "2MiB", "--no-verify", "--limit", "operators=800")
    place.call("compile", "--request", "one/report.json", "-o", "two", *beside, status=0)
    one, two = (report_of(place, name)["request"] for name in ("one", "two"))
    changes = {"memory_limit_bytes": 2 << 20, "verify": False}
    assert two == one | changes | {"dims": {"batch": 3}, "limits": {"operators": 800}}


def test_another_target_drops_the_options_of_the_first(place: Place) -> None:
    first = ("--target", "onnxruntime", "--option", "kernels=false", "--no-verify")
    place.call("compile", "net.onnx", "-o", "one", *first, status=0)
    again = ("compile", "--request", "one/report.json")
    place.call(*again, "-o", "same", "--target", "onnxruntime", status=0)
    place.call(*again, "-o", "other", "--target", "reference", status=0)
    assert report_of(place, "same")["request"]["target_options"] == {"kernels": "false"}
    assert report_of(place, "other")["request"]["target_options"] == {}


def test_a_written_request_names_the_model_beside_it(place: Place) -> None:
    (place.folder / "requests").mkdir()
    write(place, "requests/small.json", model="../net.onnx", passes=["clean_up"])
    finished = place.call("compile", "--request", "requests/small.json", "-o", "out", status=0)
    assert finished.err == ""
    report = report_of(place, "out")
    assert Path(report["request"]["model_path"]).samefile(place.folder / "net.onnx")
    assert list(report["rewrites"]) == ["clean_up"]


def test_without_a_folder_it_is_named_after_the_model(place: Place) -> None:
    write(place, "small.json", model="net.onnx", verify=False)
    place.call("compile", "--request", "small.json", status=0)
    assert (place.folder / "net.condensed" / "report.json").is_file()


def test_a_moved_model_is_told_beside_the_request(place: Place) -> None:
    place.call("compile", "net.onnx", "-o", "out", "--no-verify", status=0)
    (place.folder / "net.onnx").rename(place.folder / "moved.onnx")
    error = place.refused("compile", "--request", "out/report.json")
    assert "condense compile MODEL --request out/report.json" in error
    finished = place.call("compile", "moved.onnx", "--request", "out/report.json", status=0)
    assert "changed" not in finished.err
    assert (place.folder / "moved.condensed").is_dir()


def test_a_model_that_changed_is_told(place: Place) -> None:
    place.call("compile", "net.onnx", "-o", "out", "--passes", "", status=0)
    with (place.folder / "net.onnx").open("ab") as file:
        file.write(b"\x12\x00")  # the producer's name, again
    for command in (("compile", "--request", "out/report.json"), ("verify", "out")):
        finished = place.run(*command, status=0)
        assert finished.err.count("\n") == 1
        assert "net.onnx: changed since" in finished.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "expected an object with a model"),
        ("[]", "expected an object with a model"),
        ("{", "not JSON"),
        ('{"model": "net.onnx", "dim": {}}', "did you mean 'dims'"),
        ('{"model": "net.onnx", "passes": ["clean_upp"]}', "did you mean 'clean_up'"),
        ('{"model": "net.onnx", "passes": ["clean_up(size=1)"]}', "no option 'size'"),
        ('{"model": "net.onnx", "target": "acelerator"}', "did you mean 'accelerator'"),
        ('{"model": "no.onnx"}', "no.onnx is not there"),
        ('{"model": "net.onnx", "limits": {"operators": 0}}', "not a positive number"),
    ],
)
def test_what_is_no_request_is_refused(place: Place, content: str, message: str) -> None:
    (place.folder / "request.json").write_text(content)
    assert message in place.refused("compile", "--request", "request.json")


def test_neither_model_nor_request(place: Place) -> None:
    assert "--request FILE" in place.refused("compile")
    assert "No such file" in place.refused("compile", "--request", "nothing.json")


def test_an_option_of_a_pass_that_does_not_exist(place: Place) -> None:
    error = place.refused("compile", "net.onnx", "--passes", "clean_up,fold_pads(most=4)")
    assert "pass 'fold_pads' has no option 'most'" in error
