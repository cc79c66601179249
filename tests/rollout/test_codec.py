"""Laws of episodes and heads as messages: they come back as they were, and nothing else comes back."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.policy import Head
from envs.backend import JUMPPADS, Start
from envs.episode import Ending, Episode
from envs.errors import DataError
from envs.gamepad import COMPONENTS, SIZES
from envs.standin.characters import NAMES
from rollout.codec import Stamp, decode, decode_head, encode, encode_head, read_key, wire_key
from rollout.delivery.keys import Key
from rollout.wire import rollout_pb2 as wire

Make = Callable[..., Episode]
Content = Callable[[Episode], dict[str, Any]]

STAMP = Stamp(
    Key("ann", 7, 9),
    assignment=4,
    index=1,
    version=3,
    trunk="ab",
    context="chunked",
    temperature=0.5,
    reads="embeddings",
)
LARGEST, LARGE = 2**64 - 1, 2**32 - 1

uint64, uint32 = st.integers(0, LARGEST), st.integers(0, LARGE)
texts = st.text(max_size=80)
keys = st.builds(Key, texts, uint64, uint64)
stamps = st.builds(
    Stamp,
    keys,
    uint64,
    uint32,
    uint64,
    texts,
    texts,
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.just("embeddings"),
)


@st.composite
def episodes(draw: st.DrawFn) -> Episode:
    """Episodes that can be learnt from, of any numbers but NaN."""
    jumppad = draw(st.sampled_from([*JUMPPADS, None]))
    steps = draw(st.integers(1, 100)) if jumppad else 100
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([0.0, 1.0, 6e4]))  # float16 ends at 65,504
    width = draw(st.integers(1, 8))
    return Episode(
        seed=draw(uint64),
        start=Start(draw(st.integers(0, 3)), draw(st.one_of(st.sampled_from(NAMES), st.text(max_size=64))), 2),
        actions=rng.integers(0, SIZES, (steps, 16), np.uint8),
        log_probs=(-scale * rng.random(steps)).astype(np.float32),
        embeddings=(scale * rng.uniform(-1, 1, (100, width))).astype(np.float16),
        features=(scale * rng.uniform(-1, 1, (100, width))).astype(np.float16),
        positions=(scale * rng.normal(size=(steps + 1, 3))).astype(np.float32),
        ending=Ending.TERMINATED if jumppad else Ending.TRUNCATED,
        jumppad=jumppad,
    )


def refusal(message: wire.Episode) -> str:
    """Why a message is refused."""
    with pytest.raises(DataError) as error:
        decode(message)
    return str(error.value)


@pytest.fixture
def message(make_episode: Make) -> wire.Episode:
    """A good one, of 3 steps and width 2, which ends on the left pad."""
    return encode(make_episode(), STAMP)


# There and back


@given(episode=episodes(), stamp=stamps)
def test_an_episode_and_its_stamp_come_back_as_they_were(content: Content, episode: Episode, stamp: Stamp) -> None:
    sent = encode(episode, stamp)
    for message in (sent, wire.Episode.FromString(sent.SerializeToString())):
        assert message == sent
        came, stamped = decode(message)
        assert content(came) == content(episode)
        assert stamped == stamp
        assert encode(came, stamped) == sent


def test_numbers_travel_row_after_row_and_little_endian(make_episode: Make) -> None:
    episode = replace(
        make_episode(steps=2, width=1),
        log_probs=np.array([-1.0, -2.0], ">f4"),  # of another machine
        positions=np.asfortranarray(np.arange(9, dtype=np.float32).reshape(3, 3)),
    )
    message = encode(episode, STAMP)
    assert message.log_probs.hex() == "000080bf000000c0"
    assert message.positions == np.arange(9, dtype="<f4").tobytes()
    assert decode(message)[0].log_probs.dtype == np.float32


def test_what_came_is_a_copy_that_can_be_written_to(message: wire.Episode) -> None:
    episode, _ = decode(message)
    before = message.SerializeToString()
    for array in (episode.actions, episode.log_probs, episode.embeddings, episode.features, episode.positions):
        array[:] = 0
    assert message.SerializeToString() == before


def test_embeddings_that_nobody_reads_are_left_out(
    make_episode: Make, content: Callable[[Episode], dict[str, Any]]
) -> None:
    episode, stamp = make_episode(), replace(STAMP, reads="features")
    message = encode(episode, stamp)
    assert message.ByteSize() < encode(episode, STAMP).ByteSize() - 300
    back, told = decode(message)
    assert told == stamp
    assert content(back) == content(replace(episode, embeddings=np.zeros((0, 2), np.float16)))
    message.embeddings = bytes(400)
    assert "embeddings take 0 bytes for shape (0, 2), got 400" in refusal(message)


@given(key=keys)
def test_a_key_comes_back_as_it_was(key: Key) -> None:
    assert read_key(wire.Key.FromString(wire_key(key).SerializeToString())) == key


def test_what_cannot_be_learnt_from_is_not_encoded(make_episode: Make) -> None:
    whole = make_episode(jumppad=None)
    with pytest.raises(DataError, match="got interrupted with 100"):
        encode(replace(whole, ending=Ending.INTERRUPTED, interrupted="the window is gone"), STAMP)
    for frames in (3, 99, 101):
        read = np.zeros((frames, 2), np.float16)
        with pytest.raises(DataError, match=f"is padded, got terminated with {frames}"):
            encode(replace(make_episode(), embeddings=read, features=read), STAMP)


# What is refused


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"steps": 0}, "1 to 100 steps and features, got 0 steps of width 2"),
        ({"steps": 101}, "1 to 100 steps and features, got 101 steps of width 2"),
        ({"steps": LARGE}, f"got {LARGE} steps"),
        ({"width": 0}, "got 3 steps of width 0"),
        ({"width": 3}, "embeddings take 600 bytes"),
        ({"width": LARGE}, f"embeddings take {200 * LARGE} bytes"),
        ({"steps": 2}, "actions take 32 bytes"),
        ({"ending": wire.ENDING_UNSPECIFIED}, "by the time limit, got ending 0"),
        ({"ending": 3}, "by the time limit, got ending 3"),
        ({"ending": -1}, "by the time limit, got ending -1"),
        ({"jumppad": "Left"}, "the pads are left, middle, right, got 'Left'"),
        ({"jumppad": "x" * 9999}, "got '" + "x" * 64 + "...'"),
        ({"jumppad": ""}, "got None and terminated"),
        ({"spawn": 4}, "there is no start 4, 'monk'"),
        ({"character": "\n" * 65}, "there is no start 1, '" + r"\n" * 64 + "...'"),
        ({"reads": ""}, "a reward model reads embeddings or features, got ''"),
        ({"reads": "features"}, "embeddings take 0 bytes for shape (0, 2), got 400"),
        ({"temperature": float("nan")}, "the temperature is not a finite number"),
        ({"temperature": float("inf")}, "the temperature is not a finite number"),
        ({"temperature": float("-inf")}, "the temperature is not a finite number"),
    ],
)
def test_a_message_with_a_wrong_field_is_refused(message: wire.Episode, changes: dict[str, Any], reason: str) -> None:
    for name, value in changes.items():
        setattr(message, name, value)
    assert reason in refusal(message)


def test_the_longest_name_and_the_last_spawn_are_good(message: wire.Episode) -> None:
    message.spawn, message.character = 3, "x" * 64
    assert decode(message)[0].start == Start(3, "x" * 64, 2)


def test_an_empty_message_is_refused() -> None:
    assert "got 0 steps of width 0" in refusal(wire.Episode())


def test_an_episode_is_truncated_by_the_time_limit_and_by_nothing_else(make_episode: Make) -> None:
    assert len(decode(encode(make_episode(steps=100, jumppad=None), STAMP))[0]) == 100
    assert "truncated after 99 steps" in refusal(encode(make_episode(steps=99, jumppad=None), STAMP))


def test_a_truncated_episode_has_no_pad(make_episode: Make) -> None:
    message = encode(make_episode(steps=100, jumppad=None), STAMP)
    message.jumppad = "right"
    assert "got 'right' and truncated" in refusal(message)


@pytest.mark.parametrize(
    ("name", "size"), [("actions", 48), ("log_probs", 12), ("embeddings", 400), ("features", 400), ("positions", 48)]
)
def test_bytes_of_another_size_are_refused(message: wire.Episode, name: str, size: int) -> None:
    data = getattr(message, name)
    nothing = [] if name == "positions" else [b""]  # a real game need not tell them
    for wrong in [*nothing, data[:-1], data + b"\0", data + data]:
        setattr(message, name, wrong)
        assert f"{name} take {size} bytes" in refusal(message)
        assert refusal(message).endswith(f"got {len(wrong)}")


@pytest.mark.parametrize("component", range(len(COMPONENTS)))
def test_an_action_outside_its_component_is_refused(make_episode: Make, component: int) -> None:
    episode = make_episode()
    episode.actions[1, component] = SIZES[component] - 1
    assert decode(encode(episode, STAMP))[0].actions[1, component] == SIZES[component] - 1
    for wrong in (SIZES[component], 255):
        episode.actions[1, component] = wrong
        assert "outside its component" in refusal(encode(episode, STAMP))


@pytest.mark.parametrize("part", ["log_probs", "embeddings", "features", "positions"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_refused(make_episode: Make, part: str, number: float) -> None:
    for place in (0, -1):
        episode = make_episode()
        getattr(episode, part).reshape(-1)[place] = number
        assert refusal(encode(episode, STAMP)) == f"{part} hold a number that is not finite"


def test_16_bit_numbers_are_taken_or_refused_as_numpy_says(make_episode: Make) -> None:
    for number in np.arange(2**16, dtype=np.uint16).view(np.float16)[::37]:
        episode = make_episode()
        episode.features[0, 0] = number
        message = encode(episode, STAMP)
        if np.isfinite(number):
            assert decode(message)[0].features[0, 0] == number
        else:
            assert refusal(message) == "features hold a number that is not finite"


def test_a_log_probability_above_0_is_refused(make_episode: Make) -> None:
    episode = make_episode()
    episode.log_probs[1] = 0.0
    decode(encode(episode, STAMP))
    episode.log_probs[1] = 1e-6
    assert refusal(encode(episode, STAMP)) == "a log-probability is above 0"


# Anything at all


def decoded_or_refused(message: wire.Episode) -> None:
    """Decode; what comes of it is an episode that can be learnt from, or a DataError."""
    try:
        episode, stamp = decode(message)
    except DataError:
        return
    assert 1 <= len(episode) <= len(episode.features) == 100
    assert len(episode.embeddings) == (100 if stamp.reads == "embeddings" else 0)
    assert episode.features.shape[1] > 0
    for part in (episode.log_probs, episode.embeddings, episode.features, episode.positions, stamp.temperature):
        assert np.isfinite(part).all()
    again = encode(episode, stamp)
    assert (again.embeddings, again.features) == (message.embeddings, message.features)


@given(data=st.binary(max_size=300))
@settings(max_examples=300)
def test_any_bytes_are_no_message_or_are_refused_or_are_an_episode(data: bytes) -> None:
    try:
        message = wire.Episode.FromString(data)
    except DecodeError:
        return
    decoded_or_refused(message)


@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=4),
    cut=st.one_of(st.just(1.0), st.floats(0, 1)),
)
@settings(max_examples=500)
@example(flips=[], cut=1.0)
def test_a_damaged_message_is_none_or_is_refused_or_is_an_episode(
    make_episode: Make, flips: list[tuple[float, int]], cut: float
) -> None:
    damaged = bytearray(encode(make_episode(steps=1, width=1), STAMP).SerializeToString())
    for place, mask in flips:
        damaged[int(place * len(damaged))] ^= mask
    try:
        message = wire.Episode.FromString(bytes(damaged[: round(cut * len(damaged))]))
    except DecodeError:
        return
    decoded_or_refused(message)


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("assignment", "version", "seed"), uint64),
    **dict.fromkeys(("index", "spawn", "skin", "steps", "width"), st.one_of(st.integers(0, 102), uint32)),
    **dict.fromkeys(("trunk", "context", "character"), texts),
    "jumppad": st.one_of(st.sampled_from(["", *JUMPPADS]), texts),
    "temperature": st.floats(width=32),
    "reads": st.one_of(st.sampled_from(["embeddings", "features"]), texts),
    "ending": st.one_of(st.integers(0, 3), st.integers(-(2**31), 2**31 - 1)),
    **dict.fromkeys(("actions", "log_probs", "embeddings", "features", "positions"), st.binary(max_size=64)),
}


def test_the_fields_to_set_are_all_but_the_key() -> None:
    assert sorted(FIELDS) == sorted(name for name in wire.Episode.DESCRIPTOR.fields_by_name if name != "key")


@given(
    changes=st.lists(st.sampled_from(sorted(FIELDS)).flatmap(lambda n: st.tuples(st.just(n), FIELDS[n])), max_size=3)
)
@settings(max_examples=500)
def test_a_message_with_any_fields_is_refused_or_is_an_episode(
    make_episode: Make, changes: list[tuple[str, Any]]
) -> None:
    message = encode(make_episode(steps=4, width=1), STAMP)
    for name, value in changes:
        setattr(message, name, value)
    decoded_or_refused(message)


# Heads


@pytest.fixture
def head() -> Head:
    """A head for features of width 3."""
    return Head(3, torch.Generator().manual_seed(1))


def test_a_head_comes_back_as_it_was(head: Head) -> None:
    sent = [wire.Tensor.FromString(tensor.SerializeToString()) for tensor in encode_head(head.state_dict())]
    came = decode_head(reversed(sent), Head(3, torch.Generator().manual_seed(2)))
    assert came.keys() == head.state_dict().keys()
    for name, tensor in head.state_dict().items():
        assert torch.equal(came[name], tensor)
        assert came[name].dtype == torch.float32
    Head(3, torch.Generator().manual_seed(2)).load_state_dict(came)


def test_a_head_that_is_being_trained_can_be_sent(head: Head) -> None:
    trained = dict(head.named_parameters())
    assert all(parameter.requires_grad for parameter in trained.values())
    assert encode_head(trained) == encode_head(head.state_dict())


def test_a_head_is_sent_in_float32_whatever_it_is_kept_in(head: Head) -> None:
    weights = {name: tensor.double() for name, tensor in head.state_dict().items()}
    assert encode_head(weights) == encode_head(head.state_dict())


def test_a_head_with_other_names_is_refused(head: Head) -> None:
    sent = encode_head(head.state_dict())
    stranger = wire.Tensor(name="y" * 100, shape=[1], data=b"\0" * 4)
    for wrong in ([], sent[1:], [*sent, stranger], [*sent[1:], stranger], [*sent, sent[0]]):
        with pytest.raises(
            DataError, match=r"a head has the weights \['hidden.bias', 'hidden.weight', 'out.bias', 'out"
        ):
            decode_head(wrong, head)
    with pytest.raises(DataError, match=r"got .*'y{64}[.]{3}'"):
        decode_head([stranger], head)


@pytest.mark.parametrize("shape", [[3, 1024], [3072], [1024, 3, 1], [], [1024, 4]])
def test_a_head_of_another_shape_is_refused(head: Head, shape: list[int]) -> None:
    sent = encode_head(head.state_dict())
    tensor = next(tensor for tensor in sent if tensor.name == "hidden.weight")
    assert list(tensor.shape) == [1024, 3]
    tensor.shape[:] = shape
    with pytest.raises(DataError, match=r"hidden.weight has shape \(1024, 3\), got"):
        decode_head(sent, head)


def test_a_head_of_another_width_is_refused(head: Head) -> None:
    with pytest.raises(DataError, match=r"hidden.weight has shape \(1024, 3\), got \[1024, 4\]"):
        decode_head(encode_head(Head(4, torch.Generator().manual_seed(1)).state_dict()), head)


def test_a_head_of_another_size_or_with_a_number_that_is_not_finite_is_refused(head: Head) -> None:
    for number in (np.nan, np.inf):
        sent = encode_head(head.state_dict())
        sent[-1].data = np.full(68, number, "<f4").tobytes()
        with pytest.raises(DataError, match=r"out.bias hold a number that is not finite"):
            decode_head(sent, head)
    for data in (b"", bytes(68 * 4 - 1), bytes(68 * 4 + 1)):
        sent = encode_head(head.state_dict())
        sent[-1].data = data
        with pytest.raises(DataError, match=r"out.bias take 272 bytes"):
            decode_head(sent, head)
