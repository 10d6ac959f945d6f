"""The stub of the native module says what the module has."""

import ast
from pathlib import Path

import condense_compiler
from condense_compiler import _native

STUB = Path(condense_compiler.__file__).with_name("_native.pyi")


def test_the_stub_names_everything_and_nothing_else() -> None:
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    named = {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    present = {name for name in vars(_native) if not name.startswith("__")}
    assert named == present


def test_the_stub_has_the_right_parameters() -> None:
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in node.args.args + node.args.kwonlyargs]
            signature = getattr(_native, node.name).__text_signature__
            parameters = signature.strip("()").replace("*, ", "").split(", ")
            assert [parameter.split("=")[0] for parameter in parameters] == names
