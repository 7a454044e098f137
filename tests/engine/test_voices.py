from dataclasses import replace

import numpy as np
import pytest
import torch

from partbook.audio import recording_from_array
from partbook.coherent import INTERLEAVED
from partbook.config import Options, VoicesConfig
from partbook.dsp.stft import Stft
from partbook.engine.singing import trained
from partbook.engine.spectra import WHOLE, Analysis
from partbook.engine.voices import separate_stretch, separate_voices
from partbook.ensemble import named_voices
from partbook.evaluate.separation import si_sdr
from partbook.stems import collect

RATE = 16000
OFF = (20, -20, 20, -20)


def separated(x, rate, voices, tracks, **options):
    return collect(separate_voices(recording_from_array(x, rate), voices, f0=tracks, options=Options(**options)))


def images(stems, voices):
    return np.stack([np.atleast_2d(stems[voice.id]) for voice in voices])


def test_given_f0_every_voice_is_far_above_the_mixture(quartet):
    stems, tracks, voices = quartet
    mixture = stems.sum(0)
    found = images(separated(mixture, RATE, voices, tracks), voices)[:, 0]
    gain_db = np.array([si_sdr(s, e) - si_sdr(s, mixture) for s, e in zip(stems, found, strict=True)])
    assert gain_db.min() > 8 and gain_db.mean() > 12


def test_blind_every_voice_is_above_the_mixture(quartet):
    stems, _, voices = quartet
    found = images(separated(stems.sum(0), RATE, voices, {}), voices)[:, 0]
    gain_db = np.array([si_sdr(s, e) - si_sdr(s, stems.sum(0)) for s, e in zip(stems, found, strict=True)])
    assert gain_db.min() > 0 and gain_db.mean() > 6


def test_stems_and_residual_sum_to_the_mixture(quartet):
    stems, tracks, voices = quartet
    result = separated(stems.sum(0), RATE, voices, tracks)
    total = images(result, voices).sum(0)[0] + np.ravel(result.residual)
    assert np.abs(total - stems.sum(0)).max() < 1e-6


def test_order_of_the_voices_does_not_change_their_images(quartet):
    stems, tracks, voices = quartet
    x = stems.sum(0)[:RATE]
    forth, back = separated(x, RATE, voices, tracks), separated(x, RATE, voices[::-1], tracks)
    # The fit starts from random numbers in the order of the voices: alike, not equal.
    for voice in voices:
        assert si_sdr(np.ravel(forth[voice.id]), np.ravel(back[voice.id])) > 15


def test_scale_passes_through(quartet):
    stems, tracks, voices = quartet
    x = stems.sum(0)[:RATE]
    loud, quiet = (images(separated(gain * x, RATE, voices, tracks), voices) for gain in (1.0, 2.0**-10))
    assert np.abs(2.0**-10 * loud - quiet).max() < 1e-4 * np.abs(quiet).max()


