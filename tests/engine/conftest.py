import pytest

from partbook.data.render import sung_dry
from partbook.data.scores import bundled_score
from partbook.ensemble import named_voices

RATE = 16000


@pytest.fixture(scope="module")
def quartet():
    """Return four seconds of a sung chorale: stems (N, S), tracks by id, voices."""
    sung = sung_dry(bundled_score("jesu"), RATE, seed=3)
    stems = sung.parts[:, 0, RATE : 5 * RATE]
    voices = named_voices(sung.names)
    tracks = {voice.id: track.between(1.0, 5.0) for voice, track in zip(voices, sung.tracks, strict=True)}
    return stems, tracks, voices
