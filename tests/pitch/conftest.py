import pytest

from partbook.data.render import sung_dry
from partbook.data.scores import bundled_score


@pytest.fixture(scope="session")
def sung():
    """Return a quartet, dry, at 16 kHz."""
    return sung_dry(bundled_score("jesu"), 16_000, seed=3)
