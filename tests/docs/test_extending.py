"""The packages that the pages about passes and targets make, installed and used."""

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest
from kit.pictures import widened

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r'^```(?:python|toml)(?: title="([^"]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
USE = "use.py"  # the block without a name


@dataclass(frozen=True)
class Package:
    """A folder with the files of a page, and what the installation of a package leaves."""

    folder: Path

    def run(self, *command: str) -> str:
        """Run Python in the folder, the package found as if it were installed."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def condense(self, *arguments: str) -> str:
        """Run the command line."""
        return self.run("-c", "from condense_compiler.cli import main; main()", *arguments)


def package(page: str, folder: Path) -> Package:
    """Write the files of a page, and the metadata that its pyproject.toml asks for."""
    for title, content in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        path = folder / (title or USE)
        assert not path.exists(), path
        path.write_text(content, encoding="utf-8")
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    header = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (metadata / "METADATA").write_text(header, encoding="utf-8")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    onnx.save(widened(), folder / "network.onnx")
    return Package(folder)


@pytest.mark.parametrize("page", ["writing_a_pass.md", "writing_a_target.md"])
def test_the_code_of_the_page_runs(page: str, tmp_path: Path) -> None:
    made = package(page, tmp_path)
    assert "assert" in (tmp_path / USE).read_text(encoding="utf-8")
    made.run(USE)


def test_the_pass_is_found_by_name(tmp_path: Path) -> None:
    made = package("writing_a_pass.md", tmp_path)
    assert "global_pooling" in made.condense("passes")
    printed = made.condense("compile", "network.onnx", "--passes", "clean_up,global_pooling")
    assert "verified against ONNX Runtime" in printed


def test_the_target_is_found_by_name_and_runs_again(tmp_path: Path) -> None:
    made = package("writing_a_target.md", tmp_path)
    assert "c_header" in made.condense("targets")
    options = ("--target", "c_header", "--option", "prefix=FACE", "-o", "out")
    made.condense("compile", "network.onnx", *options)
    header = (tmp_path / "out" / "arena.h").read_text(encoding="utf-8")
    assert header.startswith("#pragma once\n#define FACE_ARENA_BYTES ")
    assert "outputs agree" in made.condense("verify", "out")
