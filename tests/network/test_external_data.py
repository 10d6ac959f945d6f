import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from kit.small_models import constant, graph, model, node, value

from condense_compiler.errors import InputError
from condense_compiler.network import load_network, saving
from condense_compiler.network.stored import StoredValues

WEIGHTS = np.random.default_rng(2).normal(size=(50, 60)).astype(np.float32)


def external_model(
    folder: Path, change: Callable[[onnx.TensorProto], object] | None = None
) -> Path:
    """Save a model whose tensors, small and large, all lie in `weights.bin`."""
    nodes = [
        node("Constant", [], ["bias"], value=constant("", np.arange(60))),
        node("MatMul", ["x", "w"], ["product"]),
        node("Add", ["product", "bias"], ["sum"]),
        node("Reshape", ["sum", "shape"], ["y"]),
    ]
    source = model(
        nodes,
        [value("x", [2, 50])],
        [value("y", None)],
        [constant("w", WEIGHTS), constant("shape", [-1], np.int64)],
    )
    path = folder / "model.onnx"
    onnx.save(
        source,
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
        convert_attribute=True,
    )
    if change is not None:
        raw = onnx.load(path, load_external_data=False)
        change(next(tensor for tensor in raw.graph.initializer if tensor.name == "w"))
        path.write_bytes(raw.SerializeToString())
    return path


def set_entry(key: str, text: str) -> Callable[[onnx.TensorProto], None]:
    def change(tensor: onnx.TensorProto) -> None:
        next(entry for entry in tensor.external_data if entry.key == key).value = text

    return change


def test_large_tensors_stay_in_their_file(tmp_path: Path) -> None:
    network = load_network(external_model(tmp_path))
    weights = network.graph.tensors()["w"]
    assert isinstance(weights._values, StoredValues)
    assert network.graph.outputs[0].shape == [120]
    np.testing.assert_array_equal(weights.values, WEIGHTS)
    assert isinstance(weights.values.base, np.memmap)
    assert not weights.values.flags.writeable


def test_the_model_is_complete_without_the_file(tmp_path: Path) -> None:
    path = external_model(tmp_path)
    network = load_network(path)
    complete = network.to_model()
    assert all(not tensor.external_data for tensor in complete.graph.initializer)
    x = np.random.default_rng(3).normal(size=(2, 50)).astype(np.float32)
    (found,) = onnx.reference.ReferenceEvaluator(complete).run(None, {"x": x})
    np.testing.assert_allclose(found, (x @ WEIGHTS + np.arange(60)).reshape(-1), rtol=1e-4)


def test_tensors_inside_branches_are_read(tmp_path: Path) -> None:
    branches = {
        f"{name}_branch": graph(
            [node("Add", ["x", f"{name}_w"], [f"{name}_y"])],
            [],
            [value(f"{name}_y", None)],
            [constant(f"{name}_w", np.full(400, size))],
        )
        for name, size in (("then", 1.0), ("else", 2.0))
    }
    source = model(
        [node("If", ["c"], ["y"], **branches)],
        [value("x", [400])],
        [value("y", None)],
        [constant("c", False, np.bool_)],
    )
    (tmp_path / "w.bin").write_bytes(np.full(400, 3.0, np.float32).tobytes())
    for attribute in source.graph.node[0].attribute:
        tensor = attribute.g.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="w.bin")
    path = tmp_path / "model.onnx"
    path.write_bytes(source.SerializeToString())
    (found,) = onnx.reference.ReferenceEvaluator(load_network(path).to_model()).run(
        None, {"x": np.zeros(400, np.float32)}
    )
    np.testing.assert_array_equal(found, np.full(400, 3.0))


DAMAGE = {
    "location": ("../weights.bin", "is not in the folder of the model"),
    "offset": ("many", "offset or length of its external data is not a number"),
    "length": ("8", "needs 12000 bytes, but 8 are said to be"),
}


@pytest.mark.parametrize("key", DAMAGE)
def test_damaged_entries_are_refused(tmp_path: Path, key: str) -> None:
    text, expected = DAMAGE[key]
    with pytest.raises(InputError, match=f"tensor 'w'.*{expected}"):
        load_network(external_model(tmp_path, set_entry(key, text)))


@pytest.mark.parametrize("location", ["/etc/passwd", "", "a\0b", "n" * 5000, "."])
def test_strange_locations_are_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(InputError, match="tensor 'w'"):
        load_network(external_model(tmp_path, set_entry("location", location)))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = external_model(tmp_path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InputError, match=r"external data file .*weights\.bin is missing"):
        load_network(path)


def test_a_short_file_is_refused(tmp_path: Path) -> None:
    path = external_model(tmp_path)
    content = (tmp_path / "weights.bin").read_bytes()
    (tmp_path / "weights.bin").write_bytes(content[:-1])
    with pytest.raises(InputError, match=rf"too short, {len(content) - 1} bytes of "):
        load_network(path)


