import pytest
import torch

from partbook.room import start


@pytest.fixture
def leaky():
    """Powers of two players that play in turns and together, at their spots and one more microphone."""
    rng = torch.Generator().manual_seed(0)
    true_NFT = torch.rand(2, 20, 200, generator=rng) ** 2 + 1e-6
    true_NFT[0, :, :60] = 1e-6
    true_NFT[1, :, -60:] = 1e-6
    leakage_NM = torch.tensor([[1.0, 0.05, 0.3], [0.1, 1.0, 0.2]])
    return true_NFT, leakage_NM, torch.einsum("nm,nft->mft", leakage_NM, true_NFT)


def test_half_octaves_cover_every_bin_once():
    for bin_hz, bins in ((2.0, 1), (11.7, 1025), (500.0, 3)):
        bands = start.half_octaves(bin_hz, bins)
        assert [f for band in bands for f in range(band.start, band.stop)] == list(range(bins))


def test_leakage_is_the_lower_envelope_of_level_ratios(leaky):
    _, leakage_NM, power_MFT = leaky
    bands = start.half_octaves(50.0, 20)
    found_BNM = start.leakage(power_MFT, [[0], [1]], bands, quantile=0.1)
    torch.testing.assert_close(found_BNM, leakage_NM.expand(len(bands), -1, -1), rtol=0.2, atol=0.01)


def test_leak_suppression_finds_the_powers_of_the_players(leaky):
    true_NFT, leakage_NM, power_MFT = leaky
    bands = start.half_octaves(50.0, 20)
    leakage_BNM = leakage_NM.expand(len(bands), -1, -1)
    found_NFT = start.leak_suppressed(power_MFT, [[0], [1]], bands, leakage_BNM, iterations=500)
    torch.testing.assert_close(found_NFT, true_NFT, rtol=0.05, atol=0.01)


def test_several_spots_of_a_player_count_as_one(leaky):
    true_NFT, _, power_MFT = leaky
    twins_MFT = power_MFT[[0, 0, 1, 2]]
    bands = start.half_octaves(50.0, 20)
    found_NFT = start.leak_suppressed(twins_MFT, [[0, 1], [2]], bands, start.leakage(twins_MFT, [[0, 1], [2]], bands))
    assert (found_NFT[1, :, -60:].mean() / power_MFT[1, :, -60:].mean()) < 0.2
    torch.testing.assert_close(found_NFT.mean(), true_NFT.mean(), rtol=0.2, atol=0)


@pytest.mark.parametrize("gain", [1.0, 1e3])
def test_what_is_heard_as_another_player_is_borrowed(gain):
    """Spots hear the other player 15 and 9 dB below; in the last bin the first source is the second player."""
    leakage_NM = torch.tensor([[1.0, 0.03 * gain], [0.12 / gain, 1.0]])
    halfway_NN = start.halfway(leakage_NM.expand(6, -1, -1), [[0], [1]])
    heard_NMF = torch.tensor([[1.0, 0.03 * gain], [0.12, gain]])[..., None].repeat(1, 1, 3)
    heard_NMF[0, :, 2] = heard_NMF[1, :, 2]
    assert start.borrowed(heard_NMF, [[0], [1]], halfway_NN).tolist() == [[False, False, True], [False] * 3]


def test_silence_leaks_nowhere():
    bands = start.half_octaves(50.0, 20)
    silence = torch.zeros(3, 20, 5)
    leakage_BNM = start.leakage(silence, [[0], [1]], bands)
    assert leakage_BNM.isfinite().all()
    assert not start.leak_suppressed(silence, [[0], [1]], bands, leakage_BNM).any()


def test_tails_decay_by_60_decibel_in_the_reverberation_time():
    power_NFT = torch.zeros(1, 1, 101)
    power_NFT[..., 0] = 1
    tails_NFT = start.tails(power_NFT, hop_s=0.02, rt60_s=1.0)
    assert tails_NFT[0, 0, 0] == 0
    assert tails_NFT[0, 0, 51] / tails_NFT[0, 0, 1] == pytest.approx(1e-6, rel=1e-3)


def test_starts_for_comparison():
    torch.testing.assert_close(
        start.circular_gains(2, 3), torch.tensor([[1, start.OTHER, 1], [start.OTHER, 1, start.OTHER]])
    )
    drawn = start.random_gains(2, 3, torch.Generator().manual_seed(0))
    assert drawn.shape == (2, 3) and (drawn >= start.OTHER).all() and (drawn <= 1).all()
