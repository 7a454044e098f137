"""Other ways to separate a session, each a function from a session to images of shape (N, M, S)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import torch

from partbook import wiener
from partbook.dsp.stft import Stft
from partbook.evaluate.separation import si_sdr
from partbook.room import start

from .halls import Session

Method = Callable[[Session], np.ndarray]

WINDOW_S = 0.085
"""Window of the methods that are not ours, 2048 samples at 24 kHz; longer ones did them no good."""


def unprocessed(session: Session) -> np.ndarray:
    """Return the microphones themselves."""
    return np.broadcast_to(session.mixture, session.images.shape)


def phase_blind(session: Session) -> np.ndarray:
    """Return the result of a power Wiener filter from leak-suppressed spots."""
    stft = _stft(session)
    X_MFT = stft(torch.from_numpy(session.mixture))
    power_MFT = X_MFT.abs().square() / X_MFT.abs().square().mean()
    spots = [[m] for m in session.spots]
    bands = start.half_octaves(session.sample_rate / stft.n_fft, stft.bins)
    leakage_BNM = start.leakage(power_MFT, spots, bands)
    lambda_NFT = start.leak_suppressed(power_MFT, spots, bands, leakage_BNM)
    heard_NMFT = torch.cat(
        [leakage_BNM[b][..., None, None] * lambda_NFT[:, None, band] for b, band in enumerate(bands)], 2
    )
    return _masked(session, stft, X_MFT, heard_NMFT)


def ideal_mask(session: Session) -> np.ndarray:
    """Return the result of the true share of every player's power, at every microphone."""
    stft = _stft(session)
    power_NMFT = stft(torch.from_numpy(session.images)).abs().square()
    return _masked(session, stft, stft(torch.from_numpy(session.mixture)), power_NMFT)


def ideal_amplitude_mask(session: Session) -> np.ndarray:
    """Return the result of the true share of every player's amplitude, at every microphone."""
    stft = _stft(session)
    amplitude_NMFT = stft(torch.from_numpy(session.images)).abs()
    return _masked(session, stft, stft(torch.from_numpy(session.mixture)), amplitude_NMFT)


def ideal_binary_mask(session: Session) -> np.ndarray:
    """Return the result of giving every bin to the player who truly is the loudest there."""
    stft = _stft(session)
    power_NMFT = stft(torch.from_numpy(session.images)).abs().square()
    loudest_NMFT = (power_NMFT == power_NMFT.amax(0)).float()
    return _masked(session, stft, stft(torch.from_numpy(session.mixture)), loudest_NMFT)


def oracle_full_rank(session: Session) -> np.ndarray:
    """Return the result of the full-rank Wiener filter with the true powers at the spots and true covariances."""
    stft = _stft(session)
    truth_NMFT, X_MFT = stft(torch.from_numpy(session.images)), stft(torch.from_numpy(session.mixture))
    scale = X_MFT.abs().square().mean().sqrt()
    truth_NMFT, X_MFT = truth_NMFT / scale, X_MFT / scale
    lambda_NFT = torch.stack([truth_NMFT[n, m].abs().square() for n, m in enumerate(session.spots)]) + 1e-8
    # Weighted by energy: with the weights 1/lambda of the likelihood, faint reverberation decides and scores 9 dB less.
    R_NFMM = truth_NMFT.transpose(1, 2) @ truth_NMFT.transpose(1, 2).mH / lambda_NFT.sum(-1)[..., None, None]
    microphones = len(X_MFT)
    R_NFMM = R_NFMM + 1e-5 * torch.eye(microphones)
    basis_FMM = torch.eye(microphones, dtype=torch.complex128).repeat(stft.bins, 1, 1)
    images_NMFT = wiener.full_rank(X_MFT, lambda_NFT, basis_FMM, R_NFMM.transpose(0, 1).contiguous()) * scale
    return stft.inverse(images_NMFT, session.length).numpy()


def fastmnmf2(session: Session, iterations: int = 50) -> np.ndarray:
    """Return the images of pyroomacoustics' FastMNMF2 with 16 components, from its own start."""
    from pyroomacoustics.bss import fastmnmf2 as separate

    stft = _stft(session)
    X_MFT = stft(torch.from_numpy(session.mixture))
    np.random.seed(0)  # noqa: NPY002 – its start is drawn from the global state
    images = separate(
        X_MFT.permute(2, 1, 0).numpy().astype(np.complex128),
        n_src=len(session.spots),
        n_iter=iterations,
        n_components=16,
        mic_index="all",
    )
    images_NMFT = torch.from_numpy(images).permute(3, 0, 2, 1).to(X_MFT.dtype)
    return _matched(session, stft.inverse(images_NMFT, session.length).numpy())


