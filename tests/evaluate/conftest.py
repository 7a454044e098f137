"""Many small transforms run faster on one thread, whatever else the machine does."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Compute with one thread while these tests run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
