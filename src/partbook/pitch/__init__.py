"""The pitch of voices: F0 tracks, their files, and how they are heard in a recording."""

from .tracking import Tracks, track
from .tracks import Track

__all__ = ["Track", "Tracks", "track"]
