"""Nothing in the product writes files but `condense_compiler.files`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import condense_compiler

ROOT = Path(condense_compiler.__file__).parent
PLACES = [ROOT, ROOT / "passes", ROOT / "targets"]
ALLOWED = ROOT / "files"

# What changes files, by the name that is called, whatever it is called on.
WRITING = frozenset(
    [
        *("write_text", "write_bytes", "savefig", "savez", "savez_compressed", "savetxt", "tofile"),
        *("rename", "renames", "unlink", "rmdir", "rmtree", "mkdir", "makedirs", "symlink_to"),
        *("hardlink_to", "symlink", "link", "truncate", "touch"),
        *("mkstemp", "mkdtemp", "NamedTemporaryFile", "save_model", "to_csv", "dump"),
    ]
)
# Where it means something else on other things: what it is called on.
WRITING_OF = {
    "save": ("onnx", "np", "numpy"),
    "replace": ("os", "path", "temporary", "staging"),
    "move": ("shutil",),
    "copyfile": ("shutil",),
    "copytree": ("shutil",),
}


def sources() -> list[Path]:
    found = {path for place in PLACES for path in place.rglob("*.py")}
    return sorted(path for path in found if not path.is_relative_to(ALLOWED))


def writes(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the calls that write, with their lines."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        owner = function.value if isinstance(function, ast.Attribute) else None
        of = owner.id if isinstance(owner, ast.Name) else ""
        opens = name == "open" and _may_write(node, of)
        if opens or name in WRITING or of in WRITING_OF.get(name, ()):
            yield node.lineno, ast.unparse(node)


def _may_write(call: ast.Call, of: str) -> bool:
    if of == "os":
        return "os.devnull" not in ast.unparse(call) and "O_RDONLY" not in ast.unparse(call)
    position = 0 if isinstance(call.func, ast.Attribute) else 1
    given = [word.value for word in call.keywords if word.arg == "mode"]
    modes = [*call.args[position : position + 1], *given]
    texts = [mode.value if isinstance(mode, ast.Constant) else "w" for mode in modes]
    return any(set(str(text)) & set("wax+") for text in texts)


def to_memory(line: str) -> bool:
    return line.startswith("_draw(picture).savefig(content,")


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_other_place_writes(path: Path) -> None:
    found = [
        f"{path}:{line}: {call}"
        for line, call in writes(ast.parse(path.read_text(encoding="utf-8")))
        if not to_memory(call)
    ]
    assert not found, "write through condense_compiler.files: " + "; ".join(found)


@pytest.mark.parametrize(
    "code",
    [
        "Path('x').write_text('')",
        "path.write_bytes(b'')",
        "open('x', 'w')",
        "Path('x').open('ab')",
        "open(name, mode=how)",
        "np.savez('x', a=1)",
        "onnx.save(model, path)",
        "os.replace(a, b)",
        "path.rename(other)",
        "figure.savefig(path)",
        "os.open(path, os.O_WRONLY)",
        "shutil.move(a, b)",
    ],
)
def test_writing_is_recognised(code: str) -> None:
    assert list(writes(ast.parse(code)))


@pytest.mark.parametrize("code", ["open('x')", "path.open('rb')", "text.replace('a', 'b')"])
def test_reading_is_let_pass(code: str) -> None:
    assert not list(writes(ast.parse(code)))
