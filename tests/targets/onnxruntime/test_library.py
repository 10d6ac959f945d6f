"""The library as a whole: no Python in it, no leak, no crash, errors that say what is wrong."""

import ctypes
import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from kit.fused import FusedLayer
from kit.layers import Layer, Network
from kit.needs import needs
from kit.numerics import assert_close, random_feeds, run_onnxruntime

import condense_compiler as cc
from condense_compiler.errors import InputError
from condense_compiler.operators.elementwise import parse
from condense_compiler.operators.fused import ConvPool
from condense_compiler.operators.window import Window
from condense_compiler.targets.onnxruntime import library

WINDOW = Window((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
LAYER = FusedLayer(ConvPool(WINDOW, 1, "max", 2), 1, 8, 32, (14, 14))
SESSIONS = 1000
KIB_FOR_SESSIONS = 16 * 1024

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, uses ldd")
needs_compiler = needs("a C compiler", present=shutil.which("cc") is not None)


def quiet_session(model: onnx.ModelProto) -> ort.InferenceSession:
    return cc.onnxruntime_session(model, intra_op_num_threads=1, log_severity_level=4)


@linux_only
def test_library_needs_no_python() -> None:
    listing = subprocess.run(
        ["ldd", cc.custom_ops_library()],  # noqa: S607 - wherever ldd is
        check=True,
        capture_output=True,
        text=True,
    )
    assert "libpython" not in listing.stdout


def test_library_registers_without_python() -> None:
    assert ctypes.CDLL(cc.custom_ops_library()).RegisterCustomOps


PROGRAM = r"""
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>

/* The part of ONNX Runtime's C interface that loading a session needs, by position. */
typedef void* Status;
typedef struct { const void* (*GetApi)(uint32_t); const char* (*GetVersionString)(void); } Base;
enum { CREATE_STATUS = 0, ERROR_MESSAGE = 2, CREATE_ENV = 3, CREATE_SESSION = 7,
       CREATE_OPTIONS = 10, RUN = 9, REGISTER = 32 };

int main(int count, char** arguments) {
    void* runtime = dlopen(arguments[1], RTLD_NOW);
    void* operators = dlopen(arguments[2], RTLD_NOW);
    if (count != 4 || !runtime || !operators) { puts(dlerror()); return 1; }
    const Base* base = ((const Base* (*)(void))dlsym(runtime, "OrtGetApiBase"))();
    void** api = (void**)base->GetApi(20);
    void *environment = 0, *options = 0, *session = 0;
    Status status = ((Status (*)(int, const char*, void**))api[CREATE_ENV])(4, "c", &environment);
    if (!status) status = ((Status (*)(void**))api[CREATE_OPTIONS])(&options);
    if (!status) status = ((Status (*)(void*, const Base*))dlsym(operators, "RegisterCustomOps"))(
        options, base);
    if (!status) status = ((Status (*)(void*, const char*, void*, void**))api[CREATE_SESSION])(
        environment, arguments[3], options, &session);
    if (status) { puts(((const char* (*)(Status))api[ERROR_MESSAGE])(status)); return 2; }
    puts(session ? "session" : "no session");
    return 0;
}
"""


@linux_only
@needs_compiler
def test_c_program_creates_a_session(tmp_path: Path) -> None:
    source, program, model = (tmp_path / name for name in ("main.c", "main", "model.onnx"))
    source.write_text(PROGRAM)
    onnx.save(without_function(LAYER.model()), model)
    runtime = next((Path(ort.__file__).parent / "capi").glob("libonnxruntime.so*"), None)
    if runtime is None:
        runtime = next((Path(ort.__file__).parent / "capi").glob("onnxruntime_pybind11_state*"))
    subprocess.run(["cc", source, "-o", program, "-ldl"], check=True)  # noqa: S607
    command = [program, runtime, cc.custom_ops_library(), model]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if "undefined symbol: Py" in result.stdout:
        pytest.skip("this wheel of ONNX Runtime cannot be loaded without Python")
    assert (result.returncode, result.stdout) == (0, "session\n"), result.stdout


def without_function(model: onnx.ModelProto) -> onnx.ModelProto:
    """Leave the operator to the library alone."""
    del model.functions[:]
    model.graph.node[0].overload = ""
    return model


def test_the_registered_kernel_runs_instead_of_the_body() -> None:
    model = LAYER.model()
    expected = run_onnxruntime(model, LAYER.feeds())
    result = quiet_session(without_function(model)).run(["Y"], LAYER.feeds())[0]
    assert_close({"Y": result}, expected)


def test_sessions_in_parallel_threads() -> None:
    model, feeds = LAYER.model(), LAYER.feeds()
    expected = run_onnxruntime(model, feeds)
    session = cc.onnxruntime_session(model, intra_op_num_threads=2)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            own = quiet_session(model)
            for _ in range(50):
                assert_close({"Y": session.run(["Y"], feeds)[0]}, expected)
                assert_close({"Y": own.run(["Y"], feeds)[0]}, expected)
            del own
        except BaseException as failure:  # noqa: BLE001 - reported in the main thread
            failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@linux_only
def test_a_thousand_sessions_leave_nothing_behind() -> None:
    model, feeds = LAYER.model(), LAYER.feeds()

    def create(count: int) -> None:
        for _ in range(count):
            quiet_session(model).run(["Y"], feeds)

    create(SESSIONS // 10)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    create(SESSIONS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < KIB_FOR_SESSIONS


def refusal(layer: FusedLayer, feeds: dict[str, np.ndarray] | None = None, **change: object) -> str:
    model = without_function(layer.model())
    for attribute in model.graph.node[0].attribute:
        if attribute.name in change:
            given = change[attribute.name]
            value = onnx.helper.make_attribute(attribute.name, given, attr_type=attribute.type)
            attribute.CopyFrom(value)
    with pytest.raises(Exception, match="condense::ConvPool") as raised:
        quiet_session(model).run(["Y"], feeds or layer.feeds())
    return str(raised.value)


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("reduction", "median", 'reduction "median" is not known'),
        ("window", 5, "32 wide channels cannot be pooled by 5"),
        ("window", 0, "attribute window is 0"),
        ("group", 3, "32 filters, which 3 groups do not divide"),
        ("strides", [1], "as many strides"),
        ("strides", [], "as many strides"),
        ("strides", [0, 1], "must be positive"),
        ("dilations", [1, 1, 1], "as many strides, dilations"),
        ("pads", [1], "dilations and pads"),
        ("pads", [1, 1, 1, 1, 1, 1], "dilations and pads"),
        ("kernel_shape", [], "one to three spatial axes"),
        ("kernel_shape", [3, 3, 3], "as many strides"),
        ("kernel_shape", [0, 3], "must be positive"),
        ("pads", [1, 1, 1, -1], "attribute pads holds -1"),
        ("kernel_shape", [5, 5], "kernel_shape is [5, 5]"),
    ],
)
def test_recipes_that_do_not_fit(
    attribute: str, value: object, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert reason in refusal(LAYER, **{attribute: value})
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("attribute", ["kernel_shape", "strides", "pads", "dilations"])
@pytest.mark.parametrize("length", [0, 1, 3, 5])
def test_max_poolings_of_wrong_length(
    attribute: str, length: int, capfd: pytest.CaptureFixture[str]
) -> None:
    pool = Window((2, 2), (2, 2), (0,) * 4, (1, 1))
    layer = FusedLayer(ConvPool(WINDOW, 1, "max", 2, spatial=pool), 1, 8, 32, (14, 14))
    assert "max-pooling" in refusal(layer, **{f"pool_{attribute}": [1] * length})
    assert capfd.readouterr().err == ""


def test_sizes_beyond_all_memory(capfd: pytest.CaptureFixture[str]) -> None:
    assert "does not fit" in refusal(LAYER, dilations=[2**62] * 2)
    assert "does not fit" in refusal(LAYER, pads=[2**63 - 1] * 4)
    assert "beyond all memory" in refusal(LAYER, pads=[2**61] * 4)
    assert capfd.readouterr().err == ""


def test_programs_that_cannot_be_read() -> None:
    recipe = ConvPool(WINDOW, 1, "max", 2, after=parse(["Relu x"]))
    layer = FusedLayer(recipe, 1, 8, 32, (14, 14))
    assert 'cannot read "Relu y"' in refusal(layer, after="Relu y")
    assert "2 operands" not in refusal(layer, after="Mul x $0")


def test_inputs_that_do_not_fit() -> None:
    model = without_function(LAYER.model())
    del model.graph.input[0].type.tensor_type.shape.dim[:]
    model.graph.input[0].type.tensor_type.ClearField("shape")
    session = quiet_session(model)
    for shape, reason in [
        ((1, 7, 14, 14), "X has 7 channels, W reads 8"),
        ((1, 8, 14), "X has 3 dimensions, the kernel asks for 4"),
    ]:
        with pytest.raises(Exception, match=reason) as raised:
            session.run(["Y"], {"X": np.zeros(shape, np.float32)})
        assert "condense::ConvPool" in str(raised.value)


def test_element_types_that_do_not_fit() -> None:
    model = without_function(LAYER.model())
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    with pytest.raises(Exception, match="ConvPool"):
        quiet_session(model)


def test_other_element_types_run_their_bodies(tmp_path: Path) -> None:
    """Also where the library is registered by hand; no kernel computes in float16."""
    given = Network((Layer("reduce_max", 4, 2, before=("relu",)),), opset=20).build()
    for tensor in given.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            half = onnx.numpy_helper.from_array(values.astype(np.float16), tensor.name)
            tensor.CopyFrom(half)
    for value in (*given.graph.input, *given.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    compilation = cc.compile(given, verify_outputs=False)
    assert len(compilation.report.fused) == 1
    compilation.save(tmp_path / "out")
    feeds = random_feeds(given)
    options = ort.SessionOptions()
    options.register_custom_ops_library(cc.custom_ops_library())
    session = ort.InferenceSession(
        tmp_path / "out" / "model.onnx", options, providers=["CPUExecutionProvider"]
    )
    [expected], [found] = run_onnxruntime(given, feeds).values(), session.run(None, feeds)
    assert_close({"y": found}, {"y": expected})
    assert_close({"y": next(iter(compilation.run(feeds).values()))}, {"y": expected})
    again = cc.compile(tmp_path / "out" / "model.onnx", verify_outputs=False)
    assert [step.node.op for step in again.program.steps] == ["ConvPool"]


def test_session_options_are_checked() -> None:
    with pytest.raises(InputError, match="no attribute 'colour'"):
        cc.onnxruntime_session(LAYER.model(), colour=1)
    with pytest.raises(InputError, match="no such file"):
        cc.onnxruntime_session("nowhere.onnx")


def test_configuration_entries_have_dots() -> None:
    name = "session.intra_op.allow_spinning"
    session = cc.onnxruntime_session(LAYER.model(), **{name: 0})
    assert session.get_session_options().get_session_config_entry(name) == "0"
    with pytest.raises(RuntimeError):
        cc.onnxruntime_session(LAYER.model()).get_session_options().get_session_config_entry(name)


def test_saved_compilations_run(tmp_path: Path) -> None:
    model = LAYER.model()
    onnx.save(model, tmp_path / "model.onnx")
    result = cc.onnxruntime_session(tmp_path).run(["Y"], LAYER.feeds())[0]
    assert_close({"Y": result}, run_onnxruntime(model, LAYER.feeds()))


def test_old_processors_warn_and_run_the_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(library.VARIABLE, raising=False)
    monkeypatch.setattr(library, "instruction_set", lambda: "portable")
    with pytest.warns(RuntimeWarning, match="neither AVX-512 nor AVX2"):
        session = cc.onnxruntime_session(LAYER.model())
    expected = run_onnxruntime(LAYER.model(), LAYER.feeds())
    assert_close({"Y": session.run(["Y"], LAYER.feeds())[0]}, expected)


def test_old_runtimes_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library.ort, "__version__", "1.23.2")
    assert "older than 1.29" in str(library.why_unsuitable())


def test_the_variable_names_the_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.VARIABLE, "portable")
    assert library.instruction_set() == "portable"
    assert library.why_unsuitable() is None  # asked for
    monkeypatch.delenv(library.VARIABLE)
    assert library.instruction_set() in ("avx512", "avx2", "portable")


def test_instruction_sets_that_there_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.VARIABLE, "sse9")
    with pytest.raises(InputError, match="CONDENSE_ISA is 'sse9'") as raised:
        cc.onnxruntime_session(LAYER.model())
    assert "\n" not in str(raised.value)
    options = ort.SessionOptions()
    with pytest.raises(Exception, match='CONDENSE_ISA is "sse9", not one of avx512'):
        options.register_custom_ops_library(cc.custom_ops_library())
