"""A session's fit may start elsewhere than at the spots: from places, from pitch, or blindly."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal

from partbook.audio import Microphone, recording_from_array
from partbook.config import Options, SessionConfig, SessionOptions
from partbook.engine.session import separate_session
from partbook.ensemble import named_voices
from partbook.errors import OptionError
from partbook.pitch.tracks import Track
from partbook.room.plan import SPEED_OF_SOUND

RATE = 8000
QUICK = SessionConfig(window_s=0.064, components=4, diagonal_rounds=8, full_rounds=2, context_s=0.1, fade_s=0.05)
SEATS_M = {"a": (0.0, 2.0, 1.0), "b": (2.0, 3.0, 1.0), "c": (4.0, 2.0, 1.0)}
PLACES_M = {
    "L": (1.7, 0.5, 1.0),
    "R": (2.3, 0.5, 1.0),
    "a": (0.1, 1.7, 1.0),
    "b": (2.0, 2.6, 1.0),
    "c": (3.9, 1.7, 1.0),
}


def images(samples=12_000):
    """Return players of resonances of their own, in a plain with little reverberation, shape (3, 5, S)."""
    rng = np.random.default_rng(0)
    dry = []
    for n in range(3):
        poles = 0.97 * np.exp(2j * np.pi * np.array([0.04, 0.11]) * (1 + n))
        sound = scipy.signal.lfilter([1], np.poly([*poles, *poles.conj()]).real, rng.standard_normal(samples))
        dry.append(sound * np.repeat(rng.uniform(0, 1, 24) ** 2, samples // 24) / sound.std())
    taps = 400
    responses = 0.02 * rng.standard_normal((3, 5, taps)) * np.exp(-np.arange(taps) / 100)
    for n, seat in enumerate(SEATS_M.values()):
        for m, place in enumerate(PLACES_M.values()):
            distance_m = np.linalg.norm(np.subtract(seat, place))
            responses[n, m] += np.sinc(np.arange(taps) - 20 - distance_m / SPEED_OF_SOUND * RATE) / distance_m
    return 0.1 * scipy.signal.fftconvolve(np.array(dry)[:, None], responses, axes=-1)[..., :samples]


TRUTH = images()
SETUP = {
    "source": [{"name": name.upper(), "position_m": list(seat)} for name, seat in SEATS_M.items()],
    "microphone": [{"name": name, "position_m": list(place), "pattern": "omni"} for name, place in PLACES_M.items()],
    "room": {"size_m": [20.0, 20.0, 10.0], "rt60_s": 0.4},
}


def recorded(rows=range(5), setup=SETUP):
    names = list(PLACES_M)
    microphones = [
        Microphone(names[m], "", k + 1, "main" if m < 2 else "spot", None if m < 2 else names[m])
        for k, m in enumerate(rows)
    ]
    whole = recording_from_array(TRUTH.sum(0)[list(rows)].astype(np.float32), RATE)
    return replace(whole, microphones=tuple(microphones), setup=setup)


def separated(recording, config=QUICK, voices=None, **known):
    separation = separate_session(
        recording, options=Options(), config=config, session=SessionOptions(**known), voices=voices
    )
    found = np.concatenate([block.images for block in separation.blocks()], -1)
    assert np.isfinite(found).all()
    return separation, found


def decibel(error, reference):
    return 10 * np.log10(np.sum(np.square(error, dtype=float)) / np.sum(np.square(reference, dtype=float)) + 1e-30)


def gained_db(recording, found, rows):
    """Return by how much less is wrong than in the recording, for every player at every microphone."""
    mixture = recording.read(0, recording.length)
    return np.array(
        [[decibel(mixture[k] - t[m], t[m]) - decibel(f[k] - t[m], t[m]) for k, m in enumerate(rows)]
         for t, f in zip(TRUTH, found, strict=True)]
    )  # fmt: skip


def test_a_seating_plan_starts_a_session():
    recording = recorded()
    separation, found = separated(recording, start="plan")
    assert [source.name for source in separation.sources] == ["A", "B", "C"]
    assert (gained_db(recording, found, range(5))[:, :2] > 6).all()


@pytest.mark.parametrize("background", [True, False])
def test_a_seating_plan_is_enough_without_spots(background):
    """Three players at two microphones: the plan is believed as it is, and the images sum to the recording."""
    recording = recorded([0, 1])
    separation, found = separated(recording, replace(QUICK, background=background), start="plan")
    assert [source.id for source in separation.sources] == ["a", "b", "c"]
    assert gained_db(recording, found, [0, 1]).mean() > 2
    assert decibel(found.sum(0) - recording.read(0, 12_000), recording.read(0, 12_000)) < -110


def test_a_seating_plan_gives_a_part_to_a_player_without_a_microphone():
    recording = recorded([0, 1, 2, 3])
    separation, found = separated(recording, start="plan")
    assert len(separation.sources) == 3
    assert gained_db(recording, found, [0, 1, 2, 3])[2, :2].mean() > 3


@pytest.mark.parametrize("start", ["circular", "diagonal", "random"])
def test_blind_starts_give_every_player_what_is_loudest_at_its_spot(start):
    recording = recorded(setup={})
    found = separated(recording, start=start)[1]
    level_NN = np.square(found[:, 2:]).sum(-1)
    order = level_NN[[0, 1, 2], [0, 1, 2]].prod()
    for shifted in ([1, 2, 0], [2, 0, 1], [1, 0, 2], [0, 2, 1], [2, 1, 0]):
        assert order >= level_NN[shifted, [0, 1, 2]].prod()


def test_without_spots_and_places_players_are_told_apart_by_pitch():
    times_s = np.arange(16_000) / RATE
    notes_hz = np.repeat([[660, 587, 523, 587, 784, 660, 587, 523], [147, 165, 196, 165, 147, 131, 147, 165]], 2000, 1)
    phases = 2 * np.pi * np.cumsum(notes_hz, -1) / RATE
    high, low = (0.1 * np.exp(-3 * (times_s % 0.25)) * sum(np.sin(k * p) / k for k in range(1, 6)) for p in phases)
    truth = np.stack([np.stack([high, 0.5 * high]), np.stack([0.5 * low, low])])
    whole = recording_from_array(truth.sum(0).astype(np.float32), RATE)
    told = []
    for rows in ([0, 1], [1]):
        microphones = tuple(Microphone(f"Main{m}", "", k + 1, "main") for k, m in enumerate(rows))
        recording = replace(whole, microphones=microphones, samples=whole.samples[rows])
        separation = separate_session(
            recording,
            options=Options(),
            config=QUICK,
            voices=named_voices(["flute", "cello"]),
            on_progress=lambda event: told.append(event.message),
        )
        found = np.concatenate([block.images for block in separation.blocks()], -1)
        assert [source.id for source in separation.sources] == ["flute", "cello"]
        errors_db = [decibel(found[n, k] - truth[n, m], truth[n, m]) for n in range(2) for k, m in enumerate(rows)]
        assert max(errors_db) < -8
    assert any("by their pitch" in line for line in told)
    assert any("2 players at 1 live" in line for line in told)


@pytest.mark.parametrize("known", [False, True])
def test_many_players_that_only_pitch_tells_apart_are_told_of(rng, known):
    recording = recording_from_array(0.1 * rng.standard_normal((2, 4000)).astype(np.float32), RATE)
    main = tuple(Microphone(f"Main{m}", "", m + 1, "main") for m in range(2))
    ids, times_s = ["flute", "oboe", "horn", "cello"], np.arange(0, 0.5, 0.01)
    sure = np.ones(len(times_s))
    f0 = {id: Track(times_s, 800.0 / 2**n * sure, sure) for n, id in enumerate(ids)}
    separation = separate_session(
        replace(recording, microphones=main),
        options=Options(),
        config=QUICK,
        voices=named_voices(ids),
        f0=f0 if known else None,
    )
    told = any("some will be lost: --f0" in line for line in separation.config["session"]["remarks"])
    assert told is not known


def test_a_start_that_needs_more_than_is_known_is_refused():
    with pytest.raises(OptionError, match="spot microphones, or places"):
        separated(recorded([0, 1], {}), start="random")
    with pytest.raises(OptionError, match="none of a, b, c"):
        separated(recorded(setup={}), start="plan")
