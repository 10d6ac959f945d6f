"""Targets are found by name."""

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from condense_compiler import plugins, targets
from condense_compiler.errors import InputError
from condense_compiler.targets.reference import ReferenceTarget


def test_reference_is_known():
    assert "reference" in targets.target_names()
    assert targets.find_target("reference") == ReferenceTarget(poison=False)


def test_unknown_name_tells_the_known_and_the_closest():
    with pytest.raises(InputError, match=r"did you mean 'reference'\?.*known are .*reference"):
        targets.find_target("referense")
    with pytest.raises(InputError) as caught:
        targets.find_target("zzz")
    assert "did you mean" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_third_parties_add_targets(monkeypatch):
    point = EntryPoint(
        "other", "condense_compiler.targets.reference:ReferenceTarget", targets.ENTRY_POINTS
    )
    monkeypatch.setattr(
        plugins, "entry_points", lambda **wanted: EntryPoints([point]).select(**wanted)
    )
    assert targets.target_names() == [*targets.BUILT_IN, "other"]
    assert isinstance(targets.find_target("other"), ReferenceTarget)
