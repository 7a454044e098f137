"""How a session is looked at: which microphones are heard, who plays at them, and in which stretches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..audio import Recording
from ..audio.health import DEAD
from ..axes import Spectrum_MFT
from ..config import Options, SessionConfig
from ..dsp.stft import Stft
from .plays import Stretches, playing


@dataclass(frozen=True)
class Section:
    """A stretch of the recording with its context.

    Attributes
    ----------
    start, stop
        Samples that it answers for; the next section begins at ``stop``.
    fade
        Samples beyond ``stop`` that are cross-faded into the next section.
    first, last
        Samples that it hears.
    """

    start: int
    stop: int
    fade: int
    first: int
    last: int


@dataclass(frozen=True)
class Analysis:
    """How a session is looked at.

    Attributes
    ----------
    recording
        The session.
    stft
        The transform.
    bins
        Bins of the modelled band.
    live
        Rows of the microphones that record anything.
    scale_M
        Levels of the live microphones, by which their spectra are divided.
    players
        Which of the sources are modelled: those with a live spot, or all whose place is known otherwise.
    spots
        Rows of every modelled player's spots among the live microphones; none for a player known otherwise.
    plays
        When every modelled player plays, in seconds of the original; None at any time.
    device
        Where spectra are kept.
    ids
        Ids of the modelled players.
    sources
        What their spectra are made of, as in :class:`~partbook.config.SessionOptions`.
    salience
        What their pitch is heard through, where it is followed.
    """

    recording: Recording
    stft: Stft
    bins: int
    live: tuple[int, ...]
    scale_M: Float[Tensor, " M"]
    players: tuple[int, ...]
    spots: tuple[tuple[int, ...], ...]
    plays: tuple[Stretches | None, ...]
    device: str
    ids: tuple[str, ...] = ()
    sources: str = "nmf"
    salience: str = "network"

    @property
    def frame_s(self) -> float:
        """Seconds from frame to frame."""
        return self.stft.hop_samples / self.recording.sample_rate

    @property
    def mains(self) -> tuple[int, ...]:
        """Rows of the live microphones that are nobody's spot."""
        return tuple(row for row in range(len(self.live)) if not any(row in own for own in self.spots))

    @property
    def bin_hz(self) -> float:
        """Distance between bins."""
        return self.recording.sample_rate / self.stft.n_fft

    def playing(self, section: Section, lingering_s: float) -> Float[Tensor, "N T"]:
        """Return 1 where every modelled player, and then its tail, may sound in a section and 0 elsewhere."""
        rate = self.recording.sample_rate
        first_s = (self.recording.start + section.first) / rate
        frames = self.stft.frames(section.last - section.first)
        times_s = first_s + torch.arange(frames) * (self.stft.hop_samples / rate)
        margin_s = 0.5 * self.stft.n_fft / rate
        early, late = (playing(self.plays, times_s, margin_s, linger_s) for linger_s in (0.0, lingering_s))
        return torch.cat([early, late]).to(self.device)

    def spectra(self, section: Section) -> Spectrum_MFT:
        """Return the spectra of the live microphones, at unit level."""
        samples = np.ascontiguousarray(self.recording.read(section.first, section.last)[list(self.live)])
        return self.stft((torch.from_numpy(samples) / self.scale_M[:, None]).to(self.device))


def analysed(
    recording: Recording,
    ids: Sequence[str],
    level_M: np.ndarray,
    plays: Mapping[str, Stretches],
    options: Options,
    config: SessionConfig,
    spotless: bool = False,
    sources: str = "nmf",
) -> Analysis:
    """Find the live microphones among those of given levels, and choose the transform.

    Players without a live spot are modelled only if ``spotless``.
    """
    live = tuple(int(m) for m in np.flatnonzero(level_M > DEAD * level_M.max()))
    microphones = [recording.microphones[m] for m in live]
    rows = {id: tuple(row for row, microphone in enumerate(microphones) if microphone.source == id) for id in ids}
    players = tuple(n for n, id in enumerate(ids) if rows[id] or spotless)
    window_s = min(config.window_s, recording.length / recording.sample_rate)
    stft = Stft.lasting(window_s, recording.sample_rate, config.overlap)
    return Analysis(
        recording,
        stft,
        min(stft.bins, int(config.band_hz * stft.n_fft / recording.sample_rate) + 1),
        live,
        torch.from_numpy(level_M[list(live)]).float(),
        players,
        tuple(rows[ids[n]] for n in players),
        tuple(plays.get(ids[n]) for n in players),
        options.device,
        tuple(ids[n] for n in players),
        sources,
        options.salience,
    )


__all__ = ["Analysis", "Section", "analysed"]
