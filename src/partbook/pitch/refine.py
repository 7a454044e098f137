"""F0 to a few cents: the phase of every partial says how far its track is off.

Demodulated by its own track, a partial turns at the rate of the track's error: partial ``k`` at ``k`` times the error
of F0. The error that best explains the turning of all partials together, from one frame to the next but one, is a
maximum of

    sum_k Re( r_k exp(-2 pi i k error h) ),    r_k = sum over neighbouring frames of z_k(t + h/2) conj(z_k(t - h/2)),

where ``z_k`` is the demodulated, windowed partial. Partials that the voice does not dominate say little about it: each
counts by the square of its share of the mixture. (Phase-vocoder instantaneous frequency: Flanagan & Golden 1966; over
all harmonics: Abe, Kobayashi & Imai 1996.)

How sharp that maximum is, and how much of the turning it explains, says how certain the error is. Where it is certain
the track follows it; where it is not, the track goes on as smoothly as it can: the pitch ``x`` of a voice minimises

    sum_t certainty_t (x_t - measured_t)^2 + stiffness sum_t (x_(t+1) - 2 x_t + x_(t-1))^2

(Whittaker, "On a new method of graduation", 1923, with weights; a leap or a pause is not smoothed over).

The phases of partials are what a filter needs, and all it needs. The pitch that is reported is told by a second
witness, too: the period of the voice (:mod:`partbook.pitch.period`), each counting by its certainty. The phases of a
choir's partials, in a room, wander more than its period.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import solveh_banded
from scipy.ndimage import maximum_filter1d
from torch import Tensor

from ..dsp.oscillator import phase
from .period import period_errors
from .tracks import Track

PARTIALS = 10
WINDOW_S = 0.032
SEARCH_CENTS = 50.0
STEP_CENTS = 2.5

USUAL_STEP_S = 0.008

LEAP_CENTS = 80.0
"""A larger step from frame to frame is a new note."""

GLIDE_CENTS_PER_S, GLIDE_S = 1500.0, 0.06
"""A voice whose pitch moves faster, over so long a time, glides."""

HEARD = 1e-6
"""Certainty from which on an error counts at all; below, a track stays as it is. That of a lone voice is about 0.2."""


@dataclass(frozen=True)
class RefineConfig:
    """How freely a track may follow the partials of its voice.

    Attributes
    ----------
    edge_hz
        Partials above are left out.
    smooth_frames
        Neighbouring frames on either side that are heard together.
    reluctance
        Pull towards the F0 at hand, relative to the evidence: where partials say little it stays.
    stiffness
        Resistance to bending, relative to the certainty of what is heard, in steps of 8 ms. Certainty grows with the
        square of the step; in other steps the resistance falls with it, so that vibrato is followed in any.
    period_certainty
        Certainty of a period, per unit of the odds that the voice repeats itself.
    """

    edge_hz: float = 3000.0
    smooth_frames: int = 2
    reluctance: float = 0.1
    stiffness: float = 0.03
    period_certainty: float = 0.02


@dataclass(frozen=True)
class Refined:
    """A track moved in two ways.

    Attributes
    ----------
    exact
        To where the partials turn least: for their phases.
    report
        Returns :attr:`reported`.
    """

    exact: Track
    report: Callable[[], Track]

    @cached_property
    def reported(self) -> Track:
        """The track moved by that and by the period of the voice, which is looked for only then: its pitch."""
        return self.report()


def refined(
    track: Track,
    alone_S: Float[Tensor, " S"],
    start_s: float,
    sample_rate: float,
    share_FT: Float[Tensor, "F T"],
    bin_hz: float,
    frame_s: float,
    config: RefineConfig,
) -> Refined:
    """Return a track moved to where an estimated voice is, on its own frames in the stretch.

    Parameters
    ----------
    track
        F0 to within about half a semitone; frames outside the stretch come back as they are.
    alone_S, start_s, sample_rate
        An estimate of the voice alone, when it starts, and its rate.
    share_FT, bin_hz, frame_s
        The voice's share of the mixture's power on a grid of bins and frames.
    config
        How freely it moves.
    """
    stop_s = start_s + len(alone_S) / sample_rate
    inside = (track.times_s >= start_s) & (track.times_s < stop_s) & (track.f0_hz > 0)
    if inside.sum() < 3:
        return Refined(track, lambda: track)
    times_s, f0_hz = track.times_s[inside] - start_s, track.f0_hz[inside]
    apart = max(1, round(0.5 * track.step_s * sample_rate))
    turning_PT = _turning(times_s, f0_hz, alone_S, sample_rate, apart)
    bins = (torch.arange(1, PARTIALS + 1)[:, None] * torch.from_numpy(f0_hz / bin_hz)).round().long()
    frame = torch.from_numpy(np.round(times_s / frame_s).astype(int)).clamp_max(share_FT.shape[1] - 1)
    heard = (bins < len(share_FT)) & (bins * bin_hz < config.edge_hz)
    turning_PT = turning_PT * (share_FT[bins.clamp_max(len(share_FT) - 1), frame] * heard) ** 2
    turning_PT = _smoothed(turning_PT, config.smooth_frames)
    errors_cents, certainty = _errors(turning_PT, f0_hz, 2 * apart / sample_rate, config.reluctance)
    given_cents = 1200 * np.log2(f0_hz)
    goes_on = (np.abs(np.diff(given_cents)) < LEAP_CENTS) & (np.diff(times_s) < 1.5 * track.step_s)
    finer = (USUAL_STEP_S / track.step_s) ** 2

    def moved(errors_cents: np.ndarray, certainty: np.ndarray) -> Track:
        f0_hz = track.f0_hz.copy()
        f0_hz[inside] = 2 ** (_settled(given_cents, errors_cents, certainty, goes_on, config.stiffness * finer) / 1200)
        return replace(track, f0_hz=f0_hz)

    def report() -> Track:
        period_cents, repeats = period_errors(times_s, f0_hz, alone_S, sample_rate)
        odds = repeats**2 / (1 - repeats.clip(0, 0.999) ** 2)
        period_certainty = config.period_certainty / finer * odds
        both = np.maximum(certainty, HEARD) + period_certainty
        both_cents = (np.maximum(certainty, HEARD) * errors_cents + period_certainty * period_cents) / both
        return moved(both_cents, certainty + period_certainty)

    return Refined(moved(errors_cents, certainty), report)


def finer_in_glides(track: Track, finer: Track) -> Track:
    """Return a track that is as another one, of the same frames, where both are voiced and the first glides.

    What the first was found in, a salience whose frames see a tenth of a second, lags behind a fast glide or cuts its
    corners.
    """
    voiced = track.f0_hz > 0
    cents = 1200 * np.log2(np.where(voiced, track.f0_hz, 1.0))
    half = max(1, round(0.5 * GLIDE_S / max(track.step_s, 1e-6)))
    if len(cents) <= 2 * half:
        return track
    moved = np.where(voiced[2 * half :] & voiced[: -2 * half], np.abs(cents[2 * half :] - cents[: -2 * half]), 0.0)
    glides = np.pad(moved, half) > GLIDE_CENTS_PER_S * GLIDE_S
    # The corners at both ends belong to it.
    glides = maximum_filter1d(glides, 2 * half + 1) & voiced & (finer.f0_hz > 0)
    return replace(track, f0_hz=np.where(glides, finer.f0_hz, track.f0_hz))


def _turning(times_s: np.ndarray, f0_hz: np.ndarray, alone_S: Tensor, sample_rate: float, apart: int) -> Tensor:
    """Return ``z(t + apart) conj(z(t - apart))`` of every demodulated partial, shape (P, T)."""
    samples_s = np.arange(len(alone_S)) / sample_rate
    phi = phase(torch.from_numpy(np.exp(np.interp(samples_s, times_s, np.log(f0_hz)))), sample_rate)
    half = round(WINDOW_S * sample_rate / 2)
    window = torch.hann_window(2 * half).to(torch.complex64)
    centre = torch.from_numpy(np.round(times_s * sample_rate).astype(int))
    # Frames begin so many samples later in the signal padded by half a window and the distance on either side.
    after, before = centre + 2 * apart, centre
    turn_S = torch.polar(torch.ones_like(alone_S), (-phi).remainder(2 * torch.pi).float())
    demodulated_S, turning = alone_S.to(turn_S.dtype), []
    for _ in range(PARTIALS):
        demodulated_S = demodulated_S * turn_S
        framed = torch.nn.functional.pad(demodulated_S, (half + apart, half + apart)).unfold(0, 2 * half, 1)
        turning.append((framed[after] @ window) * (framed[before] @ window).conj())
    return torch.stack(turning)


def _errors(turning_PT: Tensor, f0_hz: np.ndarray, lag_s: float, reluctance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the error of F0 in cents (T,) that best explains how partials turn over a lag, and its certainty (T,).

    The certainty is the curvature of what is maximised, in 1/cents^2 and relative to its largest possible value, times
    the odds that turning is explained at all.
    """
    grid_cents = torch.arange(-SEARCH_CENTS, SEARCH_CENTS + 1, STEP_CENTS)
    error_hz = (2 ** (grid_cents / 1200) - 1)[:, None] * torch.from_numpy(f0_hz).float()
    score_GT, curvature_T = torch.zeros_like(error_hz), torch.zeros(len(f0_hz))
    cent = 2 * torch.pi * lag_s * torch.from_numpy(f0_hz).float() * (np.log(2) / 1200)
    for k, turning_T in enumerate(turning_PT, 1):
        angle_GT = 2 * torch.pi * lag_s * k * error_hz
        score_GT += turning_T.real * torch.cos(angle_GT) + turning_T.imag * torch.sin(angle_GT)
        curvature_T += turning_T.abs() * (k * cent) ** 2
    all_T = turning_PT.abs().sum(0)
    pulled_GT = score_GT - reluctance * all_T * (grid_cents[:, None] / SEARCH_CENTS) ** 2
    best = pulled_GT.argmax(0).clamp(1, len(grid_cents) - 2)
    left, middle, right = (pulled_GT.gather(0, (best + shift)[None])[0] for shift in (-1, 0, 1))
    bend = left - 2 * middle + right
    offset = torch.where(bend < 0, 0.5 * (left - right) / bend, torch.zeros(())).clamp(-0.5, 0.5)
    floor_T = all_T.clamp_min(torch.finfo(all_T.dtype).tiny)
    explained_T = (score_GT.gather(0, best[None])[0] / floor_T).clamp(0, 0.999) ** 2
    certainty_T = curvature_T / floor_T * explained_T / (1 - explained_T)
    return (grid_cents[best] + offset * STEP_CENTS).double().numpy(), certainty_T.double().numpy()


