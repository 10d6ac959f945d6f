"""Counts the signatures that name Any: `python -m kit.signatures`, from tests/.

Element types of arrays are not counted: numpy knows them at run time alone.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from mypy import build
from mypy.config_parser import parse_config_file
from mypy.find_sources import create_source_list
from mypy.nodes import FuncDef, MypyFile
from mypy.options import Options
from mypy.traverser import TraverserVisitor
from mypy.types import AnyType, Instance, TypeQuery, get_proper_type

ROOT = Path(__file__).parents[2]
_ARRAYS = ("numpy.ndarray", "numpy.dtype")


class _NamesAny(TypeQuery[bool]):
    def __init__(self) -> None:
        super().__init__(any)

    def visit_any(self, t: AnyType) -> bool:  # noqa: ARG002 - mypy's signature
        return True

    def visit_instance(self, t: Instance) -> bool:
        return t.type.fullname not in _ARRAYS and super().visit_instance(t)


class _Functions(TraverserVisitor):
    def __init__(self) -> None:
        self.found: list[FuncDef] = []

    def visit_func_def(self, o: FuncDef) -> None:
        self.found.append(o)
        super().visit_func_def(o)


def functions(tree: MypyFile) -> list[FuncDef]:
    visitor = _Functions()
    tree.accept(visitor)
    return visitor.found


def names_any(function: FuncDef) -> bool:
    kind = get_proper_type(function.type) if function.type is not None else None
    return kind is None or kind.accept(_NamesAny())


def modules() -> Iterator[MypyFile]:
    options = Options()
    parse_config_file(options, lambda: None, str(ROOT / "pyproject.toml"), sys.stdout, sys.stderr)
    options.mypy_path = [str(ROOT), str(ROOT / "typings")]
    options.export_types = options.preserve_asts = True
    options.cache_dir = str(ROOT / ".mypy_cache" / "signatures")
    options.incremental = False
    package = ROOT / "condense_compiler"
    result = build.build(create_source_list([str(package)], options), options)
    inside = (f for name, f in result.files.items() if name.startswith("condense_compiler"))
    yield from inside


def main() -> None:
    counted = total = 0
    for tree in modules():
        for function in functions(tree):
            total += 1
            if names_any(function):
                counted += 1
                sys.stdout.write(f"{tree.path}:{function.line}: {function.name}\n")
    sys.stdout.write(f"{counted} of {total:,} signatures name Any\n")


if __name__ == "__main__":
    main()
