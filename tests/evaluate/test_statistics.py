import dataclasses
import math

import numpy as np
import pytest

from partbook.evaluate.protocols import PROTOCOLS
from partbook.evaluate.scoring import Cell
from partbook.evaluate.statistics import SILENT_DB, compare, exchanged, figure, leakage_db

PROTOCOL = PROTOCOLS["excerpts"]


def cells(table, system="ours", silent=()):
    """Return cells of scores (excerpts, sources)."""
    return [
        Cell(system, "song", f"voice{n}", -1, e, 4.0 * e, 4.0, (e, n) in silent, -40.0, f"voice{n}",
             {"si_sdr": math.nan if (e, n) in silent else float(table[e][n])})
        for e in range(len(table)) for n in range(len(table[e]))
    ]  # fmt: skip


def test_the_figure_is_the_mean_of_the_sources_means():
    table = [[1.0, 10.0], [3.0, 20.0]]
    fig = figure(cells(table, silent=[(1, 0)]), "si_sdr", PROTOCOL)
    assert fig.value == pytest.approx((1 + 15) / 2)
    assert (fig.cells, fig.silent_references) == (3, 1)
    pooled = dataclasses.replace(PROTOCOL, pooled=True)
    assert figure(cells(table, silent=[(1, 0)]), "si_sdr", pooled).value == pytest.approx((1 + 10 + 20) / 3)
    median = dataclasses.replace(PROTOCOL, median=True)
    assert figure(cells([[1.0, 5.0], [2.0, 6.0], [90.0, 70.0]]), "si_sdr", median).value == 4


def test_silent_and_exact_estimates_count_with_bounds_and_are_told():
    fig = figure(cells([[-math.inf], [10.0]]), "si_sdr", PROTOCOL)
    assert fig.value == pytest.approx((SILENT_DB + 10) / 2)
    assert fig.silent_estimates == 1 and fig.cells == 2
    assert figure(cells([[math.inf], [0.0]]), "si_sdr", PROTOCOL).value == 50


def test_nothing_scored_gives_no_figure():
    fig = figure(cells([[1.0]], silent=[(0, 0)]), "si_sdr", PROTOCOL)
    assert math.isnan(fig.value) and math.isnan(fig.low) and fig.cells == 0
    assert math.isnan(compare([], [], "si_sdr").difference)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        hardness = rng.normal(0, 3, (30, 1))
        fig = figure(cells(5 + hardness + rng.normal(0, 0.5, (30, 3))), "si_sdr", PROTOCOL)
        covered += fig.low <= 5 <= fig.high
    assert 0.85 < covered / 200 < 0.99


def test_intervals_come_from_excerpts_not_from_cells():
    rng = np.random.default_rng(1)
    hardness = rng.normal(0, 3, (20, 1))
    few, many = (figure(cells(hardness + np.zeros((20, n))), "si_sdr", PROTOCOL) for n in (1, 8))
    assert few.high - few.low == pytest.approx(many.high - many.low, rel=1e-6)


def test_a_small_steady_lead_is_seen_through_the_difficulty_of_excerpts():
    rng = np.random.default_rng(2)
    hardness = rng.normal(0, 8, (25, 1))
    mine = hardness + 0.5 + rng.normal(0, 0.3, (25, 4))
    theirs = hardness + rng.normal(0, 0.3, (25, 4))
    result = compare(cells(mine), cells(theirs, "theirs"), "si_sdr")
    assert 0.3 < result.low < result.difference < result.high < 0.7
    assert result.p < 0.01 and result.better > 0.8 and result.excerpts == 25
    turned = compare(cells(theirs, "theirs"), cells(mine), "si_sdr")
    assert turned.difference == pytest.approx(-result.difference)


def test_a_smaller_mel_cepstral_distance_is_better():
    def distances(table):
        return [dataclasses.replace(c, scores={"mel_cepstral": c.scores["si_sdr"]}) for c in cells(table)]

    assert compare(distances([[1.0], [2.0]]), distances([[3.0], [4.0]]), "mel_cepstral").difference == 2


def test_two_equal_systems_are_told_apart_by_chance_only():
    rng = np.random.default_rng(3)
    p = [compare(cells(rng.normal(0, 1, (15, 2))), cells(rng.normal(0, 1, (15, 2))), "si_sdr").p for _ in range(100)]
    assert np.mean(np.array(p) < 0.05) < 0.15


def test_only_common_cells_are_compared():
    result = compare(cells([[5.0, 1.0], [6.0, 2.0]]), cells([[1.0, 0.0]]), "si_sdr")
    assert result.difference == pytest.approx((4 + 1) / 2) and result.excerpts == 1


def test_exchanges_and_leaks_are_counted():
    table = [dataclasses.replace(cell, belongs_to="voice1") for cell in cells([[1.0, 2.0], [1.0, 2.0]])]
    assert exchanged(table) == {"voice0 → voice1": 2}
    assert leakage_db(cells([[1.0]], silent=[(0, 0)])) == -40
    assert math.isnan(leakage_db(cells([[1.0]])))


def test_the_same_seed_gives_the_same_interval():
    table = cells(np.random.default_rng(4).normal(0, 1, (9, 2)))
    assert figure(table, "si_sdr", PROTOCOL) == figure(table, "si_sdr", PROTOCOL)
    assert figure(table, "si_sdr", PROTOCOL) != figure(table, "si_sdr", PROTOCOL, seed=1)
