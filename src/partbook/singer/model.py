"""The singer as a network: a mixture and the F0 of all its voices in, the power of every voice out.

The power of voice ``n`` is that of :mod:`partbook.sources.source_filter`, without its low rank,

    lambda_n(f, t) = comb_n(f, t) * sum_j b_j(f) filter_nj(t) + skirt_n(f, t) * sum_j b_j(f) loose_nj(t)
                     + sum_j b_j(f) noise_nj(t),

with bumps ``b_j`` spaced evenly in mel. The *skirt* is the comb smeared over some thirty hertz: what a partial is
beside its line, where a voice is rough, a room still rings or the F0 is a little wrong.

The network does not guess this at one stroke. It begins with falling spectra and goes a few rounds; each computes the
pull of the mixture on every band of every voice, as the multiplicative updates of a fit do, moves some way along it,
and adds what an :class:`~partbook.singer.encoder.Encoder` has learned to say about such a situation (an unrolled
iteration in the manner of Hershey, Le Roux & Weninger, "Deep unfolding: model-based inspiration of novel deep
architectures", 2014). Untrained it is a fit of a few rounds. Trained on mixtures it knows how the spectra of voices
look, so it can say what a voice does where another covers it.

Then a network of :mod:`partbook.singer.partials` looks along time and the numbers of partials, which bands do not know:
where two voices meet in a partial, it was alone a moment ago. At last one of :mod:`partbook.singer.finish` looks
at single bins: where the F0 is a little off, a partial wavers or a room rings, they show what no band can say, and
every bin of every voice gets a gain.

No waveform is made on this way. Where all-pole tracts are wanted (``order`` above 0), the last round also names line
spectral frequencies, gain and roll-off, and the filter is theirs; :mod:`partbook.singer.synth` can then sing them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import max_pool1d

from ..dsp.allpole import line_spectral_frequencies, power_response
from ..dsp.bases import smooth_basis
from . import finish, partials
from .bands import Sight, centres, faster, slower, smeared, standing
from .encoder import Bands, Encoder
from .finish import Gains
from .spectra import Spectra
from .synth import Controls

FLOOR = 1e-6
"""Powers below are taken as this; mixtures have a mean power of 1."""

HEARD = 15
"""Channels that the encoder hears of a voice."""

ANSWERS = 3
"""Channels of its answer: filter, noise, skirt."""

FALL_HZ = 400.0
"""Above it the spectra that the rounds begin with fall by 12 dB per octave."""

STEP = 0.4
"""Exponent of the first step of a filter or noise along its pull, where the pull is all its own."""

WIDE_HZ = 31.25
"""Where single bins are not looked at, the rounds see so much of the spectrum at once: bands are wider by far there."""

TRACT_BANDS = 96
"""Bands at which the response of an all-pole tract is read."""


@dataclass(frozen=True)
class SingerConfig:
    """What the network is.

    Attributes
    ----------
    bands
        Of filters and noise.
    band_hz
        Their upper edge.
    rounds, channels, dilations
        Rounds of the iteration; width and layers of the encoder of each.
    pace
        How many frames the rounds take for one: neighbours share most of their window.
    order
        Order of the all-pole tract, even; 0 leaves the filter to the bands.
    fine_channels, fine_dilations
        Width and layers of what looks at single bins; 0 leaves the powers to the bands.
    fine_hz
        Up to where it looks.
    partial_rounds, partial_channels, partial_dilations
        Rounds, width and layers of what looks at single partials, up to the same frequency; no round leaves them to the
        bands.
    partials
        At how many of a voice it looks.
    """

    bands: int = 36
    band_hz: float = 8000.0
    rounds: int = 3
    channels: int = 16
    dilations: tuple[int, ...] = (1, 3)
    pace: int = 1
    order: int = 0
    fine_channels: int = 0
    fine_dilations: tuple[int, ...] = (1, 3)
    fine_hz: float = 4000.0
    partial_rounds: int = 0
    partial_channels: int = 32
    partial_dilations: tuple[int, ...] = (1, 2, 4, 8)
    partials: int = 24

    @classmethod
    def from_json(cls, text: str) -> SingerConfig:
        """Return the configuration that was stored with weights."""
        told = json.loads(text)
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in told.items()})


class Singer(nn.Module):
    """The network.

    Parameters
    ----------
    config
        What it is.
    """

    def __init__(self, config: SingerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SingerConfig()
        self.rounds = nn.ModuleList(
            Encoder(HEARD, ANSWERS, config.channels, config.bands, config.dilations) for _ in range(config.rounds)
        )
        self.partials = nn.ModuleList(
            Gains(partials.SEEN, config.partial_channels, config.partial_dilations, partials.MOST)
            for _ in range(config.partial_rounds)
        )
        if config.fine_channels:
            self.finish = Gains(finish.SEEN, config.fine_channels, config.fine_dilations, finish.MOST)
        if config.order:
            self.tract = nn.Linear(config.channels * config.bands, config.order + 3)
            nn.init.zeros_(self.tract.weight)
            nn.init.zeros_(self.tract.bias)

    def forward(
        self,
        power_BFT: Float[Tensor, "B F T"],
        comb_BNFT: Float[Tensor, "B N F T"],
        f0_hz: Float[Tensor, "B N T"],
        bins_hz: Float[Tensor, " F"],
        near: slice = slice(None),
        fine: slice = slice(None),
        *,
        whole: bool = True,
        low_precision: bool = False,
    ) -> tuple[Spectra, ...]:
        """Return what every round says about the voices, the last and best last.

        Parameters
        ----------
        power_BFT
            Power of the mixtures, scaled to a mean of 1.
        comb_BNFT
            Power of every voice's flat harmonics, where a partial of amplitude 1 peaks at about 1.
        f0_hz
            F0 in the frames, 0 where unvoiced.
        bins_hz
            Frequencies of the bins, up to ``band_hz`` at most.
        near, fine
            Frames whose single partials, and those of them whose single bins are looked at; of others nothing is said
            then from there on.
        whole
            Say it of all bins and frames; else of bins as the rounds see them (:meth:`sight`), and let the rounds speak
            of their own frames, which is cheaper.
        low_precision
            Compute what looks at partials and bins in bfloat16.
        """
        scene = _Scene(power_BFT, comb_BNFT, f0_hz, bins_hz, self.config, self.sight(bins_hz))
        said, told = scene.start(), []
        for encoder in self.rounds:
            heard, steps = scene.heard(said)
            answer_BNAJT, last = encoder(heard)
            before = (said.filter_BNJT, said.noise_BNJT, said.loose_BNJT)
            after = [
                (was + step + answer_BNAJT[:, :, n]).clamp(-18, 12)
                for n, (was, step) in enumerate(zip(before, steps, strict=True))
            ]
            filter_BNJT, noise_BNJT, loose_BNJT = after
            said = replace(said, filter_BNJT=filter_BNJT, noise_BNJT=noise_BNJT, loose_BNJT=loose_BNJT)
            told.append(said)
        if whole:
            told = [scene.whole(said) for said in told]
        said = scene.timed(told[-1])
        if self.config.order:
            said = self._with_tracts(said, last, f0_hz, bins_hz)
            told.append(said)
        if self.partials:
            said = said.between(near)
        for look in self.partials:
            said = self._by_partials(look, said, power_BFT, f0_hz, bins_hz, low_precision)
            told.append(said)
        if self.config.fine_channels:
            told.append(self._finished(said.between(fine), power_BFT, bins_hz, low_precision))
        return tuple(told)

    def sight(self, bins_hz: Float[Tensor, " F"]) -> Sight:
        """Return how much of the spectrum the rounds see at once; where there are tracts, every bin."""
        wide = 1 if self.config.order else max(1, round(WIDE_HZ / float(bins_hz[1])))
        return Sight(int((bins_hz < self.config.fine_hz).sum()), wide)

    def _by_partials(
        self, look: Gains, said: Spectra, power_BFT: Tensor, f0_hz: Tensor, bins_hz: Tensor, low_precision: bool
    ) -> Spectra:
        """Return the spectra with gains of their partials."""
        count, bin_hz = self.sight(bins_hz).single, float(bins_hz[1])
        power_BFT, f0_hz = power_BFT[..., said.frames], f0_hz[..., said.frames]
        # Gained by nothing: plain powers are made here, where gradients are wanted, and not below, where none are.
        x_BFT, said = power_BFT[:, :count], said.gained()
        with torch.no_grad():
            low = said.below(count)
            model_BNFT, lines_BNFT, rest_BFT = low.power(), low.lines(), low.background().expand_as(x_BFT)
        seen = partials.seen_at(x_BFT, model_BNFT, lines_BNFT, rest_BFT, f0_hz, bin_hz, self.config.partials)
        gain = partials.spread(look(seen, low_precision), f0_hz, count, bin_hz)
        return said.gained(partial_BNGT=gain if said.partial_BNGT is None else said.partial_BNGT * gain)

    def _finished(self, said: Spectra, power_BFT: Tensor, bins_hz: Tensor, low_precision: bool) -> Spectra:
        """Return the spectra with gains of their bins."""
        count = self.sight(bins_hz).single
        x_BFT, low = power_BFT[:, :count, said.frames], said.below(count)
        seen = finish.seen_of(x_BFT, low.power(), low.lines(), low.background().expand_as(x_BFT))
        return said.gained(gain_BNGT=self.finish(seen, low_precision).exp())

    def _with_tracts(self, said: Spectra, last: Tensor, f0_hz: Tensor, bins_hz: Tensor) -> Spectra:
        """Return the spectra with all-pole filters in the place of the bands'."""
        band_hz, named = self.config.band_hz, self.tract(last.flatten(-2))
        named = faster(named.mT, self.config.pace, f0_hz.shape[-1]).mT
        gain = (0.5 * said.filter_BNJT[:, :, :4].mean(2) + named[..., 0]).clamp(-9, 6).exp()
        decay, lsf = torch.sigmoid(3 + named[..., 1]), line_spectral_frequencies(named[..., 2:])
        centres_hz = centres(TRACT_BANDS, band_hz).to(named)
        response = power_response(lsf, math.pi * centres_hz / band_hz).mT
        lowest_hz = torch.where(f0_hz > 0, f0_hz, torch.full_like(f0_hz, 100.0))[:, :, None]
        fall = (2 * (centres_hz[:, None] / lowest_hz - 1) * decay.log()[:, :, None]).clamp(-20, 2).exp()
        wide_FJ = smooth_basis(bins_hz, TRACT_BANDS, band_hz).to(named)
        tract_BNFT = wide_FJ @ (gain.square()[:, :, None] * fall * response)
        # The bands hold the noise as heard, in a window's power; the controls what goes into the tract, per sample.
        opened = power_response(lsf, math.pi * centres(self.config.bands, band_hz).to(named) / band_hz).mT
        noise = said.noise_BNJT.exp() / opened * (2 * band_hz / float(bins_hz[1]) / 6)
        controls = tuple(Controls(*each, band_hz) for each in zip(gain, decay, lsf, noise, strict=True))
        return replace(said, tract_BNFT=tract_BNFT, controls=controls)


