"""Damaged files: whatever the bytes, loading gives a valid network or one line."""

import time
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kit.small_models import RICH_DIMS, relu_model, rich_model

from condense_compiler.errors import InputError
from condense_compiler.network import load_network

MODELS = {"relu": (relu_model(), {}), "rich": (rich_model(), RICH_DIMS)}
CONTENTS = {name: model.SerializeToString() for name, (model, _) in MODELS.items()}
QUICKLY = 5.0  # seconds that the processor works

relaxed = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def load_or_refuse(path: Path, content: bytes, name: str) -> None:
    path.write_bytes(content)
    started = time.process_time()
    message = ""
    try:
        network = load_network(path, MODELS[name][1])
    except InputError as error:
        message = str(error)
    else:
        onnx.checker.check_model(network.skeleton(), full_check=True)
        onnx.checker.check_model(network.to_model(), full_check=True)
    assert "\n" not in message
    assert time.process_time() - started < QUICKLY


@pytest.mark.parametrize("name", MODELS)
def test_every_truncation(tmp_path: Path, name: str) -> None:
    content = CONTENTS[name]
    for length in range(len(content)):
        load_or_refuse(tmp_path / "model.onnx", content[:length], name)


@pytest.mark.parametrize("name", MODELS)
@settings(relaxed, max_examples=400)
@given(data=st.data())
def test_flipped_bits(tmp_path: Path, name: str, data: st.DataObject) -> None:
    content = bytearray(CONTENTS[name])
    bits = st.integers(0, 8 * len(content) - 1)
    for bit in data.draw(st.lists(bits, min_size=1, max_size=4, unique=True)):
        content[bit // 8] ^= 1 << bit % 8
    load_or_refuse(tmp_path / "model.onnx", bytes(content), name)


@settings(relaxed, max_examples=200)
@given(content=st.binary(max_size=300))
@example(content=b"")
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    load_or_refuse(tmp_path / "model.onnx", content, "relu")
