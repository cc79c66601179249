"""One policy on several processors: a part of the batch for each, and the sum of their gradients.

PyTorch shares out every operation among its threads and waits for the slowest after each. A small network's operations
take less than a millisecond, and on a busy machine the waits cost more than the second processor gives. Here each
processor computes its own part of the batch from end to end, and they meet once an update.

What draws the next batch meanwhile takes the processors that are left over, between those updates and while the last
part is computed: threads that take turns on a processor empty each other's caches.
"""

import os
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from copy import deepcopy
from typing import Final, TypeVar

import torch

from agents.policy import Policy

P = TypeVar("P")
R = TypeVar("R")


@contextmanager
def one_thread() -> Generator[None, None, None]:
    """Have PyTorch use one thread an operation, and as many as before afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Processors:
    """How many processors are at work, so that what can wait begins where one is free.

    Args: count: how many there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._working = 0
        self._changed = threading.Condition()

    @contextmanager
    def work(self, *, can_wait: bool) -> Generator[None, None, None]:
        """Be at work on one of them. Args: can_wait: begin no sooner than one is free; for what nobody needs yet."""
        with self._changed:
            if can_wait:
                self._changed.wait_for(lambda: self._working < self._count)
            self._working += 1
        try:
            yield
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify()


PROCESSORS: Final = Processors(os.cpu_count() or 1)  # of this machine


class Replicas:
    """Copies of a policy that share its weights, and whose gradients are their own until they are summed.

    Part k of a batch goes to copy k mod `count`, and copies are summed in order: the result does not depend on which
    thread was faster. While it is open, PyTorch uses one thread an operation; close it to have the others back.
    """

    def __init__(self, policy: Policy, count: int) -> None:
        self._policies = [policy, *(_sharing(policy) for _ in range(count - 1))]
        self._threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(count, "replica") if count > 1 else None
        if self._pool:
            torch.set_num_threads(1)

    def run(self, work: Callable[[Policy, P], R], parts: Iterable[P]) -> list[R]:
        """Do the work on each part, which may add to the gradients of the policy that it is given; results in order.

        Afterwards the gradients of all are the policy's own.
        """
        if self._pool is None:
            return [work(self._policies[0], part) for part in parts]
        for policy in self._policies[1:]:
            policy.zero_grad()  # of what an error left behind
        numbered = list(enumerate(parts))
        count = len(self._policies)

        def work_through(k: int) -> list[R]:
            with PROCESSORS.work(can_wait=False):
                return [work(self._policies[k], part) for number, part in numbered if number % count == k]

        jobs = [self._pool.submit(work_through, k) for k in range(count)]
        wait(jobs)  # of all: after an error too, nobody may still be adding to gradients
        results = [job.result() for job in jobs]
        self._sum_gradients()
        return [results[number % count][number // count] for number, _ in numbered]

    def close(self) -> None:
        """Let the threads go."""
        if self._pool:
            self._pool.shutdown()
            torch.set_num_threads(self._threads)

    def _sum_gradients(self) -> None:
        first, *others = (list(policy.parameters()) for policy in self._policies)
        for parameters in others:
            for mine, theirs in zip(first, parameters, strict=True):
                if theirs.grad is not None:
                    mine.grad = theirs.grad if mine.grad is None else mine.grad.add_(theirs.grad)
                    theirs.grad = None


def _sharing(policy: Policy) -> Policy:
    """A copy whose parameters are the same memory."""
    copy = deepcopy(policy)
    for theirs, mine in zip(copy.parameters(), policy.parameters(), strict=True):
        theirs.data = mine.data
    return copy
