"""The pitch of voices: F0 tracks, their files, and how they are heard in a recording.

``track`` is the function; the module of the same name holds what follows the voices through the harmonic salience.
"""

from .tracking import Tracks, track
from .tracks import Track

__all__ = ["Track", "Tracks", "track"]
