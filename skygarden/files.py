"""Text files that are there whole or not at all."""

from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write text in place of what is there: beside it, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
