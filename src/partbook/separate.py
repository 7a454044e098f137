"""The whole flow on one screen: open a recording, read the F0 that is given, separate, keep what came out.

Everything heavy is imported where it is used: ``import partbook`` and the help of the command line stay quick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .config import Format, Options, SessionOptions
from .ensemble import Voice, Voices, high_to_low, named_singers, named_voices
from .errors import OptionError, TrackError
from .progress import OnProgress, Stopwatch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .audio import Recording
    from .pitch.tracks import Track
    from .stems import Separation, Stems

F0 = Sequence["str | Path"] | Mapping[str, "str | Path | Track"] | None


def separate(
    source: str | Path | ArrayLike,
    sample_rate: int | None = None,
    *,
    voices: Voices = None,
    f0: F0 = None,
    spots: Sequence[str] = (),
    main: Sequence[str] = (),
    from_s: float | None = None,
    to_s: float | None = None,
    session: SessionOptions | None = None,
    options: Options | None = None,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> Stems:
    """Separate a recording into its parts, in memory.

    Parameters
    ----------
    source
        A sound file, the folder or ``session.toml`` of a session, or samples of shape (S,) or (M, S).
    sample_rate
        Hz, of samples only.
    voices
        Who sings: ``"SATB"``, names, or a number; None guesses.
    f0
        F0 of every voice: files in the order of ``voices`` or named by id, or files or tracks by id. None estimates it.
    spots, main
        Microphones of a session; see :func:`~partbook.audio.open_session`.
    from_s, to_s
        Separate only the stretch between these times.
    session
        Of a session: at which microphones, whether to align them, and what is known of players and room.
    options
        Seed, device, threads and memory.
    seed
        Shorthand for ``options=Options(seed=…)``.
    on_progress
        Called with every :class:`~partbook.progress.ProgressEvent`; returning False cancels.

    Returns
    -------
    Stems
        The parts by id, with ``.residual``, ``.f0`` and ``.save()``.

    Raises
    ------
    InputError
        If something given cannot be used.
    Cancelled
        If the progress callback asks to stop.

    Examples
    --------
    >>> stems = separate("quartet.wav", voices="SATB")                  # doctest: +SKIP
    >>> stems["alto"].shape, stems.save("separated")                    # doctest: +SKIP
    """
    from .stems import collect

    align = session is not None and session.align
    recording = open_input(source, sample_rate, spots=spots, main=main, from_s=from_s, to_s=to_s, align=align)
    options = options or Options(seed=seed)
    separation = separate_recording(
        recording, voices=voices, f0=f0, session=session, options=options, on_progress=on_progress
    )
    one_dimensional = not isinstance(source, str | Path) and len(getattr(source, "shape", ())) == 1
    return collect(separation, mono=one_dimensional, on_progress=on_progress)


def separate_into(
    directory: str | Path,
    source: str | Path | ArrayLike,
    sample_rate: int | None = None,
    *,
    voices: Voices = None,
    f0: F0 = None,
    spots: Sequence[str] = (),
    main: Sequence[str] = (),
    from_s: float | None = None,
    to_s: float | None = None,
    session: SessionOptions | None = None,
    options: Options | None = None,
    name: str | None = None,
    format: Format = "flac",
    on_progress: OnProgress | None = None,
    extras: Callable[[Path], object] | None = None,
) -> Path:
    """Separate a recording of any duration into the folder ``directory/<track>``, block by block, and return it.

    Parameters as in :func:`separate` and :func:`partbook.stems.write`.
    """
    from .stems import check_target, write
    from .stems.files import track_name

    align = session is not None and session.align
    recording = open_input(source, sample_rate, spots=spots, main=main, from_s=from_s, to_s=to_s, align=align)
    check_target(Path(directory) / track_name(name or recording.name))
    watch = Stopwatch(on_progress)
    separation = separate_recording(
        recording, voices=voices, f0=f0, session=session, options=options, on_progress=watch
    )
    return write(separation, directory, format=format, name=name, on_progress=watch, extras=extras, run=watch.times)


def open_input(
    source: str | Path | ArrayLike,
    sample_rate: int | None = None,
    *,
    spots: Sequence[str] = (),
    main: Sequence[str] = (),
    from_s: float | None = None,
    to_s: float | None = None,
    align: bool = False,
) -> Recording:
    """Open a recording: a folder, a ``session.toml`` or named microphones make a session, all else is voices."""
    from .audio import excerpt, open_recording, open_session, recording_from_array

    if isinstance(source, str | Path):
        path = Path(source)
        if sample_rate is not None:
            raise OptionError("a sample rate with samples only", f"{sample_rate} with '{path}'")
        session = spots or main or path.is_dir() or path.suffix.lower() == ".toml"
        recording = open_session(path, spots=spots, main=main, align=align) if session else open_recording(path)
    else:
        if sample_rate is None:
            raise OptionError("the sample rate of the samples", "none", "sample_rate=48000")
        if spots or main:
            raise OptionError("spots and main with a file or folder", "samples")
        recording = recording_from_array(source, sample_rate)
    return excerpt(recording, from_s, to_s)


def separate_recording(
    recording: Recording,
    *,
    voices: Voices = None,
    f0: F0 = None,
    session: SessionOptions | None = None,
    options: Options | None = None,
    on_progress: OnProgress | None = None,
) -> Separation:
    """Separate an open recording; its audio comes block by block when it is written or collected.

    The roles of the microphones say whether it is one recording of voices or a session.
    """
    from .audio.conditioning import centred
    from .stems import narrowed

    options = options or Options()
    prepare_torch(options)
    heard = centred(recording)
    if any(microphone.role != "mono" for microphone in recording.microphones):
        from .audio import source_names
        from .engine.session import separate_session

        given: dict[str, object] = {} if session is None else {"session": session}
        placed = session is not None and (session.start != "spot" or session.calibration is not None)
        if not (source_names(recording) or placed):
            listed = [str(entry["name"]) for entry in recording.setup.get("source", ())]
            named = named_singers(listed if voices is None and listed else voices)
            given["voices"], given["f0"] = given_f0(recording, named, f0)
        elif voices is not None or f0:
            what = "a session with spots, a plan or a calibration"
            raise OptionError("voices and F0 for one recording of voices", f"them for {what}")
        if options.adapt_s:
            raise OptionError("--adapt for one recording of voices", "it for a session")
        separation = separate_session(heard, options=options, on_progress=on_progress, **given)
    else:
        from .engine.voices import separate_voices

        if session is not None:
            flags = "--at, --align, --sources, --calibration, --plays and --start"
            raise OptionError(f"a session for {flags}", "voices", "--spots")
        singers, tracks = given_f0(recording, named_singers(voices), f0)
        separation = separate_voices(heard, singers, f0=tracks, options=options, on_progress=on_progress)
    separation = replace(separation, recording=recording, config=asdict(options) | dict(separation.config))
    return separation if session is None or session.at == "all" else narrowed(separation, session.at)


def given_f0(
    recording: Recording, voices: tuple[Voice, ...] | None, f0: F0
) -> tuple[tuple[Voice, ...] | None, dict[str, Track]]:
    """Return the voices, high to low, and the F0 that is given for them, cut to the recording.

    Raises
    ------
    TrackError
        If a track cannot be used, or tracks and voices do not match.
    """
    from .pitch.tracks import Track, match_f0_files, read_f0, voices_of_files, within

    if not f0:
        return voices and high_to_low(voices), {}
    if isinstance(f0, Mapping):
        given = {id: each if isinstance(each, Track) else read_f0(each) for id, each in f0.items()}
        singers = voices or named_voices(given)
        if sorted(given) != sorted(voice.id for voice in singers):
            raise TrackError(f"F0 of {', '.join(voice.id for voice in singers)}", f"F0 of {', '.join(given)}")
    else:
        singers = voices or voices_of_files(f0)
        paths = match_f0_files(f0, singers) if voices else dict(zip((v.id for v in singers), f0, strict=True))
        given = {id: read_f0(path) for id, path in paths.items()}
    if voices is None:
        singers = tuple(sorted(singers, key=lambda voice: -given[voice.id].median_hz))
    from_s = recording.start / recording.sample_rate
    to_s = from_s + recording.length / recording.sample_rate
    return high_to_low(singers), {v.id: within(given[v.id], v.id, from_s, to_s) for v in singers}


def prepare_torch(options: Options) -> None:
    """Set the threads of PyTorch, and make sure that the device exists."""
    import torch

    try:
        torch.empty(0, device=options.device)
    except (RuntimeError, AssertionError) as error:
        raise OptionError("a device that PyTorch can use", f"{options.device!r}", "cpu") from error
    if options.threads is not None:
        torch.set_num_threads(options.threads)


__all__ = ["separate", "separate_into"]
