from dataclasses import replace

import numpy as np
import pytest
import torch

from partbook import wiener
from partbook.fit import fit
from partbook.room import fastmnmf
from partbook.room.fastmnmf import FastMnmf
from partbook.sources.nmf import Nmf


def start(drawn, components=3, seed=1):
    """Random factors, and gains that know the nearest microphone of every source."""
    sources, bins, frames = drawn.lambda_NFT.shape
    factors = Nmf.random(sources, bins, components, frames, torch.Generator().manual_seed(seed))
    factors = Nmf(factors.W_NFK.double(), factors.H_NKT.double())
    g_NM = torch.full_like(drawn.g_NM, 0.1)
    g_NM[torch.arange(sources), torch.arange(sources)] = 1
    return factors, FastMnmf.identity(bins, g_NM)


def images(X_MFT, sources, room):
    return wiener.multichannel(X_MFT, sources.power(), room.Q_FMM, room.g_NM)


def decibel(error, reference):
    return 10 * torch.log10(error.abs().square().sum() / reference.abs().square().sum()).item()


@pytest.mark.parametrize("update", ["ip", "iss"])
def test_the_likelihood_never_falls(drawn, update):
    sources, room = start(drawn)
    room = replace(room, q_update=update)
    before = room.divergence(drawn.X_MFT, sources.power())
    for _ in range(15):
        for part in sources.parts:
            sources = sources.update(part, *room.pressure(drawn.X_MFT, sources.power(), 0.0), 0.0)
            now = room.divergence(drawn.X_MFT, sources.power())
            assert now <= before + 1e-9 * abs(before)
            before = now
        g_NM = fastmnmf.updated_g(room.power(drawn.X_MFT), sources.power(), room.g_NM)
        now = FastMnmf(room.Q_FMM, g_NM).divergence(drawn.X_MFT, sources.power())
        assert now <= before + 1e-9 * abs(before)
        Q_FMM = fastmnmf.updated_Q(drawn.X_MFT, sources.power(), room.Q_FMM, g_NM, update)
        assert FastMnmf(Q_FMM, g_NM).divergence(drawn.X_MFT, sources.power()) <= now + 1e-9 * abs(now)
        room, gain_NF = room.update(drawn.X_MFT, sources.power())
        sources = sources.rescale(gain_NF)
        before = room.divergence(drawn.X_MFT, sources.power())


def test_source_steering_and_projection_reach_the_same_likelihood(drawn):
    sources, room = start(drawn)
    before = room.divergence(drawn.X_MFT, sources.power())
    ends = []
    for update in ("ip", "iss"):
        fitted, found = fit(drawn.X_MFT, sources, replace(room, q_update=update), iterations=60, beta=0.0)
        ends.append(found.divergence(drawn.X_MFT, fitted.power()))
    assert abs(ends[0] - ends[1]) < 0.02 * (before - ends[0])


def test_every_microphone_is_steered(drawn):
    """The bound of the whole Q falls with every row: a step that started from an old Q would undo the one before."""
    sources, room = start(drawn)
    weight_MFT = fastmnmf.mixture_power(sources.power(), room.g_NM).reciprocal()
    V_FMMM = fastmnmf.weighted_covariances(drawn.X_MFT, weight_MFT)
    Q_FMM = room.Q_FMM
    for _ in range(1000):
        Q_FMM = fastmnmf.iterative_source_steering(Q_FMM, V_FMMM)
    # Stationary: q_k^H V_k q_m = delta_km.
    crossed_FMM = torch.einsum("fka,fkab,fmb->fkm", Q_FMM, V_FMMM, Q_FMM.conj())
    torch.testing.assert_close(crossed_FMM, torch.eye(4).expand_as(crossed_FMM).to(crossed_FMM), atol=1e-3, rtol=0)


def test_spectra_laid_out_by_frequency_are_the_same_spectra(drawn):
    assert torch.equal(fastmnmf.frequency_first(drawn.X_MFT), drawn.X_MFT)


