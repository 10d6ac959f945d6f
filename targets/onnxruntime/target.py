"""Runs the compiled model in ONNX Runtime.

Fused operators are model-local functions, so that ONNX Runtime runs their bodies wherever the
native kernels are not registered.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy.typing as npt
import onnxruntime as ort

from condense_compiler.errors import UnsupportedError
from condense_compiler.program import ScheduledProgram
from condense_compiler.targets.feeds import check_feeds
from condense_compiler.targets.onnxruntime.library import instruction_set, why_unsuitable
from condense_compiler.targets.onnxruntime.running import run_session
from condense_compiler.targets.onnxruntime.session import (
    create_session,
    register_kernels,
    session_options_of,
)

_LOG_ERRORS_ONLY = 3


@dataclass(frozen=True)
class OnnxRuntimeTarget:
    """Lower to a session of ONNX Runtime.

    Attributes:
        threads: Threads of one run; 0 leaves the choice to ONNX Runtime.
        kernels: Run fused operators with the native kernels.
    """

    name: ClassVar[str] = "onnxruntime"
    threads: int = 0
    kernels: bool = True

    def lower(self, program: ScheduledProgram) -> "OnnxRuntimeProgram":
        """Return the program; its session is created when it first runs."""
        return OnnxRuntimeProgram(program, self.threads, self.kernels)


@dataclass(frozen=True)
class OnnxRuntimeProgram:
    """The compiled model in ONNX Runtime."""

    program: ScheduledProgram
    threads: int = 0
    kernels: bool = True

    @cached_property
    def session(self) -> ort.InferenceSession:
        """The session.

        Raises:
            UnsupportedError: ONNX Runtime does not accept the model.
        """
        options = session_options_of(
            {"log_severity_level": _LOG_ERRORS_ONLY, "intra_op_num_threads": self.threads}
        )
        if self.kernels:
            register_kernels(options)
        # Through a file, because a model in memory ends at 2 GiB.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            self.program.network.save(path)
            try:
                return create_session(path, options)
            except Exception as error:  # noqa: BLE001 - its exceptions share no other base
                reason = str(error).strip().splitlines()[0].replace(str(path), "the model")
                raise UnsupportedError(
                    f"{self.program.network.name}: ONNX Runtime does not accept it: {reason}"
                ) from None

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Compute the network's outputs, by name.

        Raises:
            InputError: The feeds do not match the network's inputs, or ONNX Runtime does not run
                the model.
        """
        graph = self.program.network.graph
        check_feeds(graph.inputs, feeds)
        return run_session(self.session, graph.inputs, graph.outputs, feeds)

    def save(self, folder: Path) -> None:
        """Write nothing: model.onnx is all that ONNX Runtime needs."""

    def facts(self) -> dict[str, object]:
        """Return the version of ONNX Runtime, and the instruction set of the native kernels."""
        native = self.kernels and why_unsuitable() is None
        kernels = instruction_set() if native else None
        return {"onnxruntime": ort.__version__, "kernels": kernels}
