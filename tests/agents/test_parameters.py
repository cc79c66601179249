"""Where tensors are computed, and how weights go down a gradient."""

import math

import pytest
import torch

from agents.parameters import compute_device, descend
from envs.errors import OptionError


def test_auto_is_a_gpu_where_there_is_one() -> None:
    assert compute_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert compute_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(OptionError, match="here; there are auto, cpu"):
        compute_device(name)


def weight(value: float) -> tuple[torch.nn.Parameter, torch.optim.SGD]:
    """One weight, and plain gradient descent of rate 0.1 on it."""
    parameter = torch.nn.Parameter(torch.tensor([value]))
    return parameter, torch.optim.SGD([parameter], lr=0.1)


def test_a_step_goes_down_the_gradient_and_tells_its_norm() -> None:
    parameter, optimizer = weight(2.0)
    # The derivative of 1.5 w^2 is 3 w: 6 at 2, and after a step 4.2 at 1.4. What was before is not added.
    assert descend(optimizer, (1.5 * parameter**2).sum()) == pytest.approx(6.0)
    assert parameter.item() == pytest.approx(2.0 - 0.1 * 6.0)
    assert descend(optimizer, (1.5 * parameter**2).sum()) == pytest.approx(4.2)
    assert parameter.item() == pytest.approx(1.4 - 0.1 * 4.2)


def test_a_longer_gradient_is_cut_to_the_clip_and_its_own_norm_is_told() -> None:
    for clip, expected in ((1.5, 2.0 - 0.1 * 1.5), (6.5, 2.0 - 0.1 * 6.0)):
        parameter, optimizer = weight(2.0)
        assert descend(optimizer, (1.5 * parameter**2).sum(), clip) == pytest.approx(6.0)
        assert parameter.item() == pytest.approx(expected, rel=1e-5)


def test_the_norm_is_that_of_all_weights_together() -> None:
    first, second = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = torch.optim.SGD([{"params": [first]}, {"params": [second]}], lr=0.1)
    assert descend(optimizer, (3 * first + 4 * second).sum(), clip=0.5) == pytest.approx(5.0)
    assert (first.item(), second.item()) == pytest.approx((-0.1 * 0.3, -0.1 * 0.4), rel=1e-5)


@pytest.mark.parametrize("slope", [math.inf, -math.inf, math.nan])
def test_a_gradient_that_is_not_finite_leaves_the_weights_and_what_the_optimizer_remembers(slope: float) -> None:
    parameter = torch.nn.Parameter(torch.tensor([2.0, 3.0]))
    optimizer = torch.optim.AdamW([parameter], lr=0.1)
    norm = descend(optimizer, (parameter * torch.tensor([slope, 1.0])).sum(), clip=1.0)
    assert not math.isfinite(norm)
    assert parameter.tolist() == [2.0, 3.0]
    assert not optimizer.state
    assert descend(optimizer, parameter.sum()) == pytest.approx(2**0.5)  # and the next one is none the worse for it
    assert parameter.tolist() == pytest.approx([2.0 * 0.999 - 0.1, 3.0 * 0.999 - 0.1])
