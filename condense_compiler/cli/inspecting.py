"""`condense inspect` and `condense compare`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from condense_compiler.artefacts import open_folder
from condense_compiler.cli.arguments import parse_dims, parse_values
from condense_compiler.cli.options import AsJson, Dims, LimitChanges, Outputs, Values, split_names
from condense_compiler.cli.status import DONE
from condense_compiler.network import load_network
from condense_compiler.report.compare import compare_reports, comparison_text
from condense_compiler.report.measure import measure_given
from condense_compiler.report.operator_table import operators_dict, operators_text


def inspect_command(
    model: Annotated[Path, typer.Argument(help="ONNX file.", show_default=False)],
    dim: Dims = [],  # noqa: B006 - typer wants a list, and nothing changes it
    outputs: Outputs = None,
    fixed: Values = [],  # noqa: B006 - typer wants a list, and nothing changes it
    _limit: LimitChanges = [],  # noqa: B006 - typer wants a list, and nothing changes it
    as_json: AsJson = False,
) -> int:
    """List a network's operators: feature maps, load, arithmetic, parameters; * marks the peak.

    Example: condense inspect network.onnx
    """
    network = load_network(
        model, parse_dims(dim), outputs=split_names(outputs), values=parse_values(fixed)
    )
    given = measure_given(network)
    typer.echo(json.dumps(operators_dict(given), indent=2) if as_json else operators_text(given))
    return DONE


def compare_command(
    first: Annotated[Path, typer.Argument(metavar="A", help="Compiled folder.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    as_json: AsJson = False,
) -> int:
    """Compare two compiled folders: memory, traffic, arithmetic, what was fused and refused.

    Example: condense compare out_before out_after
    """
    with open_folder(first, ()) as one, open_folder(second, ()) as two:
        comparison = compare_reports(one, two)
    names = (str(first), str(second))
    typer.echo(json.dumps(comparison, indent=2) if as_json else comparison_text(names, comparison))
    return DONE
