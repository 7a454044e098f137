"""Every source model in every room: one loop fits them all."""

from dataclasses import replace

import pytest
import torch

from partbook import wiener
from partbook.dsp.oscillator import flat_partials
from partbook.dsp.stft import Stft
from partbook.fit import fit
from partbook.room.fastmnmf import FastMnmf
from partbook.room.fullrank import FullRank
from partbook.room.single import Apart, Single
from partbook.sources import source_filter
from partbook.sources.nmf import Nmf

RATE, VOICES = 8000, 3
STFT = Stft(512, 128)
BINS_HZ = torch.arange(STFT.bins) * (RATE / STFT.n_fft)


def combs():
    """Return the combs of three voices that move against each other, shape (N, F, T)."""
    t = torch.arange(RATE) / RATE
    f0_hz = torch.stack([150 * 2 ** (0.2 * t), 241 * 2 ** (-0.1 * t), 367 * 2 ** (0.05 * torch.sin(30 * t))])
    return STFT(flat_partials(f0_hz, RATE, 4000)).abs() ** 2


def drawn(microphones, seed=0):
    """Return spectra (M, F, T) and images drawn from the Gaussian model with source-filter powers and a faint floor."""
    rng = torch.Generator().manual_seed(seed)
    truth = source_filter.start(combs(), BINS_HZ, rng)
    truth = replace(truth, filter_NJK=truth.filter_NJK**3, activation_NKT=truth.activation_NKT**3)
    lambda_NFT = truth.power().double()

    def normal(*shape):
        return torch.complex(*(torch.randn(2, *shape, generator=rng, dtype=torch.float64) / 2**0.5))

    mixing_FMM = torch.eye(microphones) + 0.3 * normal(STFT.bins, microphones, microphones)
    g_NM = torch.full((VOICES + 1, microphones), 0.05, dtype=torch.float64)
    g_NM[torch.arange(VOICES), torch.arange(VOICES) % microphones] = 1
    channels = (
        normal(VOICES + 1, microphones, *lambda_NFT.shape[1:]) * (g_NM[..., None, None] * lambda_NFT[:, None]).sqrt()
    )
    images = torch.einsum("fml,nlft->nmft", mixing_FMM, channels)
    return images.sum(0), images, g_NM


def source_model(name, seed=1):
    rng = torch.Generator().manual_seed(seed)
    if name == "source-filter":
        model = source_filter.start(combs(), BINS_HZ, rng)
        return replace(model, **{k: v.double() for k, v in vars(model).items()})
    model = Nmf.random(VOICES + 1, STFT.bins, 4, STFT.frames(RATE), rng)
    return Nmf(model.W_NFK.double(), model.H_NKT.double())


def room_model(name, g_NM):
    if name in ("single", "apart"):
        return Single() if name == "single" else Apart()
    diagonal = FastMnmf.identity(STFT.bins, g_NM)
    return diagonal if name == "fastmnmf" else FullRank.from_diagonal(diagonal)


def observed(X_MFT, room):
    if isinstance(room, Apart):
        # Every source by itself, for want of a better estimate an equal share of the recording.
        return (X_MFT.abs() ** 2).sum(0).expand(VOICES + 1, -1, -1) / (VOICES + 1)
    return (X_MFT.abs() ** 2).sum(0) if isinstance(room, Single) else X_MFT


def images_of(X_MFT, sources, room):
    if isinstance(room, Single | Apart):
        return wiener.soft_masked(X_MFT, sources.power())
    if isinstance(room, FastMnmf):
        return wiener.multichannel(X_MFT, sources.power(), room.Q_FMM, room.g_NM)
    return wiener.full_rank(X_MFT, sources.power(), room.basis_FMM, room.R_FNMM)


def fitted(X_MFT, sources, room, iterations=6):
    return fit(observed(X_MFT, room), sources, room, iterations=iterations, beta=0.0)


def sdr_db(truth, estimate):
    return 10 * torch.log10(truth.abs().square().sum() / (truth - estimate).abs().square().sum()).item()


pairs = pytest.mark.parametrize(
    ("sources_name", "room_name"),
    [(s, r) for s in ("nmf", "source-filter") for r in ("single", "apart", "fastmnmf", "fullrank")],
)


@pytest.fixture(scope="module")
def recording():
    return drawn(microphones=4)


@pairs
def test_every_round_lowers_the_divergence(sources_name, room_name, recording):
    X, _, g_NM = recording
    sources, room = source_model(sources_name), room_model(room_name, g_NM)
    seen = observed(X, room)
    before = room.divergence(seen, sources.power(), 0.0)
    for _ in range(4):
        sources, room = fitted(X, sources, room, iterations=1)
        after = room.divergence(seen, sources.power(), 0.0)
        assert after < before
        before = after


@pairs
def test_images_sum_to_every_microphone(sources_name, room_name, recording):
    X, _, g_NM = recording
    images = images_of(X, *fitted(X, source_model(sources_name), room_model(room_name, g_NM), 2))
    assert (images.sum(0) - X).abs().max() < 1e-9 * X.abs().max()


@pairs
def test_a_louder_recording_has_louder_images(sources_name, room_name, recording):
    X, _, g_NM = recording
    quiet, loud = (
        images_of(gain * X, *fitted(gain * X, source_model(sources_name), room_model(room_name, g_NM), 40))
        for gain in (1.0, 2.0)
    )
    # The start has a scale of its own; the fit forgets it.
    assert sdr_db(2 * quiet, loud) > 10


@pairs
def test_permuted_sources_give_permuted_images(sources_name, room_name, recording):
    X, _, g_NM = recording
    order = [2, 0, 1, 3]
    sources = source_model(sources_name)
    if sources_name == "nmf":
        swapped = Nmf(sources.W_NFK[order], sources.H_NKT[order])
    else:
        names = ("comb_NFT", "filter_NJK", "activation_NKT", "breath_NIK", "breathing_NKT")
        swapped = replace(sources, **{name: getattr(sources, name)[order[:-1]] for name in names})
    straight = images_of(X, *fitted(X, sources, room_model(room_name, g_NM)))
    permuted = images_of(X, *fitted(X, swapped, room_model(room_name, g_NM[order])))
    assert sdr_db(straight[order], permuted) > 60


@pairs
def test_silence_stays_silent_and_finite(sources_name, room_name, recording):
    X, _, g_NM = recording
    images = images_of(0 * X, *fitted(0 * X, source_model(sources_name), room_model(room_name, g_NM), 3))
    assert torch.isfinite(torch.view_as_real(images)).all() and not images.any()


def test_sources_heard_apart_are_fitted_as_if_each_were_the_only_one():
    _, images, _ = drawn(microphones=1)
    seen = images[:, 0].abs().square()
    together = fit(seen, source_model("nmf"), Apart(), iterations=3, beta=0.0)[0].power()
    for n in range(VOICES + 1):
        model = source_model("nmf")
        alone = Nmf(model.W_NFK[[n]], model.H_NKT[[n]])
        torch.testing.assert_close(fit(seen[n], alone, Single(), iterations=3, beta=0.0)[0].power()[0], together[n])


def test_f0_and_microphones_together_beat_either_alone(recording):
    X, truth, g_NM = recording
    own = torch.arange(VOICES)

    def score(sources_name, room_name):
        images = images_of(X, *fitted(X, source_model(sources_name), room_model(room_name, g_NM), 20))
        return sum(sdr_db(truth[n, n], images[n, n]) for n in own) / VOICES

    both = score("source-filter", "fastmnmf")
    assert both > score("nmf", "fastmnmf") + 1
    assert both > score("source-filter", "single") + 1