class _Scene:
    """A batch of mixtures with the F0 of their voices, seen through bands."""

    def __init__(
        self,
        power_BFT: Tensor,
        comb_BNFT: Tensor,
        f0_hz: Tensor,
        bins_hz: Tensor,
        config: SingerConfig,
        sight: Sight,
    ) -> None:
        self.every = power_BFT, comb_BNFT, smeared(comb_BNFT, float(bins_hz[1]))
        self.seen, self.pace = tuple(map(sight, self.every)), config.pace
        self.x, self.comb, self.skirt = (slower(each, self.pace) for each in self.seen)
        f0_hz = max_pool1d(f0_hz, self.pace, ceil_mode=True)
        self.every_FJ = smooth_basis(bins_hz, config.bands, config.band_hz).to(power_BFT)
        self.bumps_FJ = sight(self.every_FJ)
        self.width_J1 = self.bumps_FJ.sum(0)[:, None] + 1e-6
        centres_J1 = centres(config.bands, config.band_hz).to(power_BFT)[:, None]
        self.fall_J1 = 1 / (1 + (centres_J1 / FALL_HZ) ** 2)
        self.shape = (*comb_BNFT.shape[:2], config.bands, self.x.shape[-1])
        voiced = (f0_hz > 0)[:, :, None]
        octaves = torch.log2(centres_J1.clamp_min(50) / f0_hz[:, :, None].clamp_min(50)).clamp(-1, 6)
        filled = _log(self.banded(self.comb)) / 3
        level = (_log(self.banded(self.x)) / 3)[:, None].expand(self.shape)
        # What does not change from round to round: mixture, comb, partial number, voicing.
        self.constant = (level, filled, octaves * voiced / 3, voiced.to(power_BFT).expand(self.shape))
        self.filled = 3 * filled

    def banded(self, x: Tensor) -> Tensor:
        """Return the mean over every band."""
        return (self.bumps_FJ.T @ x) / self.width_J1

    def start(self) -> Spectra:
        """Return falling spectra with a little noise, at the level of the mixture."""
        filter_BNJT = self.fall_J1.log().expand(self.shape)
        noise_BNJT = filter_BNJT + math.log(3e-3)
        loose_BNJT = filter_BNJT + math.log(1e-2)
        modelled = (self.bumps_FJ @ filter_BNJT.exp()) * self.comb + self.bumps_FJ @ noise_BNJT.exp()
        level = (self.x.mean((1, 2)) / modelled.sum(1).mean((1, 2)).clamp_min(1e-12)).clamp_min(FLOOR).log()
        level = level[:, None, None, None]
        background = standing(self.every[0], self.every_FJ)
        logs = (filter_BNJT + level, loose_BNJT + level, noise_BNJT + level)
        return Spectra(*logs, background, self.bumps_FJ, self.comb, self.skirt, pace=self.pace)

    def timed(self, said: Spectra) -> Spectra:
        """Return the same of every frame."""
        if said.pace == 1:
            return said
        _, comb_BNFT, skirt_BNFT = self.seen
        logs = (said.filter_BNJT, said.loose_BNJT, said.noise_BNJT)
        logs = (faster(each, said.pace, comb_BNFT.shape[-1]) for each in logs)
        return Spectra(*logs, said.background_BJ, self.bumps_FJ, comb_BNFT, skirt_BNFT)

    def whole(self, said: Spectra) -> Spectra:
        """Return the same at all bins and frames."""
        _, comb_BNFT, skirt_BNFT = self.every
        return replace(self.timed(said), bumps_FJ=self.every_FJ, comb_BNFT=comb_BNFT, skirt_BNFT=skirt_BNFT)

    def heard(self, said: Spectra) -> tuple[Bands, tuple[Tensor, Tensor, Tensor]]:
        """Return what the encoder hears, and steps of filter, noise and skirt along their pull."""
        y = said.power().sum(1) + said.background() + 1e-8
        inverse, ratio = 1 / y, self.x / y
        steep = ratio * inverse
        down, even, up = (self.banded(self.comb * q[:, None]) for q in (inverse, ratio, steep))
        down_noise, even_noise, up_noise = (self.banded(q) for q in (inverse, ratio, steep))
        claimed = _log(down * said.filter_BNJT.exp())
        claimed_noise = _log(down_noise[:, None] * said.noise_BNJT.exp())
        # Itakura-Saito's pull listens to the faint, Kullback-Leibler's to the loud.
        pull = (_log(up * said.filter_BNJT.exp()) - claimed).clamp(-6, 6)
        pull_loud = (_log(even) - self.filled).clamp(-6, 6)
        # Bands above the Nyquist frequency hold nothing, and nothing pulls them.
        pull_noise = ((up_noise + 1e-12).log() - (down_noise + 1e-12).log()).clamp(-6, 6)
        pull_noise_loud = _log(even_noise).clamp(-6, 6)
        down_loose, up_loose = (self.banded(self.skirt * q[:, None]) for q in (inverse, steep))
        claimed_loose = _log(down_loose * said.loose_BNJT.exp())
        pull_loose = (_log(up_loose * said.loose_BNJT.exp()) - claimed_loose).clamp(-6, 6)
        shared = [each[:, None].expand(self.shape) for each in (pull_noise, pull_noise_loud)]
        parts = (said.filter_BNJT / 3, pull, pull_loud, claimed / 3, said.noise_BNJT / 3, *shared, claimed_noise / 3)
        loose = (said.loose_BNJT / 3, pull_loose, claimed_loose / 3)
        heard = torch.stack([*parts, *loose, *self.constant], 2)
        step = STEP * pull * torch.sigmoid(claimed + 3)
        step_noise = 0.5 * STEP * shared[0] * torch.sigmoid(claimed_noise + 3)
        step_loose = 0.5 * STEP * pull_loose * torch.sigmoid(claimed_loose + 3)
        return heard, (step, step_noise, step_loose)


def _log(x: Tensor) -> Tensor:
    return (x + FLOOR).log()


__all__ = ["Singer", "SingerConfig"]
