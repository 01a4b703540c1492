"""What all tests share: repeatable examples, one thread, and no state left behind."""

import os

import first_calls
import pytest
import torch
from hypothesis import HealthCheck, settings

# Examples are the same in every run; times are not asserted anywhere, so no deadline either.
settings.register_profile(
    "gnsim", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("gnsim")

if "OMP_NUM_THREADS" in os.environ:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture(autouse=True)
def _repeatable():
    """Every test starts from the same global random state and gives the default dtype back."""
    torch.manual_seed(0)
    dtype = torch.get_default_dtype()
    yield
    torch.set_default_dtype(dtype)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Before what is set up for the test, also where it is shared by many."""
    first_calls.begin()