def test_a_model_in_memory_has_no_folder(tmp_path: Path) -> None:
    source = onnx.load(external_model(tmp_path), load_external_data=False)
    with pytest.raises(InputError, match="given without its file"):
        load_network(source)


def huge_model(folder: Path) -> Path:
    """Save a model with 2.4 GB of weights, in a file with a hole instead of bytes."""
    rows = 600_000_000
    source = model(
        [node("Gather", ["w", "x"], ["y"])],
        [value("x", [3], onnx.TensorProto.INT64)],
        [value("y", None)],
    )
    tensor = source.graph.initializer.add(name="w", dims=[rows], data_type=onnx.TensorProto.FLOAT)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="huge.bin")
    with (folder / "huge.bin").open("wb") as file:
        file.truncate(rows * 4)
        file.seek((rows - 1) * 4)
        file.write(np.float32(7.0).tobytes())
    path = folder / "huge.onnx"
    path.write_bytes(source.SerializeToString())
    return path


def test_weights_beyond_2_gib_are_not_read_by_loading(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    network = load_network(huge_model(tmp_path))
    weights = network.copy().graph.tensors()["w"]
    assert weights.shape == (600_000_000,)
    assert weights.values[-1] == 7.0
    onnx.checker.check_model(network.skeleton(), full_check=True)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000, "kilobytes of memory"


def test_weights_that_do_not_fit_are_saved_beside_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = load_network(external_model(tmp_path))
    path = tmp_path / "copy.onnx"
    monkeypatch.setattr(saving, "SINGLE_FILE_BYTES", 1000)
    network.save(path)
    assert (tmp_path / "copy.onnx.data").stat().st_size >= WEIGHTS.nbytes
    assert path.stat().st_size < 2000
    x = np.random.default_rng(3).normal(size=(2, 50)).astype(np.float32)
    found, expected = (
        onnx.reference.ReferenceEvaluator(onnx.load(p)).run(None, {"x": x})[0]
        for p in (path, tmp_path / "model.onnx")
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("limit", [1000, saving.SINGLE_FILE_BYTES])
@pytest.mark.parametrize("name", ["copy.onnx", "copy.onnx.data", "link.onnx", "twin.onnx"])
def test_a_network_is_not_saved_over_what_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, name: str
) -> None:
    monkeypatch.setattr(saving, "SINGLE_FILE_BYTES", 1000)
    path = tmp_path / "copy.onnx"
    load_network(external_model(tmp_path)).save(path)
    (tmp_path / "link.onnx").symlink_to(path)
    (tmp_path / "twin.onnx").hardlink_to(path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    network = load_network(path)
    monkeypatch.setattr(saving, "SINGLE_FILE_BYTES", limit)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is what is read"):
        network.copy().save(name)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_weights_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path = external_model(folder)
    (folder / "weights.bin").rename(tmp_path / "elsewhere.bin")
    (folder / "weights.bin").symlink_to(tmp_path / "elsewhere.bin")
    with pytest.raises(InputError, match=r"tensor 'w'.*is a link out of the folder"):
        load_network(path)
    (folder / "weights.bin").unlink()
    (folder / "inside").symlink_to(tmp_path)
    with pytest.raises(InputError, match=r"tensor 'w'.*is a link out of the folder"):
        load_network(external_model(folder, set_entry("location", "inside/elsewhere.bin")))


def test_links_inside_the_folder_are_followed(tmp_path: Path) -> None:
    (tmp_path / "model" / "data").mkdir(parents=True)
    folder = tmp_path / "model"
    path = external_model(folder)
    (folder / "weights.bin").rename(folder / "data" / "stored.bin")
    (folder / "weights.bin").symlink_to("data/stored.bin")
    (tmp_path / "link").symlink_to(folder)
    for place in (path, tmp_path / "link" / path.name):
        np.testing.assert_array_equal(load_network(place).graph.tensors()["w"].values, WEIGHTS)


@pytest.mark.parametrize("limit", [0, saving.SINGLE_FILE_BYTES])
def test_saving_is_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    network = load_network(external_model(tmp_path))
    monkeypatch.setattr(saving, "SINGLE_FILE_BYTES", limit)
    there = sorted(tmp_path.iterdir())
    network.graph.nodes[0].attrs["broken"] = object()
    with pytest.raises(TypeError):
        network.save(tmp_path / "copy.onnx")
    del network.graph.nodes[0].attrs["broken"]
    with pytest.raises(InputError, match="cannot be written"):
        network.save(tmp_path / "no" / "folder.onnx")
    assert sorted(tmp_path.iterdir()) == there
