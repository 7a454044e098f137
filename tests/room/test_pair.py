import math

import numpy as np
import pytest
import torch

from partbook.room import pair
from partbook.room.fullrank import updated_R


def definite(*shape, seed=0):
    """Return random positive definite matrices as four numbers each."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, *shape, 3, dtype=torch.cdouble, generator=generator)
    return pair.outer(x).sum(-2)


def scene(places_NM, delays_s=None, bins=120, frames=300, seed=0):
    """Return spectra of sources that come and go, their powers and frequencies; a faint background comes last."""
    generator = torch.Generator().manual_seed(seed)
    bins_hz = torch.arange(bins) * 25.0
    places_NM = torch.as_tensor(places_NM, dtype=torch.float32)
    lambda_NFT = torch.rand(len(places_NM), bins // 6, frames // 6, generator=generator) ** 6
    lambda_NFT = lambda_NFT.repeat_interleave(6, 1).repeat_interleave(6, 2)
    spectra = torch.randn(lambda_NFT.shape, dtype=torch.cfloat, generator=generator) * lambda_NFT.sqrt()
    turns_NF = torch.exp(-2j * math.pi * torch.tensor(delays_s or [0.0] * len(places_NM))[:, None] * bins_hz)
    images = torch.stack([spectra * places_NM[:, :1, None], spectra * places_NM[:, 1:, None] * turns_NF[..., None]])
    noise = 1e-2 * torch.randn(2, bins, frames, dtype=torch.cfloat, generator=generator)
    power_NFT = torch.cat([lambda_NFT, torch.full((1, bins, frames), 2e-4)])
    return images.sum(1) + noise, power_NFT, bins_hz


def test_inverse_triangle_and_products_are_those_of_matrices():
    R, B, x = definite(7), definite(7, seed=1), torch.randn(2, 7, dtype=torch.cdouble)
    matrices = pair.matrix(R)
    assert torch.allclose(pair.matrix(pair.inverse(R)), torch.linalg.inv(matrices))
    assert torch.allclose(pair.matrix(pair.congruent(R, B)), matrices @ pair.matrix(B) @ matrices)
    assert torch.allclose(pair.times(R, x), (matrices @ x.T[..., None])[..., 0].T)
    l11, l21, l22 = pair.triangle(R)
    lower = torch.stack([torch.stack([l11, 0 * l11], -1), torch.stack([l21, l22], -1)], -2)
    assert torch.allclose(lower @ lower.mH, matrices, rtol=1e-5)


def test_the_geometric_mean_solves_its_equation():
    A, B = definite(9), definite(9, seed=1)
    X = pair.matrix(pair.geometric_mean(A, B))
    assert torch.allclose(X @ torch.linalg.inv(pair.matrix(A)) @ X, pair.matrix(B))


def test_an_update_is_that_of_the_full_rank_room():
    X, lambda_NFT, _ = scene([(1.0, 0.2), (0.3, 0.9)])
    R = definite(X.shape[1], len(lambda_NFT), seed=3).float()
    expected = updated_R(X, lambda_NFT, pair.matrix(R))
    assert torch.allclose(pair.matrix(pair.updated(X, lambda_NFT, R)), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("delays_s", [[0.0, 0.0, 0.0], [0.0006, -0.0002, -0.0011]])
def test_places_are_found_from_rough_powers(delays_s):
    places = [(0.95, 0.3), (0.7, 0.7), (0.2, 0.97)]
    X, lambda_NFT, bins_hz = scene(places, delays_s)
    rough_NFT = lambda_NFT**0.3
    R_FN4, power_NFT = pair.placed(X, rough_NFT, bins_hz)
    found = R_FN4[10:].mean(0)
    squares = torch.tensor(places).square()
    assert torch.allclose(found[:3, 0], squares[:, 0] / squares.sum(1), atol=0.03)
    delay_N = pair.delays(R_FN4, torch.ones(R_FN4.shape[:2]), bins_hz, 0.003)
    assert torch.allclose(delay_N[:3], torch.tensor(delays_s), atol=3e-5)

    def off(powers):
        shares, truth = (each / each.sum(0) for each in (powers, lambda_NFT))
        return float((shares - truth).square().mean())

    assert off(power_NFT) < 0.7 * off(rough_NFT)


def test_neighbours_help_where_they_are_alike_and_not_where_they_differ():
    generator = torch.Generator().manual_seed(0)
    bins_hz, frames, config = torch.arange(200) * 10.0, 30, pair.PairConfig()
    alike = torch.tensor([0.8, 0.2, 0.3, -0.1]).expand(200, 1, 4)
    unlike = pair.normalised(definite(200, 1).float(), 0.0)
    for truth, better in ((alike, 0.2), (unlike, 1.3)):
        lower = torch.linalg.cholesky(pair.matrix(truth))
        x = (lower @ torch.randn(200, 1, 2, frames, dtype=torch.cfloat, generator=generator)).movedim(2, 0)
        seen = pair.normalised(pair.outer(x).mean(-2), 0.0)
        held = pair.held(seen, torch.full((200, 1), float(frames)), bins_hz, config)
        assert (held - truth).square().sum() < better * (seen - truth).square().sum()


def test_voices_that_stand_together_keep_their_powers():
    apart, together = [(0.9, 0.4), (0.6, 0.8), (0.4, 0.9)], [(0.6, 0.8)] * 3
    X, lambda_NFT, bins_hz = scene(together)
    R_FN4, power_NFT = pair.placed(X, lambda_NFT, bins_hz)
    assert power_NFT is lambda_NFT and torch.equal(R_FN4, pair.start(*R_FN4.shape[:2]))
    X, lambda_NFT, bins_hz = scene(apart)
    R_FN4, power_NFT = pair.placed(X, lambda_NFT, bins_hz)
    assert power_NFT is not lambda_NFT and not torch.equal(R_FN4, pair.start(*R_FN4.shape[:2]))


def test_silence_has_no_place():
    X, lambda_NFT, bins_hz = scene([(0.9, 0.4), (0.4, 0.9)])
    for quiet in (0 * X, X * (torch.arange(X.shape[1]) > 60)[:, None], X * (torch.arange(X.shape[2]) > 150)):
        R_FN4, power_NFT = pair.placed(quiet, lambda_NFT, bins_hz)
        assert R_FN4.isfinite().all() and power_NFT.isfinite().all()


def test_two_channels_differ_unless_they_are_one_signal_at_two_levels():
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(4000)).float()
    for level in (1.0, -1.0, 0.03, 0.0):
        assert not pair.differ(torch.stack([x, level * x]))
    assert pair.differ(torch.stack([x, x.roll(1)]))
    assert pair.differ(torch.stack([x, x + 0.01 * x.flip(0)]))
