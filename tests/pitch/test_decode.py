import itertools

import numpy as np
import pytest

from partbook.pitch.decode import UNVOICED, DecodeConfig, candidates_per_voice, joint_path


def total(path, cents, evidence, config):
    """Return the score of one joint path, term by term."""
    score = 0.0
    for t, state in enumerate(path):
        voiced = [voice for voice, each in enumerate(state) if each != UNVOICED]
        score += sum(evidence[t, voice, state[voice]] for voice in voiced)
        for upper, lower in itertools.combinations(voiced, 2):
            apart = cents[t, upper, state[upper]] - cents[t, lower, state[lower]]
            if abs(apart) < 10:
                shared = min(evidence[t, upper, state[upper]], evidence[t, lower, state[lower]])
                score -= max(shared, 0) + config.unison
            elif apart < 0:
                score -= config.crossing
            elif (np.abs(apart - 1200 * np.log2(np.arange(2, 7))) < 35).any():
                score -= config.harmonic
        if t:
            for voice, (a, b) in enumerate(zip(path[t - 1], state, strict=True)):
                if (a == UNVOICED) != (b == UNVOICED):
                    score -= config.onset
                elif a != UNVOICED:
                    step = abs(cents[t - 1, voice, a] - cents[t, voice, b])
                    leap = config.leap + config.leap_per_octave * step / 1200
                    score -= min(0.5 * (step / config.step_cents) ** 2, leap)
    return score


@pytest.mark.parametrize("seed", range(40))
def test_path_is_the_best_of_all_paths(seed):
    rng = np.random.default_rng(seed)
    cents, evidence = rng.uniform(0, 200, (3, 2, 2)), rng.normal(0, 2, (3, 2, 2))
    cents[:, 1, 0] = cents[:, 0, 1]  # a candidate that both voices may take
    cents[:, 0, 0] = cents[:, 1, 1] + 1190  # and one that is a harmonic of the other's
    config = DecodeConfig(onset=2.0, leap=3.0, unison=3.0, crossing=2.0)
    states = list(itertools.product((-1, 0, 1), repeat=2))
    best = max(itertools.product(states, repeat=3), key=lambda path: total(path, cents, evidence, config))
    found = joint_path(cents, evidence, config)
    assert total(found.tolist(), cents, evidence, config) == pytest.approx(
        total(best, cents, evidence, config), abs=1e-4
    )


def test_a_voice_that_leaps_over_another_stays_itself():
    steady, leaping = np.full(60, 4400.0), np.where(np.arange(60) < 45, 4800.0, 4100.0)
    # Candidates come in any order: staying oneself costs one leap and a short crossing, swapping costs two leaps.
    cents = np.stack([np.stack([leaping, steady], 1), np.stack([steady, leaping], 1)], 1)
    path = joint_path(cents, np.full(cents.shape, 3.0), DecodeConfig(crossing=0.1))
    heard = np.take_along_axis(cents, path[..., None], 2)[..., 0]
    assert (heard[:, 0] == leaping).all() and (heard[:, 1] == steady).all()


def test_a_crossing_that_lasts_is_not_believed():
    steady, leaping = np.full(200, 4400.0), np.where(np.arange(200) < 30, 4800.0, 4100.0)
    cents = np.stack([np.stack([leaping, steady], 1), np.stack([steady, leaping], 1)], 1)
    path = joint_path(cents, np.full(cents.shape, 3.0), DecodeConfig(crossing=1.0))
    heard = np.take_along_axis(cents, path[..., None], 2)[..., 0]
    assert (heard[:, 0] >= heard[:, 1]).all()


def test_silence_is_unvoiced_and_a_gap_shorter_than_it_is_worth_is_bridged():
    cents = np.full((60, 1, 1), 4000.0)
    evidence = np.full((60, 1, 1), 2.0)
    evidence[20:22], evidence[40:] = -1.0, -3.0
    path = joint_path(cents, evidence, DecodeConfig(onset=4.0))[:, 0]
    assert (path[:40] == 0).all() and (path[40:] == UNVOICED).all()


@pytest.mark.parametrize("voices", range(1, 9))
def test_joint_states_stay_within_bounds_for_any_number_of_voices(voices):
    config = DecodeConfig()
    count = candidates_per_voice(voices, config)
    assert 1 <= count <= config.most_candidates
    assert (count + 1) ** voices <= max(config.states, 2**voices)


def test_a_long_path_decided_piece_by_piece_is_the_whole_path(monkeypatch, rng):
    cents = rng.uniform(4000, 4400, (400, 2, 3)).cumsum(0) % 900 + 4000
    evidence = rng.normal(0, 2, (400, 2, 3))
    whole = joint_path(cents, evidence)
    monkeypatch.setattr("partbook.pitch.decode.DECIDED_FRAMES", 60)
    monkeypatch.setattr("partbook.pitch.decode.AHEAD_FRAMES", 60)
    assert np.array_equal(joint_path(cents, evidence), whole)


def eight_voices(rng, off_cents):
    """Return pitches, candidates and evidence of eight voices whose registers are told this much too low."""
    pitches = 3000 + 450.0 * np.arange(8)[::-1]
    away = (pitches[None] - pitches[:, None] + off_cents + rng.normal(0, 100, (8, 1))) / 800
    order = np.argsort(away**2, 1)[:, :5]
    cents = np.broadcast_to(pitches[order], (40, 8, 5))
    return pitches, cents, 3 + rng.normal(0, 0.5, (40, 8, 5)) - 0.5 * np.take_along_axis(away, order, 1) ** 2


def test_eight_voices_find_eight_pitches():
    pitches, cents, evidence = eight_voices(np.random.default_rng(0), 0)
    path = joint_path(cents, evidence, DecodeConfig(harmonic=0.0))
    assert (path != UNVOICED).all()
    assert (np.take_along_axis(cents, path[..., None], 2)[..., 0] == pitches).mean() > 0.95


def test_eight_voices_make_room_for_one_another_where_registers_are_wrong():
    _, cents, evidence = eight_voices(np.random.default_rng(0), 700)
    assert (joint_path(cents, evidence, DecodeConfig(harmonic=0.0)) != UNVOICED).mean() > 0.8


def test_more_candidates_never_make_the_joint_path_worse():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        cents = rng.uniform(0, 3000, (6, 5, 6))
        evidence = -np.sort(-rng.normal(0, 2, (6, 5, 6)), 2)
        few, many = (DecodeConfig(states=states, most_candidates=6) for states in (3**5, 4**5))
        first = candidates_per_voice(5, few)
        assert first == 2
        narrow = joint_path(cents[..., :first], evidence[..., :first], few).tolist()
        wide = joint_path(cents, evidence, few).tolist()
        assert total(wide, cents, evidence, many) >= total(narrow, cents, evidence, many) - 1e-3
