"""How much memory for feature maps ONNX Runtime really allocates.

The profile has the allocator's counters for every kernel. The arena is told to hold no more than
what is in use. Our kernels take their scratch memory from the same arena, so it is counted. The
graph's input belongs to the caller and is not counted, for neither side.

One process measures one model: an arena lives as long as its process.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime as ort

import condense_compiler as cc

_TIGHT = {
    "max_mem": 0,
    "arena_extend_strategy": 1,
    "initial_chunk_size_bytes": 256,
    "max_dead_bytes_per_chunk": 1,
}


def peak_bytes(model: Path, threads: int, *, kernels: bool) -> int:
    """Return the largest number of bytes in use during a run, measured in another process."""
    command = [sys.executable, __file__, str(model), str(threads), str(int(kernels))]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return int(result.stdout)


def _measure(model: str, threads: int, *, kernels: bool) -> int:
    kind = ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    memory = ort.OrtMemoryInfo("Cpu", kind, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(_TIGHT))
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        options.intra_op_num_threads = threads
        options.enable_mem_pattern = False  # a pattern is one block, whatever is in use
        options.log_severity_level = 3
        options.add_session_config_entry("session.use_env_allocators", "1")
        if kernels:
            options.register_custom_ops_library(cc.custom_ops_library())
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        [value] = session.get_inputs()
        session.run(None, {value.name: np.zeros(value.shape, np.float32)})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    counters = [event["args"] for event in events if "mem_in_use_peak" in event.get("args", {})]
    first = counters[0]
    before = int(first["mem_bytes_in_use"]) - int(first["mem_in_use_delta"])
    return max(int(counter["mem_in_use_peak"]) for counter in counters) - before


if __name__ == "__main__":
    print(_measure(sys.argv[1], int(sys.argv[2]), kernels=sys.argv[3] == "1"))
