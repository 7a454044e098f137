"""Sound files and arrays: the only package that touches sound files.

:mod:`~partbook.audio.recording` reads one recording piece by piece, :mod:`~partbook.audio.session` gathers the
microphones of a session, :mod:`~partbook.audio.alignment` puts separate recorders on one time line,
:mod:`~partbook.audio.conditioning` takes offsets away and evens levels, :mod:`~partbook.audio.health` names microphones
in trouble, :mod:`~partbook.audio.headers` finds files that were cut short, and :mod:`~partbook.audio.writing` writes
FLAC and float WAV block by block.
"""

from .alignment import AlignedRecording, Clock
from .recording import (
    LIBSNDFILE_VERSION,
    FileRecording,
    Microphone,
    Recording,
    excerpt,
    heard_at,
    open_recording,
    readable_formats,
    recording_from_array,
)
from .session import open_session, source_names
from .writing import SoundWriter, flac_holds, open_writer

__all__ = [
    "LIBSNDFILE_VERSION",
    "AlignedRecording",
    "Clock",
    "FileRecording",
    "Microphone",
    "Recording",
    "SoundWriter",
    "excerpt",
    "flac_holds",
    "heard_at",
    "open_recording",
    "open_session",
    "open_writer",
    "readable_formats",
    "recording_from_array",
    "source_names",
]
