"""What the ONNX package itself says about a model, in one line."""

import onnx

from condense_compiler.errors import InputError, UnsupportedError
from condense_compiler.network.export import DEFAULT_DOMAINS
from condense_compiler.network.reading import first_line

OLDEST_OPSET = 7  # earlier operators broadcast by other rules


def check_opsets(model: onnx.ModelProto) -> None:
    """Refuse models of versions that the installed onnx package does not know.

    The default domain is made to go by one name.
    """
    for entry in model.opset_import:
        if entry.domain in DEFAULT_DOMAINS:
            entry.domain = ""
    versions = [entry.version for entry in model.opset_import if not entry.domain]
    newest = onnx.defs.onnx_opset_version()
    if len(versions) != 1:
        raise InputError(
            "the model does not say which version of the default operator set it uses; "
            "export it again"
            if not versions
            else "the default operator set is imported twice"
        )
    if versions[0] > newest:
        raise UnsupportedError(
            f"opset {versions[0]} is newer than {newest}, the newest that the installed onnx "
            "package knows; upgrade onnx"
        )
    if versions[0] < OLDEST_OPSET:
        raise UnsupportedError(
            f"opset {versions[0]} is older than {OLDEST_OPSET}, the oldest supported; "
            "convert the model with onnx.version_converter"
        )
    if model.ir_version > onnx.IR_VERSION:
        raise UnsupportedError(
            f"IR version {model.ir_version} is newer than {onnx.IR_VERSION}, the newest that the "
            "installed onnx package knows; upgrade onnx"
        )


def check_model(skeleton: onnx.ModelProto) -> None:
    """Run the ONNX checker.

    Raises:
        InputError: The model breaks a rule of ONNX.
    """
    # Before version 4 every initializer had to be an input, which those set aside still are.
    skeleton.ir_version = max(skeleton.ir_version, 4)
    try:
        onnx.checker.check_model(skeleton)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise InputError(f"not a valid ONNX model: {first_line(error)}") from None
