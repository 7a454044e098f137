import pytest
import torch

from partbook.room import strangers
from partbook.room.start import half_octaves

SPOTS, MAINS = ((2,), (3,), (4,)), (0, 1)
BANDS = half_octaves(20.0, 200)
LEAKS_NM = torch.tensor(
    [[0.3, 0.2, 1.0, 0.1, 0.05], [0.25, 0.25, 0.08, 1.0, 0.1], [0.2, 0.3, 0.05, 0.1, 1.0], [1.0, 1.0, 0.2, 0.2, 0.3]]
)
"""Three players, and a fourth without a spot."""


def powers(stranger, seed=0):
    """Return sparse powers (N, F, T) of three players and a stranger."""
    rng = torch.Generator().manual_seed(seed)
    lines = torch.rand(4, 200, 1, generator=rng) ** 8 * torch.rand(4, 1, 150, generator=rng) ** 3 + 1e-6
    return lines * torch.tensor([1.0, 1.0, 1.0, stranger])[:, None, None]


def observed(s_NFT):
    return torch.einsum("nft,nm->mft", s_NFT, LEAKS_NM)


def reckoned(x_MFT, spots=SPOTS):
    typical_NM = strangers.typical_leakage(x_MFT, spots, BANDS)
    return strangers.leakage_with_stranger(x_MFT, typical_NM, spots, MAINS, BANDS)


def test_somebody_far_away_is_heard_as_players_are_whose_spot_is_another():
    reach_M = strangers.reach(LEAKS_NM[:3], SPOTS, MAINS)
    assert reach_M[list(MAINS)].log().mean() == pytest.approx(0, abs=1e-6)
    between = LEAKS_NM[[1, 2], 2].log().mean() - LEAKS_NM[:3, :2].log().mean()
    assert reach_M[2].log() == pytest.approx(float(between), abs=1e-5)


def test_no_leakage_is_much_above_what_is_typical_of_the_player():
    x_MFT = observed(powers(1.0))
    leakage_BNM = reckoned(x_MFT)
    typical_NM = strangers.typical_leakage(x_MFT, SPOTS, BANDS)
    others = torch.ones(3, 5, dtype=torch.bool)
    others[[0, 1, 2], [2, 3, 4]] = False
    assert (leakage_BNM[:, :3] <= strangers.ABOVE * typical_NM + 1e-6)[:, others].all()
    assert (leakage_BNM[:, [0, 1, 2], [2, 3, 4]] == 1).all()
    assert leakage_BNM.shape == (len(BANDS), 4, 5)


def test_where_only_the_stranger_plays_its_power_is_nobody_elses():
    s_NFT = powers(1.0)
    s_NFT[:3, :100] = 1e-6
    leakage_BNM = torch.cat([LEAKS_NM[:3], strangers.reach(LEAKS_NM[:3], SPOTS, MAINS)[None]]).repeat(len(BANDS), 1, 1)
    found = strangers.with_stranger(observed(s_NFT), SPOTS, MAINS, BANDS, leakage_BNM, iterations=30)[:, :100]
    assert found[3].sum() > 0.7 * s_NFT[3, :100].sum()
    assert found[:3].sum() < 0.15 * found[3].sum()


def test_the_order_of_players_does_not_matter():
    x_MFT = observed(powers(0.5))
    order = [2, 0, 1]
    swapped = tuple(SPOTS[n] for n in order)
    found, again = (
        strangers.with_stranger(x_MFT, spots, MAINS, BANDS, reckoned(x_MFT, spots)) for spots in (SPOTS, swapped)
    )
    torch.testing.assert_close(found[[*order, 3]], again, rtol=1e-4, atol=1e-9)


def test_silence_has_no_stranger():
    x_MFT = torch.zeros(5, 200, 20)
    leakage_BNM = reckoned(x_MFT)
    found = strangers.with_stranger(x_MFT, SPOTS, MAINS, BANDS, leakage_BNM)
    assert torch.isfinite(found).all() and found.abs().max() == 0
