"""A YAML file with its lines: what stands at a path, and on which line that path is.

A mistake is mended where it stands, so each finding names a line. Where a path is not there, its line is that of the
nearest thing around it, which is where it belongs.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import yaml

from envs.errors import DeployError

Where = tuple[str | int, ...]  # keys and indices, from the top

_MERGE: Final = "tag:yaml.org,2002:merge"


class Document:
    """What a YAML file says, by path."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        try:
            self._root = yaml.SafeLoader(text).get_single_node()
            self.content = cast("object", yaml.safe_load(text))
        except yaml.YAMLError as error:
            raise DeployError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
        if not isinstance(self.content, dict):
            raise DeployError(f"{path} holds no settings of a cluster; deploy/cluster.yaml is an example")

    @classmethod
    def read(cls, path: Path) -> "Document":
        """A file's. Raises: DeployError: it cannot be read, or is no YAML."""
        try:
            return cls(path, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise DeployError(f"a cluster file cannot be read: {path}: {error}") from error

    def get(self, *where: str | int) -> Any:
        """What stands at a path, or None."""
        value: Any = self.content
        for key in where:
            if isinstance(value, dict):
                value = cast("dict[object, Any]", value).get(key)
            elif isinstance(value, list) and isinstance(key, int):
                items = cast("list[Any]", value)
                value = items[key] if 0 <= key < len(items) else None
            else:
                return None
        return value

    def table(self, *where: str | int) -> dict[str, Any]:
        """What stands at a path where that is a mapping; else nothing."""
        value = self.get(*where)
        return {str(key): item for key, item in cast("dict[object, Any]", value).items()} if _is_dict(value) else {}

    def items(self, *where: str | int) -> list[Any]:
        """What stands at a path where that is a list; else nothing."""
        value = self.get(*where)
        return cast("list[Any]", value) if isinstance(value, list) else []

    def has(self, *where: str | int) -> bool:
        """Whether a path is there, if only with nothing in it."""
        return where[-1] in self.table(*where[:-1])

    def line(self, where: Where) -> int:
        """The line of a path, from 1; of what is nearest around it, where it is not there."""
        node = self._root
        found = node
        line = 1
        for key in where:
            if isinstance(node, yaml.MappingNode):
                pair = _pair(node, key)
                if pair is None:
                    break
                found, node = pair
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
                found = node = node.value[key]
            else:
                break
            line = found.start_mark.line + 1
        return line

    def repeated(self) -> Iterator[Where]:
        """The paths of keys that stand there twice, of which YAML silently takes the last."""
        if self._root is not None:
            yield from _repeated(self._root, ())


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def _pair(node: yaml.MappingNode, key: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """A key's node and its value's; one that is merged in with << counts where it does not stand by itself."""
    merged: tuple[yaml.Node, yaml.Node] | None = None
    for name, value in reversed(node.value):
        if name.value == str(key):
            return name, value
        if name.tag == _MERGE:
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                merged = merged or _pair(source, key)
    return merged


def _repeated(node: yaml.Node, where: Where) -> Iterator[Where]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for name, value in node.value:
            here = (*where, str(name.value))
            if name.value in seen:
                yield here
            seen.add(name.value)
            yield from _repeated(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _repeated(value, (*where, index))


def spelt(where: Where) -> str:
    """A path as text: available_node_types.render.resources, setup_commands[2]."""
    text = ""
    for key in where:
        text += f"[{key}]" if isinstance(key, int) else f"{'.' if text else ''}{key}"
    return text or "the file"