def test_normalisation_changes_nothing_but_the_scale(drawn):
    sources, _ = start(drawn)
    Q_FMM, g_NM, gain_NF = fastmnmf.normalised(drawn.Q_FMM, drawn.g_NM)
    torch.testing.assert_close(g_NM.sum(1), torch.ones(3, dtype=g_NM.dtype))
    before = FastMnmf(drawn.Q_FMM, drawn.g_NM).divergence(drawn.X_MFT, sources.power())
    after = FastMnmf(Q_FMM, g_NM).divergence(drawn.X_MFT, sources.rescale(gain_NF).power())
    assert after == pytest.approx(before, rel=1e-9)


def test_pressure_is_the_gradient_of_the_likelihood(drawn):
    room = FastMnmf(drawn.Q_FMM, drawn.g_NM)
    lambda_NFT = drawn.lambda_NFT + 0.1
    up, down = room.pressure(drawn.X_MFT, lambda_NFT, 0.0)
    nudged = lambda_NFT.clone()
    nudged[1, 5, 7] += 1e-4
    slope = (room.divergence(drawn.X_MFT, nudged) - room.divergence(drawn.X_MFT, lambda_NFT)) / 1e-4
    assert slope == pytest.approx((down - up)[1, 5, 7].item(), rel=2e-2, abs=1e-3)


def test_weighted_covariances_are_sums_of_outer_products(drawn):
    weight_MFT = torch.rand(4, 24, 120, dtype=torch.float64)
    expected = torch.einsum("kft,lft,mft->fmkl", drawn.X_MFT, drawn.X_MFT.conj(), weight_MFT + 0j) / 120
    torch.testing.assert_close(fastmnmf.weighted_covariances(drawn.X_MFT, weight_MFT), expected)


def test_what_a_room_has_seen_is_of_that_recording_and_that_diagonaliser(drawn):
    """Between updates its diagonalised power is kept; another recording, or another Q, must not be given it."""
    sources, room = start(drawn)
    room, _ = room.update(drawn.X_MFT, sources.power())
    assert room.seen is not None
    for other in (room, replace(room, Q_FMM=drawn.Q_FMM)):
        fresh = replace(other, seen=None)
        for X_MFT in (drawn.X_MFT, 2 * drawn.X_MFT):
            torch.testing.assert_close(other.power(X_MFT), fresh.power(X_MFT))


def test_bands_do_not_change_the_result(drawn, monkeypatch):
    sources, room = start(drawn)
    whole = fit(drawn.X_MFT, sources, room, iterations=2, beta=0.0)
    monkeypatch.setattr(fastmnmf, "BAND_BYTES", 1)
    banded = fit(drawn.X_MFT, sources, room, iterations=2, beta=0.0)
    torch.testing.assert_close(banded[0].power(), whole[0].power())
    torch.testing.assert_close(banded[1].Q_FMM, whole[1].Q_FMM)


def test_agrees_with_pyroomacoustics_from_the_same_start(drawn, monkeypatch):
    """Its layout is frames × bins × channels; it updates W and H by one pressure and normalises every tenth time."""
    bss = pytest.importorskip("pyroomacoustics.bss")
    sources, microphones, bins, frames, components = 3, 4, 24, 120, 3
    draws = np.random.default_rng(0)
    monkeypatch.setattr(np.random, "rand", lambda *shape: draws.random(shape))
    X_TFM = drawn.X_MFT.permute(2, 1, 0).numpy()
    theirs = bss.fastmnmf2(X_TFM, n_src=sources, n_iter=4, n_components=components, mic_index="all")

    draws = np.random.default_rng(0)
    H_NKT, W_NFK = draws.random((sources, components, frames)), draws.random((sources, bins, components))
    factors = Nmf(torch.from_numpy(W_NFK), torch.from_numpy(H_NKT))
    g_NM = torch.full((sources, microphones), 0.05, dtype=torch.float64)
    g_NM[torch.arange(microphones) % sources, torch.arange(microphones)] = 1
    room = FastMnmf.identity(bins, g_NM)
    for _ in range(4):
        up, down = room.pressure(drawn.X_MFT, factors.power(), 0.0)
        for part in factors.parts:
            factors = factors.update(part, up, down, 0.0)
        room, gain_NF = room.update(drawn.X_MFT, factors.power())
        factors = factors.rescale(gain_NF)
    ours = images(drawn.X_MFT, factors, room)
    theirs = torch.from_numpy(theirs).permute(3, 0, 2, 1)
    assert decibel(ours - theirs, theirs) < -90


