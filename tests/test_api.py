import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest
from kit.layers import Layer, Network
from kit.numerics import assert_close, random_feeds, run_onnxruntime

import condense_compiler as cc
from condense_compiler.compilation import Compilation
from condense_compiler.network import Network as LoadedNetwork
from condense_compiler.passes import DEFAULT_PASSES
from condense_compiler.report.stages import STAGES
from condense_compiler.rewriting import PassOutcome

LAYERS = (Layer("reduce_max", 4, 2, before=("relu",)), Layer("split_max", 3, 2))
FILES = {"model.onnx", "picture.json", "plan.csv", "report.json"}
TARGETS = ("reference", "onnxruntime")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(Network(LAYERS, batch=0).build(), path)
    return path


@pytest.fixture
def compilation(path: Path) -> Compilation:
    return cc.compile(path, dims={"batch": 1}, verify_outputs=False)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("target", TARGETS)
def test_compile_run_save(path: Path, target: str) -> None:
    compilation = cc.compile(str(path), target=target, dims={"batch": 1})
    source = onnx.load(path)
    feeds = random_feeds(source)
    outputs = compilation.run({"input": feeds["input"]})
    assert list(outputs) == ["output"]
    assert isinstance(outputs["output"], np.ndarray)
    assert_close(outputs, run_onnxruntime(source, feeds))
    assert compilation.report.target == target
    assert compilation.plan.arena_bytes == compilation.report.after.arena_bytes
    folder = path.parent / "out"
    compilation.save(str(folder))
    assert names(folder) == FILES


@pytest.mark.parametrize("target", TARGETS)
def test_runs_do_not_depend_on_each_other(path: Path, target: str) -> None:
    compilation = cc.compile(path, target=target, dims={"batch": 1}, verify_outputs=False)
    one, other = (random_feeds(onnx.load(path), seed) for seed in (1, 2))
    first = compilation.run(one)["output"].copy()
    kept = compilation.run(one)["output"]
    compilation.run(other)
    np.testing.assert_array_equal(kept, first)
    np.testing.assert_array_equal(compilation.run(one)["output"], first)


@pytest.mark.parametrize("target", TARGETS)
def test_model_in_memory_is_not_changed(target: str) -> None:
    model = Network(LAYERS).build()
    before = model.SerializeToString(deterministic=True)
    compilation = cc.compile(model, target=target)
    assert model.SerializeToString(deterministic=True) == before
    assert compilation.report.verification is not None
    assert compilation.report.verification.passed


def test_compilation_of_a_copy_is_the_same(path: Path) -> None:
    one, other = (cc.compile(path, dims={"batch": 2}, verify_outputs=False) for _ in range(2))
    assert one.plan == other.plan
    assert one.program.network.to_model() == other.program.network.to_model()


def test_dims_fix_the_batch(path: Path) -> None:
    compilation = cc.compile(path, dims={"batch": 3})
    feeds = random_feeds(onnx.load(path), dimensions={"batch": 3})
    assert compilation.run(feeds)["output"].shape[0] == 3
    assert compilation.report.request.dims == {"batch": 3}


def test_stages_are_told_in_their_order_and_timed(path: Path) -> None:
    heard: list[str] = []
    report = cc.compile(path, dims={"batch": 1}, watcher=heard.append).report
    assert tuple(heard) == STAGES
    assert all(report.seconds[stage] > 0 for stage in STAGES)


def test_without_verification_nothing_is_said_about_it(compilation: Compilation) -> None:
    assert compilation.report.verification is None
    assert compilation.report.to_dict()["verification"] is None


def test_memory_limit_is_compared(path: Path) -> None:
    def fits(limit: int) -> bool:
        options: dict[str, Any] = {"dims": {"batch": 1}, "verify_outputs": False}
        return cc.compile(path, memory_limit_bytes=limit, **options).report.fits

    arena = cc.compile(path, dims={"batch": 1}, verify_outputs=False).plan.arena_bytes
    assert (fits(arena), fits(arena - 1)) == (True, False)


@dataclass(frozen=True)
class Counting:
    """A pass of somebody else's, which says nothing and does nothing."""

    name: ClassVar[str] = "counting"

    def apply(self, _network: LoadedNetwork) -> PassOutcome:
        """Do nothing."""
        return PassOutcome()


