import numpy as np
import pytest
import torch

from partbook.coherent import (
    INTERLEAVED,
    LONG,
    Around,
    coherent,
    measured_coherence,
    solve_positive,
    steadiness,
)
from partbook.dsp.oscillator import flat_partials
from partbook.dsp.stft import Stft
from partbook.wiener import at_half_steps, soft_masked

RATE = 16000
STFT = Stft(1024, 256)


def scene(f0_hz=(220.0, 331.0), samples=8000, channels=1, seed=0):
    """Return spectra of two flat harmonic voices, their combs' spectra and their true powers with a faint floor."""
    combs, images = [], []
    generator = torch.Generator().manual_seed(seed)
    for each_hz in f0_hz:
        f0 = torch.full((samples,), each_hz)
        waves = torch.stack([flat_partials(f0, RATE, 8000, first, INTERLEAVED) for first in range(1, INTERLEAVED + 1)])
        combs.append(STFT(waves) * (4 / STFT.n_fft))
        images.append(STFT(waves.sum(0)) * (4 / STFT.n_fft) * torch.rand(channels, 1, 1, generator=generator).exp())
    images = torch.stack(images)
    lambda_NFT = torch.cat([(images.abs() ** 2).sum(1), torch.full((1, *images.shape[2:]), 1e-6)])
    return images.sum(0), torch.stack(combs), lambda_NFT, images


def test_images_sum_to_the_mixture():
    X, combs, lambda_NFT, _ = scene(channels=2)
    for share in (0.0, 0.4, 0.9):
        images = coherent(X, lambda_NFT, combs, torch.full((STFT.bins,), share))
        assert (images.sum(0) - X).abs().max() < 1e-5 * X.abs().max()


@pytest.mark.parametrize("place", [(4, 5), (1, 5), (4, 0)])
def test_an_image_is_the_posterior_mean_given_two_bins_and_two_frames_on_either_side(place):
    rng, (voices, bins, frames), share = np.random.default_rng(5), (2, 9, 11), 0.6
    interleaved = 2
    X = rng.standard_normal((bins, frames, 2)) @ (1, 1j)
    combs = rng.standard_normal((voices, interleaved, bins, frames, 2)) @ (1, 1j)
    powers = rng.uniform(0.1, 1, (voices + 1, bins, frames))
    tensors = (torch.from_numpy(each) for each in (X[None], powers, combs))
    single = [each.to(torch.complex64 if each.is_complex() else torch.float32) for each in tensors]
    found = coherent(*single, torch.full((bins,), share))[(slice(None), 0, *place)].numpy()

    f, t = place
    around = np.s_[..., max(0, f - 2) : f + 3, max(0, t - 2) : t + 3]
    mean = (np.abs(combs) ** 2).sum(1)
    prior = np.repeat((share * powers[:voices] / (mean + 1e-3 * mean.max()))[:, f, t], interleaved)
    alone = np.concatenate([(1 - share) * powers[:voices], powers[voices:]])
    noise = np.diag(1 / alone.sum(0)[around].ravel())
    E = combs[around].reshape(voices * interleaved, -1).T
    amplitudes = np.linalg.solve(E.conj().T @ noise @ E + np.diag(1 / prior), E.conj().T @ noise @ X[around].ravel())
    heard = (amplitudes.reshape(voices, interleaved) * combs[..., f, t]).sum(1)
    expected = alone[:, f, t] / alone[:, f, t].sum() * (X[f, t] - heard.sum())
    expected[:voices] += heard
    assert np.allclose(found, expected, atol=1e-5)


def test_a_longer_neighbourhood_hears_a_steady_sinusoid_better():
    X, combs, _, truth = scene(samples=16000)
    noise = STFT(0.2 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))) * (4 / STFT.n_fft)
    lambda_NFT = torch.cat([(truth.abs() ** 2).sum(1), noise.abs().square().mean() * torch.ones(1, *X.shape[1:])])
    share = torch.full((STFT.bins,), 0.95)
    short, long = (coherent(X + noise, lambda_NFT, combs, share, around=Around(n, 0.1))[:2] for n in (2, 6))
    error = [float((images - truth).abs().square().sum()) for images in (short, long)]
    assert error[1] < 0.8 * error[0]


