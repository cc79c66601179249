"""Laws of replicas: several copies do what one does, in the same order, with the same weights."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from agents import parallel
from agents.imitation import Batch, ImitationConfig, accumulate
from agents.parallel import Processors, Replicas
from agents.policy import Policy, PolicyConfig

WINDOWS, STEPS = 5, 4

Build = Callable[..., Replicas]


@pytest.fixture
def build() -> Iterator[Build]:
    """Make replicas that are closed after the test."""
    made: list[Replicas] = []

    def make(policy: Policy, count: int) -> Replicas:
        made.append(Replicas(policy, count))
        return made[-1]

    yield make
    for replicas in made:
        replicas.close()


def new_policy(tiny: PolicyConfig) -> Policy:
    """The same tiny policy every time."""
    return Policy(tiny, torch.Generator().manual_seed(0))


def make_batch(frames) -> Batch:
    """Five windows of which no two are alike; every step counts."""
    actions = torch.randint(0, 2, (WINDOWS, STEPS, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Batch(torch.from_numpy(frames(WINDOWS, STEPS)), actions, torch.ones(WINDOWS, STEPS, dtype=torch.bool))


def gradient(policy: Policy) -> Tensor:
    """All that there is, end to end."""
    return torch.cat([p.grad.flatten() for p in policy.parameters() if p.grad is not None])


def add_to_bias(policy: Policy, amount: float) -> float:
    """Work whose gradient is known: `amount` for each of the head's 68 biases."""
    torch.autograd.backward(policy.head.out.bias.sum() * amount)
    return amount


def bias_gradient(policy: Policy) -> list[float]:
    """The values that the gradients of the head's biases have."""
    assert policy.head.out.bias.grad is not None
    return policy.head.out.bias.grad.unique().tolist()


# Gradients


@pytest.mark.parametrize("count", [2, 3])
def test_the_gradient_of_several_copies_is_that_of_one(tiny, frames, build, count: int) -> None:
    settings = ImitationConfig(batch_size=WINDOWS, micro_batch=1, precision="float32")
    policies = [new_policy(tiny), new_policy(tiny)]
    losses = [
        accumulate(build(policy, n), make_batch(frames), settings)
        for policy, n in zip(policies, (1, count), strict=True)
    ]
    assert losses[0] == losses[1]  # part by part they are the same numbers, and they are added in order
    torch.testing.assert_close(gradient(policies[1]), gradient(policies[0]), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_two_runs_of_several_copies_give_the_same_gradient_bit_for_bit(tiny, frames, build, precision) -> None:
    settings = ImitationConfig(batch_size=WINDOWS, micro_batch=1, precision=precision)
    policies = [new_policy(tiny), new_policy(tiny)]
    for policy in policies:
        accumulate(build(policy, 2), make_batch(frames), settings)
    assert torch.equal(gradient(policies[0]), gradient(policies[1]))


def test_the_gradients_of_all_copies_are_summed_in_the_policys_own(policy, build) -> None:
    replicas = build(policy, 2)
    replicas.run(add_to_bias, [1.0, 10.0, 100.0])
    assert bias_gradient(policy) == [111.0]
    replicas.run(add_to_bias, [1.0, 10.0])  # and again: nothing is left over in a copy
    assert bias_gradient(policy) == [122.0]
    policy.zero_grad()
    replicas.run(add_to_bias, [2.0, 3.0])
    assert bias_gradient(policy) == [5.0]


def test_a_gradient_that_is_there_before_the_copies_are_made_counts_once(policy, build) -> None:
    add_to_bias(policy, 7.0)
    build(policy, 3).run(add_to_bias, [1.0, 1.0, 1.0])
    assert bias_gradient(policy) == [10.0]


def test_what_is_frozen_has_no_gradient_in_any_copy(policy, build) -> None:
    policy.train_only("head")
    build(policy, 2).run(lambda p, _: torch.autograd.backward(p.head.out.bias.sum()), [0, 1])
    assert all(p.grad is None for p in policy.trunk.parameters())
    assert bias_gradient(policy) == [2.0]


# Parts


@pytest.mark.parametrize("count", [1, 2, 3])
def test_results_come_in_the_order_of_the_parts(policy, build, count: int) -> None:
    assert build(policy, count).run(lambda _, part: part * 10, iter(range(7))) == [0, 10, 20, 30, 40, 50, 60]


def test_part_k_goes_to_copy_k_modulo_the_count_and_each_copy_has_a_thread_of_its_own(policy, build) -> None:
    barrier = threading.Barrier(3, timeout=60)  # breaks unless the three work at the same time

    def who(copy: Policy, _: int) -> Policy:
        barrier.wait()
        return copy

    workers = build(policy, 3).run(who, range(6))
    assert workers[0] is policy
    assert workers[3:] == workers[:3]
    assert len({id(worker) for worker in workers}) == 3


def test_fewer_parts_than_copies_leave_some_copies_idle(policy, build) -> None:
    replicas = build(policy, 3)
    assert replicas.run(add_to_bias, [4.0]) == [4.0]
    assert bias_gradient(policy) == [4.0]
    assert replicas.run(add_to_bias, []) == []
    assert bias_gradient(policy) == [4.0]


def test_an_error_in_the_work_reaches_who_asked_for_it(policy, build) -> None:
    def work(_: Policy, part: int) -> None:
        if part == 1:
            raise ArithmeticError(f"part {part}")

    with pytest.raises(ArithmeticError, match="part 1"):
        build(policy, 2).run(work, range(4))


# Weights and threads


def test_copies_share_the_policys_weights(policy, build) -> None:
    replicas = build(policy, 3)

    def weight(copy: Policy, _: int) -> float:
        return copy.head.out.bias[5].item()

    with torch.no_grad():
        policy.head.out.bias[5] = 0.25
    assert replicas.run(weight, range(3)) == [0.25] * 3
    policy.head.out.bias.grad = torch.ones(68)
    torch.optim.SGD([policy.head.out.bias], lr=1.0).step()
    assert replicas.run(weight, range(3)) == [-0.75] * 3
    other = {name: torch.zeros_like(tensor) for name, tensor in policy.state_dict().items()}
    policy.load_state_dict(other)
    assert replicas.run(weight, range(3)) == [0.0] * 3


def test_an_operation_uses_one_thread_while_there_are_copies_and_as_many_as_before_afterwards(policy) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        alone = Replicas(policy, 1)
        assert alone.run(lambda *_: torch.get_num_threads(), range(2)) == [3, 3]
        alone.close()
        assert torch.get_num_threads() == 3
        several = Replicas(policy, 2)
        assert several.run(lambda *_: torch.get_num_threads(), range(4)) == [1, 1, 1, 1]
        several.close()
        assert torch.get_num_threads() == 3
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("replica")]
    finally:
        torch.set_num_threads(before)


