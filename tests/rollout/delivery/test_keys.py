"""Laws of the set of keys: it is a set, a long run takes little room in it, and it comes back as it was."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from envs.errors import CheckpointError
from rollout.delivery.keys import Key, KeySet

NEAR = st.builds(Key, st.sampled_from(["ann", "bob"]), st.integers(0, 1), st.integers(0, 12))
ANY = st.builds(Key, st.text(max_size=5), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))


def tensor_of(content: Any) -> Tensor:
    """What a checkpoint may hold."""
    return torch.as_tensor(np.frombuffer(json.dumps(content).encode(), np.uint8).copy())


def limits_of(keys: KeySet) -> list[Any]:
    """What is kept: for each incarnation of a worker the ends of its ranges."""
    return json.loads(keys.tensor().numpy().tobytes())


@given(added=st.lists(NEAR, max_size=40), asked=st.lists(NEAR, max_size=10))
@settings(max_examples=300)
def test_it_holds_what_was_put_in_and_nothing_else(added: list[Key], asked: list[Key]) -> None:
    keys, plain = KeySet(), set[Key]()
    for key in added:
        keys.add(key)
        plain.add(key)
        assert len(keys) == len(plain)
    for key in [*added, *asked]:
        assert (key in keys) == (key in plain)


@given(added=st.lists(st.one_of(NEAR, ANY), max_size=40), asked=st.lists(ANY, max_size=5))
def test_a_checkpoint_gives_it_back_as_it_was(added: list[Key], asked: list[Key]) -> None:
    tensor = KeySet(added).tensor()
    assert (tensor.dtype, tensor.dim()) == (torch.uint8, 1)
    again = KeySet.of_tensor(tensor)
    assert torch.equal(again.tensor(), tensor)
    for key in [*added, *asked]:
        assert (key in again) == (key in set(added))
    for key in added:  # and it goes on
        again.add(Key(key.worker, key.incarnation, max(0, key.sequence - 1)))
    assert all(key in again for key in added)


@given(order=st.permutations(range(8)))
def test_numbers_that_follow_each_other_are_one_range_in_whatever_order_they_came(order: list[int]) -> None:
    assert limits_of(KeySet(Key("ann", 3, 5 + number) for number in order)) == [["ann", 3, [5, 13]]]


def test_a_long_run_takes_little_room() -> None:
    keys = KeySet()
    for sequence in range(50_000):
        if sequence % 10_000 != 17:  # refused
            keys.add(Key("ann", sequence // 25_000, sequence % 25_000))
    assert len(keys) == 49_995
    assert limits_of(keys) == [
        ["ann", 0, [0, 17, 18, 10_017, 10_018, 20_017, 20_018, 25_000]],
        ["ann", 1, [0, 5_017, 5_018, 15_017, 15_018, 25_000]],
    ]


def test_the_largest_number_on_the_wire_is_a_number() -> None:
    key = Key("ann", 2**64 - 1, 2**64 - 1)
    assert key in KeySet.of_tensor(KeySet([key]).tensor())


def test_none_come_back_as_none() -> None:
    assert len(KeySet.of_tensor(KeySet().tensor())) == 0


@pytest.mark.parametrize(
    "content",
    [
        7,
        [7],
        {"ann": [0, 1]},
        [["ann", 0]],
        [["ann", 0, 5]],
        [["ann", 0, [5]]],
        [["ann", 0, [5, 4]]],
        [["ann", 0, [5, 5]]],
        [["ann", 0, [0, 1, 1, 2]]],
        [["ann", 0, [-1, 1]]],
        [["ann", 0, [0, 2**64 + 1]]],
        [["ann", 0, [0, 1.5]]],
        [["ann", 0, [0, float("inf")]]],
        [["ann", 0, ["0", "1"]]],
        [["ann", 0.5, [0, 1]]],
        [["ann", -1, [0, 1]]],
        [["ann", None, [0, 1]]],
        [[7, 0, [0, 1]]],
        [["ann", 0, [0, 1]], ["ann", 0, [0, 2]]],
    ],
)
def test_what_are_no_keys_is_refused(content: Any) -> None:
    with pytest.raises(CheckpointError, match="the checkpoint's keys of used episodes cannot be read"):
        KeySet.of_tensor(tensor_of(content))


@pytest.mark.parametrize("data", [b"", b"\0", b"[" * 100_000, b"[[\xff]]", b'[["ann",0,[0,1e999]]]', b"1" * 5_000])
def test_bytes_that_say_nothing_are_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError, match="keys of used episodes"):
        KeySet.of_tensor(torch.as_tensor(np.frombuffer(data, np.uint8).copy()))


def test_numbers_that_are_no_bytes_are_refused() -> None:
    with pytest.raises(CheckpointError, match="keys of used episodes"):
        KeySet.of_tensor(KeySet([Key("ann", 0, 0)]).tensor().float())


@given(place=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255), cut=st.booleans())
@settings(max_examples=300)
def test_damaged_keys_are_refused_or_are_keys(place: float, mask: int, cut: bool) -> None:
    tensor = KeySet([Key("ann", 1, 2), Key("ann", 1, 4), Key("bob", 0, 0)]).tensor()
    at = int(place * len(tensor))
    tensor[at] ^= mask
    try:
        keys = KeySet.of_tensor(tensor[:at] if cut else tensor)
    except CheckpointError:
        return
    assert KeySet.of_tensor(keys.tensor()).tensor().equal(keys.tensor())
    assert len(keys) >= 0
