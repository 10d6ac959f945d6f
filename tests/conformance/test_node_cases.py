"""ONNX's node tests on both targets: what becomes of each is as it was recorded, or better."""

import unittest
import warnings

import numpy as np
import pytest
from conformance.backend import BACKENDS, ReferenceBackend
from conformance.cases import (
    DIFFERENCES,
    DIFFERS,
    FAULT,
    FIXED,
    PASSED,
    REASONS,
    difference,
    node_cases,
    outcome,
    recorded,
)
from onnx import helper
from onnx.backend.test import BackendTest
from onnx.backend.test.runner import _normalize_tensor

from condense_compiler.verification import original_outputs

CHUNKS = 4
LEAST_PASSED = 1500
RECORD = {row["case"]: row for row in recorded()}
EXPECTED_TO_PASS = {PASSED, FIXED}


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("target", BACKENDS)
def test_node_cases(target, chunk):
    worse = []
    for name, case in [*node_cases().items()][chunk::CHUNKS]:
        kind, message = outcome(case, target)
        # Other versions of onnx have other cases.
        known = RECORD[name][target] if name in RECORD else kind
        allowed = {known, *EXPECTED_TO_PASS} - {FAULT}
        if kind not in allowed or (kind == DIFFERS and difference(name) is None):
            worse.append(f"{name}: {kind} instead of {known}: {message[:200]}")
    assert not worse


@pytest.mark.parametrize("target", BACKENDS)
def test_enough_pass_and_all_others_have_a_reason(target):
    kinds = [row[target] for row in RECORD.values()]
    assert sum(kind in EXPECTED_TO_PASS for kind in kinds) >= LEAST_PASSED
    assert set(kinds) <= {*EXPECTED_TO_PASS, DIFFERS, *REASONS}


def test_every_reason_is_needed():
    kinds = {row[target] for row in RECORD.values() for target in BACKENDS}
    assert kinds >= REASONS.keys()
    differing = {difference(n) for n, row in RECORD.items() if DIFFERS in row.values()}
    assert differing == set(DIFFERENCES.values())


@pytest.mark.parametrize("target", BACKENDS)
def test_what_differs_from_the_test_equals_onnxruntime(target):
    names = [name for name, row in RECORD.items() if row[target] == DIFFERS]
    assert names
    for name in names:
        case = node_cases()[name]
        inputs = [_normalize_tensor(value) for value in case.data_sets[0][0]]
        feeds = dict(zip((value.name for value in case.model.graph.input), inputs, strict=True))
        expected = original_outputs(case.model, feeds)
        results = BACKENDS[target].run_model(case.model, inputs)
        for value, result in zip(expected.values(), results, strict=True):
            tolerance = 1e-3 if value.dtype == np.float16 else 1e-5
            np.testing.assert_allclose(result, value, tolerance, tolerance, err_msg=name)


def test_the_adapter_is_one_of_onnx():
    """The suite's own runner accepts the adapter, and finds its tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cases of overflow overflow when they are made
        tests = BackendTest(ReferenceBackend, __name__).include("test_maxpool_2d_.*_cpu$")
    result = unittest.TestResult()
    tests.test_suite.run(result)
    assert result.testsRun > len(result.skipped)
    assert not result.failures + result.errors


def test_the_adapter_runs_one_node():
    x = np.array([[-1, 2]], np.float32)
    node = helper.make_node("Relu", ["x"], ["y"])
    (y,) = ReferenceBackend.run_node(node, [x], outputs_info=[(np.float32, (1, 2))])
    np.testing.assert_array_equal(y, [[0, 2]])
    assert not ReferenceBackend.supports_device("CUDA")