def auxiva(session: Session) -> np.ndarray:
    """Return pyroomacoustics' AuxIVA of the spots, projected back onto every microphone."""
    from pyroomacoustics.bss import auxiva as separate

    return _determined(session, lambda X: separate(X, n_iter=50, proj_back=False))


def ilrma(session: Session) -> np.ndarray:
    """Return pyroomacoustics' ILRMA of the spots with 8 components, projected back onto every microphone."""
    from pyroomacoustics.bss import ilrma as separate

    np.random.seed(0)  # noqa: NPY002 – its start is drawn from the global state
    return _determined(session, lambda X: separate(X, n_iter=100, n_components=8, proj_back=False))


def ssspy_fastmnmf(session: Session, iterations: int = 50) -> np.ndarray:
    """Return the images of ssspy's FastMNMF of all microphones with 16 components, from its own start."""
    from ssspy.bss.mnmf import FastGaussMNMF

    stft = _stft(session)
    X_MFT = stft(torch.from_numpy(session.mixture))
    scale = X_MFT.abs().square().mean().sqrt()
    method = FastGaussMNMF(n_basis=16, n_sources=len(session.spots), record_loss=False, rng=np.random.default_rng(0))
    # Its own filter holds sources × bins × frames × microphones³ numbers, tens of gigabytes; ours is the same one.
    method.separate = lambda X: X
    method((X_MFT / scale).numpy().astype(np.complex128), n_iter=iterations)
    lambda_NFT = torch.from_numpy(method.basis @ method.activation).float()
    R_FNMM = torch.diag_embed(torch.from_numpy(method.spatial)).to(torch.complex64)
    images_NMFT = wiener.full_rank(X_MFT, lambda_NFT, torch.from_numpy(method.diagonalizer), R_FNMM)
    return _matched(session, stft.inverse(images_NMFT, session.length).numpy())


def ssspy_ilrma(session: Session) -> np.ndarray:
    """Return ssspy's ILRMA of the spots with 8 components, projected back onto every microphone."""
    from ssspy.bss.ilrma import GaussILRMA

    method = GaussILRMA(n_basis=8, record_loss=False, rng=np.random.default_rng(0))
    return _determined(session, lambda X: method(X.transpose(2, 1, 0), n_iter=100).transpose(2, 1, 0))


def ssspy_auxiva(session: Session) -> np.ndarray:
    """Return ssspy's AuxIVA of the spots, projected back onto every microphone."""
    from ssspy.bss.iva import AuxLaplaceIVA

    method = AuxLaplaceIVA(record_loss=False)
    return _determined(session, lambda X: method(X.transpose(2, 1, 0), n_iter=50).transpose(2, 1, 0))


def _determined(session: Session, separate: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Separate as many spots as players, and find every player at every microphone by least squares per bin."""
    from pyroomacoustics.bss import projection_back

    stft = _stft(session)
    X_MTF = stft(torch.from_numpy(session.mixture)).transpose(1, 2).numpy().astype(np.complex128)
    Y_TFN = separate(np.moveaxis(X_MTF[session.spots], 0, 2))
    images = np.stack([Y_TFN * projection_back(Y_TFN, X_TF).conj() for X_TF in X_MTF])
    images_NMFT = torch.from_numpy(images).permute(3, 0, 2, 1).to(torch.complex64)
    return _matched(session, stft.inverse(images_NMFT, session.length).numpy())


def _matched(session: Session, images: np.ndarray) -> np.ndarray:
    """Return blind images in the order of the players that scores best: their names are not the method's business."""
    spots = session.spots
    score = [[si_sdr(session.images[n, m], images[k, m]) for k in range(len(images))] for n, m in enumerate(spots)]
    orders = permutations(range(len(images)))
    return images[list(max(orders, key=lambda order: sum(score[n][k] for n, k in enumerate(order))))]


def _masked(session: Session, stft: Stft, X_MFT: torch.Tensor, power_NMFT: torch.Tensor) -> np.ndarray:
    share_NMFT = power_NMFT / power_NMFT.sum(0).clamp_min(1e-20)
    return stft.inverse(share_NMFT * X_MFT, session.length).numpy()


def _stft(session: Session) -> Stft:
    return Stft.lasting(WINDOW_S, session.sample_rate)
