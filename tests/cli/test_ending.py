"""How commands end that do not end well: the status, and one line at most."""

import signal
import subprocess
import sys
import time

import pytest

from condense_compiler.cli.ending import ending
from condense_compiler.errors import ContractError, UnsupportedError

from .conftest import CONDENSE, Place

STEP = "condense_compiler.driver.run_passes"


def raising(error: BaseException):
    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    return fail


ERRORS: dict[str, tuple[BaseException, int, str]] = {
    "memory": (MemoryError(), 2, "memory exhausted"),
    "numpy's": (MemoryError("Unable to allocate 1. TiB for an array"), 2, "memory exhausted"),
    "C++'s": (RuntimeError("[ONNXRuntimeError] : 6 : std::bad_alloc"), 2, "memory exhausted"),
    "ONNX Runtime's": (
        RuntimeError("Failed to allocate memory for requested buffer of size 1099511627776"),
        2,
        "memory exhausted",
    ),
    "the system's": (OSError(12, "Cannot allocate memory"), 2, "memory exhausted"),
    "a library's": (
        ImportError("libx.so: failed to map segment: Cannot allocate memory"),
        2,
        "memory exhausted",
    ),
    "file": (OSError(24, "Too many open files", "weights.bin"), 2, "weights.bin: Too many open"),
    "unsupported": (UnsupportedError("node 'a': not supported"), 2, "node 'a': not supported"),
    "contract": (ContractError("pass 'a' broke it"), 70, "fault of the compiler: pass 'a' broke"),
    "key": (KeyError("missing"), 70, "fault of the compiler: KeyError: 'missing'"),
    "lines": (ValueError("one\n\ntwo"), 70, "ValueError: one two;"),
    "recursion": (RecursionError("too deep"), 70, "RecursionError"),
    "panic": (type("PanicException", (BaseException,), {})("no"), 70, "PanicException: no"),
    "assertion": (AssertionError(), 70, "AssertionError"),
    "interrupt": (KeyboardInterrupt(), 130, "interrupted"),
}


@pytest.mark.parametrize(("error", "status", "text"), ERRORS.values(), ids=ERRORS)
def test_errors_nobody_foresaw(
    place: Place, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, text: str
) -> None:
    before = place.contents()
    monkeypatch.setattr(STEP, raising(error))
    monkeypatch.delenv("CONDENSE_DEBUG", raising=False)
    finished = place.call("compile", "net.onnx", "-o", "out")
    assert finished.status == status
    [line] = finished.err.splitlines()
    assert line.startswith("condense: ")
    assert text in line
    assert ("CONDENSE_DEBUG=1" in line) == (status == 70)
    assert place.contents() == before


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False), ("", False)])
def test_where_a_fault_happened_is_shown_on_demand(
    place: Place, monkeypatch: pytest.MonkeyPatch, value: str, shown: bool
) -> None:
    monkeypatch.setattr(STEP, raising(KeyError("missing")))
    monkeypatch.setenv("CONDENSE_DEBUG", value)
    finished = place.call("compile", "net.onnx", "-o", "out", status=70)
    assert ("Traceback" in finished.err) == shown
    assert finished.err.splitlines()[-1].startswith("condense: fault of the compiler")


def test_an_interrupt_that_a_library_made_another_error_of() -> None:
    assert ending(ImportError("initialization failed"), interrupted=True) == 130


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_a_reader_that_has_enough_is_no_error(place: Place, option: tuple[str, ...]) -> None:
    command = f"{CONDENSE} compile net.onnx --no-verify {' '.join(option)}"
    done = in_shell(place, f"{command} | head -c 1; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, b"")


def in_shell(place: Place, command: str) -> subprocess.CompletedProcess[bytes]:
    shell = ["bash", "-c", command]
    return subprocess.run(shell, cwd=place.folder, capture_output=True, check=False)


# Where this runs in the background, the signal may be ignored.
HEARING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


def started(place: Place, code: str) -> subprocess.Popen[bytes]:
    """Start the command with something that says when it is reached, and wait for that."""
    code = f"{HEARING}{code}\nfrom condense_compiler.cli import main\nmain()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "compile", "net.onnx", "-o", "out"],
        cwd=place.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    return process


IMPORTING = """
import sys, time
class Slow:
    def find_spec(self, name, *_):
        if name == 'onnx':
            print('here', flush=True)
            try: time.sleep(60)
            except KeyboardInterrupt: raise ImportError('initialization failed')
sys.meta_path.insert(0, Slow())
"""
WORKING = """
import time, condense_compiler.driver as driver
def slow(*_, **__):
    print('here', flush=True)
    time.sleep(60)
driver.run_passes = slow
"""
SAVING = """
import time, os, condense_compiler.files.folders as folders
def slow(*_, **__):
    print('here', flush=True)
    time.sleep(60)
folders._fill = slow
"""


CLEANING_UP = """
import time, condense_compiler.driver as driver
def slow(*_, **__):
    try:
        print('here', flush=True)
        time.sleep(60)
    finally:
        print('still', flush=True)
        time.sleep(60)
driver.run_passes = slow
"""


@pytest.mark.parametrize("code", [IMPORTING, WORKING, SAVING])
def test_ctrl_c(place: Place, code: str) -> None:
    before = place.contents()
    process = started(place, code)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"condense: interrupted\n")
    assert place.contents() == before


def test_ctrl_c_twice_ends_at_once(place: Place) -> None:
    process = started(place, CLEANING_UP)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == b"still\n"
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"condense: interrupted\n")
    assert time.monotonic() - start < 50


def test_standard_output_that_is_closed(place: Place) -> None:
    done = in_shell(place, f"{CONDENSE} plan net.onnx >&-")
    assert (done.returncode, done.stderr) == (0, b"")
