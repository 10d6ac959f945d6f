"""Requests: as text and back, and run again."""

import json
import math
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.layers import Layer, Network

import condense_compiler as cc
from condense_compiler import plugins
from condense_compiler.limits import LIMIT_NAMES, with_changes
from condense_compiler.network import Network as LoadedNetwork
from condense_compiler.passes import DEFAULT_PASSES, find_pass, find_passes
from condense_compiler.request import Request
from condense_compiler.rewriting import PassOutcome
from condense_compiler.rewriting.contract import Pass, pass_text

LAYERS = (Layer("reduce_max", 4, 2, before=("relu",)), Layer("split_max", 3, 2))


@dataclass(frozen=True)
class Installed:
    """A pass of another package, with an option of each type."""

    name: ClassVar[str] = "installed"

    size: int = 4
    share: float = 0.5
    deep: bool = False
    label: str = ""
    table: Path = Path("table.csv")
    shape: tuple[int, ...] = (1, 2)
    pair: tuple[str, float] = ("a", 1.5)
    names: tuple[str, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Check the options."""
        if self.size == 13:
            raise ValueError("size=13 brings bad luck")

    def apply(self, _network: LoadedNetwork) -> PassOutcome:
        """Do nothing."""
        return PassOutcome()


@dataclass(frozen=True)
class Demanding:
    """A pass that has an option without a default, and one that cannot be written."""

    name: ClassVar[str] = "demanding"

    size: int
    values: Any = None

    def apply(self, _network: LoadedNetwork) -> PassOutcome:
        """Do nothing."""
        return PassOutcome()


@pytest.fixture(scope="module", autouse=True)
def _installed() -> Iterator[None]:
    points = EntryPoints(
        EntryPoint(each.name, f"{__name__}:{each.__name__}", "condense_compiler.passes")
        for each in (Installed, Demanding)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "entry_points", points.select)
        yield


FLOATS = st.floats(allow_nan=False)
TEXTS = st.text(max_size=8) | st.sampled_from(['a"b', "a,b", "(x=[1])", "\\", " ", "<int>", "true"])
PATHS = st.builds(Path, st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8))
PASSES = st.sampled_from(DEFAULT_PASSES) | st.builds(
    Installed,
    size=st.integers(14, 2**70),
    share=FLOATS,
    deep=st.booleans(),
    label=TEXTS,
    table=PATHS,
    shape=st.lists(st.integers(), max_size=3).map(tuple),
    pair=st.tuples(TEXTS, FLOATS),
    names=st.lists(TEXTS, max_size=3).map(tuple),
)
NAMES = st.text(min_size=1, max_size=6)
VALUES = st.integers() | st.booleans() | FLOATS | st.lists(FLOATS, max_size=3)
REQUESTS = st.builds(
    Request,
    model=TEXTS,
    model_path=st.none() | TEXTS,
    model_sha256=st.none() | TEXTS,
    target=NAMES,
    target_options=st.dictionaries(NAMES, TEXTS, max_size=3),
    dims=st.dictionaries(NAMES, st.integers(1, 2**31), max_size=3),
    outputs=st.none() | st.lists(NAMES, max_size=3).map(tuple),
    values=st.dictionaries(NAMES, VALUES.map(json.dumps), max_size=3),
    passes=st.none() | st.lists(PASSES, max_size=4).map(tuple),
    memory_limit_bytes=st.none() | st.integers(0, 2**40),
    order_seconds=st.none() | st.floats(0.01, 1e9),
    verify=st.booleans(),
    limits=st.dictionaries(st.sampled_from(LIMIT_NAMES), st.integers(1, 2**40), max_size=3).map(
        with_changes
    ),
)


@given(REQUESTS)
def test_requests_are_the_same_as_json_and_pickled(request: Request) -> None:
    written = json.dumps(request.to_dict())
    assert Request.from_dict(json.loads(written)) == request
    assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301 - our own


@given(st.lists(PASSES, max_size=4))
def test_passes_as_text_are_the_same(passes: list[Pass]) -> None:
    assert find_passes(",".join(map(pass_text, passes))) == tuple(passes)
    assert find_passes(" , ".join(map(pass_text, passes))) == tuple(passes)


def test_options_are_written_in_short_where_they_are_default() -> None:
    assert pass_text(Installed()) == "installed"
    assert pass_text(find_pass("clean_up")) == "clean_up"
    changed = Installed(size=7, names=("a", "b c"), table=Path("x/y.csv"))
    assert pass_text(changed) == 'installed(size=7,table=x/y.csv,names=[a,"b c"])'
    assert find_pass("installed( size = 7 , deep = TRUE )") == Installed(size=7, deep=True)


def test_what_cannot_be_written_says_its_type_and_is_not_read() -> None:
    step = Demanding(1, np.zeros(2))
    assert pass_text(step) == "demanding(size=1,values=<ndarray>)"
    with pytest.raises(cc.InputError, match="'demanding' has no option 'values'"):
        find_pass(pass_text(step))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("instaled", "unknown pass 'instaled': did you mean 'installed'?"),
        ("installed(siez=1)", "'installed' has no option 'siez': did you mean 'size'?"),
        ("clean_up(size=1)", "pass 'clean_up' has no option 'size': its options are none"),
        ("installed(size=many)", "option size='many': expected a whole number"),
        ("installed(share=)", "cannot be read"),
        ("installed(deep=perhaps)", "option deep='perhaps': expected true or false"),
        ("installed(size=[1])", r"option size=\['1'\]: expected a whole number"),
        ("installed(pair=[a])", "expected 2 values"),
        ("installed(shape=[1,b])", "option shape='b': expected a whole number"),
        ("installed(size=1,size=2)", "option 'size' is given twice"),
        ("installed(size=13)", "pass 'installed': size=13 brings bad luck"),
        ("installed(size=1", "cannot be read; write NAME"),
        ("clean_up fold_pads", "cannot be read; write NAME"),
        ("clean_up,=", "'=' cannot be read"),
        (r'installed(label="\x")', "quotes"),
        ("demanding", "pass 'demanding' needs the option 'size'"),
    ],
)
def test_passes_that_are_not_written_well(text: str, message: str) -> None:
    with pytest.raises(cc.InputError, match=message) as error:
        find_passes(text)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": {}}, "no field 'dim' in a request: did you mean 'dims'"),
        ({"dims": {"batch": "1"}}, "dims.batch: expected a whole number"),
        ({"values": {"flag": "yes"}}, "'yes' is not a value"),
        ({"passes": "clean_up"}, "passes: expected a list"),
        ({"passes": ["nothing"]}, "unknown pass"),
        ({"order_seconds": 0}, "order_seconds: expected a positive number"),
        ({"order_seconds": math.inf}, "order_seconds: expected a positive number"),
        ({"limits": {"speed": 1}}, "there is no limit 'speed'"),
        ({"model": None}, "model: expected text"),
    ],
)
def test_requests_that_are_none(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((cc.InputError, ValueError), match=message):
        Request.from_dict({"model": "net.onnx", **changes})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    onnx.save(Network(LAYERS, batch=0).build(), path)
    return path


def report_of(folder: Path) -> dict[str, Any]:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return {name: entry for name, entry in report.items() if name != "seconds"}


ASKED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "passes with options": {
        "passes": "clean_up,installed(size=9,names=[a,b]),cross_channel_pooling"
    },
    "no passes": {"passes": [], "verify_outputs": False},
    "a limit and memory": {"memory_limit_bytes": 5, "limits": cc.Limits(operators=1000)},
    "a target with options": {"target": "onnxruntime", "target_options": {"kernels": False}},
    "the accelerator": {
        "target": "accelerator",
        "target_options": {"machine": "small"},
        "dims": {"batch": 1},
    },
}


@pytest.mark.filterwarnings("ignore:no calibration samples")
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_a_recorded_request_compiles_the_same(path: Path, asked: dict[str, Any]) -> None:
    first, again = path.parent / "first", path.parent / "again"
    cc.compile(path, **{"dims": {"batch": 2}, **asked}).save(first)
    recorded = Request.from_dict(report_of(first)["request"])
    cc.compile_request(pickle.loads(pickle.dumps(recorded))).save(again)  # noqa: S301 - our own
    assert report_of(again) == report_of(first)
    assert {p.name for p in again.iterdir()} == {p.name for p in first.iterdir()}
    for file in first.iterdir():
        if file.name != "report.json":
            assert (again / file.name).read_bytes() == file.read_bytes()


def test_values_and_outputs_are_recorded(path: Path) -> None:
    model = onnx.load(path)
    middle = model.graph.node[-1].input[0]
    request = Request.of(path, dims={"batch": np.int64(2)}, outputs=[middle])
    compilation = cc.compile_request(request)
    assert compilation.report.request.dims == {"batch": 2}
    assert [tensor.name for tensor in compilation.program.network.graph.outputs] == [middle]
    assert Request.of(path, values={"flag": np.array([True, False])}).values == {
        "flag": "[true, false]"
    }


def test_a_model_that_changed_is_warned_of(path: Path) -> None:
    folder = path.parent / "out"
    cc.compile(path, dims={"batch": 1}).save(folder)
    recorded = Request.from_dict(report_of(folder)["request"])
    onnx.save(Network(LAYERS[:1], batch=0).build(), path)
    with pytest.warns(UserWarning, match=r"net\.onnx: changed since"):
        compilation = cc.compile_request(recorded)
    compilation.save(folder)
    assert report_of(folder)["request"]["model_sha256"] != recorded.model_sha256


def test_external_data_is_part_of_the_digest(path: Path) -> None:
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=0)
    before = Request.of(path).recorded().with_digest()
    content = bytearray((path.parent / "weights").read_bytes())
    content[3] ^= 1
    (path.parent / "weights").write_bytes(content)
    assert before.model_sha256 != before.with_digest().model_sha256
    assert replace(before, model_sha256=None) == Request.of(path).recorded()


def test_a_model_in_memory_is_recorded_by_name() -> None:
    compilation = cc.compile(Network(LAYERS).build(), verify_outputs=False)
    request = compilation.report.request
    assert (request.model_path, request.model_sha256, request.in_memory) == (None, None, None)
