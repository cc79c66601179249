"""What a check has to say, and what it may look at."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from skygarden.deploy.document import Document, Where

RAY: Final = "2.60.0"  # the one that deploy/ pins and pyproject.toml allows
REQUIREMENT: Final = f"ray[default,rllib]=={RAY}"  # without `default` Ray serves no dashboard
Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where."""

    severity: Severity  # an error keeps a cluster from running, opens it to others, or costs what nobody asked for
    where: Where  # in the file
    said: str  # what is wrong
    advice: str  # what to do


@dataclass(frozen=True)
class Launch:
    """What is checked: a file, from where it would be launched."""

    document: Document
    folder: Path  # that relative paths in the file start from: where `ray up` is typed
    ready: bool  # whether keys, tokens and addresses, which nobody can put into a shared file, must be there by now

    @property
    def provider(self) -> str:
        """Who has the machines: azure, local, or another that Ray knows."""
        return str(self.document.get("provider", "type"))

    @property
    def cloud(self) -> bool:
        """Whether its machines are paid by the hour."""
        return self.provider != "local"

    @property
    def by_now(self) -> Severity:
        """How bad it is that something of this machine's own is missing."""
        return "error" if self.ready else "warning"

    def local(self, path: str) -> Path:
        """A path of the launching machine."""
        return self.folder / Path(path).expanduser()

    def commands(self, *names: str) -> Iterator[tuple[Where, str]]:
        """The commands under these names, with their paths."""
        for name in names:
            for index, command in enumerate(self.document.items(name)):
                yield (name, index), str(command)

    def workers(self) -> Iterator[tuple[str, Where]]:
        """The names and paths of the node types that are not the head's."""
        for name in self.document.table("available_node_types"):
            if name != self.document.get("head_node_type"):
                yield name, ("available_node_types", name)
