import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from partbook.audio import Microphone, recording_from_array
from partbook.config import Options
from partbook.data.render import sung_dry
from partbook.data.scores import bundled_score
from partbook.dsp.oscillator import flat_partials
from partbook.dsp.stft import Stft
from partbook.engine import adapting
from partbook.engine.adapting import AdaptConfig, Heard, adapted, drawn, error_db
from partbook.engine.voices import separate_voices
from partbook.ensemble import named_voices
from partbook.errors import OptionError
from partbook.separate import separate_recording
from partbook.singer.model import Singer, SingerConfig
from partbook.stems import collect
from partbook.train.weights import seeded

RATE, STFT = 16000, Stft(1024, 256)
BINS_HZ = torch.arange(STFT.bins) * (RATE / STFT.n_fft)
FRAME_S = STFT.hop_samples / RATE
QUICK = AdaptConfig(window_s=0.3, learning_rate=1e-2, checked_on=3, check_every=4)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Stop the clock: no test depends on how fast the machine is; return what it shows, to be set."""
    shown = {"s": 0.0, "per_look": 0.0}

    def look():
        shown["s"] += shown["per_look"]
        return shown["s"]

    monkeypatch.setattr(adapting, "monotonic", look)
    return shown


@pytest.fixture(scope="module")
def singer():
    """Return a network without training: a few rounds of a fit."""
    return seeded(lambda: Singer(SingerConfig(bands=16, channels=8)), 0).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def piece():
    """Return a second and a half of two voices of different spectra that glide."""
    at = torch.arange(int(1.5 * RATE)) / RATE
    f0_hz = torch.stack([220 * 2 ** (at / 6), 330 * 2 ** (-at / 5)])
    combs = torch.stack([STFT(flat_partials(each, RATE, 8000)) for each in f0_hz])
    fall = torch.stack([1 / (1 + (BINS_HZ / 300) ** 2), 1 / (1 + ((BINS_HZ - 1500) / 500) ** 2)])
    X_FT = (combs * fall[..., None]).sum(0)
    frames_hz = f0_hz[:, :: STFT.hop_samples]
    frames_hz = torch.nn.functional.pad(frames_hz, (0, X_FT.shape[-1] - frames_hz.shape[-1]), mode="replicate")
    return Heard(X_FT, (combs * (4 / STFT.n_fft)).abs() ** 2, frames_hz)


def after(singer, *pieces, budget_s=2.0, **settings):
    return adapted(singer, pieces, BINS_HZ, FRAME_S, budget_s, config=settings.pop("config", QUICK), **settings)


def test_training_on_a_recording_lowers_the_error_on_sums_of_it_and_leaves_the_given_network_alone(singer, piece):
    before = copy.deepcopy(singer.state_dict())
    learned = after(singer, piece)
    sums = [drawn([piece], 19, 6.0, np.random.default_rng([n, 9])) for n in range(4)]
    assert error_db(learned, sums, BINS_HZ) < error_db(singer, sums, BINS_HZ) - 0.3
    assert all(torch.equal(before[name], value) for name, value in singer.state_dict().items())


def test_a_network_that_only_gets_worse_is_left_as_it_was(singer, piece):
    config = AdaptConfig(window_s=0.3, learning_rate=30.0, checked_on=3)
    assert after(singer, piece, budget_s=1.0, config=config) is singer


def test_steps_follow_from_the_budget_and_weights_from_the_seed(singer, piece):
    events = []
    one = after(singer, piece, budget_s=1.0, on_progress=events.append)
    again, other = after(singer, piece, budget_s=1.0), after(singer, piece, budget_s=1.0, seed=1)
    frames = round(QUICK.window_s / FRAME_S)
    assert {event.stage for event in events} == {"adapt"}
    assert events[-1].done == events[-1].total == 500 // (4 * frames) and "dB better" in events[-1].message
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_slow_machine_stops_when_the_time_is_over(singer, piece, clock):
    events, clock["per_look"] = [], 0.5
    after(singer, piece, budget_s=1.0, on_progress=events.append)
    assert events[-1].total == 6 and events[-1].done == 3


def test_nothing_is_learned_from_silence_from_rests_or_from_next_to_nothing(singer, piece):
    silent = replace(piece, X_FT=torch.zeros_like(piece.X_FT))
    resting = replace(piece, f0_hz=torch.zeros_like(piece.f0_hz))
    for each in ([], [silent], [resting], [piece.between(0, 12)]):
        assert after(singer, *each) is singer


def test_stretches_of_a_sum_are_of_about_the_same_level_and_apart(piece):
    loud = replace(piece, X_FT=1000 * piece.X_FT)
    for n in range(20):
        heard = drawn([piece, loud], 19, 6.0, np.random.default_rng(n))
        levels_db = 10 * heard.X_2FT.abs().square().mean((1, 2)).log10()
        assert abs(float(levels_db[0] - levels_db[1])) <= 6.01
        assert float(heard.X_2FT.sum(0).abs().square().mean()) == pytest.approx(1, rel=1e-4)
        assert heard.f0_hz.shape[0] == 4 and not torch.equal(heard.f0_hz[:2], heard.f0_hz[2:])


def test_an_adapted_separation_is_another_one_and_still_sums_to_the_mixture():
    sung = sung_dry(bundled_score("jesu"), RATE, seed=3)
    mixture = sung.parts[:2, 0, RATE : 4 * RATE].sum(0)
    voices = named_voices(sung.names[:2])
    tracks = {voice.id: track.between(1.0, 4.0) for voice, track in zip(voices, sung.tracks, strict=False)}
    stages, told = set(), {}
    for adapt_s in (0.0, 8.0):
        recording = recording_from_array(mixture, RATE)
        separation = separate_voices(
            recording, voices, f0=tracks, options=Options(adapt_s=adapt_s), on_progress=lambda e: stages.add(e.stage)
        )
        stems = collect(separation)
        told[adapt_s] = np.stack([np.ravel(stems[voice.id]) for voice in voices])
        assert np.abs(told[adapt_s].sum(0) + np.ravel(stems.residual) - mixture).max() < 1e-6
    assert "adapt" in stages and np.abs(told[0.0] - told[8.0]).max() > 1e-3 * np.abs(mixture).max()


@pytest.mark.parametrize("said", [{"adapt_s": -1.0}, {"adapt_s": np.inf}, {"adapt_s": 5.0, "model": "fit"}])
def test_time_to_adapt_in_has_bounds_and_needs_a_network(said):
    with pytest.raises(OptionError):
        Options(**said)


def test_a_session_has_no_voices_to_adapt_to(rng):
    mics = tuple(Microphone(name, f"{name}.wav", 1, "spot", name) for name in ("violin", "cello"))
    recording = replace(recording_from_array(rng.normal(size=(2, 4000)) / 10, RATE), microphones=mics)
    with pytest.raises(OptionError, match="--adapt"):
        separate_recording(recording, options=Options(adapt_s=5.0))
