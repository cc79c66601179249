"""Laws of the policies that a user can name."""

from pathlib import Path

import pytest
import torch

from agents.checkpoint import load_policy
from envs.errors import CheckpointError, OptionError
from skygarden import policies
from skygarden.policies import boxed, export, named_policy, policy_path


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, walker: Path) -> Path:
    """A folder of policies that come with Skygarden: `ahead` and `base`."""
    folder = tmp_path / "box"
    folder.mkdir()
    for name in ("base", "ahead"):
        (folder / f"{name}.safetensors").write_bytes(walker.read_bytes())
    monkeypatch.setattr(policies, "_FOLDER", folder)
    return folder


def test_a_policy_is_named_by_what_came_with_skygarden_by_its_file_or_by_its_runs_folder(
    box: Path, walker: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "mine"
    run.mkdir(parents=True)
    (run / "policy.safetensors").write_bytes(walker.read_bytes())
    assert boxed() == ["ahead", "base"]
    assert policy_path("base") == box / "base.safetensors"
    assert policy_path(str(walker)) == walker
    assert policy_path(str(run)) == run / "policy.safetensors"


def test_a_policy_that_came_with_skygarden_goes_before_a_folder_of_that_name(
    box: Path, tmp_path: Path, walker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("base", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.safetensors").write_bytes(walker.read_bytes())
    assert policy_path("base") == box / "base.safetensors"
    assert policy_path("new") == Path("new/policy.safetensors")


def test_a_name_that_is_none_is_refused_with_those_there_are(box: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("nobody", str(tmp_path / "empty"), str(box)):
        with pytest.raises(OptionError, match=f"no policy '{name}': give ahead, base, a .safetensors file or"):
            named_policy(name)


def test_a_policy_is_the_one_in_the_file(walker: Path) -> None:
    policy = named_policy(str(walker))
    expected, settings = load_policy(walker)
    assert settings == {"about": "walks"}
    for parameter, other in zip(policy.parameters(), expected.parameters(), strict=True):
        assert torch.equal(parameter, other)
        assert (parameter.dtype, parameter.device.type) == (torch.float32, "cpu")


def test_a_file_that_is_no_policy_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.safetensors"
    path.write_text("none", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"notes\.safetensors cannot be read"):
        named_policy(str(path))


def test_a_policy_is_not_exported_into_a_folder(walker: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="is a folder; give the name of a file to write"):
        export(str(walker), tmp_path)


def test_an_exported_policy_is_the_same_in_16_bit_and_says_how_it_came_about(walker: Path, tmp_path: Path) -> None:
    """A bfloat16 keeps 8 bits of a number: it is off by at most 1 in 256."""
    path = tmp_path / "shared" / "walker.safetensors"
    export(str(walker), path)
    assert path.stat().st_size == pytest.approx(walker.stat().st_size / 2, rel=0.02)
    policy, settings = load_policy(path)
    assert settings == {"about": "walks"}
    original = named_policy(str(walker))
    assert policy.config == original.config
    for parameter, exact in zip(policy.parameters(), original.parameters(), strict=True):
        assert torch.equal(parameter, exact.bfloat16().float())
        assert ((parameter - exact).abs() <= exact.abs() / 256).all()
