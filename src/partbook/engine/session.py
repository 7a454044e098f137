"""A session of several microphones: leak-suppressed spots → spectra and room → multichannel Wiener filter.

Without spots a seating plan, or else the pitch of the players, says where the fit starts.

Long recordings are cut into sections. The room is learned from some of them, spread over the recording, each with
spectra of its own (:mod:`~partbook.engine.players`); the spectra of the others are fitted in the room as it then is.
Neighbouring sections are cross-faded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np

from ..audio import Recording, source_names
from ..audio.health import DEAD, Health, examined
from ..audio.takes import check_one_take
from ..config import Options, SessionConfig, SessionOptions
from ..ensemble import Voice
from ..errors import OptionError
from ..pitch.tracks import Track
from ..progress import OnProgress, Progress
from ..stems import Block, Separation, Source
from .analysis import Analysis, Section, analysed
from .calibrated import adapted, suited
from .calibration import Calibration, read_calibration
from .players import Model, images, learned, powers
from .plays import read_plays
from .starts import from_tracks, named_start, renamed
from .telling import telling
from .voices import separate_voices

_HEARD_OUT = 3
"""Players that their pitch alone tells apart, where nobody says what it is."""


def separate_session(
    recording: Recording,
    *,
    options: Options,
    config: SessionConfig | None = None,
    session: SessionOptions | None = None,
    voices: tuple[Voice, ...] | None = None,
    f0: Mapping[str, Track] | None = None,
    on_progress: OnProgress | None = None,
) -> Separation:
    """Separate a session into the image of every player at every microphone.

    Parameters
    ----------
    recording
        Microphones with roles; a player may have several spots.
    options, config
        Seed, device and memory; settings of the model.
    session
        What is known of players and room; at which microphones the images are written is not this function's business.
    voices, f0
        Without spots: who plays, high to low, and their F0, as for one recording of voices.
    on_progress
        Where to report.

    Returns
    -------
    Separation
        One source per player, in the order of their spots. What the background takes is in no image.

    Raises
    ------
    OptionError
        If what is known does not fit the recording.
    AudioError
        If microphones recorded different takes.
    """
    config, session = config or SessionConfig(), session or SessionOptions()
    calibration = read_calibration(session.calibration) if session.calibration else None
    if session.sources == "dictionary" and calibration is None:
        raise OptionError("a calibration for the sources dictionary", "none", "--calibration FILE")
    names, spots, heard = _players(recording, session.start, calibration), source_names(recording), None
    if not names:
        heard = separate_voices(recording, voices, f0=f0 or {}, options=options, on_progress=on_progress)
        names = {source.id: source.name for source in heard.sources}
    if "alignment" not in recording.setup:
        check_one_take(recording)
    health = examined(recording)
    remarks = [*health.problems, *_expected(recording, names, health, heard is not None, len(f0 or {}) == len(names))]
    _say(remarks, on_progress)
    plays = read_plays(session.plays, tuple(names)) if session.plays else {}
    told = {
        "remarks": remarks,
        "plays": plays,
        "start": "pitch" if heard else session.start,
        "sources": session.sources,
    }
    if heard is not None and len(recording.microphones) == 1:
        if plays:
            raise OptionError("several microphones for --plays", "one")
        return replace(heard, config=dict(heard.config) | {"session": told})
    spotless = not set(names) <= set(spots)
    analysis = analysed(recording, tuple(names), health.level_M, plays, options, config, spotless, session.sources)
    if calibration is not None:
        analysis = suited(calibration, analysis, tuple(names))
    sections = planned(analysis, len(names), options, config)
    told_by = telling(sections, analysis, options, config)
    model = None
    if calibration is not None:
        model = adapted(calibration, analysis, told_by, options, config, session.sources, on_progress)
    elif analysis.players:
        if heard is not None:
            begin = from_tracks(recording, list(heard.f0.values()), options)
        else:
            begin = named_start(session.start, recording, tuple(names), options)
        model = learned(analysis, told_by, options, config, begin, on_progress)
        model = renamed(model, analysis) if model.beginning.g_NM is not None else model
    if model is not None:
        # Spectra of a section that was heard without its pauses are not those of the whole.
        kept = {number: each for number, each in model.spectra.items() if told_by[number] == sections[number]}
        model = replace(model, spectra=kept)
        _say(model.remarks, on_progress)
        remarks.extend(model.remarks)
    return Separation(
        recording=recording,
        sources=heard.sources if heard else tuple(Source(id, name) for id, name in names.items()),
        blocks=lambda: _separated(analysis, sections, model, len(names), options, config, on_progress),
        f0=heard.f0 if heard else {},
        config={"session": asdict(config) | told},
        seed=options.seed,
    )


def _say(remarks: Sequence[str], on_progress: OnProgress | None) -> None:
    """Report remarks one by one."""
    if remarks:
        progress = Progress("listen", len(remarks), on_progress)
        for remark in remarks:
            progress.step(remark)


def _players(recording: Recording, start: str, calibration: Calibration | None) -> dict[str, str]:
    """Return the name of every player by id: of the spots, or else of the seating plan or of the calibration."""
    names, listed = source_names(recording), recording.setup.get("source", ())
    if start == "plan" and listed:
        return {str(entry["name"]).lower(): str(entry["name"]) for entry in listed}
    silent = [str(each["name"]) for each in listed if each.get("spot", True) and str(each["name"]).lower() not in names]
    if names and silent:
        hint = f'source = "{silent[0]}" at its microphone, or spot = false at the source {silent[0]}'
        raise OptionError("a spot microphone for every player of session.toml", f"none for {', '.join(silent)}", hint)
    if not names and calibration is not None:
        return {id: id for id in calibration.players}
    if not names and start != "spot":
        raise OptionError(f"spot microphones, or places of the players, for the start {start}", "none", "--spots")
    return names


def _expected(
    recording: Recording, names: Mapping[str, str], health: Health, pitched: bool, given: bool
) -> Iterator[str]:
    """Yield a line for what cannot be expected of the microphones as they are."""
    unnamed = recording.setup.get("unnamed", ())
    if unnamed:
        yield f"not named as a microphone and left out: {', '.join(unnamed)}"
    for each in recording.setup.get("alignment", ()):
        clock = f"{each['offset_ms']:+.1f} ms, {each['drift_ppm']:+.1f} ppm at {each['rate']} Hz"
        yield f"aligned {each['file']}: {clock} (confidence {each['confidence']:.2f})"
    listed = [str(entry["name"]) for entry in recording.setup.get("source", ())]
    for name in listed:
        if name.lower() not in names:
            yield f"{name} has no spot microphone: it stays in the residual and in the others' parts"
    if pitched:
        yield "no spot microphones: players are told apart by their pitch, as voices are"
    if pitched and len(names) > _HEARD_OUT and not given:
        yield f"of {len(names)} players some will be lost: --f0, a seating plan or a calibration would tell them apart"
    live = int((health.level_M > DEAD * health.level_M.max()).sum())
    players = max(len(names), len(listed))
    if players > live:
        yield f"{players} players at {live} live microphones: expect parts about as clean as masks would make them"


def planned(analysis: Analysis, sources: int, options: Options, config: SessionConfig) -> list[Section]:
    """Cut the recording into sections of equal length that fit into a quarter of the memory."""
    recording, rate = analysis.recording, analysis.recording.sample_rate
    # Of every image: complex bins of the modelled band, twice, and float32 samples, with copies.
    bytes_per_s = 16 * (config.overlap * min(config.band_hz, rate / 2) + rate) * sources * len(recording.microphones)
    section_s = float(np.clip(options.memory_bytes / 4 / bytes_per_s, 2, config.section_s))
    count = max(1, round(recording.length / (section_s * rate)))
    edges = [round(k * recording.length / count) for k in range(count + 1)]
    fade, context = round(config.fade_s * rate), round(config.context_s * rate)
    return [
        Section(a, b, min(fade, recording.length - b), max(0, a - context), min(recording.length, b + fade + context))
        for a, b in pairwise(edges)
    ]


def _separated(
    analysis: Analysis,
    sections: Sequence[Section],
    model: Model | None,
    sources: int,
    options: Options,
    config: SessionConfig,
    on_progress: OnProgress | None,
) -> Iterator[Block]:
    """Yield the images section by section, the head of each cross-faded with the tail of the one before."""
    shape = (sources, len(analysis.recording.microphones))
    progress = Progress("separate", len(sections), on_progress)
    tail = np.zeros((*shape, 0), np.float32)
    for number, section in enumerate(sections):
        out = np.zeros((*shape, section.stop + section.fade - section.start), np.float32)
        if model is not None:
            X_MFT = analysis.spectra(section)
            lambda_NFT = powers(X_MFT[:, : analysis.bins], number, section, analysis, model, options, config)
            kept = slice(section.start - section.first, section.start - section.first + out.shape[-1])
            for n, image_MFT in zip(analysis.players, images(X_MFT, lambda_NFT, analysis, model), strict=True):
                samples = analysis.stft.inverse(image_MFT, section.last - section.first)[:, kept].cpu()
                out[n, list(analysis.live)] = samples * analysis.scale_M[:, None]
        faded = tail.shape[-1]
        ramp = (np.arange(faded, dtype=np.float32) + 0.5) / max(1, faded)
        out[..., :faded] = ramp * out[..., :faded] + (1 - ramp) * tail
        tail = out[..., section.stop - section.start :].copy()
        progress.step()
        yield Block(section.start, out[..., : section.stop - section.start])


__all__ = ["planned", "separate_session"]
