"""Laws of checkpoints."""

import signal
from pathlib import Path

import pytest
import torch

from agents.checkpoint import load_policy, read, save_policy, trunk_hash, write
from agents.policy import Policy, PolicyConfig
from envs.errors import CheckpointError


def test_a_policy_comes_back_as_it_was_saved(policy, tmp_path):
    path = tmp_path / "made" / "policy.safetensors"
    save_policy(policy, path, {"by": "a test", "updates": 3})
    loaded, settings = load_policy(path)
    assert settings == {"by": "a test", "updates": 3}
    assert loaded.config == policy.config
    for (name, a), b in zip(loaded.named_parameters(), policy.parameters(), strict=True):
        assert torch.equal(a, b), name
    assert [p.name for p in path.parent.iterdir()] == ["policy.safetensors"]


def test_bfloat16_halves_the_file_and_rounds_the_weights(policy, tmp_path):
    save_policy(policy, tmp_path / "full")
    save_policy(policy, tmp_path / "half", dtype=torch.bfloat16)
    ratio = (tmp_path / "half").stat().st_size / (tmp_path / "full").stat().st_size
    assert ratio == pytest.approx(0.5, abs=0.01)
    loaded, _ = load_policy(tmp_path / "half")
    for a, b in zip(loaded.parameters(), policy.parameters(), strict=True):
        assert torch.equal(a, b.bfloat16().float())


def test_the_trunks_fingerprint_sees_the_trunk_and_not_the_head(policy, tmp_path):
    before = trunk_hash(policy)
    assert len(before) == 64
    with torch.no_grad():
        policy.head.out.weight[0, 0] += 1.0
    assert trunk_hash(policy) == before
    save_policy(policy, tmp_path / "policy")
    assert trunk_hash(load_policy(tmp_path / "policy")[0]) == before
    with torch.no_grad():
        policy.trunk.encoder.stem.bias[0] += 1e-6
    assert trunk_hash(policy) != before


def test_a_file_of_another_version_kind_or_size_is_refused(policy, tiny, tmp_path, monkeypatch):
    path = tmp_path / "policy"
    save_policy(policy, path)
    other = PolicyConfig(width=64, layers=2, heads=2, context=8)
    assert load_policy(path, tiny)[0].config == tiny
    with pytest.raises(CheckpointError, match=r"width=64.* is needed"):
        load_policy(path, other)
    with pytest.raises(CheckpointError, match="not a skygarden-training"):
        read(path, "training")
    monkeypatch.setattr("agents.checkpoint.VERSION", 2)
    with pytest.raises(CheckpointError, match="version 1, and this code reads 2"):
        load_policy(path)


@pytest.mark.parametrize("kept", [0.0, 0.0001, 0.5, 0.9999])
def test_a_cut_file_is_refused(policy, tmp_path, kept):
    path = tmp_path / "policy"
    save_policy(policy, path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(CheckpointError, match="damaged, cut short"):
        load_policy(path)


def test_a_file_that_is_not_there_or_is_something_else_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_policy(tmp_path / "none")
    (tmp_path / "text").write_text("not a checkpoint at all")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_policy(tmp_path / "text")
    write(tmp_path / "odd", "training", {"a": torch.zeros(1)}, {})
    with pytest.raises(CheckpointError, match="not a skygarden-policy"):
        load_policy(tmp_path / "odd")


def test_missing_unknown_and_misshapen_weights_are_named(policy, tmp_path):
    path, weights = tmp_path / "policy", policy.state_dict()
    header = {"policy": {"width": 32, "layers": 2, "heads": 2, "context": 8}, "settings": {}}
    write(path, "policy", {name: t for name, t in weights.items() if name != "head.out.bias"}, header)
    with pytest.raises(CheckpointError, match=r"lacks head\.out\.bias"):
        load_policy(path)
    write(path, "policy", weights | {"head.extra": torch.zeros(1)}, header)
    with pytest.raises(CheckpointError, match=r"head\.extra, which is not known"):
        load_policy(path)
    write(path, "policy", weights | {"head.out.bias": torch.zeros(67)}, header)
    with pytest.raises(CheckpointError, match=r"shape \(67,\), and \(68,\) is needed"):
        load_policy(path)


def test_a_full_disk_leaves_the_last_good_file(policy, tmp_path):
    resource = pytest.importorskip("resource", reason="limits the size of files as a full disk would")
    path = tmp_path / "policy"
    save_policy(policy, path, {"which": "good"})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        with pytest.raises(CheckpointError, match=r"free some space.*still there"):
            save_policy(policy, path, {"which": "bad"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert load_policy(path)[1] == {"which": "good"}
    assert [p.name for p in tmp_path.iterdir()] == ["policy"]


def test_a_place_that_cannot_be_written_is_said(policy, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="nothing was there before"):
        save_policy(policy, Path(tmp_path / "file" / "policy"))


def test_loading_needs_no_global_randomness(policy, tmp_path):
    save_policy(policy, tmp_path / "policy")
    state = torch.get_rng_state()
    load_policy(tmp_path / "policy")
    assert torch.equal(state, torch.get_rng_state())


def test_policies_that_differ_in_their_heads_share_a_fingerprint(tiny):
    one = Policy(tiny, torch.Generator().manual_seed(0))
    two = Policy(tiny, torch.Generator().manual_seed(1))
    assert trunk_hash(one) != trunk_hash(two)
    two.trunk.load_state_dict(one.trunk.state_dict())
    assert trunk_hash(one) == trunk_hash(two)