def test_same_seed_same_samples_other_seed_other_samples(quartet):
    stems, tracks, voices = quartet
    x = stems.sum(0)[:RATE]
    first, again, other = (images(separated(x, RATE, voices, tracks, seed=s), voices) for s in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_interleaved_combs_add_up_to_the_whole_one(quartet):
    _, tracks, voices = quartet
    analysis, told = Analysis.of(RATE, VoicesConfig()), [tracks[voice.id] for voice in voices]
    whole, parts = (analysis.combs(told, 100, 2 * RATE, count) for count in (WHOLE, INTERLEAVED))
    torch.testing.assert_close(parts.sum(1), whole[:, 0], rtol=0, atol=1e-3)


def test_exact_tracks_say_where_phases_turn(quartet):
    stems, tracks, voices = quartet
    config, x_MS = VoicesConfig(), torch.from_numpy(stems.sum(0)[None, : 2 * RATE]).float()
    analysis = Analysis.of(RATE, config)
    told = [tracks[voice.id] for voice in voices]
    off = [replace(track, f0_hz=track.f0_hz * 2 ** (cents / 1200)) for track, cents in zip(told, OFF, strict=True)]

    def heard(tracks, exact=None):
        return separate_stretch(x_MS, 0, tracks, analysis, Options(), config, exact=exact)

    # The powers see one comb for each voice, or the sum of its interleaved parts: the same but for rounding, which is
    # that of bfloat16 where the processor has it.
    torch.testing.assert_close(heard(told, told), heard(told), rtol=0, atol=1e-4)
    references = stems[:, : 2 * RATE]
    reached = [
        np.mean([si_sdr(s, e) for s, e in zip(references, heard(*each)[:, 0].numpy(), strict=True)])
        for each in ((told,), (off, told), (off,))
    ]
    assert reached[0] > reached[1] > reached[2] + 0.3


@pytest.mark.parametrize("given", [True, False])
def test_powers_follow_a_finer_track_in_glides_unless_f0_is_given(quartet, monkeypatch, given):
    stems, tracks, voices = quartet
    told = []

    def heard(x_MS, start, tracks, *_, **__):
        told.extend(tracks)
        return torch.zeros(len(tracks), *x_MS.shape)

    silent = np.zeros(4)
    monkeypatch.setattr("partbook.engine.voices.separate_stretch", heard)
    monkeypatch.setattr("partbook.engine.voices.track_voices", lambda *_, **__: (voices, tracks))
    monkeypatch.setattr("partbook.engine.voices.finer_in_glides", lambda track, _: replace(track, confidence=silent))
    separated(stems.sum(0), RATE, voices, tracks if given else {})
    assert len(told) == len(voices)
    assert all((track.confidence is silent) != given for track in told)


@pytest.mark.parametrize(("model", "unheard"), [("network", "modelled"), ("fit", "sung_power")])
def test_a_model_alone_is_alone_also_where_f0_is_refined(quartet, monkeypatch, model, unheard):
    stems, tracks, voices = quartet

    def refused(*_, **__):
        raise AssertionError(unheard)

    monkeypatch.setattr(f"partbook.engine.voices.{unheard}", refused)
    found = separated(stems.sum(0)[:RATE], RATE, voices, tracks, model=model)
    assert np.isfinite(images(found, voices)).all()


def test_the_network_is_that_for_voices_as_steady_as_they_are_heard_to_be(quartet, monkeypatch):
    stems, tracks, voices = quartet
    asked, ratio = [], iter((0.1, 0.3, 0.7, 0.7))
    # A pause, for all that it is long, says nothing of voices.
    levels = np.repeat([1.0, 1.0, 1e-3, 1e-3], RATE).astype(np.float32)
    energy = np.square(stems.sum(0)[: 2 * RATE]).reshape(2, -1).sum(1)

    def noted(steady):
        asked.append(steady)
        return trained(steady)

    monkeypatch.setattr("partbook.engine.stretches._stretch_s", lambda *arguments: 1.0)
    monkeypatch.setattr("partbook.engine.voices.steadiness", lambda *arguments: next(ratio))
    monkeypatch.setattr("partbook.engine.voices.trained", noted)
    found = separate_voices(recording_from_array(levels * stems.sum(0), RATE), voices, f0=tracks, options=Options())
    expected = np.average([0.1, 0.3], weights=energy)
    assert asked == [pytest.approx(expected, abs=1e-3)]
    assert found.config["voices"]["steadiness"] == round(asked[0], 3)


@pytest.mark.parametrize(
    ("steady", "found", "window_s"), [(0.0, True, 0.16), (0.25, True, 0.144), (0.6, True, 0.128), (0.0, False, 0.128)]
)
def test_wavering_voices_are_separated_in_longer_windows_where_their_f0_is_found(
    quartet, monkeypatch, steady, found, window_s
):
    stems, tracks, voices = quartet
    heard_s = []

    def noted(x_MS, start, told, analysis, *arguments, **settings):
        heard_s.append(analysis.stft.n_fft / analysis.sample_rate)
        return torch.zeros(len(told), *x_MS.shape)

    monkeypatch.setattr("partbook.engine.voices.track_voices", lambda *arguments, **settings: (voices, tracks))
    monkeypatch.setattr("partbook.engine.voices.steadiness", lambda *arguments: steady)
    monkeypatch.setattr("partbook.engine.voices.separate_stretch", noted)
    given = {} if found else tracks
    result = separate_voices(recording_from_array(stems.sum(0)[:RATE], RATE), voices, f0=given, options=Options())
    list(result.blocks())
    assert heard_s and heard_s == pytest.approx([window_s] * len(heard_s), abs=0.004)
    assert result.config["voices"]["window_s"] == pytest.approx(window_s)


def test_steady_voices_are_heard_longer_and_told_apart_better(quartet):
    stems, tracks, voices = quartet
    x_MS, analysis = torch.from_numpy(stems.sum(0)[None]).float(), Analysis.of(RATE, VoicesConfig())
    told = [tracks[voice.id] for voice in voices]
    reached = []
    for steady in (0.0, 0.5):
        found = separate_stretch(x_MS, 0, told, analysis, Options(), VoicesConfig(), steady=steady)[:, 0].numpy()
        assert found.shape == stems.shape
        reached.append(np.mean([si_sdr(s, e) for s, e in zip(stems, found, strict=True)]))
    assert reached[1] > reached[0] + 0.2


def test_what_no_voice_makes_is_shared_out_in_equal_parts_as_far_as_it_is_to_be(quartet):
    stems, tracks, voices = quartet
    noise = 0.01 * np.random.default_rng(0).standard_normal(RATE)
    x_MS = torch.from_numpy(stems.sum(0)[None, :RATE] + noise).float()
    told = [tracks[voice.id] for voice in voices]

    def heard(share):
        config = replace(VoicesConfig(), shared_background=share)
        return separate_stretch(x_MS, 0, told, Analysis.of(RATE, config), Options(), config)

    kept, some, everything = heard(0.0), heard(0.5), heard(1.0)
    left_MS = x_MS - kept.sum(0)
    assert left_MS.std() > 1e-4
    torch.testing.assert_close(some - kept, (left_MS / 8).expand_as(kept), rtol=0, atol=1e-5)
    torch.testing.assert_close(everything.sum(0), x_MS, rtol=0, atol=1e-5)


def test_where_fit_and_network_separate_together_f0_is_refined_as_the_network_hears_it(quartet):
    """And where voices are steady, as they are told apart then, whatever the model."""
    stems, tracks, voices = quartet
    recording = recording_from_array(stems.sum(0)[: 2 * RATE], RATE)

    def heard(model, listened, steadiness):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("partbook.engine.voices.steadiness", lambda *_: steadiness)
            config, options = replace(VoicesConfig(), listened=listened), Options(model=model)
            f0 = separate_voices(recording, voices, f0=tracks, options=options, config=config).f0
        return np.stack([f0[voice.id].f0_hz for voice in voices])

    once = heard("both", 1, 0.5)
    assert np.array_equal(once, heard("network", 1, 0.5)) and not np.array_equal(once, heard("fit", 1, 0.5))
    assert np.array_equal(heard("both", 1, 0.2), heard("both", 2, 0.2))
    for model in ("both", "network", "fit"):
        assert not np.array_equal(heard(model, 1, 0.5), heard(model, 2, 0.5))


def test_steady_voices_are_listened_to_again_in_the_clearest_channel(quartet, monkeypatch):
    """Noise in the first of two channels leaves the tracks about as they are with the second alone."""
    stems, tracks, voices = quartet
    mixture = stems.sum(0)[: 2 * RATE]
    noise = 0.1 * mixture.std() * np.random.default_rng(0).standard_normal(len(mixture)).astype(np.float32)
    monkeypatch.setattr("partbook.engine.voices.steadiness", lambda *_: 0.5)

    def cents(x):
        f0 = separate_voices(recording_from_array(x, RATE), voices, f0=tracks, options=Options(model="network")).f0
        return np.stack([1200 * np.log2(np.maximum(f0[voice.id].f0_hz, 1)) for voice in voices])

    assert np.abs(cents(np.stack([noise, mixture])) - cents(mixture)).mean() < 1


def test_f0_is_refined_alike_however_loud_it_is_elsewhere(quartet):
    stems, tracks, voices = quartet
    soft = stems.sum(0)
    after = np.concatenate([soft, np.zeros_like(soft), 300 * soft, 300 * soft])
    held = {
        id: replace(track, times_s=np.append(track.times_s, 16.0), **{
            field: np.append(getattr(track, field), getattr(track, field)[-1]) for field in ("f0_hz", "confidence")
        })
        for id, track in tracks.items()
    }  # fmt: skip

    def cents(x, f0):
        found = separate_voices(recording_from_array(x / 100, RATE), voices, f0=f0, options=Options(model="network")).f0
        return [1200 * np.log2(np.maximum(found[voice.id].at(np.arange(0.1, 3.9, 0.01)).f0_hz, 1)) for voice in voices]

    assert np.abs(np.subtract(cents(soft, tracks), cents(after, held))).mean() < 1


def test_blocks_meet_without_a_seam(quartet, monkeypatch):
    stems, tracks, voices = quartet
    x = stems.sum(0)
    whole = images(separated(x, RATE, voices, tracks), voices)
    monkeypatch.setattr("partbook.engine.stretches._stretch_s", lambda *arguments: 1.0)
    pieces = images(separated(x, RATE, voices, tracks), voices)
    assert pieces.shape == whole.shape
    # Each stretch is fitted by itself: around a joint the images are alike, neither faint nor doubled.
    around = slice(RATE - 800, RATE + 2400)
    for one, other in zip(pieces[:, 0, around], whole[:, 0, around], strict=True):
        assert si_sdr(other, one) > 10
        assert 0.8 < np.std(one) / np.std(other) < 1.25
    # A seam would be a click: more energy above 3 kHz around a joint than in the whole.
    stft = Stft(256, 64)

    def clicks(y):
        return stft(torch.from_numpy(y[:, 0]))[:, 48:].abs().square().sum((0, 1)).numpy()

    joint = slice((RATE - 400) // 64, (RATE + 2000) // 64)
    assert clicks(pieces)[joint].max() < 4 * clicks(whole)[joint].max() + 1e-6


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_channels_share_one_mask(quartet, channels):
    stems, tracks, voices = quartet
    x = stems.sum(0)[: RATE // 2] * np.linspace(1, 0.2, channels, dtype=np.float32)[:, None]
    found = images(separated(x, RATE, voices, tracks), voices)
    assert found.shape == (4, channels, RATE // 2)
    assert np.allclose(found[:, -1], found[:, 0] * (1 if channels == 1 else 0.2), atol=1e-4)


@pytest.mark.parametrize("model", ["fit", "both"])
def test_voices_on_two_channels_are_told_apart_by_where_they_stand(quartet, model):
    stems, tracks, voices = quartet
    angle = np.linspace(0.3, 1.2, len(stems))[:, None]
    placed = np.stack([stems * np.cos(angle), stems * np.sin(angle)], 1).astype(np.float32)
    found = images(separated(placed.sum(0), RATE, voices, tracks, model=model), voices)
    shared = images(separated(stems.sum(0), RATE, voices, tracks, model=model), voices)[:, 0]
    better_db = np.array([
        np.mean([si_sdr(s, e) for s, e in zip(side, heard, strict=True)]) - si_sdr(stem, alone)
        for side, heard, stem, alone in zip(placed, found, stems, shared, strict=True)
    ])  # fmt: skip
    assert better_db.min() > 0.5 and better_db.mean() > 2


def test_a_mono_recording_that_was_widened_is_separated_as_it_is(quartet):
    stems, tracks, voices = quartet
    mono = stems.sum(0)
    late = np.stack([mono, np.roll(mono, 12)])
    alone, found = (images(separated(x, RATE, voices, tracks), voices)[:, 0] for x in (mono, late))
    off = [si_sdr(s, a) - si_sdr(s, f) for s, a, f in zip(stems, alone, found, strict=True)]
    assert np.mean(off) < 0.1


@pytest.mark.parametrize(("rate", "samples"), [(1000, 500), (8000, 1), (11025, 4321), (44100, 9999), (192000, 20000)])
@pytest.mark.parametrize("blind", [True, False])
def test_any_rate_and_length_gives_finite_stems_of_the_same_length(rate, samples, blind, rng):
    voices = named_voices(["soprano", "bass"])
    x = rng.normal(0, 0.1, samples).astype(np.float32)
    times_s = np.arange(0, samples / rate + 0.01, 0.008)
    tracks = {} if blind else {voice.id: _steady(times_s, f) for voice, f in zip(voices, (400.0, 110.0), strict=True)}
    result = separated(x, rate, voices, tracks)
    total = images(result, voices).sum(0)[0] + np.ravel(result.residual)
    assert total.shape == (samples,) and np.abs(total - x).max() < 1e-6


@pytest.mark.parametrize("blind", [True, False])
def test_silence_gives_silence(blind):
    voices = named_voices(["alto", "tenor"])
    tracks = {} if blind else {voice.id: _steady(np.arange(0, 1, 0.008), 200.0) for voice in voices}
    result = separated(np.zeros(RATE, np.float32), RATE, voices, tracks)
    assert not images(result, voices).any() and not np.any(result.residual)


def test_energy_above_the_analysed_band_reaches_the_stems(quartet):
    *_, voices = quartet
    rng = np.random.default_rng(0)
    rate = 48000
    x = sum(np.cos(2 * np.pi * 200 * k * np.arange(rate) / rate) for k in range(1, 100)) * 0.01
    x = (x + 0.001 * rng.normal(size=rate)).astype(np.float32)
    steady = {voice.id: _steady(np.arange(0, 1, 0.008), 200.0 * (n + 1)) for n, voice in enumerate(voices)}
    result = separated(x, rate, voices, steady)
    high = np.abs(np.fft.rfft(images(result, voices)[:, 0])[:, 10000:]) ** 2
    left = np.abs(np.fft.rfft(np.ravel(result.residual))[10000:]) ** 2
    assert high.sum() > 4 * left.sum()


def _steady(times_s, f0_hz):
    from partbook.pitch.tracks import Track

    return Track(times_s, np.full(len(times_s), f0_hz), np.ones(len(times_s)))
