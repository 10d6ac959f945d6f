"""Writes docs/trust.md: what is compared with what, and what becomes of ONNX's node tests."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from conformance.backend import BACKENDS
from conformance.cases import (
    DIFFERENCES,
    DIFFERS,
    FIXED,
    PASSED,
    REASONS,
    difference,
    recorded,
)

Rows = Sequence[Mapping[str, str]]

INTRODUCTION = """\
# What is tested, and what holds

## What is compared with what

| what | with what | how near |
|---|---|---|
| every network that is compiled, on seeded random inputs \
| ONNX Runtime on the model as given, its optimiser off \
| float32 within 1e-4 of the largest magnitude; the report holds the difference |
| kernels of the reference target, as random nodes: odd sizes, batches, old and new opsets \
| ONNX Runtime, one node at a time | float32 within 2e-6 of the largest magnitude |
| kernels that write over what they read | the same kernels with results elsewhere | exact |
| ONNX's own node tests, below | the outputs that the tests give | the tolerance of each test |

The `reference` target computes in numpy. Operators that it has no kernel for are computed by ONNX
Runtime, each in a small session of its own whose optimiser is off, and by `onnx.reference` only
where ONNX Runtime has no kernel; the report says which (`target_facts.computed_by`), and counts no
scratch for them. An operator that nobody computes is refused before anything is run.

ONNX leaves some sizes open, or says them in two ways. They are those that ONNX Runtime computes:
ten pixels resized by 1.3 are 13, and `align_corners` aligns the corners of whole pixels.

## NaN and infinity

On finite values all that was said above holds. Beyond them:

- Element-wise operators treat NaN and infinity as ONNX Runtime does: `Relu`, `Clip`, `Max` and
  `Min` of NaN are NaN, a bound of `Clip` that is NaN is none and one that is left out is the
  largest number, HardSwish of minus infinity is NaN. One exception is `Sign` of NaN in float16:
  NaN here, 0 there.
- Where a result depends on the order of comparison (`MaxPool`, `GlobalMaxPool`, `ReduceMax`,
  `ReduceMin`, `Hardmax`, `ArgMax`, `TopK`), ONNX says nothing of NaN, and what ONNX Runtime gives
  depends on the processor. On the reference target it is ONNX Runtime that computes such a node of
  a map that holds NaN, and `LRN` and `LogSoftmax` of what is not finite.
- Inside fused operators of the reference target, NaN wins in maximum and minimum: a pooled pixel is
  NaN if any of its channels is, where the plain operators in ONNX Runtime may give another of them.
- Nothing holds for integers that are made of NaN or infinity.

## ONNX's node tests

The `onnx` package describes its operators by {cases:,} small models with inputs and outputs. An
adapter (`tests/conformance`) compiles them for two targets and runs them;
`tests/conformance/record.py` notes what becomes of each. Models whose shapes depend on the values
of some inputs, such as the sizes of a Resize, are compiled once more with all inputs but the first
as constants, which is how exporters write them.

| outcome | {targets} |
|---|{rules}|
"""

BEFORE_REASONS = """
None ends in an exception other than a refusal of one line. The refusals, with the number of models:

| what is refused | {targets} |
|---|{rules}|
"""

BEFORE_DIFFERENCES = """
Those that differ from what the test expects are equal to what ONNX Runtime computes of the model:

| why | cases |
|---|---|
"""

BEFORE_OPERATORS = """
## By operator

Models that pass, with constants where those are needed, of all models of an operator; its
expansion to other operators counts with it.

| operator | models | {targets} |
|---|--:|{rules}|
"""

_OUTCOMES = {
    PASSED: "equal, as given",
    FIXED: "equal, with operands as constants",
    DIFFERS: "equal to ONNX Runtime, but not to the test",
}


def page() -> str:
    """Return the page."""
    rows = list(recorded())
    shown = {"targets": " | ".join(f"`{target}`" for target in BACKENDS)}
    shown["rules"] = "|".join(["--:"] * len(BACKENDS))
    parts = [INTRODUCTION.format(cases=len(rows), **shown), *_outcomes(rows)]
    parts += [BEFORE_REASONS.format(**shown), *_reasons(rows)]
    parts += [BEFORE_DIFFERENCES, *_differences(rows)]
    parts += [BEFORE_OPERATORS.format(**shown), *_operators(rows)]
    return "".join(parts)


def _counted(rows: Rows, kinds: Iterable[str]) -> str:
    wanted = set(kinds)
    counts = (sum(row[target] in wanted for row in rows) for target in BACKENDS)
    return " | ".join(f"{count:,}" for count in counts)


def _outcomes(rows: Rows) -> Iterator[str]:
    for kind, text in _OUTCOMES.items():
        yield f"| {text} | {_counted(rows, [kind])} |\n"
    yield f"| refused | {_counted(rows, REASONS)} |\n"


def _reasons(rows: Rows) -> Iterator[str]:
    for name, reason in REASONS.items():
        yield f"| {reason.text} | {_counted(rows, [name])} |\n"


def _differences(rows: Rows) -> Iterator[str]:
    differing = [row["case"] for row in rows if DIFFERS in row.values()]
    for text in DIFFERENCES.values():
        names = ", ".join(f"`{name}`" for name in differing if difference(name) == text)
        yield f"| {text} | {names} |\n"


def _operators(rows: Rows) -> Iterator[str]:
    for operator, models in sorted(Counter(row["operator"] for row in rows).items()):
        own = [row for row in rows if row["operator"] == operator]
        yield f"| {operator} | {models} | {_counted(own, (PASSED, FIXED))} |\n"
