"""Levels and bleed are what was put in."""

from __future__ import annotations

import numpy as np
import pytest

from partbook.report.measure import measure, reference_channels
from partbook.report.result import read_result


def test_levels_are_those_of_the_files(trio):
    result = read_result(trio)
    levels, bleed = measure(result, 50)
    stems = np.stack([file.read(0, result.length) for file in result.files])
    assert bleed is None
    assert np.allclose(levels.rms, np.sqrt((stems**2).mean(-1)), rtol=1e-4)
    assert np.allclose(levels.peak, np.abs(stems).max(-1))
    assert np.allclose(levels.mixture_peak, np.abs(stems.sum(0)).max(-1))


@pytest.mark.parametrize("columns", [1, 7, 1000, 30_001, 64_000])
def test_levels_over_time_are_the_mean_powers_of_equal_stretches(trio, columns):
    result = read_result(trio)
    levels, _ = measure(result, columns)
    alto = result.files[1].read(0, result.length)[0].astype(float)
    edges = np.ceil(np.arange(columns + 1) * result.length / columns).astype(int)
    expected = np.add.reduceat(alto**2, edges[:-1]) / np.diff(edges)
    assert np.allclose(levels.columns[1], expected, rtol=1e-6)


def test_players_are_at_home_at_their_spots_and_the_residual_at_the_main_microphones(session):
    assert [list(channels) for channels in reference_channels(read_result(session))] == [[2], [3], [0, 1]]


def test_bleed_before_is_that_of_the_microphones_and_after_that_of_the_parts(session):
    bleed = measure(read_result(session), 50)[1]
    assert bleed.ids == ("flute", "cello")
    assert np.allclose(bleed.before_db, [[0, -20], [-20, 0]], atol=0.2)
    # The cello was given half its level back; the flute all. Neither part holds any of the other.
    assert np.allclose(np.diag(bleed.after_db), [0, -6], atol=0.1)
    assert bleed.after_db[0, 1] < -40 and bleed.after_db[1, 0] < -40
