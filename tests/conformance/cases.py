"""ONNX's node tests: what becomes of each, and the reasons for what does not pass."""

import csv
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conformance.backend import BACKENDS
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner, _normalize_tensor

from condense_compiler.errors import CondenseError, InputError

OUTCOMES_FILE = Path(__file__).with_name("outcomes.csv")
PASSED, FIXED, DIFFERS, FAULT = "pass", "fixed", "differs", "fault"


@dataclass(frozen=True)
class Reason:
    """Why cases are refused.

    Attributes:
        message: What the refusal says, as a regular expression.
        text: What that means.
    """

    message: str
    text: str


REASONS: Mapping[str, Reason] = {
    "shape": Reason(
        r"its shape is not known before the network runs|should be scalars",
        "the shape of a result depends on the values of the first input, or on more than that",
    ),
    "control flow": Reason(
        r"loops are not supported|its condition is only known",
        "loops and branches that are taken at run time",
    ),
    "random": Reason(r"draws random numbers", "random numbers, which nothing can be compared with"),
    "training": Reason(r"training mode", "training mode"),
    "type": Reason(
        r"is of type (sequence|optional)|is a (sequence|optional)|element type string",
        "sequences, optional values and strings, which are no feature maps",
    ),
    "part of a byte": Reason(
        r"takes a part of a byte", "feature maps of 2- and 4-bit types; weights may be of them"
    ),
    "empty": Reason(r"has no elements", "tensors without elements"),
    "constant": Reason(r"everything in it is constant", "no inputs: nothing to compile"),
    "version": Reason(
        r"opset \d+ is older than|does not say which version of the default operator set",
        "operators older than opset 7, and models of other operator sets alone",
    ),
    "onnxruntime": Reason(
        r"cannot be computed|ONNX Runtime cannot|does not accept it",
        "operators and types for which neither ONNX Runtime nor `onnx.reference` has a kernel",
    ),
}

# Cases of which ONNX Runtime, and so the compiler, computes something else than is expected.
DIFFERENCES: Mapping[str, str] = {
    r"dft|stft": "ONNX Runtime's Fourier transforms round more than the test allows for zeros",
    r"attention_4d_causal_fp16": "ONNX Runtime rounds a value to the float16 next to the expected",
    r"attention_4d_with_past_and_present_qk_matmul_bias_[34]d_mask_causal": (
        "ONNX Runtime masks with minus infinity where the test wants the lowest number"
    ),
    r"maxunpool_export_with_output_shape": (
        "ONNX Runtime reads indices as places in the output, the test as places in a smaller map"
    ),
    r"resize_downsample_scales_(linear|cubic)_align_corners": (
        "ONNX Runtime aligns the corners of whole pixels, the test those of fractions"
    ),
}


def difference(name: str) -> str | None:
    """Return why ONNX Runtime differs from what a case expects, if it is known to."""
    found = (text for name_, text in DIFFERENCES.items() if re.search(name_, name))
    return next(found, None)


@cache
def node_cases() -> Mapping[str, TestCase]:
    """Return ONNX's node tests, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cases of overflow overflow when they are made
        return {case.name: case for case in load_model_tests(kind="node")}


def outcome(case: TestCase, target: str) -> tuple[str, str]:
    """Return what becomes of a case: an outcome or the name of a reason; and what was said."""
    compiled = BACKENDS[target].prepare(case.model)
    try:
        for inputs, expected in case.data_sets:
            results = compiled.run([_normalize_tensor(value) for value in inputs])
            wanted = [_normalize_tensor(value) for value in expected]
            Runner.assert_similar_outputs(wanted, results, case.rtol, case.atol)
    except AssertionError as error:
        return DIFFERS, " ".join(str(error).split())
    except CondenseError as error:
        return _reason(error), str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no refusal
        return FAULT, f"{type(error).__name__}: {error}"
    return (FIXED if compiled.fixed else PASSED), ""


def _reason(error: CondenseError) -> str:
    one_line = "\n" not in str(error) and isinstance(error, InputError)
    names = (name for name, reason in REASONS.items() if re.search(reason.message, str(error)))
    return next(names, FAULT) if one_line else FAULT


def operator_of(name: str) -> str:
    """Return the operator that a case is about; an expansion is about what it expands."""
    whole = re.sub(r"_expanded(_ver\d+)?$", "", name)
    case = node_cases().get(whole) or node_cases()[name]
    nodes = case.model.graph.node
    return str(nodes[-1].op_type if len(nodes) == 1 else nodes[0].op_type)


def recorded() -> Iterator[dict[str, str]]:
    """Yield the rows of the record: case, operator, and the outcome for each target."""
    with OUTCOMES_FILE.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
