import numpy as np
import pytest
import torch

from partbook.coherent import Around, coherent
from partbook.dsp.oscillator import flat_partials
from partbook.dsp.stft import Stft
from partbook.room import pair
from partbook.stereo import DIFFUSE, coherent_pair

RATE, STFT = 16000, Stft(1024, 256)


def scene(places=((0.9, 0.44), (0.5, 0.87)), f0_hz=(220.0, 331.0), samples=8000):
    """Return spectra of two flat voices at their places, combs, powers with a faint floor, places, and images."""
    waves = torch.stack([flat_partials(torch.full((samples,), each), RATE, 8000, 1, 1) for each in f0_hz])
    combs = STFT(waves) * (4 / STFT.n_fft)
    images = combs[:, None] * torch.tensor(places)[..., None, None]
    lambda_NFT = torch.cat([images.abs().square().sum(1), torch.full((1, *combs.shape[1:]), 1e-6)])
    R = pair.outer(torch.tensor(places).T + 0j)
    R = torch.cat([R / R[:, :2].sum(1, keepdim=True), torch.tensor([[0.5, 0.5, 0.0, 0.0]])])
    return images.sum(0), combs, lambda_NFT, R.expand(STFT.bins, 3, 4), images


def share(c):
    return torch.full((STFT.bins,), c)


@pytest.mark.parametrize("c", [0.0, 0.4, 0.9])
def test_images_sum_to_the_mixture(c):
    X, combs, lambda_NFT, R, _ = scene()
    for places in (R, R[:200], pair.start(STFT.bins, 3)):
        images = coherent_pair(X, lambda_NFT, combs[:, :150], share(c)[:150], places)
        assert (images.sum(0) - X).abs().max() < 1e-5 * X.abs().max()


@pytest.mark.parametrize("c", [0.0, 0.6])
def test_with_all_places_alike_it_is_the_filter_for_channels_that_share_their_powers(c):
    X, combs, lambda_NFT, _, _ = scene()
    shared = coherent(X, lambda_NFT, combs[:, None], share(c))
    assert (coherent_pair(X, lambda_NFT, combs, share(c), pair.start(STFT.bins, 3)) - shared).abs().max() < 2e-3


@pytest.mark.parametrize("place", [(4, 5), (1, 5), (4, 0)])
def test_an_image_is_the_posterior_mean_given_neighbours_and_places(place):
    rng, (voices, bins, frames), c = np.random.default_rng(5), (2, 9, 11), 0.6
    X = rng.standard_normal((2, bins, frames, 2)) @ (1, 1j)
    combs = rng.standard_normal((voices, bins, frames, 2)) @ (1, 1j)
    powers = rng.uniform(0.1, 1, (voices + 1, bins, frames))
    ways = rng.standard_normal((voices + 1, 2, 3, 2)) @ (1, 1j)
    R = ways @ ways.conj().swapaxes(1, 2)
    R /= np.trace(R, axis1=1, axis2=2)[:, None, None]
    R_FN4 = torch.tensor(np.stack([R[:, 0, 0].real, R[:, 1, 1].real, R[:, 0, 1].real, R[:, 0, 1].imag], -1))
    told = torch.tensor(X).cfloat(), torch.tensor(powers).float(), torch.tensor(combs).cfloat()
    found = coherent_pair(*told, torch.full((bins,), c), R_FN4.float().expand(bins, voices + 1, 4))
    found = found[(slice(None), slice(None), *place)].numpy()

    f, t = place
    near = np.s_[..., max(0, f - 2) : f + 3, max(0, t - 2) : t + 3]
    power = np.abs(combs) ** 2
    prior = (c * powers[:voices] / (power + 1e-3 * power.max()))[:, f, t]
    alone = np.concatenate([(1 - c) * powers[:voices], powers[voices:]])
    noise = np.einsum("nft,nij->ftij", alone, R) + 0.5 * DIFFUSE * alone.sum(0)[..., None, None] * np.eye(2)
    count = combs[near][0].size
    white = np.zeros((2 * count, 2 * count), complex)
    patterns = np.zeros((2 * count, 2 * voices), complex)
    for k, (i, j) in enumerate(np.ndindex(combs[near][0].shape)):
        at = max(0, f - 2) + i, max(0, t - 2) + j
        white[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = np.linalg.inv(noise[at])
        for p in range(voices):
            patterns[2 * k : 2 * k + 2, 2 * p : 2 * p + 2] = combs[p][at] * np.eye(2)
    x = X[near].reshape(2, -1).T.ravel()
    expected_prior = np.zeros((2 * voices, 2 * voices), complex)
    for p in range(voices):
        expected_prior[2 * p : 2 * p + 2, 2 * p : 2 * p + 2] = np.linalg.inv(prior[p] * R[p])
    amplitudes = np.linalg.solve(patterns.conj().T @ white @ patterns + expected_prior, patterns.conj().T @ white @ x)
    heard = amplitudes.reshape(voices, 2) * combs[:, f, t, None]
    left = X[:, f, t] - heard.sum(0)
    expected = np.einsum("n,nij,j->ni", alone[:, f, t], R, np.linalg.solve(noise[f, t], left))
    expected += (alone[:, f, t] / alone[:, f, t].sum())[:, None] * (left - expected.sum(0))
    expected[:voices] += heard
    assert np.allclose(found, expected, atol=1e-4)


def test_voices_that_share_all_their_partials_are_told_apart_by_their_places():
    X, combs, lambda_NFT, R, truth = scene(f0_hz=(220.0, 220.0))

    def error(images):
        return float((images[:2] - truth).abs().square().sum() / truth.abs().square().sum())

    assert error(coherent_pair(X, lambda_NFT, combs, share(0.5), R)) < 0.02
    assert error(coherent(X, lambda_NFT, combs[:, None], share(0.5))) > 0.05


def test_channels_may_be_swapped():
    X, combs, lambda_NFT, R, _ = scene()
    swapped = R[..., [1, 0, 2, 3]] * torch.tensor([1.0, 1.0, 1.0, -1.0])
    images = coherent_pair(X, lambda_NFT, combs, share(0.5), R)
    again = coherent_pair(X.flip(0), lambda_NFT, combs, share(0.5), swapped)
    assert (again.flip(1) - images).abs().max() < 1e-3


def test_how_many_frames_are_solved_at_once_does_not_matter():
    X, combs, lambda_NFT, R, _ = scene()
    for around in (Around(2, 0.17), Around(6, 0.135)):
        one, other = (coherent_pair(X, lambda_NFT, combs, share(0.5), R, n, around) for n in (1000, 7))
        assert torch.allclose(one, other, atol=1e-4)


def test_above_the_known_bins_voices_are_as_loud_in_either_channel_as_below():
    X, combs, lambda_NFT, R, _ = scene()
    lambda_NFT = lambda_NFT.clone()
    lambda_NFT[:2, 300:] = 1.0
    images = coherent_pair(X, lambda_NFT, combs[:, :150], share(0.5)[:150], R[:200])
    ratio = (images[0, :, 300:].abs() / images[1, :, 300:].abs()).mean((1, 2))
    assert torch.allclose(ratio, R[0, 0, :2] / R[0, 1, :2], rtol=1e-3)