def _settled(
    given_cents: np.ndarray, errors_cents: np.ndarray, certainty: np.ndarray, goes_on: np.ndarray, stiffness: float
) -> np.ndarray:
    """Return the pitch (T,) that is near what is certain and bends little elsewhere; where nothing is heard it stays.

    Parameters
    ----------
    given_cents, errors_cents, certainty
        The track at hand, how far it is off, and how certain that is, shape (T,).
    goes_on
        Whether a frame and the next belong to one note, shape (T-1,).
    stiffness
        Price of bending.
    """
    bent = stiffness * (goes_on[:-1] & goes_on[1:])
    bands = np.zeros((3, len(given_cents)))
    heard = certainty > HEARD
    bands[2] = weight = np.where(heard, certainty, 1.0)
    # The square of a second difference (1, -2, 1), for every three frames of one note.
    for row, first, factor in ((2, 0, 1), (2, 1, 4), (2, 2, 1), (1, 1, -2), (1, 2, -2), (0, 2, 1)):
        bands[row, first : first + len(bent)] += factor * bent
    return solveh_banded(bands, weight * (given_cents + np.where(heard, errors_cents, 0.0)))


def _smoothed(r_PT: Tensor, frames: int) -> Tensor:
    """Return the values averaged over neighbouring frames."""
    kernel = torch.hann_window(2 * frames + 3, periodic=False)[1:-1].expand(len(r_PT), 1, -1)

    def convolved(x_PT: Tensor) -> Tensor:
        return torch.nn.functional.conv1d(x_PT[None], kernel, padding=frames, groups=len(x_PT))[0]

    return torch.complex(convolved(r_PT.real), convolved(r_PT.imag))
