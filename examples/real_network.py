#!/usr/bin/env python3
"""Write one of the real networks in tests/data/models, with drawn weights.

Their files are as exporters wrote them, but for the weights, which are left out.

    python examples/real_network.py densenet121 -o densenet121.onnx
    condense plan densenet121.onnx --explain
"""

import argparse
import sys
from pathlib import Path

import onnx

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from kit.models import hydrated, model_names


def main() -> None:
    """Read the command line, draw the weights, and write the network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=model_names(), help="which network")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="where to write it (default NETWORK.onnx)"
    )
    options = parser.parse_args()
    path = options.output or Path(f"{options.network}.onnx")
    model = hydrated(options.network)
    onnx.save(model, path)
    print(f"{path}: {len(model.graph.node)} operators")


if __name__ == "__main__":
    main()