def test_noise_is_hardly_coherent_in_a_longer_neighbourhood_either():
    finer = Stft(STFT.n_fft, STFT.hop_samples // 2)
    wave = flat_partials(torch.full((64000,), 220.0), RATE, 8000)
    combs = finer(wave)[None, None] * (4 / STFT.n_fft)
    lambda_NFT = torch.cat([combs[0].abs() ** 2, torch.full((1, *combs.shape[2:]), 1e-6)])
    noise = finer(torch.randn(1, 64000, generator=torch.Generator().manual_seed(0)))
    assert (measured_coherence(noise, lambda_NFT, combs, bins_hz(), LONG) < 0.005).all()
    assert (measured_coherence(combs[:, 0], lambda_NFT, combs, bins_hz(), LONG)[bins_hz() < 2000] > 0.6).all()


def test_without_coherence_it_is_the_ordinary_filter():
    X, combs, lambda_NFT, _ = scene()
    images = coherent(X, lambda_NFT, combs, torch.zeros(STFT.bins))
    assert torch.allclose(images, soft_masked(X, lambda_NFT), atol=1e-6)


def test_it_tells_apart_partials_that_share_a_bin():
    # The third partial of 220 Hz and the second of 331 Hz are 2 Hz apart: far less than a bin.
    X, combs, lambda_NFT, truth = scene(samples=16000)

    def error(images):
        return float((images[:2] - truth).abs().square().sum() / truth.abs().square().sum())

    share = torch.full((STFT.bins,), 0.9)
    assert error(coherent(X, lambda_NFT, combs, share)) < 0.5 * error(soft_masked(X, lambda_NFT))


def test_chunks_of_frames_do_not_change_the_result():
    X, combs, lambda_NFT, _ = scene()
    share = torch.full((STFT.bins,), 0.5)
    whole, cut = (coherent(X, lambda_NFT, combs, share, frames_at_once=n) for n in (1000, 7))
    assert torch.allclose(whole, cut, atol=1e-5)


def test_scale_of_the_recording_passes_through():
    X, combs, lambda_NFT, _ = scene()
    share = torch.full((STFT.bins,), 0.5)
    images = coherent(X, lambda_NFT, combs, share)
    assert torch.allclose(coherent(10 * X, lambda_NFT * 100, combs, share), 10 * images, atol=1e-3)


def test_sound_beside_digital_silence_has_finite_images():
    X, combs, lambda_NFT, _ = scene(samples=16000)
    X[..., 20:], lambda_NFT[..., 20:] = 0, 0
    for level in (1.0, 1e4):
        images = coherent(level * X, level**2 * lambda_NFT, combs, torch.full((STFT.bins,), 0.9))
        assert torch.isfinite(torch.view_as_real(images)).all()
        assert (images.sum(0) - level * X).abs().max() < 1e-5 * level * X.abs().max()


def test_solver_agrees_with_lapack():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(50, 6, 6)) + 1j * rng.normal(size=(50, 6, 6))
    A = A @ A.conj().swapaxes(1, 2) + np.eye(6)
    b = rng.normal(size=(50, 6, 2)) + 1j * rng.normal(size=(50, 6, 2))
    x = solve_positive(torch.from_numpy(A).permute(1, 2, 0), torch.from_numpy(b).permute(1, 2, 0))
    assert np.allclose(x.permute(2, 0, 1).numpy(), np.linalg.solve(A, b))


def bins_hz():
    return torch.arange(STFT.bins) * (RATE / STFT.n_fft)


def test_sinusoids_that_follow_their_f0_are_nearly_all_coherent():
    X, combs, lambda_NFT, _ = scene(samples=64000)
    low = bins_hz() < 2000
    assert (measured_coherence(X, lambda_NFT, combs, bins_hz())[low] > 0.6).all()


