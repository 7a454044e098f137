"""The pitch of every voice of a recording, in one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..audio import Recording, excerpt, open_recording
from ..audio.conditioning import centred
from ..config import known_salience
from ..ensemble import Voice, Voices, high_to_low, named_singers
from ..errors import nearest
from ..progress import Messages, OnProgress
from .following import track_voices
from .tracks import Track


@dataclass(frozen=True, eq=False, repr=False)
class Tracks(Mapping[str, Track]):
    """The F0 of every voice of a recording by id, in the order of the voices: ``tracks["alto"].f0_hz``.

    Attributes
    ----------
    voices
        Who sings, high to low.
    tracks
        One per voice; times count from the start of the recording, also where only a stretch of it was heard.
    messages
        What is to be said of it, for instance that more voices are heard than were asked for.
    """

    voices: tuple[Voice, ...]
    tracks: tuple[Track, ...]
    messages: tuple[str, ...] = ()

    def __getitem__(self, id: str) -> Track:
        ids = list(self)
        if id not in ids:
            raise KeyError(f"expected one of {', '.join(ids)}, got {id!r}; try {nearest(id, ids)}")
        return self.tracks[ids.index(id)]

    def __iter__(self) -> Iterator[str]:
        return (voice.id for voice in self.voices)

    def __len__(self) -> int:
        return len(self.voices)

    def __repr__(self) -> str:
        return f"Tracks({', '.join(f'{id}: {track.median_hz:.0f} Hz' for id, track in self.items())})"

    def confidence(self, id: str) -> float:
        """Return the mean confidence of the voiced frames of a voice, 0 where there are none."""
        voiced = self[id].f0_hz > 0
        return float(self[id].confidence[voiced].mean()) if voiced.any() else 0.0


def track(
    source: str | Path | Recording,
    *,
    voices: Voices = None,
    salience: str = "network",
    from_s: float | None = None,
    to_s: float | None = None,
    on_progress: OnProgress | None = None,
) -> Tracks:
    """Follow the pitch of every voice of a recording.

    This is the first stage of a separation. :func:`partbook.track` goes on to fit the voices to the recording and
    moves every track to where the partials of its voice are.

    Parameters
    ----------
    source
        A sound file, or an open recording.
    voices
        Who sings: ``"SATB"``, names, or a number; None guesses.
    salience
        Name of what the pitch is heard through.
    from_s, to_s
        Hear only the stretch between these times.
    on_progress
        Called with every :class:`~partbook.progress.ProgressEvent`; returning False cancels.

    Raises
    ------
    InputError
        If something given cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from partbook.audio import recording_from_array
    >>> times_s = np.arange(8000) / 8000
    >>> sung = sum(np.sin(2 * np.pi * k * f * times_s) / k for f in (440, 165) for k in range(1, 6))
    >>> tracks = track(recording_from_array(0.2 * sung, 8000), voices="soprano,bass")
    >>> {id: round(each.median_hz / 5) * 5 for id, each in tracks.items()}
    {'soprano': 440, 'bass': 165}
    """
    known_salience(salience)
    singers = named_singers(voices)
    recording = excerpt(open_recording(source) if isinstance(source, str | Path) else source, from_s, to_s)
    said, singers = Messages(on_progress), singers and high_to_low(singers)
    found, tracks = track_voices(centred(recording), singers, salience=salience, on_progress=said)
    return in_recording(recording, found, tracks, said.lines)


def in_recording(
    recording: Recording, voices: tuple[Voice, ...], tracks: Mapping[str, Track], messages: list[str]
) -> Tracks:
    """Return tracks that count from the start of a stretch with times from the start of the whole recording."""
    start_s = recording.start / recording.sample_rate
    moved = [replace(tracks[voice.id], times_s=np.add(tracks[voice.id].times_s, start_s)) for voice in voices]
    return Tracks(voices, tuple(moved), tuple(messages))


__all__ = ["Tracks", "in_recording", "track"]
