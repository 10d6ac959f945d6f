"""What reports say of the accelerator, and what it does not spend time on."""

import pytest
from condensation_net import build
from kit.floating import conv, filters, model

from condense_compiler.driver import compile_model
from condense_compiler.memory import arranging
from condense_compiler.report.report_text import headline

pytestmark = pytest.mark.filterwarnings("ignore:no calibration samples")
NETWORK = build(k=4, width=0.25, size=64)


def _report(target: str, **limits: int):
    return compile_model(NETWORK, target, verify_outputs=False, **limits).report


def test_a_network_with_maps_in_dram_is_not_said_to_fit() -> None:
    whole = _report("accelerator", memory_limit_bytes=20_000)
    assert not whole.residency.in_dram
    assert "fits 19.53 KiB" in headline(whole)
    parted = _report("accelerator", memory_limit_bytes=3_000)
    count = parted.residency.in_dram
    assert count
    assert "fits" not in headline(parted)
    assert f"with {count} of 10 feature maps in DRAM, runs in 2.93 KiB" in headline(parted)
    assert "does not fit" in headline(_report("accelerator", memory_limit_bytes=10))


def test_virtual_maps_are_counted_in_codes() -> None:
    floats, codes = (_report(target).fused for target in ("reference", "accelerator"))
    assert [layer.virtual_bytes for layer in floats] == [4 * layer.virtual_bytes for layer in codes]


@pytest.mark.parametrize(("target", "thorough"), [("accelerator", False), ("reference", True)])
def test_no_time_is_spent_on_an_arena_that_is_not_used(
    target: str, thorough: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick: list[bool] = []
    place = arranging.place

    def spy(*arguments, **options):
        quick.append(options["quick"])
        return place(*arguments, **options)

    monkeypatch.setattr(arranging, "place", spy)
    compile_model(model([conv("x", "y")], [filters("w", 4, 3, 3, 3)]), target)
    assert (False in quick) == thorough
