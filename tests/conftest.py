"""What all tests share: repeatable examples, one thread, and no state left behind."""

import os
from contextlib import contextmanager, nullcontext

import jaxtyping
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


@contextmanager
def _without_checks():
    """As users run it: shapes are checked in the tests of each part, and that takes most of the
    time of a test that runs them all."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture(scope="session")
def as_users_run_it():
    """A context without checks of shapes, for what a whole session shares."""
    return _without_checks


@pytest.fixture(autouse=True, scope="module")
def _checks_of_module(request):
    """Before what a module shares is made."""
    with _checks_wanted(request):
        yield


@pytest.fixture(autouse=True)
def _checks(request):
    with _checks_wanted(request):
        yield


def _checks_wanted(request):
    marked = request.node.get_closest_marker("as_users_run_it") is not None
    return _without_checks() if marked else nullcontext()
