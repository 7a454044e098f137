"""Solo takes tell the room and the players before the session begins."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal
import soundfile
import torch

from partbook import cli
from partbook.audio import Microphone, recording_from_array
from partbook.config import Options, SessionConfig, SessionOptions
from partbook.engine.calibration import Takes, calibrate, read_calibration
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


def playing(seed, samples=12_000):
    """Return three players' dry sound: bursts of noise through resonances of their own."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(3):
        poles = 0.97 * np.exp(2j * np.pi * np.array([0.04, 0.11]) * (1 + n))
        sound = scipy.signal.lfilter(
            [1], np.poly(np.concatenate([poles, poles.conj()])).real, rng.standard_normal(samples)
        )
        rows.append(sound * np.repeat(rng.uniform(0, 1, 24) ** 2, samples // 24) / sound.std())
    return 0.1 * np.array(rows)


def images(seed):
    dry = playing(seed)
    return scipy.signal.fftconvolve(dry[:, None], responses(), axes=-1)[..., : dry.shape[-1]]


def recorded(samples):
    microphones = [Microphone(f"Main{m}", "", m + 1, "main") for m in range(2)]
    microphones += [Microphone(player, "", n + 3, "spot", player) for n, player in enumerate(PLAYERS)]
    return replace(recording_from_array(samples.astype(np.float32), RATE), microphones=tuple(microphones))


def takes():
    alone = images(seed=5)
    noise = 1e-4 * np.random.default_rng(9).standard_normal(alone.shape)
    return {player: recorded(alone[n] + noise[n]) for n, player in enumerate(PLAYERS)}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("calibration") / "hall.safetensors"
    return calibrate(takes(), options=Options(), config=QUICK).save(path)


def separated(recording, config=QUICK, **known):
    separation = separate_session(
        recording, options=Options(), config=config, session=SessionOptions(**known) if known else None
    )
    return np.concatenate([block.images for block in separation.blocks()], -1)


def sdr_db(truth, estimate):
    return 10 * np.log10(np.sum(truth**2) / np.sum((estimate - truth) ** 2))


def mean_db(truth, found):
    return np.mean([[sdr_db(truth[n, m], found[n, m]) for m in (0, 2 + n)] for n in range(3)])


@pytest.mark.parametrize("sources", ["nmf", "dictionary"])
def test_a_calibrated_session_comes_out_cleaner_than_a_blind_one(file, sources):
    truth = images(seed=0)
    recording = recorded(truth.sum(0))
    blind, known = separated(recording), separated(recording, calibration=file, sources=sources)
    assert mean_db(truth, known) > mean_db(truth, blind) + 1


def test_pauses_before_and_after_takes_tell_nothing(file, tmp_path):
    truth, pause = images(seed=0), 1e-4 * np.random.default_rng(2).standard_normal((5, 5 * RATE))
    longer = {
        player: recorded(np.concatenate([pause, take.read(0, take.length), pause], 1))
        for player, take in takes().items()
    }
    calibration = calibrate(longer, options=Options(), config=QUICK).save(tmp_path / "hall.safetensors")
    recording = recorded(truth.sum(0))
    known, among_pauses = (separated(recording, calibration=each) for each in (file, calibration))
    assert mean_db(truth, among_pauses) > mean_db(truth, known) - 1.5


def after_moving(metres, seed=1):
    """Return the images where every player has moved: of reflections the share sin(kd) / kd is that of before."""
    before, elsewhere, direct = responses(), responses(seed), np.zeros_like(responses())
    direct[range(3), range(2, 5), 0] = 1
    share = np.sinc(2 * metres / 343 * np.fft.rfftfreq(before.shape[-1], 1 / RATE))
    spectra = [np.fft.rfft(part, axis=-1) for part in (direct, before - direct, elsewhere - direct)]
    moved = np.fft.irfft(spectra[0] + share * spectra[1] + np.sqrt(1 - share**2) * spectra[2], axis=-1)
    dry = playing(seed=0)
    return scipy.signal.fftconvolve(dry[:, None], moved, axes=-1)[..., : dry.shape[-1]]


def test_players_may_move_by_5_cm(file):
    truth = after_moving(0.05)
    recording = recorded(truth.sum(0))
    assert mean_db(truth, separated(recording, calibration=file)) > mean_db(truth, separated(recording)) + 2


def test_where_players_have_moved_farther_the_recording_alone_counts(file):
    recording, told = recorded(after_moving(0.15).sum(0)), []
    session, say = SessionOptions(calibration=file), lambda event: told.append(event.message)
    found = separate_session(recording, options=Options(), config=QUICK, session=session, on_progress=say)
    known = np.concatenate([block.images for block in found.blocks()], -1)
    assert any("players have moved" in line for line in told)
    np.testing.assert_allclose(known, separated(recording), atol=1e-5)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_calibration_of_another_room_is_refused(file, seed):
    dry = playing(seed=0)
    elsewhere = scipy.signal.fftconvolve(dry[:, None], responses(seed), axes=-1)[..., : dry.shape[-1]]
    for truth in (elsewhere, after_moving(0.5, seed)):
        with pytest.raises(OptionError, match=r"expected a calibration of this room, got .*; try partbook calibrate"):
            separated(recorded(truth.sum(0)), calibration=file)


@pytest.mark.parametrize("gain", [-0.05, 20.0])
def test_a_session_may_be_louder_than_its_takes(file, gain):
    mixture = images(seed=0).sum(0)
    reference, found = (separated(recorded(g * mixture), calibration=file) for g in (1, gain))
    assert sdr_db(reference, found / gain) > 30


def test_a_file_holds_the_calibration(file):
    found = read_calibration(file)
    assert found.players == tuple(PLAYERS) and found.microphones == ("Main0", "Main1", *PLAYERS)
    assert (found.W_NFK >= 0).all() and found.W_NFK.shape[0] == 6
    again = calibrate(takes(), options=Options(), config=QUICK)
    torch.testing.assert_close(found.R_FNMM, again.R_FNMM)
    torch.testing.assert_close(found.Q_FMM, again.Q_FMM, rtol=1e-5, atol=1e-6)


def test_a_calibration_of_other_microphones_or_another_rate_is_refused(file, tmp_path):
    recording = recorded(images(seed=0).sum(0))
    renamed = replace(recording.microphones[0], name="Balcony")
    with pytest.raises(OptionError, match="microphones"):
        separated(replace(recording, microphones=(renamed, *recording.microphones[1:])), calibration=file)
    with pytest.raises(OptionError, match="Hz"):
        separated(replace(recording, sample_rate=16_000), calibration=file)
    (tmp_path / "no.safetensors").write_bytes(b"nothing")
    with pytest.raises(OptionError, match="calibration"):
        separated(recording, calibration=tmp_path / "no.safetensors")
    with pytest.raises(OptionError, match="--calibration"):
        separated(recording, sources="dictionary")


def test_takes_are_checked():
    found = takes()
    with pytest.raises(OptionError, match="solo take of each"):
        calibrate({"a": found["a"]}, options=Options(), config=QUICK)
    found["b"] = replace(found["b"], microphones=found["b"].microphones[::-1])
    with pytest.raises(AudioError, match="same microphones"):
        calibrate(found, options=Options(), config=QUICK)


def test_every_take_is_heard_however_little_memory_there_is():
    long = {player: recorded(np.tile(take.read(0, 12_000), 8)) for player, take in takes().items()}
    config = replace(QUICK, overlap=8, section_s=1.0)
    found = calibrate(long, options=Options(memory_bytes=10**8), config=replace(config, band_hz=40_000.0))
    assert (found.W_NFK.sum((1, 2)) > 0).all()


def test_takes_are_read_as_one(rng):
    pieces = [rng.uniform(-1, 1, (5, length)).astype(np.float32) for length in (7, 1, 12)]
    joined = Takes(tuple(recorded(piece) for piece in pieces))
    whole = np.concatenate(pieces, -1)
    for start, stop in ((0, 20), (3, 8), (6, 8), (7, 8), (8, 19), (5, 5)):
        np.testing.assert_array_equal(joined.read(start, stop), whole[:, start:stop])


def test_the_command_writes_a_file_that_separate_takes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("partbook.config.SessionConfig.window_s", 0.064)
    for player, take in takes().items():
        (tmp_path / player).mkdir()
        for microphone, samples in zip(take.microphones, take.read(0, 8000), strict=True):
            soundfile.write(tmp_path / player / f"{microphone.name}.wav", samples, RATE, "FLOAT")
    session = ["--spots", "a,b,c", "--main", "Main0,Main1", "--quiet"]
    assert cli.main(["calibrate", "a=a", "b=b", "c=c", *session]) == 0
    assert read_calibration(tmp_path / "calibration.safetensors").players == ("a", "b", "c")
    assert cli.main(["calibrate", "a=a", "b", *session]) == 2
