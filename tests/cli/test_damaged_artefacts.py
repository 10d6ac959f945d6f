"""Files of compiled folders, changed at random: every command ends well or with one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from kit.command import Condense
from kit.damage import seal
from kit.mutating import dumped, mutated, mutated_bytes, mutated_text
from kit.pictures import widened

import condense_compiler as cc

pytestmark = pytest.mark.filterwarnings("ignore:no calibration samples")

COMMANDS: dict[str, tuple[str, ...]] = {
    "view": ("view", "{}", "--text"),
    "drawn": ("view", "{}", "-o", "{}/../plan.svg"),
    "page": ("view", "{}", "-o", "{}/../plan.html"),
    "terminal": ("view", "{}", "--terminal"),
    "compare": ("compare", "{}", "{}"),
    "run": ("run", "{}", "--input", "{}/../x.npy"),
    "verify": ("verify", "{}"),
    "simulate": ("simulate", "{}", "--input", "{}/../x.npy"),
    "disassemble": ("disassemble", "{}"),
}
READERS = {
    "report.json": ("compare", "run", "verify", "simulate", "view"),
    "picture.json": ("view", "drawn", "page", "terminal"),
    "plan.csv": ("run", "verify"),
    "program.bin": ("simulate", "disassemble", "run"),
    "bytes": ("view", "compare", "run", "verify", "simulate"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a compiled folder of each target, with an input beside it."""
    place = tmp_path_factory.mktemp("damaged")
    model = place / "net.onnx"
    cc.load_network(widened()).save(model)
    found = {}
    for target in ("reference", "accelerator"):
        compilation = cc.compile(model, target, verify_outputs=False)
        (place / target).mkdir()
        compilation.save(place / target / "out")
        [tensor] = compilation.program.network.graph.inputs
        np.save(place / target / "x.npy", np.ones(tensor.shape, np.float32))
        found[target] = place / target / "out"
    return found


def change(name: str, folder: Path, generator: np.random.Generator) -> None:
    """Change a file; all but the report are named in it as they are then."""
    if name == "bytes":
        files = sorted(path for path in folder.iterdir() if path.suffix != ".onnx")
        path = files[generator.integers(len(files))]
        path.write_bytes(mutated_bytes(path.read_bytes(), generator))
        return
    path = folder / name
    if path.suffix == ".json":
        path.write_bytes(dumped(mutated(json.loads(path.read_bytes()), generator)))
    elif path.suffix == ".csv":
        text = mutated_text(path.read_text(), generator)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
    else:
        path.write_bytes(mutated_bytes(path.read_bytes(), generator))
    if name != "report.json":
        seal(folder)


def check(condense: Condense, folder: Path, command: str) -> None:
    outcome = condense(*(part.format(folder) for part in COMMANDS[command]))
    assert outcome.status in (0, 1, 2), outcome
    assert "Traceback" not in outcome.err
    if outcome.status == 2:
        assert outcome.err.startswith("condense: ")
        assert outcome.err.count("\n") == 1


def sweep(
    seed: int, name: str, source: Path, place: Path, then: Callable[[Path, str], None]
) -> None:
    generator = np.random.default_rng(seed)
    out = place / "out"
    shutil.copytree(source.parent, place, dirs_exist_ok=True)
    change(name, out, generator)
    commands = READERS[name]
    then(out, commands[seed % len(commands)])


CASES = [
    (target, name)
    for name in READERS
    for target in ("reference", "accelerator")
    if name != "program.bin" or target == "accelerator"
]


@pytest.mark.parametrize(("target", "name"), CASES)
def test_changed_files_end_well_or_in_one_line(
    condense: Condense, folders: dict[str, Path], tmp_path: Path, target: str, name: str
) -> None:
    for seed in range(10):
        sweep(seed, name, folders[target], tmp_path, lambda out, c: check(condense, out, c))
        shutil.rmtree(tmp_path / "out")
