"""Peak storage of feature maps stays flat while the network gets wider."""

import pytest
from condensation_net import build
from spellings import SPELLINGS

import condense_compiler as cc
from condense_compiler.report.report import Report

WIDTH, SIZE = 0.125, 64
FACTORS = (1, 2, 4, 8)


def report_of(k: int, pooling: str, verify: bool = False) -> Report:
    model = build(k=k, width=WIDTH, size=SIZE, pooling=pooling)
    return cc.compile(model, verify_outputs=verify).report


@pytest.mark.parametrize("pooling", SPELLINGS)
def test_arena_is_the_same_however_wide_the_network_is(pooling: str) -> None:
    reports = {k: report_of(k, pooling) for k in FACTORS}
    assert [len(report.fused) for report in reports.values()] == [8] * len(FACTORS)
    after = {report.after.arena_bytes for report in reports.values()}
    assert len(after) == 1, {k: report.after.arena_bytes for k, report in reports.items()}
    assert all(report.after.optimal for report in reports.values())
    before = [report.before.arena_bytes for report in reports.values()]
    assert before == sorted(before)
    assert before[-1] >= 3 * before[0]
    assert before[-1] >= 5 * after.pop()


def test_all_spellings_need_the_same_arena() -> None:
    arenas = {pooling: report_of(2, pooling).after.arena_bytes for pooling in SPELLINGS}
    assert len(set(arenas.values())) == 1, arenas


def test_arithmetic_grows_with_the_width_and_is_the_same_fused_or_not() -> None:
    reports = [report_of(k, "reduce_max") for k in (1, 2, 4)]
    assert all(report.macs == report.macs_before for report in reports)
    head = 2 * reports[0].macs - reports[1].macs  # does not widen
    assert reports[2].macs - head == 4 * (reports[0].macs - head)


@pytest.mark.parametrize("pooling", ["reduce_max", "ordinal_strided", "several_convolutions"])
def test_widest_network_computes_the_same(pooling: str) -> None:
    verification = report_of(8, pooling, verify=True).verification
    assert verification is not None
    assert verification.passed
