import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Two threads on a machine that is busy wait for each other far longer than such small tensors take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
