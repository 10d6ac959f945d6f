"""What the feature maps of networks in 8 bits need, and how long these take in ONNX Runtime.

    python benchmarks/feature_maps/quantised.py [--signed] [--qlinear] [NAME...]

Networks as ONNX Runtime's own tool quantises them (random calibration): codes without sign, or with
one, which is what it does unless told otherwise; with QuantizeLinear and DequantizeLinear, or as
QLinear operators, which it manages for some networks only. Columns: `before`, the network as given,
every map stored, planned by our planner; `after`, the compiled network; `bound`, what no plan of
any order can go below; `stock` and `condensed`, medians of one run on one thread, in turns, in ms.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import onnx
import onnxruntime as ort
from onnxruntime.quantization import QuantType
from rich.console import Console
from rich.table import Table

import condense_compiler as cc

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent.parent / "tests"))
from kit.models import hydrated  # noqa: E402
from kit.numerics import random_feeds  # noqa: E402
from kit.quantising import quantised  # noqa: E402

NAMES = (
    *("condensation_net", "densenet121", "googlenet", "lightcnn_mfm", "mixnet_s"),
    *("mobilenetv2_035", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1", "tinynet_e"),
)
RUNS = 30


QLINEAR_NAMES = (
    *("condensation_net", "lightcnn_mfm"),
    *("resnet18", "shufflenet_v2_x0_5", "squeezenet1_1"),
)


def row(name: str, kind: QuantType, form: str) -> list[str]:
    """Return the figures of one network, in the order of the columns."""
    with tempfile.TemporaryDirectory() as folder:
        model = quantised(hydrated(name), Path(folder), form, maps=kind)
        compilation = cc.compile(model, target="onnxruntime", verify_outputs=False)
        compilation.save(Path(folder) / "out")
        stock, condensed = _times(model, Path(folder) / "out")
    maps = compilation.report
    sizes = (maps.before.arena_bytes, maps.after.arena_bytes, maps.after.lower_bound_bytes)
    return [
        *(f"{size:,}" for size in sizes),
        f"{maps.after.arena_bytes / maps.before.arena_bytes:.2f}",
        f"{stock * 1e3:.2f}",
        f"{condensed * 1e3:.2f}",
        f"{condensed / stock:.2f}",
    ]


def _times(model: onnx.ModelProto, folder: Path) -> tuple[float, float]:
    """Return the medians of both sessions, which run in turns."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    sessions = (
        ort.InferenceSession(model.SerializeToString(), options),
        cc.onnxruntime_session(folder, intra_op_num_threads=1, log_severity_level=3),
    )
    feeds = random_feeds(model)
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(RUNS):
        for session, taken in zip(sessions, seconds, strict=True):
            start = time.perf_counter()
            session.run(None, dict(feeds))
            taken.append(time.perf_counter() - start)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def main(arguments: list[str]) -> None:
    """Print the table."""
    names = [argument for argument in arguments if not argument.startswith("--")]
    kind = QuantType.QInt8 if "--signed" in arguments else QuantType.QUInt8
    form = "qlinear" if "--qlinear" in arguments else "qdq"
    columns = ("before", "after", "bound", "share", "stock", "condensed", "ratio")
    table = Table("network", *columns)
    for column in table.columns[1:]:
        column.justify = "right"
    for name in names or (QLINEAR_NAMES if form == "qlinear" else NAMES):
        table.add_row(name, *row(name, kind, form))
    Console(width=140).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
