from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.signal import oaconvolve

from partbook.audio import recording_from_array
from partbook.config import Options, VoicesConfig
from partbook.data.render import sung_dry
from partbook.data.scores import bundled_score
from partbook.engine import voices as voices_module
from partbook.engine.spectra import Analysis
from partbook.engine.voices import separate_stretch, separate_voices
from partbook.ensemble import named_voices
from partbook.evaluate.separation import si_sdr
from partbook.room.tail import Tail
from partbook.stems import collect

RATE = 16000


def with_tails(x, voices, tracks, tails):
    """Return what is recorded of a separation, and the images (N, S) of the voices."""
    config = replace(VoicesConfig(), tails=tails)
    result = separate_voices(recording_from_array(x, RATE), voices, f0=tracks, options=Options(), config=config)
    stems = collect(result)
    return result.config["voices"], np.stack([np.ravel(stems[voice.id]) for voice in voices])


def in_a_hall(stems_NS, rt60_s, late):
    """Return stems in a room: the direct sound and a tail of noise, ``late`` times as strong, with no delay."""
    rng, times_s = np.random.default_rng(5), np.arange(int(rt60_s * RATE)) / RATE
    responses = rng.standard_normal((len(stems_NS), len(times_s))) * 10 ** (-3 * times_s / rt60_s)
    responses *= np.sqrt(late / (responses**2).sum(1, keepdims=True))
    responses[:, 0] = 1
    return oaconvolve(stems_NS, responses, axes=1)[:, : stems_NS.shape[1]].astype(np.float32)


def test_in_a_hall_voices_are_told_apart_better_once_its_tail_is_known():
    sung = sung_dry(bundled_score("jesu"), RATE, seed=3)
    voices = named_voices(sung.names)
    tracks = {voice.id: track.between(1.0, 9.0) for voice, track in zip(voices, sung.tracks, strict=True)}
    wet = in_a_hall(sung.parts[:, 0, RATE : 9 * RATE], 1.8, 3.0)
    reached = []
    for tails in (False, True):
        heard, found = with_tails(wet.sum(0), voices, tracks, tails)
        reached.append(np.mean([si_sdr(s, e) for s, e in zip(wet, found, strict=True)]))
    assert heard["rt60_s"] == pytest.approx(1.8, rel=0.25)
    assert 0.5 < heard["late"] <= 1
    assert reached[1] > reached[0] + 0.4


def test_dry_voices_are_separated_as_if_there_were_no_rooms(quartet):
    stems, tracks, voices = quartet
    (_, without), (heard, found) = (with_tails(stems.sum(0), voices, tracks, tails) for tails in (False, True))
    assert heard["rt60_s"] == heard["late"] == 0
    assert np.array_equal(without, found)


def test_stems_and_residual_sum_to_the_mixture_in_a_hall_too(quartet):
    stems, tracks, voices = quartet
    x_MS, told = torch.from_numpy(in_a_hall(stems, 1.8, 3.0).sum(0)[None]), [tracks[voice.id] for voice in voices]
    config = replace(VoicesConfig(), shared_background=1.0)
    hall = {"tail": Tail(1.8, 1.0)}
    found = separate_stretch(x_MS, 0, told, Analysis.of(RATE, config), Options(), config, **hall)
    assert found.shape == (4, *x_MS.shape)
    torch.testing.assert_close(found.sum(0), x_MS, rtol=0, atol=1e-5)


def test_what_is_told_of_voices_is_told_of_the_recording_without_its_tail(quartet, monkeypatch):
    stems, tracks, voices = quartet
    x_MS, told = torch.from_numpy(stems.sum(0)[None]).float(), [tracks[voice.id] for voice in voices]
    analysis, tail, heard = Analysis.of(RATE, VoicesConfig()), Tail(1.8, 1.0), []

    def noted(power_FT, *arguments):
        heard.append(power_FT)
        return powers(power_FT, *arguments)

    powers = voices_module._powers
    monkeypatch.setattr(voices_module, "_powers", noted)
    separate_stretch(x_MS, 0, told, analysis, Options(), VoicesConfig(), tail=tail)
    power_FT = analysis.stft(x_MS)[0, : analysis.bins].abs() ** 2
    dry_FT = tail.taken_off(power_FT, analysis.frame_s)
    assert dry_FT.mean() < 0.9 * power_FT.mean()
    torch.testing.assert_close(heard[0] / heard[0].mean(), dry_FT / dry_FT.mean())