def test_images_sum_to_the_mixture_in_single_precision(drawn):
    X_MFT = drawn.X_MFT.to(torch.complex64)
    sources, room = start(drawn)
    sources = Nmf(sources.W_NFK.float(), sources.H_NKT.float())
    sources, room = fit(X_MFT, sources, FastMnmf(room.Q_FMM, room.g_NM.float()), iterations=10, beta=0.0)
    assert decibel(images(X_MFT, sources, room).sum(0) - X_MFT, X_MFT) < -120


@pytest.mark.parametrize("gain", [1e-3, 1e3])
def test_scale_of_the_recording_scales_the_images(drawn, gain):
    sources, room = start(drawn)
    expected = images(drawn.X_MFT, *fit(drawn.X_MFT, sources, room, iterations=5, beta=0.0))
    louder = Nmf(sources.W_NFK * gain**2, sources.H_NKT)
    scaled = images(gain * drawn.X_MFT, *fit(gain * drawn.X_MFT, louder, room, iterations=5, beta=0.0))
    torch.testing.assert_close(scaled / gain, expected, rtol=1e-5, atol=1e-7)


def test_order_of_sources_and_start_of_a_microphone_do_not_matter(drawn):
    sources, room = start(drawn)
    expected = images(drawn.X_MFT, *fit(drawn.X_MFT, sources, room, iterations=5, beta=0.0))
    order = torch.tensor([2, 0, 1])
    permuted = Nmf(sources.W_NFK[order], sources.H_NKT[order])
    swapped = images(
        drawn.X_MFT, *fit(drawn.X_MFT, permuted, FastMnmf(room.Q_FMM, room.g_NM[order]), iterations=5, beta=0.0)
    )
    torch.testing.assert_close(swapped, expected[order], rtol=1e-6, atol=1e-8)


def test_a_drawn_model_is_recovered(drawn):
    sources, room = start(drawn)
    blind = images(drawn.X_MFT, sources, room)
    sources, room = fit(drawn.X_MFT, sources, room, iterations=60, beta=0.0)
    truth = drawn.images_NMFT
    fitted = images(drawn.X_MFT, sources, room)
    oracle = wiener.multichannel(drawn.X_MFT, drawn.lambda_NFT, drawn.Q_FMM, drawn.g_NM)
    assert decibel(fitted - truth, truth) < decibel(blind - truth, truth) - 5
    assert decibel(fitted - truth, truth) < decibel(oracle - truth, truth) + 2
    true_room = FastMnmf(drawn.Q_FMM, drawn.g_NM)
    assert room.divergence(drawn.X_MFT, sources.power()) < true_room.divergence(drawn.X_MFT, drawn.lambda_NFT)


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
    sources, room = fit(X_MFT, sources, room, iterations=10, beta=0.0)
    separated = images(X_MFT, sources, room)
    assert separated.isfinite().all()
    assert (separated.sum(0) - X_MFT).abs().max() <= 1e-5 * X_MFT.abs().max()


def test_another_divergence_than_the_likelihood_is_refused(drawn):
    sources, room = start(drawn)
    with pytest.raises(ValueError, match="beta=0"):
        room.pressure(drawn.X_MFT, sources.power(), 1.0)
