"""The command `condense` as a person runs it: another process, in a folder of its own."""

import contextlib
import io
import json
import os
import subprocess
import sys
import unittest.mock
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from kit.layers import Layer, Network, Window

from condense_compiler.cli import main

CONDENSE = str(Path(sys.executable).with_name("condense"))
LAYERS = (
    Layer("reduce_max", 4, 2, before=("relu",), max_pool=Window((2, 2), (2, 2))),
    Layer("split_max", 3, 2, before=("leaky_relu",)),
)


@dataclass(frozen=True)
class Finished:
    """How a run of the command ended."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of an error; checks that there is one, that it is no traceback."""
        assert self.status == 2, self
        assert self.err.endswith("\n"), self
        [line] = self.err.splitlines()
        assert line.startswith("condense: "), self
        return line.removeprefix("condense: ")


@dataclass(frozen=True)
class Place:
    """A folder in which the command runs."""

    folder: Path

    def call(self, *arguments: str, status: int | None = None) -> Finished:
        """Do what the command does, in this process, which takes no time to start."""
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            unittest.mock.patch.object(sys, "argv", ["condense", *arguments]),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        finished = Finished(int(ended.value.code or 0), out.getvalue(), err.getvalue())
        assert status is None or finished.status == status, finished
        return finished

    def run(self, *arguments: str, status: int | None = None) -> Finished:
        """Run the command in a process of its own; check the exit status if one is given."""
        environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR")}
        done = subprocess.run(
            [CONDENSE, *arguments],
            cwd=self.folder,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=environment,
            timeout=120,
            check=False,
        )
        finished = Finished(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in finished.err, finished.err
        assert status is None or finished.status == status, finished
        return finished

    def refused(self, *arguments: str, alone: bool = False) -> str:
        """Run the command, which must say why it cannot, and leave the folder as it was.

        Args:
            arguments: Of the command.
            alone: Run it in a process of its own.
        """
        before = self.contents()
        error = (self.run if alone else self.call)(*arguments).error
        assert self.contents() == before
        return error

    def contents(self) -> dict[str, bytes | None]:
        """Return everything in the folder, by path."""
        paths: Sequence[Path] = sorted(self.folder.rglob("*"))
        return {str(path): path.read_bytes() if path.is_file() else None for path in paths}

    def json(self, name: str) -> Any:
        """Read a JSON file of the folder."""
        return json.loads((self.folder / name).read_text(encoding="utf-8"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a folder that holds net.onnx, symbolic.onnx (batch) and x.npy, an input of both."""
    onnx.save(Network(LAYERS).build(), tmp_path / "net.onnx")
    onnx.save(Network(LAYERS, batch=0).build(), tmp_path / "symbolic.onnx")
    np.save(tmp_path / "x.npy", np.random.default_rng(5).standard_normal((1, 3, 8, 7), np.float32))
    return Place(tmp_path)


@pytest.fixture
def compiled(place: Place) -> Place:
    """Return the folder with `out`, to which net.onnx was compiled."""
    place.call("compile", "net.onnx", "-o", "out", "--no-verify", status=0)
    return place
