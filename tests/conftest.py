"""What all tests share: checked shapes in the numerical core, the recordings beside the repository, short sounds."""

import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import install_import_hook

# Shapes and types of the numerical core are checked at every call of every test.
install_import_hook(
    ["partbook.dsp", "partbook.fit", "partbook.room", "partbook.sources", "partbook.wiener"], "checked.checked"
)

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of recordings beside the repository, which are not part of it; skip where it is absent."""
    folder = Path(os.environ.get("PARTBOOK_SHARED", REPOSITORY.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the recordings in '{folder}' (PARTBOOK_SHARED names the folder above)")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator of random numbers, the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture
def engines(monkeypatch):
    """Put fixed shares in the place of both engines; return what they were asked to do.

    ``engines["sung"] = shares.steady`` makes them hear steady voices where no F0 is given, and
    ``engines["message"]`` is what they say of it.
    """
    from shares import split

    from partbook.audio import source_names
    from partbook.ensemble import parse_voices
    from partbook.progress import Progress

    asked = {}

    def separate_voices(recording, voices, *, f0, options, on_progress=None):
        asked.update(recording=recording, voices=voices, f0=f0, options=options)
        voices = voices or parse_voices("SATB")
        if "message" in asked:
            Progress("listen", 1, on_progress).step(asked["message"])
        f0 = f0 or asked.get("sung", lambda recording, voices: {})(recording, voices)
        return split(recording, [voice.name for voice in voices], f0, seed=options.seed)

    def separate_session(recording, *, options, session=None, voices=None, f0=None, on_progress=None):
        asked.update(recording=recording, options=options, session=session, voices=voices)
        names = [voice.name for voice in voices or ()] or list(source_names(recording).values())
        return split(recording, names, seed=options.seed)

    for name, function in (("voices", separate_voices), ("session", separate_session)):
        module = types.ModuleType(f"partbook.engine.{name}")
        setattr(module, function.__name__, function)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return asked
