"""Policies and training states as safetensors files, each with a format version and its settings as JSON beside.

A file is written next to its place and renamed into it, so a reader sees the old one or the new one and never half of
either, and a full disk leaves the last good one.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal, cast

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from agents.policy import Policy, PolicyConfig
from envs.errors import CheckpointError

VERSION: Final = 1
_EXTRA: Final = "extra/"
_VALUE: Final = "value"
_MEAN: Final = "mean"

_OPEN = cast("Any", safetensors.safe_open)  # the package has no types for its functions
_SAVE = cast("Any", safetensors.torch).save_file

Kind = Literal["policy", "training", "episodes", "reward"]


def save_policy(
    policy: Policy, path: Path, settings: Mapping[str, Any] | None = None, dtype: torch.dtype = torch.float32
) -> None:
    """Write a policy.

    Args: settings: anything JSON can hold, to be read back: how the policy came about. dtype: of the stored weights;
      bfloat16 halves the file.
    Raises: CheckpointError: the file cannot be written; what was there before is still there.
    """
    weights = {name: tensor.to(dtype).cpu().contiguous() for name, tensor in policy.state_dict().items()}
    write(path, "policy", weights, {"policy": asdict(policy.config), "settings": dict(settings or {})})


def load_policy(path: Path, expected: PolicyConfig | None = None) -> tuple[Policy, dict[str, Any]]:
    """Read a policy, in float32 on the CPU, and the settings it was saved with.

    Args: expected: the size that is needed, if only one will do.
    Raises: CheckpointError: no such file, damaged, of another version, or not of the expected size.
    """
    weights, header = read(path, "policy")
    config = PolicyConfig(**header["policy"])
    if expected not in (None, config):
        raise CheckpointError(f"{path} holds a policy of size {config}, and {expected} is needed; choose another file")
    policy = Policy(config, torch.Generator())
    match(path, weights, policy.state_dict())
    policy.load_state_dict(weights)
    return policy, header["settings"]


def trunk_hash(policy: Policy) -> str:
    """A fingerprint of the trunk's weights: 64 hexadecimal digits, the same on every machine.

    Features of one trunk mean nothing to the head of another; who passes them on stamps them with this.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(policy.trunk.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().astype("<f4", copy=False).data)
    return digest.hexdigest()


class Run:
    """The checkpoints of a training run in a folder: `policy.safetensors`, and beside it what training needs to go on.

    The training state has the number of updates done in its name, and all that training changes: with what the policy's
    file holds besides, a run goes on from the newest. So where only the head is trained, a state is small, and one may
    be written often and the policy seldom.

    Args: policy: that is trained. fixed: settings that must be the same to go on. notes: others, kept for the reader.
      mean: the policy that the run is for, where that is a mean of what is trained.
    """

    def __init__(
        self,
        folder: Path,
        policy: Policy,
        optimizer: torch.optim.Optimizer,
        fixed: Mapping[str, Any],
        notes: Mapping[str, Any],
        mean: Policy | None = None,
    ) -> None:
        self.path = folder / "policy.safetensors"
        self._folder, self._policy, self._optimizer = folder, policy, optimizer
        self._fixed, self._notes = dict(fixed), dict(notes)
        self._trained = {name: p for name, p in policy.named_parameters() if p.requires_grad}
        self._kept = policy if mean is None else mean
        self._means = {} if mean is None else {k: p for k, p in mean.named_parameters() if k in self._trained}
        self.extras: dict[str, Tensor] = {}  # what the checkpoint that was resumed held besides

    def save(self, done: int, extras: Mapping[str, Tensor] | None = None, *, whole: bool = True) -> None:
        """Write a checkpoint after `done` updates.

        Args: extras: what else is needed to go on. whole: write the policy too; the first time it is written anyway.
        Raises: CheckpointError: it cannot be written; the one before is still there.
        """
        state = {
            f"{name}/{key}": tensor.detach().cpu().contiguous()
            for name, parameter in self._trained.items()
            for key, tensor in {_VALUE: parameter, **self._optimizer.state[parameter]}.items()
        }
        state |= {f"{name}/{_MEAN}": mean.detach().cpu().contiguous() for name, mean in self._means.items()}
        state |= {f"{_EXTRA}{name}": tensor.contiguous() for name, tensor in (extras or {}).items()}
        write(self._state(done), "training", state, {"done": done})
        if whole or not self.path.exists():
            self._save_policy(done)
        for path in self._states():
            if path != self._state(done):
                path.unlink(missing_ok=True)

    def resume(self) -> int:
        """Load the run's last checkpoint, if there is one, and return how many updates it has behind it.

        A policy's file that is behind is brought up to it.

        Raises: CheckpointError: it cannot be read, or was made with other settings.
        """
        for path in self._folder.glob("*.safetensors.*.partial"):  # a run was killed while it wrote
            path.unlink(missing_ok=True)
        if not self.path.exists():
            return 0
        saved, settings = load_policy(self.path, self._policy.config)
        done, fixed = settings.get("done"), settings.get("training", {})
        if not isinstance(done, int) or fixed != self._fixed:
            keys = sorted(key for key in {*fixed, *self._fixed} if fixed.get(key) != self._fixed.get(key))
            raise CheckpointError(f"{self._folder} holds a run that differs in {', '.join(keys)}; use another folder")
        path = max(self._states(), default=self._state(done))
        state, header = read(path, "training")
        extras = [name for name in state if name.startswith(_EXTRA)]
        self.extras = {name.removeprefix(_EXTRA): state.pop(name) for name in extras}
        needed = {f"{name}/{key}": p for name, p in self._trained.items() for key in (_VALUE, "exp_avg", "exp_avg_sq")}
        steps = {f"{name}/step": torch.tensor(0.0) for name in self._trained}
        means = {f"{name}/{_MEAN}": mean for name, mean in self._means.items()}
        match(path, state, needed | steps | means)
        kept = saved.state_dict()
        self._policy.load_state_dict(kept | {name: state[f"{name}/{_VALUE}"] for name in self._trained})
        if self._means:
            self._kept.load_state_dict(kept | {name: state[f"{name}/{_MEAN}"] for name in self._means})
        for name, parameter in self._trained.items():
            for key in ("step", "exp_avg", "exp_avg_sq"):
                self._optimizer.state[parameter][key] = state[f"{name}/{key}"].to(parameter.device)
        if header["done"] != done:
            self._save_policy(header["done"])
        return int(header["done"])

    def _save_policy(self, done: int) -> None:
        save_policy(self._kept, self.path, {"done": done, "training": self._fixed, **self._notes})

    def _states(self) -> list[Path]:
        return list(self._folder.glob("training-*.safetensors"))

    def _state(self, done: int) -> Path:
        return self._folder / f"training-{done:08d}.safetensors"


