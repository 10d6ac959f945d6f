"""A folder is old or new, whole, whenever its writer is killed; the next run leaves nothing behind.

How it is written depends on where it lies: put there in one step, or file by file where folders
cannot be exchanged. In the second case it is whole once anyone has read it with our own commands.
"""

import itertools
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from kit.killing import content, killed_after, killed_at

from condense_compiler.files import folders, reading_folder, replace_folder, write_file
from condense_compiler.files.manifest import describe

OLD = {"model.onnx": "old model", "plan.csv": "old plan", "program.bin": "old binary"}
NEW = {"model.onnx": "new model", "plan.csv": "new plan", "sub/extra.bin": "new"}
FIRST = {name: text for name, text in NEW.items() if "/" not in name}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not wait for the disk: what is written survives the process, not a loss of power."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def save(folder: Path, files: Mapping[str, str]) -> None:
    def write(staging: Path) -> None:
        for name, text in files.items():
            (staging / name).parent.mkdir(exist_ok=True)
            write_file(staging / name, text)
        entries = [
            {"file": a.file, "bytes": a.bytes, "sha256": a.sha256} for a in describe(staging)
        ]
        write_file(staging / "report.json", json.dumps({"artefacts": entries}))

    replace_folder(folder, write)


def states(tmp_path: Path, mine: Mapping[str, str], new: Mapping[str, str]) -> list[dict]:
    """Return what a folder holds before and after, beside files of the user's own."""
    own = {name: text.encode() for name, text in mine.items()}
    found = []
    for number, files in enumerate((OLD, new)):
        folder = tmp_path / "ready" / str(number)
        folder.parent.mkdir(exist_ok=True)
        save(folder, files)
        found.append(content(folder) | own)
    return found


def put(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def leftovers(place: Path) -> list[str]:
    return [path.name for path in place.iterdir() if path.name.startswith(".condense")]


MINE = {"notes.txt": "mine", "figure.svg": "mine"}
DEEP = {**MINE, "logs/one.txt": "mine"}


@pytest.mark.parametrize(
    ("existing", "mine"),
    [("nothing", {}), ("empty", {}), ("empty", MINE), ("compiled", {}), ("compiled", MINE)],
)
def test_killed_at_any_step_of_an_exchange(
    tmp_path: Path, existing: str, mine: dict[str, str]
) -> None:
    old, new = states(tmp_path, mine, FIRST)
    for step in itertools.count():
        place = tmp_path / f"{step}"
        out = place / "out"
        place.mkdir()
        if existing == "compiled":
            save(out, OLD)
        if existing != "nothing":
            out.mkdir(exist_ok=True)
            put(out, mine)
        before = content(out)
        assert before == (old if existing == "compiled" else {k: old[k] for k in mine})
        killed = killed_at(step, lambda: save(out, FIRST))  # noqa: B023 - called at once
        assert content(out) in (before, new)
        assert out.exists() or existing == "nothing"
        assert killed or content(out) == new
        save(out, FIRST)
        assert content(out) == new
        assert leftovers(place) == leftovers(out) == []
        if not killed:
            assert step > 8
            return


def inside(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(out)


def no_exchange(_out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_may_exchange", lambda _place: False)


def folders_in_it(out: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    put(out, DEEP)


@pytest.mark.parametrize("reason", [inside, no_exchange, folders_in_it])
def test_killed_at_any_step_of_moving_files(
    tmp_path: Path, reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = states(tmp_path, DEEP, NEW)
    for step in itertools.count():
        out = tmp_path / f"{step}" / "out"
        out.parent.mkdir()
        save(out, OLD)
        put(out, DEEP)
        inode = out.stat().st_ino
        reason(out, monkeypatch)
        killed = killed_at(step, lambda: save(out, NEW))  # noqa: B023 - called at once
        with reading_folder(out):
            kept = {k: v for k, v in content(out).items() if not k.startswith(".condense")}
        assert kept in (old, new)
        save(out, NEW)
        assert content(out) == new
        assert out.stat().st_ino == inode
        assert leftovers(out.parent) == leftovers(out) == []
        os.chdir(tmp_path)
        if not killed:
            assert step > 15
            return


def test_killed_at_random_moments(tmp_path: Path) -> None:
    old, new = states(tmp_path, MINE, FIRST)
    moments, out = np.random.default_rng(7), tmp_path / "out"
    save(out, OLD)
    put(out, MINE)
    start = time.perf_counter()
    save(out, OLD)
    whole = time.perf_counter() - start
    deaths = 0
    for number in range(40):
        files, others = (FIRST, new) if number % 2 else (OLD, old)
        deaths += killed_after(moments.uniform(0, 2 * whole), lambda: save(out, files))  # noqa: B023
        assert content(out) in (old, new)
        save(out, files)
        assert content(out) == others
        assert leftovers(tmp_path) == leftovers(out) == []
    assert deaths
