"""Small models that once were refused, wrong, slow, or larger compiled than as given."""

from pathlib import Path

import numpy as np
import onnx
import pytest

import condense_compiler as cc
from condense_compiler.errors import InputError
from condense_compiler.network import load_network
from condense_compiler.verification import original_outputs, random_feeds

FOUND = Path(__file__).parent / "data" / "found"
REFUSED = {"wrong_maxpool_same_k1_s3": "asks for negative padding"}
COMPILED = sorted(path.stem for path in FOUND.glob("*.onnx") if path.stem not in REFUSED)


@pytest.mark.parametrize("target", ["reference", "onnxruntime"])
@pytest.mark.parametrize("name", COMPILED)
def test_a_model_equals_onnx_runtime_and_is_no_larger(name: str, target: str) -> None:
    path = FOUND / f"{name}.onnx"
    compilation = cc.compile(path, target)
    report = compilation.report
    assert report.verification is not None
    assert report.verification.passed
    assert report.after.arena_bytes <= report.before.arena_bytes
    feeds = random_feeds(load_network(path), 3)
    expected = original_outputs(onnx.load(path), feeds)
    for output, values in compilation.run(feeds).items():
        largest = np.abs(expected[output]).max(initial=0)
        np.testing.assert_allclose(values, expected[output], rtol=0, atol=2e-6 * largest)


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(InputError, match=REFUSED[name]) as error:
        cc.compile(FOUND / f"{name}.onnx")
    assert len(str(error.value).splitlines()) == 1