def write(path: Path, kind: Kind, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header in place of what is there.

    Raises: CheckpointError: the file cannot be written; what was there before is still there.
    """
    metadata = {"kind": f"skygarden-{kind}", "version": str(VERSION), "header": json.dumps(header)}
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _SAVE(dict(tensors), partial, metadata)
        with partial.open("r+b") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            partial.unlink()
        raise CheckpointError(
            f"cannot write {path}: {error}; free some space or choose another folder, and resume: "
            f"{'the checkpoint written before is still there' if path.exists() else 'nothing was there before'}"
        ) from error


def read(path: Path, kind: Kind) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header that `write` wrote.

    Raises: CheckpointError: no such file, damaged, of another kind or version.
    """
    try:
        with _OPEN(path, framework="pt") as file:
            header = _header(path, kind, file.metadata() or {})
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118, not a mapping
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint {path}; check the name") from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): damaged, cut short or no safetensors file") from error


def match(path: Path, found: Mapping[str, Tensor], needed: Mapping[str, Tensor]) -> None:
    """Check that a file holds the tensors that are needed, of their shapes.

    Raises: CheckpointError: one is missing, has another shape, or is not known.
    """
    for name, tensor in needed.items():
        if name not in found:
            raise CheckpointError(f"{path} lacks {name}: it was made by other code, or tampered with")
        if found[name].shape != tensor.shape:
            shapes = f"{tuple(found[name].shape)}, and {tuple(tensor.shape)} is needed"
            raise CheckpointError(f"{name} in {path} has shape {shapes}: it was made for another size")
    unknown = sorted(found.keys() - needed.keys())
    if unknown:
        raise CheckpointError(f"{path} holds {unknown[0]}, which is not known: it was made by other code")


def _header(path: Path, kind: Kind, metadata: Mapping[str, str]) -> dict[str, Any]:
    if metadata.get("kind") != f"skygarden-{kind}":
        raise CheckpointError(f"{path} holds {metadata.get('kind', 'something else')}, not a skygarden-{kind}")
    if metadata.get("version") != str(VERSION):
        version = metadata.get("version")
        raise CheckpointError(f"{path} has format version {version}, and this code reads {VERSION}; update one of them")
    try:
        return dict(json.loads(metadata["header"]))
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path} has no readable header: damaged, or made by other code") from error