def test_few_neighbourhoods_tell_the_share_that_all_of_them_do(monkeypatch):
    """Also where little was heard and they are doubted: each stands for those between."""
    X, combs, lambda_NFT, _ = scene(samples=64000)
    X = X + 0.3 * X.abs().mean() * STFT(torch.randn(1, 64000, generator=torch.Generator().manual_seed(0))) / 20
    monkeypatch.setattr("partbook.coherent.ASKED", 10**9)
    by_all = measured_coherence(X, lambda_NFT, combs, bins_hz())
    monkeypatch.setattr("partbook.coherent.ASKED", 500)
    by_few = measured_coherence(X, lambda_NFT, combs, bins_hz())
    assert (by_few - by_all).abs().max() < 0.05 and (by_few != by_all).any()


def test_noise_is_hardly_coherent():
    _, combs, lambda_NFT, _ = scene(samples=64000)
    noise = torch.randn(1, 64000, generator=torch.Generator().manual_seed(0))
    assert (measured_coherence(STFT(noise), lambda_NFT, combs, bins_hz()) < 0.05).all()


def test_the_less_right_an_f0_the_less_is_coherent():
    X, _, lambda_NFT, _ = scene(samples=64000)
    shares = []
    for cents in (0, 10, 20, 40):
        _, combs, _, _ = scene([f * 2 ** (cents / 1200) for f in (220.0, 331.0)], samples=64000)
        shares.append(measured_coherence(X, lambda_NFT, combs, bins_hz())[bins_hz() < 2000].mean())
    assert shares == sorted(shares, reverse=True) and shares[-1] < 0.5 * shares[0]


def test_coherence_knows_no_scale_and_nothing_of_silence():
    X, combs, lambda_NFT, _ = scene(channels=2)
    once, tenfold = (measured_coherence(gain * X, gain**2 * lambda_NFT, combs, bins_hz()) for gain in (1.0, 10.0))
    assert torch.allclose(once, tenfold, atol=1e-4)
    assert (measured_coherence(0 * X, 0 * lambda_NFT, combs, bins_hz()) == 0).all()


def sections(cents, samples=64000):
    """Return spectra, powers and combs of two voices, each sung by three whose pitches are so far apart."""
    X, combs, lambda_NFT, _ = scene(samples=samples)
    for off in (-cents, cents):
        X = X + scene([f * 2 ** (off / 1200) for f in (220.0, 331.0)], samples, seed=abs(off))[0]
    return X, lambda_NFT, combs


def test_sections_are_less_steady_than_single_voices_and_all_lie_between_nothing_and_one():
    found = [steadiness(*sections(cents), bins_hz()) for cents in (0, 8, 16, 32)]
    assert found == sorted(found, reverse=True) and found[0] > 0.5 > 0.2 > found[-1] >= 0


def test_steadiness_knows_no_scale_and_hears_nothing_beyond_its_band():
    X, lambda_NFT, combs = sections(8, 16000)
    once = steadiness(X, lambda_NFT, combs, bins_hz())
    assert steadiness(10 * X, 100 * lambda_NFT, combs, bins_hz()) == pytest.approx(once, abs=1e-4)
    beyond = bins_hz() > 1600
    X[:, beyond] = torch.randn(X[:, beyond].shape, generator=torch.Generator().manual_seed(0)).to(X.dtype)
    assert steadiness(X, lambda_NFT, combs, bins_hz()) == pytest.approx(once, abs=1e-4)


@pytest.mark.parametrize("frames", [9, 10])
def test_between_two_frames_lies_their_geometric_mean(frames):
    powers = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0)) * 10.0 ** torch.arange(-8, 4, 3)[:, None]
    twice = at_half_steps(powers, frames)
    assert twice.shape == (3, 4, frames) and torch.equal(twice[..., ::2], powers)
    torch.testing.assert_close(twice[..., 1:9:2], (powers[..., :-1] * powers[..., 1:]).sqrt())
    assert frames == 9 or torch.allclose(twice[..., 9], powers[..., -1])
    assert torch.isfinite(at_half_steps(0 * powers, frames)).all()
