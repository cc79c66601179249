"""`skygarden doctor`: what is wrong between an agent and a game's window, as a table and as a page to look at."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from envs.window.doctor import Doctor
from envs.window.findings import Finding, summary
from skygarden.doctor_page import page
from skygarden.files import write_text

_STYLES: Final = {"good": "green", "warning": "yellow", "fault": "bold red", "skipped": "dim"}


def doctor(profile: str, out: Path, console: Console | None = None) -> bool:
    """Examine a profile's game, show what was found as it is found, and write the page.

    Returns: whether there is no fault.
    """
    console = console or Console()
    examiner = Doctor(profile)
    findings: list[Finding] = []
    try:
        if console.is_terminal:
            with Live(_table(findings), console=console, refresh_per_second=4) as live:
                for finding in examiner.examine():
                    findings.append(finding)
                    live.update(_table(findings))
        else:
            findings.extend(examiner.examine())
            console.print(_table(findings))
    finally:  # also where somebody has seen enough
        write_text(out, page(profile, examiner.profile, findings, examiner.evidence))
    console.print(f"{summary(findings)} Pictures and details: {out}", soft_wrap=True, markup=False)
    return not any(finding.state == "fault" for finding in findings)


def _table(findings: Iterable[Finding]) -> Table:
    table = Table("check", "", "what was found, and what to do", "s", expand=True)
    table.columns[3].justify = "right"
    table.columns[2].ratio = 1
    for finding in findings:
        style = _STYLES[finding.state]
        advice = f"\n[bold]→ {escape(finding.advice)}[/bold]" if finding.advice else ""
        state = f"[{style}]{finding.state}[/{style}]"
        table.add_row(finding.name, state, f"{escape(finding.said)}{advice}", f"{finding.seconds:.1f}")
    return table
