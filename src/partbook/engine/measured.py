"""Calibration by measured impulse responses: the room as a loudspeaker in every player's seat made it known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from ..audio import Recording
from ..config import SessionConfig
from ..dsp.stft import Stft
from ..errors import AudioError
from ..room import responses
from .calibration import Calibration, fitting

_LINGERING = 0.1
"""Share of the energy in the last quarter from which on something is no impulse response."""

_UNSURE = 1e-3
"""Share of the power that a player who is no loudspeaker sends elsewhere."""


def measured(takes: Mapping[str, Recording], config: SessionConfig | None = None) -> Calibration:
    """Return the calibration that impulse responses make.

    Parameters
    ----------
    takes
        The responses of the microphones to each player's seat, by id of the player.
    config
        Settings of the model.

    Raises
    ------
    OptionError, AudioError
        If responses are missing, of other microphones, silent, or takes.
    """
    config = config or SessionConfig()
    ids, first = fitting(takes)
    rate = first.sample_rate
    stft = Stft.lasting(config.window_s, rate, config.overlap)
    bins = min(stft.bins, int(config.band_hz * stft.n_fft / rate) + 1)
    window, early, late = stft.window(torch.zeros(())), [], []
    for id in ids:
        response_MS = takes[id].read(0, takes[id].length).astype(np.float64)
        silent = [mic.name for mic, each in zip(first.microphones, response_MS, strict=True) if not each.any()]
        if silent:
            raise AudioError("a response of every microphone", f"silence of {', '.join(silent)} for {id}")
        last = response_MS[:, -(response_MS.shape[-1] // 4) :]
        if np.square(last).sum() > _LINGERING * np.square(response_MS).sum():
            raise AudioError("responses that die away", f"sound to the end for {id}", "calibrate without --responses")
        near_MS, far_MS = responses.split(response_MS, stft.n_fft // 2)
        early.append(responses.covariance(near_MS, window)[:bins])
        far = responses.covariance(far_MS, window)[:bins] if far_MS.any() else torch.zeros_like(early[-1])
        late.append(far)
    R_FNMM = torch.stack([*early, *late], 1)
    scale_M = R_FNMM.diagonal(dim1=-2, dim2=-1).real.mean((0, 1)).sqrt()
    R_FNMM = R_FNMM / (scale_M[:, None] * scale_M)
    identity_MM = torch.eye(len(scale_M), dtype=R_FNMM.dtype)
    level_FN = R_FNMM.diagonal(dim1=-2, dim2=-1).real.mean(-1)
    floor_FN = _UNSURE * level_FN + 1e-9
    R_FNMM = torch.cat([R_FNMM + floor_FN[..., None, None] * identity_MM, identity_MM.repeat(bins, 1, 1, 1)], 1)
    R_FNMM = R_FNMM / R_FNMM.diagonal(dim1=-2, dim2=-1).real.mean(-1)[..., None, None]
    room = responses.diagonalised(R_FNMM)
    Q_F1MM = room.Q_FMM[:, None]
    return Calibration(
        tuple(microphone.name for microphone in first.microphones),
        ids,
        rate,
        stft.n_fft,
        stft.hop_samples,
        scale_M.float(),
        room.Q_FMM,
        room.g_NM,
        (Q_F1MM @ R_FNMM @ Q_F1MM.mH).to(torch.complex64),
        torch.zeros(2 * len(ids), bins, 0),
    )