def test_an_error_waits_for_the_others_and_what_they_left_is_not_summed_later(policy, build) -> None:
    replicas = build(policy, 2)
    done = list[float]()

    def fail(copy: Policy, amount: float) -> float:
        if amount == 1:
            raise ValueError("part 0")
        time.sleep(0.05)  # so that the error comes first
        add_to_bias(copy, amount)
        done.append(amount)
        return amount

    with pytest.raises(ValueError, match="part 0"):
        replicas.run(fail, [1.0, 100.0])
    assert done == [100.0]
    policy.zero_grad()
    replicas.run(add_to_bias, [1.0, 1.0])
    assert set(bias_gradient(policy)) == {2.0}


# Processors


def begin(work: Callable[[], None]) -> threading.Thread:
    """Work in a thread of its own."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_what_can_wait_begins_when_a_processor_is_free_and_what_cannot_begins_at_once() -> None:
    processors, begun = Processors(2), threading.Event()

    def later() -> None:
        with processors.work(can_wait=True):
            begun.set()

    with processors.work(can_wait=False):
        begin(later).join(30)
        assert begun.is_set()  # one of two was free
        begun.clear()
        with processors.work(can_wait=False), processors.work(can_wait=False):  # three on two, and none waited
            waiting = begin(later)
            waiting.join(0.1)
            assert not begun.is_set()
        waiting.join(30)
        assert begun.is_set()


def test_work_that_can_wait_takes_a_processor_itself_and_gives_it_back_after_an_error() -> None:
    processors, begun = Processors(1), threading.Event()

    def later() -> None:
        with processors.work(can_wait=True):
            begun.set()

    waiting: list[threading.Thread] = []

    def fail() -> None:
        with processors.work(can_wait=True):
            waiting.append(begin(later))
            waiting[0].join(0.1)
            assert not begun.is_set()
            raise ArithmeticError("broken")

    with pytest.raises(ArithmeticError, match="broken"):
        fail()
    waiting[0].join(30)
    assert begun.is_set()


def test_copies_are_at_work_while_they_work(policy, build, monkeypatch) -> None:
    processors = Processors(2)
    monkeypatch.setattr(parallel, "PROCESSORS", processors)
    both, begun = threading.Barrier(2, timeout=60), threading.Event()

    def later() -> None:
        with processors.work(can_wait=True):
            begun.set()

    def work(_: Policy, part: int) -> bool:
        both.wait()
        if part == 0:
            begin(later).join(0.1)
        early = begun.is_set()
        both.wait()  # neither has ended before the other has looked
        return early

    assert build(policy, 2).run(work, range(2)) == [False, False]
    assert begun.wait(30)
