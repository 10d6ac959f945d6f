"""What must hold for every network: it compiles, computes what it should, and does not grow.

On the onnxruntime target the compiled model runs with our kernels and ONNX Runtime's optimiser off.
Its optimiser changes results by itself: ONNX Runtime 1.32 quantises an output of the network if a
Reshape makes it and a QuantizeLinear reads it behind a Transpose.
"""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx
import onnxruntime as ort

import condense_compiler as cc
from condense_compiler.errors import ContractError, InputError, UnsupportedError
from condense_compiler.report.report_text import difference_text
from condense_compiler.targets.onnxruntime import onnxruntime_session
from condense_compiler.verification import Original
from condense_compiler.verification.comparing import Judge
from fuzz.draft import Array

TARGETS = ("reference", "onnxruntime")
ACCELERATOR = "accelerator"
EVERY = 20  # network that is also compiled for the accelerator, which takes longer


NOISE = 0.1  # networks that next to nothing moves by more compute nothing that can be checked


@dataclass(frozen=True)
class Failure:
    """Something that does not hold.

    Attributes:
        target: Where.
        kind: "crash", "refused", "wrong" or "grew".
        text: What exactly.
    """

    target: str
    kind: str
    text: str


def targets_of(seed: int) -> tuple[str, ...]:
    """Return what the network of a seed is compiled for."""
    return (*TARGETS, ACCELERATOR) if seed % EVERY == 0 else TARGETS


def failures(
    model: onnx.ModelProto, feeds: dict[str, Array], targets: Iterable[str]
) -> Iterator[Failure]:
    """Yield what does not hold for a network, at most one thing for each target."""
    judge = Judge(Original(model), feeds)
    for target in targets:
        try:
            found = _check(model, feeds, target, judge)
        except UnsupportedError as error:
            # The accelerator need not do everything, but it must say so in one line.
            known = target == ACCELERATOR and "\n" not in str(error)
            found = None if known else ("refused", str(error))
        except InputError as error:
            found = "refused", str(error)
        except ContractError as error:
            found = "crash", str(error)
        except Exception as error:  # noqa: BLE001 - what nobody foresaw is what is looked for
            found = "crash", f"{type(error).__name__}: {error}"
        if found is not None:
            yield Failure(target, *found)


def _check(
    model: onnx.ModelProto, feeds: dict[str, Array], target: str, judge: Judge
) -> tuple[str, str] | None:
    options = {"allow_fallback": "true"} if target == ACCELERATOR else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # there are no calibration samples
        compilation = cc.compile(
            model,
            target,
            verify_outputs=target == ACCELERATOR,  # which knows what it must equal
            target_options=options,
        )
    report = compilation.report
    if target == ACCELERATOR:
        verification = report.verification
    else:
        verification = judge.judge(_run(compilation, feeds, target))
    if verification is None or not (verification.passed or (verification.moved or 0) > NOISE):
        return "wrong", "not verified" if verification is None else difference_text(verification)
    before, after = report.before.arena_bytes, report.after.arena_bytes
    if target != ACCELERATOR and after > before:
        return "grew", f"arena {before} -> {after}"
    return None


def _run(compilation: cc.Compilation, feeds: dict[str, Array], target: str) -> dict[str, Array]:
    if target != "onnxruntime":
        return compilation.run(feeds)
    session = onnxruntime_session(
        compilation.program.network.to_model(),
        graph_optimization_level=ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
        log_severity_level=4,
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))