def test_passes_by_name_and_as_objects(path: Path) -> None:
    report = cc.compile(path, dims={"batch": 1}, passes=["clean_up", Counting()]).report
    assert list(report.rewrites) == ["clean_up", "counting"]
    everything = cc.compile(path, dims={"batch": 1}, passes=DEFAULT_PASSES).report
    assert len(everything.fused) == 2


@pytest.mark.parametrize("target", TARGETS)
def test_saving_twice_writes_the_same(path: Path, target: str) -> None:
    compilation = cc.compile(path, target=target, dims={"batch": 1})
    one, other = path.parent / "one", path.parent / "other"
    compilation.save(one)
    compilation.save(other)
    compilation.save(one)
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_saving_over_a_folder_keeps_what_is_not_ours(compilation: Compilation, path: Path) -> None:
    folder = path.parent / "out"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / "plan.csv").write_text("old")
    compilation.save(folder)
    assert names(folder) == FILES | {"notes.txt"}
    assert (folder / "plan.csv").read_text() != "old"


def test_folder_that_was_saved_is_as_readable_as_any_other(
    compilation: Compilation, path: Path
) -> None:
    ordinary, saved = path.parent / "ordinary", path.parent / "saved"
    ordinary.mkdir()
    compilation.save(saved)
    assert saved.stat().st_mode == ordinary.stat().st_mode


def failing(*_arguments: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("step", ["write_placement", "describe", "write_file"])
def test_failing_save_leaves_everything_as_it_was(
    compilation: Compilation,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    existing: bool,
    step: str,
) -> None:
    folder = path.parent / "out"
    if existing:
        folder.mkdir()
        (folder / "plan.csv").write_text("old")
    before = {p: p.is_file() and p.read_bytes() for p in path.parent.rglob("*")}
    monkeypatch.setattr(f"condense_compiler.compilation.{step}", failing)
    with pytest.raises(cc.InputError, match="out: cannot be written: No space left on device"):
        compilation.save(folder)
    assert {p: p.is_file() and p.read_bytes() for p in path.parent.rglob("*")} == before


@pytest.mark.parametrize("spelling", ["{}", "{}/../{name}", "link"])
def test_a_model_is_not_written_over(
    compilation: Compilation, path: Path, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies in `model.onnx`, where the compiled one would go."""
    monkeypatch.chdir(path.parent)
    (path.parent / "link").symlink_to(path.parent)
    before = path.read_bytes()
    with pytest.raises(cc.InputError, match=r"model\.onnx there is read"):
        compilation.save(spelling.format(path.parent, name=path.parent.name))
    assert path.read_bytes() == before
    assert {p.name for p in path.parent.iterdir()} == {"model.onnx", "link"}


def test_the_saved_report_names_the_other_files(compilation: Compilation, path: Path) -> None:
    saved = compilation.save(path.parent / "out")
    assert {artefact.file for artefact in saved.artefacts} == FILES - {"report.json"}
    assert all(artefact.is_in(path.parent / "out") for artefact in saved.artefacts)
    report = json.loads((path.parent / "out" / "report.json").read_text())
    assert report == json.loads(json.dumps(saved.to_dict()))


def test_errors_are_of_one_family_and_one_line(path: Path) -> None:
    assert issubclass(cc.InputError, cc.CondenseError)
    assert issubclass(cc.UnsupportedError, cc.InputError)
    assert issubclass(cc.ContractError, cc.CondenseError)
    wrong: tuple[dict[str, Any], ...] = (
        {"target": "tpu"},
        {"passes": ["nothing"]},
        {"dims": {}},
        {"dims": {"batch": 0}},
        {"dims": {"height": 3}},
    )
    for arguments in wrong:
        with pytest.raises(cc.InputError) as error:
            cc.compile(path, **{"dims": {"batch": 1}, **arguments})
        assert len(str(error.value).splitlines()) == 1


def test_wrong_feeds_are_refused(compilation: Compilation) -> None:
    x = np.zeros((1, 3, 8, 7), np.float32)
    for feeds in ({}, {"inptu": x}, {"input": x[0]}, {"input": x.astype(np.float64)}):
        with pytest.raises(cc.InputError):
            compilation.run(feeds)


def test_version_is_that_of_the_package() -> None:
    assert cc.__version__.count(".") == 2
