"""One recording of voices: F0 tracks → powers of the voices → coherent Wiener filter, block by block.

The powers are those of source-filter models: fitted to the recording, said by a network that learned how voices sound,
or the mean of both and of what lasts of the network's word.

Everything is done on the recording's own samples and spectrum: the model reads the bins below the edge of the analysed
band, and what lies above is shared out by :func:`partbook.wiener.extended`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace

import numpy as np
import torch
from torch import Tensor

from ..audio import Recording
from ..audio.conditioning import levelled
from ..coherent import steadiness
from ..config import Options, VoicesConfig
from ..ensemble import Voice
from ..fit import fit
from ..pitch.following import track_voices
from ..pitch.refine import finer_in_glides
from ..pitch.tracks import Track
from ..progress import OnProgress, Progress
from ..room.single import Single
from ..room.tail import DRY, Tail, heard_in, told_by
from ..singer.model import Singer
from ..sources import source_filter
from ..stems import Block, Separation, Source
from ..wiener import masks
from .adapting import Heard, adapted
from .apart import followed, listened_again, loudest, told_apart
from .singing import blended, lasting, sung_power, trained, wavering
from .spectra import WHOLE, Analysis
from .stretches import stretches


def separate_voices(
    recording: Recording,
    voices: tuple[Voice, ...] | None,
    *,
    f0: Mapping[str, Track],
    options: Options,
    config: VoicesConfig | None = None,
    on_progress: OnProgress | None = None,
) -> Separation:
    """Separate one recording into its voices.

    Voices on two channels are told apart by where they stand, too; more than two share one mask.

    Parameters
    ----------
    recording
        The recording, with any number of channels.
    voices
        Who sings, high to low; None guesses the number.
    f0
        F0 per voice id; empty to estimate it.
    options, config
        Seed and memory; settings of the model.
    on_progress
        Where to report.
    """
    config = config or VoicesConfig()
    found = not f0
    if found:
        voices, f0 = track_voices(recording, voices, salience=options.salience, on_progress=on_progress)
    tracks = [f0[voice.id] for voice in voices]
    exact, reported, steady, tail = _refined(recording, tracks, options, config, on_progress)
    if found:
        tracks = [finer_in_glides(track, finer) for track, finer in zip(tracks, reported, strict=True)]
        config = heard_longer(config, steady)
    f0 = {voice.id: track for voice, track in zip(voices, reported, strict=True)}
    singer = None if options.model == "fit" else _singer(recording, tracks, steady, options, config, on_progress)
    return Separation(
        recording=recording,
        sources=tuple(Source(voice.id, voice.name, _confidence(f0[voice.id])) for voice in voices),
        blocks=lambda: _separated(recording, tracks, exact, steady, tail, options, config, on_progress, singer),
        f0=f0,
        config={
            "voices": asdict(config)
            | {"salience": options.salience, "model": options.model, "steadiness": round(steady, 3)}
            | {"rt60_s": round(tail.rt60_s, 2), "late": round(tail.late, 2)}
        },
        seed=options.seed,
    )


def heard_longer(config: VoicesConfig, steady: float) -> VoicesConfig:
    """Return the settings with the window for voices that are so steady, where their F0 is found."""
    longer_s = config.wavering_window_s - config.window_s
    return replace(config, window_s=config.window_s + wavering(steady) * longer_s)


def modelled(
    power_FT: Tensor,
    combs_NRFT: Tensor,
    analysis: Analysis,
    generator: torch.Generator,
    config: VoicesConfig,
    *,
    together: bool = False,
) -> source_filter.SourceFilter:
    """Return the source-filter model fitted to a power of unit mean, with one pull a round where ``together``."""
    sources = source_filter.start(combs_NRFT.sum(1).abs() ** 2, analysis.bins_hz, generator)
    rounds = {"iterations": config.iterations, "beta": config.beta, "together": together}
    return fit(power_FT, sources, Single(), fixed_room=True, **rounds)[0]


def separate_stretch(
    x_MS: Tensor,
    start: int,
    tracks: list[Track],
    analysis: Analysis,
    options: Options,
    config: VoicesConfig,
    singer: Singer | None = None,
    *,
    exact: list[Track] | None = None,
    steady: float = 1.0,
    tail: Tail = DRY,
) -> Tensor:
    """Return the images (N, M, S) of all voices over one stretch that begins at sample ``start`` of the recording.

    A network that suits the recording takes the place of the one for steady voices. Where ``exact`` tracks are given,
    the phases of partials follow those: a cent is much to a phase and nothing to a power, and what made the tracks more
    exact may have led a few of them astray. Where voices are ``steady``, a partial is heard as one sinusoid for longer,
    in more frames. The ``tail`` is that of the room.
    """
    samples = x_MS.shape[-1]
    X_MFT = analysis.stft(x_MS)
    power_FT = (X_MFT[:, : analysis.bins].abs() ** 2).sum(0)
    level = power_FT.mean()
    if level <= 0:
        return torch.zeros(len(tracks), *x_MS.shape)
    f0_NT = analysis.f0_hz(tracks, start, samples)
    told_NRFT = analysis.combs(tracks, start, samples, WHOLE)
    dry_FT = tail.taken_off(power_FT, analysis.frame_s)
    lambda_NFT = _powers(dry_FT / dry_FT.mean(), told_NRFT, f0_NT, analysis, options, config, singer)
    # What lingers of a voice comes from everywhere, and follows no phase.
    late_NFT = tail.lingers(lambda_NFT[:-1], analysis.frame_s)
    lambda_NFT = torch.cat([lambda_NFT[:-1], late_NFT, lambda_NFT[-1:]])
    scaled_MS = x_MS / level.sqrt()
    images, look = told_apart(scaled_MS, start, exact or tracks, lambda_NFT, analysis, config, steady)
    images, late, background = images.split([len(tracks), len(late_NFT), 1])
    images[: len(late)] += late
    images += config.shared_background / len(tracks) * background
    return look.stft.inverse(images, samples) * level.sqrt()


def _powers(
    power_FT: Tensor,
    combs_NRFT: Tensor,
    f0_NT: Tensor,
    analysis: Analysis,
    options: Options,
    config: VoicesConfig,
    singer: Singer | None = None,
) -> Tensor:
    """Return the powers of all voices, and of the background last, as fit, network or both say.

    The power of the recording has a mean of 1.
    """
    generator = torch.Generator().manual_seed(options.seed)
    if options.model == "fit":
        return modelled(power_FT, combs_NRFT, analysis, generator, config).power()
    said_NFT = sung_power(power_FT, combs_NRFT, f0_NT, analysis.bins_hz, singer=singer)
    if options.model == "network":
        return said_NFT
    # As a third opinion, of little weight, the cheaper fit is as good.
    fitted_NFT = modelled(power_FT, combs_NRFT, analysis, generator, config, together=True).power()
    lasting_NFT = lasting(power_FT, said_NFT, combs_NRFT, analysis.bins_hz, generator)
    return blended((said_NFT, lasting_NFT, fitted_NFT), config.opinion_weights)


def _refined(
    recording: Recording,
    tracks: list[Track],
    options: Options,
    config: VoicesConfig,
    on_progress: OnProgress | None,
) -> tuple[list[Track], list[Track], float, Tail]:
    """Return the tracks after each has followed its own voice, as the model hears it, through the whole recording.

    The first follow the phases of its partials, the second are its pitch to be reported. The number says how steady the
    voices then are, pauses not counted; where they are steady, they are listened to again. Where a fit and the network
    separate together, the network listens alone: it hears where a voice is as well as both do, and sooner. Last comes
    the tail of the room. All but that is heard in a copy whose soft passages are as loud as its loud ones.
    """
    even = levelled(recording)
    analysis = Analysis.of(recording.sample_rate, config)
    cuts = stretches(recording, len(tracks), options, config)
    progress = Progress("refine", len(cuts), on_progress)
    if options.model == "both":
        options = replace(options, model="network")
    reported, steady, energy, room = tracks, [], [], []
    for number, cut in enumerate(cuts):
        x_MS = cut.samples(even)
        here = cut.read_start, x_MS.shape[-1]
        X_MFT = analysis.stft(x_MS)[:, : analysis.bins]
        power_FT = (X_MFT.abs() ** 2).sum(0)
        level = power_FT.mean()
        if level > 0:
            combs_NRFT, f0_NT = analysis.combs(tracks, *here, WHOLE), analysis.f0_hz(tracks, *here)
            drawn = replace(options, seed=options.seed + number)
            if config.tails:
                as_it_is_FT = (analysis.stft(cut.samples(recording))[:, : analysis.bins].abs() ** 2).sum(0)
                comb_NFT = combs_NRFT.sum(1).abs() ** 2
                room.append(heard_in(as_it_is_FT, comb_NFT, analysis.bins_hz, analysis.frame_s))
            lambda_NFT = _powers(power_FT / level, combs_NRFT, f0_NT, analysis, drawn, config)
            share_NFT = masks(lambda_NFT)[:-1]
            clearest = loudest(X_MFT)
            alone_NFT = share_NFT * X_MFT[clearest] / level.sqrt()
            moved = followed(tracks, alone_NFT, share_NFT, *here, analysis)
            exact = [each.exact for each in moved]
            lines_NRFT = analysis.combs(exact, *here, WHOLE)
            steady.append(steadiness(X_MFT, lambda_NFT, lines_NRFT, analysis.bins_hz))
            energy.append(float(cut.inner(x_MS).square().sum()))
            for _ in range(1, config.listened if wavering(steady[-1]) < 0.5 else 1):
                scaled = x_MS[[clearest]] / level.sqrt(), cut.read_start
                moved = listened_again(*scaled, exact, lambda_NFT, analysis, config, steady[-1])
                exact = [each.exact for each in moved]
            inside_s = cut.start / recording.sample_rate, cut.stop / recording.sample_rate
            tracks = [_between(old, new, *inside_s) for old, new in zip(tracks, exact, strict=True)]
            reported = [_between(old, new.reported, *inside_s) for old, new in zip(reported, moved, strict=True)]
        progress.step()
    on_average = float(np.average(steady, weights=energy)) if any(energy) else 1.0
    return tracks, reported, on_average, told_by(room)


def _between(old: Track, new: Track, from_s: float, to_s: float) -> Track:
    """Return the old track with the F0 of the new one from one time to another."""
    inside = (old.times_s >= from_s) & (old.times_s < to_s)
    return replace(old, f0_hz=np.where(inside, new.f0_hz, old.f0_hz))


def _singer(
    recording: Recording,
    tracks: list[Track],
    steady: float,
    options: Options,
    config: VoicesConfig,
    on_progress: OnProgress | None,
) -> Singer:
    """Return the network for voices that are so steady, adapted to the recording where time is given for that."""
    singer = trained(steady)
    if not options.adapt_s:
        return singer
    analysis = Analysis.of(recording.sample_rate, config)
    cuts = stretches(recording, len(tracks), options, config)
    most = max(1, int(config.adapt_from_s * recording.sample_rate / (cuts[0].stop - cuts[0].start)))
    spread = sorted({round(n) for n in np.linspace(0, len(cuts) - 1, min(most, len(cuts)))})
    pieces = [_heard(cuts[n].samples(recording), cuts[n].read_start, tracks, analysis) for n in spread]
    return adapted(
        singer, pieces, analysis.bins_hz, analysis.frame_s, options.adapt_s, seed=options.seed, on_progress=on_progress
    )


def _heard(x_MS: Tensor, start: int, tracks: list[Track], analysis: Analysis) -> Heard:
    """Return a stretch as the network hears it, in its loudest channel."""
    X_MFT = analysis.stft(x_MS)[:, : analysis.bins]
    loudest_FT = X_MFT[loudest(X_MFT)]
    comb_NFT = analysis.combs(tracks, start, x_MS.shape[-1], WHOLE).sum(1).abs() ** 2
    return Heard(loudest_FT, comb_NFT, analysis.f0_hz(tracks, start, x_MS.shape[-1]))


def _separated(
    recording: Recording,
    tracks: list[Track],
    exact: list[Track],
    steady: float,
    tail: Tail,
    options: Options,
    config: VoicesConfig,
    on_progress: OnProgress | None,
    singer: Singer | None = None,
) -> Iterator[Block]:
    """Yield the voices' images stretch by stretch; neighbouring stretches overlap and are cross-faded."""
    analysis = Analysis.of(recording.sample_rate, config)
    cuts = stretches(recording, len(tracks) * (2 if tail.late else 1), options, config)
    progress = Progress("separate", len(cuts), on_progress)
    faded = np.zeros((len(tracks), len(recording.microphones), 0), np.float32)
    for number, cut in enumerate(cuts):
        drawn = replace(options, seed=options.seed + number)
        x_MS = cut.samples(recording)
        heard = x_MS, cut.read_start, tracks, analysis, drawn, config, singer
        images = separate_stretch(*heard, exact=exact, steady=steady, tail=tail).numpy()
        images = images[..., cut.start - cut.read_start : cut.stop + cut.fade - cut.read_start]
        overlap = faded.shape[-1]
        if overlap:
            ramp = (np.arange(overlap, dtype=np.float32) + 0.5) / overlap
            images[..., :overlap] = ramp * images[..., :overlap] + (1 - ramp) * faded
        faded = images[..., cut.stop - cut.start :].copy()
        progress.step()
        yield Block(cut.start, images[..., : cut.stop - cut.start])


def _confidence(track: Track) -> float:
    """Return the mean confidence of the voiced frames, 0 where there are none."""
    voiced = track.f0_hz > 0
    return float(track.confidence[voiced].mean()) if voiced.any() else 0.0


__all__ = ["modelled", "separate_stretch", "separate_voices"]
