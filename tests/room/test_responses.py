from itertools import pairwise

import numpy as np
import pytest
import torch

from partbook.dsp.stft import Stft
from partbook.room import responses
from partbook.room.fastmnmf import FastMnmf


@pytest.fixture
def decaying(rng):
    """Return responses from two places to three microphones, shape (2, 3, 300)."""
    return rng.standard_normal((2, 3, 300)) * np.exp(-np.arange(300) / 60)


def test_the_covariance_is_that_of_white_sound_heard_through_the_responses(rng, decaying):
    stft = Stft(64, 16)
    white = rng.standard_normal(400_000)
    heard = np.stack([np.convolve(white, response)[: len(white)] for response in decaying[0]])
    X_FMT = stft(torch.from_numpy(heard)).transpose(0, 1)
    measured_FMM = X_FMT @ X_FMT.mH / X_FMT.shape[-1]
    R_FMM = responses.covariance(decaying[0], stft.window(torch.zeros((), dtype=torch.float64)))
    torch.testing.assert_close(R_FMM[1:-1], measured_FMM[1:-1], rtol=0.15, atol=0.03 * float(R_FMM.abs().max()))
    torch.testing.assert_close(R_FMM, R_FMM.mH)


def test_early_and_late_sound_are_the_whole_response(decaying):
    early, late = responses.split(decaying[0], 100)
    np.testing.assert_array_equal(np.concatenate([early, late], -1), decaying[0])
    late_from = early.shape[-1]
    assert 100 <= late_from < 110


def divergence(R_FNMM, room):
    x_FNM = responses.heard(R_FNMM, room)
    lambda_FN1 = (x_FNM / room.g_NM).mean(-1, keepdim=True)
    y_FNM = room.g_NM * lambda_FN1
    fit = (x_FNM / y_FNM + y_FNM.log()).sum()
    return float(fit - 2 * R_FNMM.shape[1] * torch.linalg.slogdet(room.Q_FMM).logabsdet.sum())


def test_diagonalising_never_raises_the_divergence(decaying):
    window = torch.hann_window(64, dtype=torch.float64)
    R_FNMM = torch.stack([responses.covariance(response, window) for response in decaying], 1)
    rounds = [responses.diagonalised(R_FNMM, count) for count in (1, 2, 4, 8, 16)]
    found = [divergence(R_FNMM, room) for room in rounds]
    assert all(later < sooner + 1e-3 for sooner, later in pairwise(found))


def test_covariances_that_are_diagonal_together_are_found_so():
    rng = torch.Generator().manual_seed(0)
    mixing_FMM = torch.randn(5, 3, 3, dtype=torch.complex128, generator=rng)
    g_NM = torch.tensor([[1.0, 0.1, 0.1], [0.1, 1.0, 0.1], [0.1, 0.2, 1.0]], dtype=torch.float64)
    R_FNMM = mixing_FMM[:, None] @ torch.diag_embed(g_NM).to(torch.complex128) @ mixing_FMM[:, None].mH
    room = responses.diagonalised(R_FNMM, 200)
    assert isinstance(room, FastMnmf)
    seen = room.Q_FMM[:, None] @ R_FNMM @ room.Q_FMM[:, None].mH
    diagonal = seen.diagonal(dim1=-2, dim2=-1).abs()
    off = seen.abs().sum((-2, -1)) - diagonal.sum(-1)
    assert (off < 0.05 * diagonal.sum(-1)).all()
