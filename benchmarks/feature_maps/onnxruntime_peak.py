"""Prints the bytes that ONNX Runtime really has in use at the peak of one run of a model.

    python benchmarks/feature_maps/onnxruntime_peak.py MODEL.onnx

The allocator counters in ONNX Runtime's profile tell, for every kernel, the bytes in use right
after it. What was in use before the first kernel (weights) is subtracted. The arena grows by
exactly what is asked for, so that nothing is rounded up. The input belongs to the caller and is
not counted. A process of its own for each model, because the allocator is shared by all sessions.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime as ort


def peak_bytes(model: str) -> int:
    """Return the peak of one run."""
    memory = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    tight = {
        "max_mem": 0,
        "arena_extend_strategy": 1,
        "initial_chunk_size_bytes": 256,
        "max_dead_bytes_per_chunk": 1,
    }
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(tight))
    options = ort.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.enable_mem_pattern = False
    options.enable_profiling = True
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        feeds = {i.name: np.zeros(_shape(i.shape), np.float32) for i in session.get_inputs()}
        session.run(None, feeds)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    kernels = [e["args"] for e in events if e["name"].endswith("_kernel_time")]
    in_use = [int(kernel["mem_bytes_in_use"]) for kernel in kernels]
    before = in_use[0] - int(kernels[0]["mem_in_use_delta"])
    return max(in_use) - before


def _shape(shape: list[int | str]) -> list[int]:
    return [size if isinstance(size, int) else 1 for size in shape]


if __name__ == "__main__":
    print(peak_bytes(sys.argv[1]))
