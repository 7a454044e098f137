"""Impulse responses tell the room as well as solo takes do."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal
import soundfile

from partbook import cli
from partbook.audio import Microphone, recording_from_array
from partbook.config import Options, SessionConfig, SessionOptions
from partbook.engine.calibration import calibrate, read_calibration
from partbook.engine.measured import measured
from partbook.engine.session import separate_session
from partbook.errors import AudioError, OptionError

RATE, PLAYERS = 8000, "abc"
QUICK = SessionConfig(window_s=0.064, components=4, diagonal_rounds=8, full_rounds=2, context_s=0.1, fade_s=0.05)


def responses(seed=0):
    """Return impulse responses (3, 5, S): own spots near, all else far and reverberant."""
    rng = np.random.default_rng(seed)
    taps = int(0.1 * RATE)
    found = 0.06 * rng.standard_normal((3, 5, taps)) * np.exp(-np.arange(taps) / (0.02 * RATE))
    found[range(3), range(2, 5), 0] += 1
    return found


def images(seed=1, samples=12_000):
    """Return players' images in that room: bursts of noise through resonances of their own."""
    rng, dry = np.random.default_rng(seed), []
    for n in range(3):
        poles = 0.97 * np.exp(2j * np.pi * np.array([0.04, 0.11]) * (1 + n))
        sound = scipy.signal.lfilter([1], np.poly([*poles, *poles.conj()]).real, rng.standard_normal(samples))
        dry.append(sound * np.repeat(rng.uniform(0, 1, 24) ** 2, samples // 24) / sound.std())
    return 0.1 * scipy.signal.fftconvolve(np.array(dry)[:, None], responses(), axes=-1)[..., :samples]


def recorded(samples, spots=True):
    microphones = [Microphone(f"Main{m}", "", m + 1, "main") for m in range(2)]
    for n, player in enumerate(PLAYERS):
        microphones.append(Microphone(player, "", n + 3, *(("spot", player) if spots else ("main",))))
    return replace(recording_from_array(samples.astype(np.float32), RATE), microphones=tuple(microphones))


def takes(gain=1.0, spots=True, seed=0):
    return {player: recorded(gain * alone, spots) for player, alone in zip(PLAYERS, responses(seed), strict=True)}


def separated(recording, **known):
    separation = separate_session(recording, options=Options(), config=QUICK, session=SessionOptions(**known))
    return np.concatenate([block.images for block in separation.blocks()], -1)


def mean_db(truth, found):
    errors = ((found - truth) ** 2).sum(-1)
    return np.mean([10 * np.log10((truth[n, m] ** 2).sum() / errors[n, m]) for n in range(3) for m in (0, 2 + n)])


@pytest.mark.parametrize("gain", [1.0, -300.0])
def test_a_session_calibrated_by_responses_comes_out_cleaner_than_a_blind_one(tmp_path, gain):
    file = measured(takes(gain), QUICK).save(tmp_path / "hall.safetensors")
    truth = images()
    recording = recorded(truth.sum(0))
    assert mean_db(truth, separated(recording, calibration=file)) > mean_db(truth, separated(recording)) + 0.5


def test_responses_of_another_room_are_refused(tmp_path):
    file = measured(takes(seed=3), QUICK).save(tmp_path / "hall.safetensors")
    with pytest.raises(OptionError, match="a calibration of this room"):
        separated(recorded(images().sum(0)), calibration=file)


def test_responses_tell_players_apart_without_any_spot(tmp_path):
    file = measured(takes(spots=False), QUICK).save(tmp_path / "hall.safetensors")
    truth = images()
    recording = recorded(truth.sum(0), spots=False)
    mixture = np.broadcast_to(truth.sum(0), truth.shape)
    assert mean_db(truth, separated(recording, calibration=file)) > mean_db(truth, mixture) + 8


def test_takes_tell_players_apart_without_any_spot(tmp_path):
    alone = images(seed=5)
    noise = 1e-4 * np.random.default_rng(9).standard_normal(alone.shape[1:])
    played = {player: recorded(image + noise, spots=False) for player, image in zip(PLAYERS, alone, strict=True)}
    file = calibrate(played, options=Options(), config=QUICK).save(tmp_path / "hall.safetensors")
    truth = images()
    mixture = np.broadcast_to(truth.sum(0), truth.shape)
    found = separated(recorded(truth.sum(0), spots=False), calibration=file)
    assert mean_db(truth, found) > mean_db(truth, mixture) + 5


def test_responses_hold_no_dictionary(tmp_path):
    file = measured(takes(), QUICK).save(tmp_path / "hall.safetensors")
    with pytest.raises(OptionError, match="impulse responses"):
        separated(recorded(images().sum(0)), calibration=file, sources="dictionary")


def test_responses_are_checked():
    found = takes()
    silent = found["a"].read(0, found["a"].length)
    silent[4] = 0
    with pytest.raises(AudioError, match="silence of c for a"):
        measured(found | {"a": recorded(silent)}, QUICK)
    music = recorded(np.random.default_rng(0).standard_normal(silent.shape))
    with pytest.raises(AudioError, match="die away, got sound to the end for b"):
        measured(found | {"b": music}, QUICK)
    with pytest.raises(OptionError, match="a solo take of each"):
        measured({"a": found["a"]}, QUICK)


def test_the_command_takes_responses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for player, take in takes().items():
        (tmp_path / player).mkdir()
        for microphone, samples in zip(take.microphones, take.read(0, take.length), strict=True):
            soundfile.write(tmp_path / player / f"{microphone.name}.wav", samples, RATE, "FLOAT")
    session = ["--spots", "a,b,c", "--main", "Main0,Main1", "--quiet"]
    assert cli.main(["calibrate", "a=a", "b=b", "c=c", "--responses", *session]) == 0
    found = read_calibration(tmp_path / "calibration.safetensors")
    assert found.players == ("a", "b", "c") and found.W_NFK.shape[-1] == 0
