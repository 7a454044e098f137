"""What all tests share: checked shapes in the numerical core, the recordings beside the repository, short sounds."""

import os
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import install_import_hook

# Shapes and types of the numerical core are checked at every call of every test.
install_import_hook(
    ["partbook.dsp", "partbook.fit", "partbook.room", "partbook.sources", "partbook.wiener"], "beartype.beartype"
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
