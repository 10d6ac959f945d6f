"""Run the tests with the lowest declared version of each direct dependency.

    python .ci/lowest.py .venv-lowest

Every lower bound in pyproject.toml is installed as written there: bounds that exclude each other,
or that were never tried, fail here. The wheel is built once. Then the library of kernels is tested
with several versions of ONNX Runtime, from the lowest to the newest.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
WHEELS = ROOT / "build" / "wheels"
EXTRAS = ("view", "docs", "test")
TESTS = ("tests/cli", "tests/network", "tests/test_api.py", "tests/test_networks.py")
LIBRARY_TESTS = ("tests/targets/onnxruntime",)
MIDDLE_RUNTIMES = ("onnxruntime==1.30.0", "onnxruntime==1.31.0")
NEWEST_RUNTIME = "onnxruntime"


def lowest_versions() -> list[str]:
    """Return a requirement for exactly the lower bound of each direct dependency.

    Raises:
        SystemExit: A dependency has no lower bound.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = list(project["dependencies"])
    for extra in EXTRAS:
        declared += project["optional-dependencies"][extra]
    pinned = []
    for requirement in declared:
        if requirement.startswith(project["name"]):
            continue  # the package's own extras
        bound = re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement)
        if bound is None:
            raise SystemExit(f"pyproject.toml: {requirement!r} is no name with a lower bound")
        pinned.append(f"{bound[1]}=={bound[2]}")
    return pinned


def run(*command: str | Path) -> None:
    """Run a command at the top of the repository; stop where it fails."""
    print("+", *command, flush=True)
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status != 0:
        raise SystemExit(status)


def main() -> None:
    """Build the wheel, make the environment, run the tests."""
    folder = Path(sys.argv[1]).absolute()
    run(sys.executable, "-m", "venv", "--clear", folder)
    python, pytest = folder / "bin" / "python", folder / "bin" / "pytest"
    pip = (python, "-m", "pip", "--quiet", "--disable-pip-version-check")
    for old in WHEELS.glob("*.whl"):
        old.unlink()
    run(*pip, "wheel", "--no-deps", "--wheel-dir", WHEELS, ".")
    run(*pip, "install", *WHEELS.glob("*.whl"), *lowest_versions())
    run(pytest, "-n", "auto", "-q", *TESTS, *LIBRARY_TESTS)
    for runtime in (*MIDDLE_RUNTIMES, NEWEST_RUNTIME):
        run(*pip, "install", "--upgrade", runtime)
        run(pytest, "-n", "auto", "-q", *LIBRARY_TESTS)


if __name__ == "__main__":
    main()
