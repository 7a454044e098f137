from dataclasses import replace

import numpy as np
import pytest
from test_session import QUICK, decibel, hall, roles, separated, session

from partbook.audio.health import examined
from partbook.config import Options
from partbook.engine.analysis import analysed
from partbook.engine.session import planned
from partbook.engine.telling import affordable_s, telling, without_pauses

RATE = 8000


def sections_of(recording, config):
    ids = ("a", "b")
    analysis = analysed(recording, ids, examined(recording).level_M, {}, Options(), config)
    return analysis, planned(analysis, len(ids), Options(), config)


def sounding(*stretches, whole_s=40, pause_db=-60.0):
    """Return noise at four microphones, softer outside of stretches given in seconds."""
    samples = np.random.default_rng(0).standard_normal((4, whole_s * RATE)) * 10 ** (pause_db / 20)
    for from_s, to_s in stretches:
        samples[:, from_s * RATE : to_s * RATE] *= 10 ** (-pause_db / 20)
    return session(samples, roles(2, ["a", "b"]))


def test_sections_hear_no_pauses_at_their_ends():
    recording = sounding((3, 8), (12, 15))
    _, sections = sections_of(recording, replace(QUICK, section_s=10.0))
    heard_s = [(each.first / RATE, each.last / RATE) for each in without_pauses(sections, recording)]
    # With what comes before a beginning and rings after an end.
    assert heard_s[:2] == [pytest.approx((2.75, 8.25)), pytest.approx((11.75, 15.25))]
    assert all(first_s == last_s for first_s, last_s in heard_s[2:])


def test_what_sounds_throughout_or_not_at_all_is_heard_as_it_is():
    for recording in (sounding((0, 40)), sounding(pause_db=-np.inf)):
        _, sections = sections_of(sounding((0, 40)), QUICK)
        assert without_pauses(sections, recording) == sections


def test_the_room_is_told_by_sections_that_sound_as_many_as_fit():
    config = replace(QUICK, section_s=4.0)
    analysis, sections = sections_of(sounding((10, 11), (16, 40)), config)
    assert list(telling(sections, analysis, Options(), config)) == [4, 5, 6, 7, 8, 9]
    config = replace(config, room_s=9.0)
    told = telling(sections, analysis, Options(), config)
    assert len(told) == 2 and min(told) >= 4 and max(told) - min(told) == 3
    heard = sum(each.last - each.first for each in told.values())
    assert heard <= affordable_s(analysis, Options(), config) * RATE


@pytest.mark.parametrize("pause_db", [-50.0, -np.inf])
def test_long_pauses_change_no_separation(pause_db):
    truth = hall()
    mixture, microphones = truth.sum(0), roles(2, ["a", "b", "c"])
    pause = np.random.default_rng(1).standard_normal((len(mixture), 6 * RATE)) * mixture.std() * 10 ** (pause_db / 20)
    config = replace(QUICK, section_s=2.0, diagonal_rounds=20)
    alone = separated(session(mixture, microphones), config)
    between = separated(session(np.concatenate([pause, mixture, pause], 1), microphones), config)
    between = between[..., pause.shape[1] :][..., : mixture.shape[1]]
    for n in range(3):
        for m in (0, 2 + n):
            errors = [decibel(images[n, m] - truth[n, m], truth[n, m]) for images in (alone, between)]
            assert errors[1] < errors[0] + 3
