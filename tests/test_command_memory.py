"""What the command does to the memory of its process."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from partbook.__main__ import _keep_freed_memory
if sys.argv[1] == "kept":
    _keep_freed_memory()
torch.ones(1 << 24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(1 << 24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is kept by glibc")
def test_arrays_that_follow_each_other_use_the_same_memory():
    given_back, kept = (
        int(subprocess.run([sys.executable, "-c", FAULTS, how], check=True, capture_output=True, text=True).stdout)
        for how in ("given back", "kept")
    )
    if given_back < 1000:
        pytest.skip("this allocator keeps what is freed anyway")
    assert kept < given_back / 10
