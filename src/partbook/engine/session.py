"""A session of several microphones: leak-suppressed spots → spectra and room → multichannel Wiener filter.

Long recordings are cut into sections. The room is learned from some of them, spread over the recording, each with
spectra of its own (:mod:`~partbook.engine.players`); the spectra of the others are fitted in the room as it then is.
Neighbouring sections are cross-faded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise

import numpy as np

from ..audio import Recording, source_names
from ..audio.health import DEAD, Health, examined
from ..config import Options, SessionConfig, SessionOptions
from ..errors import OptionError
from ..progress import OnProgress, Progress
from ..stems import Block, Separation, Source
from .calibration import adapted, read_calibration, suited
from .players import Analysis, Model, Section, analysed, images, learned, refitted
from .plays import read_plays


def separate_session(
    recording: Recording,
    *,
    options: Options,
    config: SessionConfig | None = None,
    session: SessionOptions | None = None,
    on_progress: OnProgress | None = None,
) -> Separation:
    """Separate a session into the image of every player at every microphone.

    Parameters
    ----------
    recording
        Microphones with roles; every player has one spot or several.
    options, config
        Seed, device and memory; settings of the model.
    session
        What is known of players and room; at which microphones the images are written is not this function's business.
    on_progress
        Where to report.

    Returns
    -------
    Separation
        One source per player, in the order of their spots. What the background takes is in no image.

    Raises
    ------
    OptionError
        If no microphone is anyone's spot.
    """
    config, session = config or SessionConfig(), session or SessionOptions()
    names = source_names(recording)
    if not names:
        raise OptionError("at least one spot microphone", "none", "--spots")
    health = examined(recording)
    remarks = [*health.problems, *_expected(recording, names, health)]
    if remarks:
        said = Progress("listen", len(remarks), on_progress)
        for remark in remarks:
            said.step(remark)
    calibration = read_calibration(session.calibration) if session.calibration else None
    if session.sources == "dictionary" and calibration is None:
        raise OptionError("a calibration for the sources dictionary", "none", "--calibration FILE")
    plays = read_plays(session.plays, tuple(names)) if session.plays else {}
    analysis = analysed(recording, tuple(names), health.level_M, plays, options, config)
    if calibration is not None:
        analysis = suited(calibration, analysis, tuple(names))
    sections = planned(analysis, len(names), options, config)
    model = None
    if calibration is not None:
        model = adapted(calibration, analysis, sections, options, config, session.sources, on_progress)
    elif analysis.players:
        model = learned(analysis, sections, options, config, on_progress)
    return Separation(
        recording=recording,
        sources=tuple(Source(id, name) for id, name in names.items()),
        blocks=lambda: _separated(analysis, sections, model, len(names), options, config, on_progress),
        config={"session": asdict(config) | {"remarks": remarks, "plays": plays}},
        seed=options.seed,
    )


def _expected(recording: Recording, names: Mapping[str, str], health: Health) -> Iterator[str]:
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
    live = int((health.level_M > DEAD * health.level_M.max()).sum())
    players = max(len(names), len(listed))
    if players > live:
        yield f"{players} players at {live} live microphones: expect parts no cleaner than masks would make them"


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
            spectra = refitted(X_MFT[:, : analysis.bins], number, section, analysis, model, options, config)
            kept = slice(section.start - section.first, section.start - section.first + out.shape[-1])
            for n, image_MFT in zip(analysis.players, images(X_MFT, spectra.power(), analysis, model), strict=True):
                samples = analysis.stft.inverse(image_MFT, section.last - section.first)[:, kept].cpu()
                out[n, list(analysis.live)] = samples * analysis.scale_M[:, None]
        faded = tail.shape[-1]
        ramp = (np.arange(faded, dtype=np.float32) + 0.5) / max(1, faded)
        out[..., :faded] = ramp * out[..., :faded] + (1 - ramp) * tail
        tail = out[..., section.stop - section.start :].copy()
        progress.step()
        yield Block(section.start, out[..., : section.stop - section.start])


__all__ = ["planned", "separate_session"]
