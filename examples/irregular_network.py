#!/usr/bin/env python3
"""Build an irregular network, with random weights.

On these networks the order of the operators decides how much memory is needed.

    python examples/irregular_network.py randwire -o randwire.onnx
    condense compile randwire.onnx
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import onnx

from networks import darts, nasnet, randwire, swiftnet

NETWORKS: Mapping[str, Callable[..., onnx.ModelProto]] = {
    "darts": darts.build,
    "nasnet": nasnet.build,
    "randwire": randwire.build,
    "swiftnet": swiftnet.build,
}


def main() -> None:
    """Read the command line, build the network, and write it."""
    options = vars(_parser().parse_args())
    build, path = NETWORKS[options.pop("network")], options.pop("output")
    model = build(**{name: value for name, value in options.items() if value is not None})
    onnx.save(model, path)
    print(f"{path}: {len(model.graph.node)} operators")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    option = parser.add_argument
    option("network", choices=NETWORKS, help="which network")
    option("--channels", type=int, help="channels in the first layers")
    option("--size", type=int, help="height and width of the input image")
    option("--seed", type=int, default=0, help="seed of what is random (default %(default)s)")
    option(
        "-o",
        "--output",
        type=Path,
        default=Path("irregular.onnx"),
        metavar="FILE",
        help="where to write the model (default %(default)s)",
    )
    return parser


if __name__ == "__main__":
    main()
