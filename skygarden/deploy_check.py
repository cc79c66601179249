"""`skygarden deploy-check`: what is wrong with a file for `ray up`, before it costs anything.

Ray checks names and types of what it reads itself, and hands the rest on: a machine that is no more, a dashboard open
to the world or a nightly Ray show after minutes, in a log on another machine, or on the bill.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from skygarden.deploy.azure import AZURE
from skygarden.deploy.common import COMMON
from skygarden.deploy.document import Document, spelt
from skygarden.deploy.findings import Finding, Launch
from skygarden.deploy.local import LOCAL
from skygarden.deploy.rays_own import rays_own

Check = Callable[[Launch], Iterable[Finding]]
_OF_PROVIDERS: Final[Mapping[str, tuple[Check, ...]]] = {"azure": AZURE, "local": LOCAL}
_STYLES: Final = {"error": "bold red", "warning": "yellow", "note": "dim"}


def findings(launch: Launch) -> Iterator[Finding]:
    """All that there is to say about a file: first what Ray says, then what it lets through."""
    yield from rays_own(launch)
    for check in (*COMMON, *_OF_PROVIDERS.get(launch.provider, ())):
        yield from check(launch)
    if launch.provider not in _OF_PROVIDERS:
        said = f"nothing is known here of the provider {launch.provider}, so its own settings were not checked"
        yield Finding("warning", ("provider", "type"), said, f"{' and '.join(_OF_PROVIDERS)} are known")


def deploy_check(file: Path, ready: bool, console: Console | None = None) -> bool:
    """Check a file for `ray up` and say what was found, line by line.

    Args:
        file: YAML; relative paths in it start from the current folder, as they do for `ray up`.
        ready: keys, tokens and addresses, which a shared file cannot hold, must be there as well.
        console: to print on; default: standard output.

    Returns: whether there is no error.
    Raises: DeployError: the file cannot be read, or is no YAML.
    """
    console = console or Console()
    document = Document.read(file)
    found = sorted(
        findings(Launch(document, Path.cwd(), ready)),
        key=lambda finding: (list(_STYLES).index(finding.severity), document.line(finding.where)),
    )
    for finding in found:
        line = document.line(finding.where)
        style = _STYLES[finding.severity]
        console.print(
            f"{escape(str(file))}:{line}: [{style}]{finding.severity}[/{style}]: "
            f"[bold]{escape(spelt(finding.where))}[/bold]: {escape(finding.said)}\n    → {escape(finding.advice)}",
            soft_wrap=True,
            highlight=False,
        )
    counts = {severity: sum(finding.severity == severity for finding in found) for severity in _STYLES}
    said = ", ".join(f"{n} {severity}{'' if n == 1 else 's'}" for severity, n in counts.items() if n)
    console.print(f"{escape(str(file))}: {said or 'nothing wrong'}", soft_wrap=True, highlight=False)
    return not counts["error"]
