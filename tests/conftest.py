from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from kit.command import Condense, runner
from kit.needs import check_needs

# How long an example takes says more about what else the machine does than about the project.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write what is expected instead of comparing"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    check_needs(item)


@pytest.fixture
def condense(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Condense:
    return runner(monkeypatch, capsys)


@pytest.fixture
def golden(request: pytest.FixtureRequest):
    """Compare text with a file beside the test; `--update-golden` writes the file."""

    def compare(name: str, text: str) -> None:
        path = Path(request.path).parent / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path} is missing; run pytest with --update-golden"
        assert text == path.read_text(encoding="utf-8")

    return compare
