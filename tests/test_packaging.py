"""What is installed is what is there: packages and data are listed by hand."""

import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "setuptools"
]


@pytest.fixture(scope="module")
def files() -> list[PurePosixPath]:
    """Return what belongs to the project in its packages, by the path after installation."""
    command = ["git", "ls-files", "condense_compiler", "passes", "targets"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    package = PurePosixPath("condense_compiler")
    paths = (PurePosixPath(line) for line in listed.stdout.splitlines())
    return [path if path.parts[0] == package.name else package / path for path in paths]


def name_of(folder: PurePosixPath) -> str:
    return ".".join(folder.parts)


def test_every_package_is_listed(files: list[PurePosixPath]) -> None:
    found = {name_of(path.parent) for path in files if path.suffix == ".py"}
    assert found == set(SETUPTOOLS["packages"])


def test_every_file_of_data_is_listed(files: list[PurePosixPath]) -> None:
    patterns = [
        f"{package.replace('.', '/')}/{pattern}"
        for package, data in SETUPTOOLS["package-data"].items()
        for pattern in data
    ]
    data = [str(path) for path in files if path.suffix != ".py"]
    assert data
    assert [path for path in data if not any(fnmatch(path, each) for each in patterns)] == []


def test_folders_of_data_are_not_taken_for_packages() -> None:
    """Otherwise setuptools prints pages of warnings about them."""
    assert SETUPTOOLS["include-package-data"] is False
