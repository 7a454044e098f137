"""What the tests of training share: rendered pieces."""

import pytest


@pytest.fixture(scope="session")
def renders(tmp_path_factory):
    """Return the folder of rendered pieces, of which each is rendered once."""
    return tmp_path_factory.mktemp("renders")
