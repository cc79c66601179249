"""Where tensors are computed."""

import pytest
import torch

from agents.parameters import compute_device
from envs.errors import OptionError


def test_auto_is_a_gpu_where_there_is_one() -> None:
    assert compute_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert compute_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(OptionError, match="here; there are auto, cpu"):
        compute_device(name)
