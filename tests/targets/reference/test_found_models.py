"""Small models of which the reference target once computed something else than ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx
import pytest

import condense_compiler as cc
from condense_compiler.network import load_network
from condense_compiler.verification import original_outputs, random_feeds

MODELS = sorted((Path(__file__).parents[2] / "data" / "reference").glob("*.onnx"))


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_equals_onnxruntime(path):
    values = path.with_suffix(".npz")
    feeds = dict(np.load(values)) if values.exists() else random_feeds(load_network(path))
    expected = original_outputs(onnx.load(path), feeds)
    compiled = cc.compile(path, target_options={"poison": "true"})
    assert compiled.report.verification.passed
    for name, value in compiled.run(feeds).items():
        np.testing.assert_allclose(value, expected[name], 1e-5, 1e-5)
