"""The policies that a user can name, and where they are."""

from pathlib import Path
from typing import Final

import torch

from agents.checkpoint import load_policy, save_policy
from agents.policy import Policy, config_of
from envs.errors import OptionError

SCRATCH: Final = "scratch"
_FOLDER: Final = Path(__file__).parent / "models"


def policy_path(name: str) -> Path:
    """The file of a policy: one that came with Skygarden by its name, a file, or a run's folder.

    Raises: OptionError: there is none.
    """
    given = Path(name)
    for path in (_FOLDER / f"{name}.safetensors", given, given / "policy.safetensors"):
        if path.is_file():
            return path
    known = ", ".join([*boxed(), "a .safetensors file or a run's folder"])
    raise OptionError(f"there is no policy {name!r}: give {known}")


def boxed() -> list[str]:
    """The names of the policies that come with Skygarden."""
    return sorted(path.stem for path in _FOLDER.glob("*.safetensors"))


def named_policy(name: str) -> Policy:
    """A policy, in float32 on the CPU.

    Raises: OptionError: there is none of this name. CheckpointError: it cannot be read.
    """
    return load_policy(policy_path(name))[0]


def starting_policy(name: str, size: str, seed: int) -> Policy:
    """The policy of a name, or with the name "scratch" one of a size with random weights.

    Raises: as `named_policy`; OptionError: there is no such size.
    """
    return Policy(config_of(size), torch.Generator().manual_seed(seed)) if name == SCRATCH else named_policy(name)


def export(name: str, path: Path) -> None:
    """Write a policy for others to use: its weights in 16 bit and how it came about, in half the space.

    Raises: as `named_policy`; OptionError: it is a folder. CheckpointError: the file cannot be written.
    """
    if path.is_dir():
        raise OptionError(f"{path} is a folder; give the name of a file to write, such as policy.safetensors")
    policy, settings = load_policy(policy_path(name))
    save_policy(policy, path, settings, torch.bfloat16)
