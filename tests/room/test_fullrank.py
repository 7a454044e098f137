import pytest
import torch

from partbook import wiener
from partbook.fit import fit
from partbook.room import fullrank
from partbook.room.fastmnmf import FastMnmf
from partbook.room.fullrank import FullRank
from partbook.sources.nmf import Nmf


@pytest.fixture
def diagonal(drawn):
    """The diagonal model, fitted a little."""
    sources, bins, frames = drawn.lambda_NFT.shape
    factors = Nmf.random(sources, bins, 3, frames, torch.Generator().manual_seed(1))
    room = FastMnmf.identity(bins, drawn.g_NM)
    return fit(drawn.X_MFT, Nmf(factors.W_NFK.double(), factors.H_NKT.double()), room, iterations=5, beta=0.0)


def images(X_MFT, sources, room):
    return wiener.full_rank(X_MFT, sources.power(), room.basis_FMM, room.R_FNMM)


def decibel(error, reference):
    return 10 * torch.log10(error.abs().square().sum() / reference.abs().square().sum()).item()


def test_it_starts_where_the_diagonal_model_ends(drawn, diagonal):
    sources, room = diagonal
    start = FullRank.from_diagonal(room, spread=0)
    before = room.divergence(drawn.X_MFT, sources.power())
    assert start.divergence(drawn.X_MFT, sources.power()) == pytest.approx(before, rel=1e-9)
    for ours, theirs in zip(
        start.pressure(drawn.X_MFT, sources.power(), 0.0), room.pressure(drawn.X_MFT, sources.power(), 0.0), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)
    expected = wiener.multichannel(drawn.X_MFT, sources.power(), room.Q_FMM, room.g_NM)
    torch.testing.assert_close(images(drawn.X_MFT, sources, start), expected, rtol=1e-6, atol=1e-8)


def test_the_likelihood_never_falls(drawn, diagonal):
    sources, room = diagonal[0], FullRank.from_diagonal(diagonal[1])
    before = room.divergence(drawn.X_MFT, sources.power())
    for _ in range(10):
        for part in sources.parts:
            sources = sources.update(part, *room.pressure(drawn.X_MFT, sources.power(), 0.0), 0.0)
            now = room.divergence(drawn.X_MFT, sources.power())
            assert now <= before + 1e-9 * abs(before)
            before = now
        room, gain_NF = room.update(drawn.X_MFT, sources.power())
        sources = sources.rescale(gain_NF)
        now = room.divergence(drawn.X_MFT, sources.power())
        assert now <= before + 1e-9 * abs(before)
        before = now


def test_riccati_solves_its_equation():
    A, S = (M @ M.mH for M in torch.randn(2, 7, 4, 9, dtype=torch.complex128))
    X = fullrank.riccati(A, S)
    torch.testing.assert_close(X @ A @ X, S)
    torch.testing.assert_close(X, X.mH)
    assert (torch.linalg.eigvalsh(X) > 0).all()


def test_covariances_that_no_matrix_makes_diagonal_are_learned():
    """Three sources at two microphones: the diagonal model cannot tell all of them apart."""
    rng = torch.Generator().manual_seed(0)
    sources, bins, frames = 3, 12, 300
    W, H = (torch.rand(*s, generator=rng, dtype=torch.float64) ** 4 for s in [(sources, bins, 2), (sources, 2, frames)])
    lambda_NFT = W @ H + 1e-6
    roots = torch.randn(sources, bins, 2, 2, dtype=torch.complex128, generator=rng)
    roots[..., 1] *= 0.2
    noise = torch.randn(sources, bins, 2, frames, dtype=torch.complex128, generator=rng)
    truth = (roots @ (noise * lambda_NFT[:, :, None].sqrt())).transpose(1, 2)
    X_MFT = truth.sum(0)
    start = FastMnmf.identity(bins, torch.tensor([[1, 0.1], [0.1, 1], [0.6, 0.6]], dtype=torch.float64))
    factors, room = fit(X_MFT, Nmf(W * (0.5 + torch.rand_like(W)), H), start, iterations=30, beta=0.0)
    diagonal = wiener.multichannel(X_MFT, factors.power(), room.Q_FMM, room.g_NM)
    factors, room = fit(X_MFT, factors, FullRank.from_diagonal(room), iterations=30, beta=0.0)
    assert decibel(images(X_MFT, factors, room) - truth, truth) < decibel(diagonal - truth, truth) - 1.5


def test_single_precision_agrees_with_double(drawn, diagonal):
    sources, room = fit(drawn.X_MFT, diagonal[0], FullRank.from_diagonal(diagonal[1]), iterations=3, beta=0.0)
    factors = Nmf(diagonal[0].W_NFK.float(), diagonal[0].H_NKT.float())
    start = FullRank.from_diagonal(FastMnmf(diagonal[1].Q_FMM, diagonal[1].g_NM.float()))
    X_MFT = drawn.X_MFT.to(torch.complex64)
    single = images(X_MFT, *fit(X_MFT, factors, start, iterations=3, beta=0.0))
    double = images(drawn.X_MFT, sources, room)
    assert decibel(single - double, double) < -60
    assert decibel(single.sum(0) - X_MFT, X_MFT) < -120


@pytest.mark.parametrize("spoil", ["silence", "twin", "one frame"])
def test_poor_recordings_stay_finite(drawn, spoil):
    X_MFT = drawn.X_MFT.to(torch.complex64)
    if spoil == "silence":
        X_MFT = torch.zeros_like(X_MFT)
    elif spoil == "twin":
        X_MFT = X_MFT[[0, 1, 2, 2]]
    else:
        X_MFT = X_MFT[..., :1]
    rng = torch.Generator().manual_seed(0)
    sources = Nmf.random(3, 24, 3, X_MFT.shape[-1], rng)
    room = FastMnmf.identity(24, torch.rand(3, 4, generator=rng) + 0.1)
    sources, room = fit(X_MFT, sources, room, iterations=5, beta=0.0)
    sources, room = fit(X_MFT, sources, FullRank.from_diagonal(room), iterations=5, beta=0.0)
    separated = images(X_MFT, sources, room)
    assert separated.isfinite().all()
    assert (separated.sum(0) - X_MFT).abs().max() <= 1e-6 * X_MFT.abs().max()


def test_bands_do_not_change_the_result(drawn, diagonal, monkeypatch):
    sources, room = diagonal[0], FullRank.from_diagonal(diagonal[1])
    whole = fit(drawn.X_MFT, sources, room, iterations=2, beta=0.0)
    monkeypatch.setattr(fullrank, "BAND_BYTES", 1)
    banded = fit(drawn.X_MFT, sources, room, iterations=2, beta=0.0)
    torch.testing.assert_close(banded[0].power(), whole[0].power())
    torch.testing.assert_close(banded[1].R_FNMM, whole[1].R_FNMM)


def test_another_divergence_than_the_likelihood_is_refused(drawn, diagonal):
    with pytest.raises(ValueError, match="beta=0"):
        FullRank.from_diagonal(diagonal[1]).pressure(drawn.X_MFT, diagonal[0].power(), 1.0)
