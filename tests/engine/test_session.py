from dataclasses import replace

import numpy as np
import pytest
import scipy.signal
import torch

from partbook.audio import Microphone, excerpt, open_session, recording_from_array
from partbook.config import Options, SessionConfig, SessionOptions
from partbook.dsp.stft import Stft
from partbook.engine.session import separate_session
from partbook.errors import Cancelled, OptionError

QUICK = SessionConfig(window_s=0.064, components=4, diagonal_rounds=8, full_rounds=2, context_s=0.1, fade_s=0.05)


def roles(mains, spots):
    """Return microphones: so many mains, then a spot for every player named in ``spots``."""
    microphones = [Microphone(f"Main{m + 1}", "", m + 1, "main") for m in range(mains)]
    for player in spots:
        taken = sum(microphone.source == player for microphone in microphones)
        microphones.append(Microphone(f"{player}.{taken}", "", len(microphones) + 1, "spot", player))
    return tuple(microphones)


def session(samples, microphones, rate=8000):
    return replace(recording_from_array(samples.astype(np.float32), rate), microphones=microphones)


def players(count, samples, rate, seed=0):
    """Return plucked harmonic tones of changing pitch, one row per player."""
    rng = np.random.default_rng(seed)
    times_s = np.arange(samples) / rate
    rows = []
    for n in range(count):
        f0_hz = np.repeat(rng.choice([200, 225, 250, 300, 330, 375], 20) * (1 + n / 2), -(-samples // 20))[:samples]
        envelope = np.exp(-((times_s * (2 + n)) % 1) * 4)
        phase = 2 * np.pi * np.cumsum(f0_hz) / rate
        rows.append(envelope * sum(np.sin(k * phase) / k for k in range(1, 6) if k * f0_hz.max() < rate / 2))
    return np.array(rows)


def hall(count=3, mains=2, samples=12_000, rate=8000, seed=0):
    """Return images (N, M, S) of players in a made-up hall: own spots near, all else far and reverberant."""
    rng = np.random.default_rng(seed)
    dry = players(count, samples, rate)
    taps = int(0.1 * rate)
    decay = np.exp(-np.arange(taps) / (0.02 * rate))
    responses = 0.03 * rng.standard_normal((count, mains + count, taps)) * decay
    for n in range(count):
        responses[n, mains + n, 0] += 1
    return scipy.signal.fftconvolve(dry[:, None], responses, axes=-1)[..., :samples]


def separated(recording, config=QUICK, **options):
    separation = separate_session(recording, options=Options(**options), config=config)
    blocks = list(separation.blocks())
    edges = np.cumsum([0] + [block.images.shape[-1] for block in blocks])
    assert [block.start for block in blocks] == list(edges[:-1]) and edges[-1] == recording.length
    images = np.concatenate([block.images for block in blocks], -1)
    assert images.dtype == np.float32 and np.isfinite(images).all()
    assert images.shape == (len(separation.sources), len(recording.microphones), recording.length)
    return images


def decibel(error, reference):
    return 10 * np.log10(np.sum(np.square(error, dtype=float)) / np.sum(np.square(reference, dtype=float)) + 1e-30)


@pytest.fixture(scope="module")
def truth():
    return hall()


@pytest.fixture(scope="module")
def recording(truth):
    return session(truth.sum(0), roles(2, ["a", "b", "c"]))


@pytest.fixture(scope="module")
def images(recording):
    return separated(recording)


def test_every_player_comes_out_better_than_at_any_microphone(truth, recording, images):
    mixture = recording.read(0, recording.length)
    for n in range(3):
        for m in (0, 2 + n):
            before, after = (decibel(x - truth[n, m], truth[n, m]) for x in (mixture[m], images[n, m]))
            assert after < before - 6


@pytest.mark.parametrize("section_s", [15.0, 0.4])
@pytest.mark.parametrize("band_hz", [12000.0, 2000.0])
def test_without_a_background_the_images_sum_to_every_microphone(recording, section_s, band_hz):
    config = replace(QUICK, background=False, section_s=section_s, band_hz=band_hz)
    mixture = recording.read(0, recording.length)
    for error, microphone in zip(separated(recording, config).sum(0) - mixture, mixture, strict=True):
        assert decibel(error, microphone) < -120


def test_the_background_takes_little_of_what_players_play(recording, images):
    mixture = recording.read(0, recording.length)
    assert decibel(mixture - images.sum(0), mixture) < -30


def test_steady_noise_goes_to_the_background(truth):
    noise = 0.02 * np.random.default_rng(1).standard_normal(truth.shape[1:])
    images = separated(session(truth.sum(0) + noise, roles(2, ["a", "b", "c"])))
    residual = truth.sum(0) + noise - images.sum(0)
    pause = np.abs(truth.sum((0, 1))) < 0.02
    assert -9 < decibel(residual[:, pause], noise[:, pause]) < 1
    assert decibel(residual, noise) < 1


@pytest.mark.parametrize("gain", [-1.0, 1e-4, 30.0])
def test_gain_and_polarity_are_kept(recording, images, gain):
    louder = session(gain * recording.read(0, recording.length), recording.microphones)
    assert decibel(separated(louder) / gain - images, images) < -60


def test_natural_gains_of_single_microphones_are_kept(recording, images):
    gains = np.array([1e-3, 1, 20, 0.1, 3])[:, None]
    other = session(gains * recording.read(0, recording.length), recording.microphones)
    assert decibel(separated(other) / gains - images, images) < -60


def test_the_order_of_microphones_and_players_hardly_matters(recording, images):
    order = [4, 1, 2, 0, 3]
    microphones = tuple(recording.microphones[m] for m in order)
    shuffled = separated(session(recording.read(0, recording.length)[order], microphones))
    assert decibel(shuffled - images[[2, 0, 1]][:, order], images) < -20


def test_the_same_seed_gives_the_same_bytes(recording, images):
    assert np.array_equal(separated(recording), images)
    assert not np.array_equal(separated(recording, seed=1), images)


def test_sections_agree_with_one_piece(truth, recording):
    config = replace(QUICK, section_s=0.4, room_s=0.8)
    cut = separated(recording, config)
    own = [(n, 2 + n) for n in range(3)]
    assert all(decibel(cut[n, m] - truth[n, m], truth[n, m]) < -8 for n, m in own)


@pytest.mark.parametrize("samples", [1, 2, 17, 255, 1001])
def test_any_length_is_separated(samples):
    noise = 0.1 * np.random.default_rng(0).standard_normal((3, samples))
    separated(session(noise, roles(1, ["a", "b"])))


@pytest.mark.parametrize("rate", [1000, 44_100, 192_000])
def test_any_rate_is_separated(rate):
    images = hall(2, 1, rate // 4, rate)
    recording = session(images.sum(0), roles(1, ["a", "b"]), rate)
    config = replace(QUICK, background=False)
    assert decibel(separated(recording, config).sum(0) - images.sum(0), images.sum(0)) < -110


@pytest.mark.parametrize(
    "mains, spots",
    [(0, ["a"]), (0, ["a", "b"]), (2, ["a"]), (1, ["a", "a", "b"]), (4, ["a", "b"]), (16, list("abcdefghijklmnop"))],
)
def test_any_number_of_microphones_is_separated(mains, spots):
    noise = 0.1 * np.random.default_rng(0).standard_normal((mains + len(spots), 1500))
    images = separated(session(noise, roles(mains, spots)), replace(QUICK, background=False))
    assert len(images) == len(set(spots))
    assert decibel(images.sum(0) - noise, noise) < -110


def test_silence_gives_silence(recording):
    silence = session(np.zeros((5, 4000)), recording.microphones)
    assert not separated(silence).any()


def test_dead_microphones_stay_silent_and_spoil_nothing(truth, recording):
    samples = recording.read(0, recording.length)
    samples[[1, 3]] = 0
    images = separated(session(samples, recording.microphones))
    assert not images[:, [1, 3]].any()
    assert not images[1].any()
    assert decibel(images[0, 2] - truth[0, 2], truth[0, 2]) < -8


def test_twin_microphones_do_no_harm(truth, recording):
    samples = recording.read(0, recording.length)
    twins = np.concatenate([samples, samples[:1]])
    images = separated(session(twins, (*recording.microphones, Microphone("Twin", "", 6, "main"))))
    assert decibel(images[:, 5] - images[:, 0], images[:, 0]) < -60
    assert decibel(images[0, 2] - truth[0, 2], truth[0, 2]) < -8


def test_a_pause_of_all_players_stays_finite(recording):
    samples = recording.read(0, recording.length)
    samples[:, 4000:9000] = 0
    images = separated(session(samples, recording.microphones))
    assert np.abs(images[:, :, 5000:8000]).max() < 1e-3 * np.abs(samples).max()


def test_cancelling_stops_the_fit_and_the_blocks(recording):
    with pytest.raises(Cancelled):
        separate_session(recording, options=Options(), config=QUICK, on_progress=lambda event: event.done < 3)
    calls = []

    def stop(event):
        calls.append(event.stage)
        return event.stage != "separate"

    separation = separate_session(recording, options=Options(), config=QUICK, on_progress=stop)
    with pytest.raises(Cancelled):
        list(separation.blocks())
    assert {"players", "room", "separate"} == set(calls)


def test_a_real_quintet_keeps_every_player_at_its_own_spot(shared):
    """Levels where a player dominates, own spectrum 10 dB above the other spots'; everything sums to the recording."""
    names = ["Violin1", "Violin2", "Flute", "Clarinet", "Cello"]
    folder = shared / "ensembles" / "quintet_session" / "mics"
    recording = excerpt(open_session(folder, spots=names, main=["Left", "Center", "Right"]), 4, 8)
    images = separated(recording, SessionConfig(diagonal_rounds=15, full_rounds=2))
    spots = recording.read(0, recording.length)[3:]
    stft = Stft(4096, 1024)
    before, after = (stft(torch.from_numpy(x)).abs().square() for x in (spots, images[range(5), range(3, 8)]))
    for n in range(5):
        others = before[[k for k in range(5) if k != n]].amax(0)
        own = before[n] > 10 * others
        assert abs(10 * torch.log10(after[n][own].sum() / before[n][own].sum())) < 0.5
        assert after[n][others > 10 * before[n]].sum() < 0.5 * before[n][others > 10 * before[n]].sum()


def test_who_plays_when_is_obeyed(truth, recording, tmp_path):
    samples = recording.read(0, recording.length)
    plays = tmp_path / "plays.csv"
    plays.write_text("a,0,0.5\n")
    separation = separate_session(
        recording, options=Options(), config=replace(QUICK, rt60_s=0.1), session=SessionOptions(plays=plays)
    )
    images = np.concatenate([block.images for block in separation.blocks()], -1)
    assert decibel(images[0, :, 8000:], samples[:, 8000:]) < -60
    assert decibel(images[0, 2, :4000] - truth[0, 2, :4000], truth[0, 2, :4000]) < -6


def test_troubles_of_microphones_are_told(recording):
    samples = recording.read(0, recording.length)
    samples[1] = 0
    told = []
    setup = {
        "unnamed": ["Balcony"],
        "source": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "Tuba", "spot": False}],
    }
    separate_session(
        replace(session(samples, recording.microphones), setup=setup),
        options=Options(),
        config=QUICK,
        on_progress=lambda event: told.append(event.message),
    )
    told = " ".join(told)
    assert "Main2 is dead" in told and "Balcony" in told and "Tuba has no spot" in told


def test_a_listed_player_without_a_microphone_is_refused(recording):
    listed = replace(recording, setup={"source": [{"name": name} for name in ("a", "b", "c", "Tuba")]})
    with pytest.raises(OptionError, match=r"for every player.* got none for Tuba; try .*spot = false"):
        separate_session(listed, options=Options(), config=QUICK)
