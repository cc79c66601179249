"""The page of `skygarden doctor`: one file without a script, which asks nothing of any other machine."""

import base64
import html
import platform
import time
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from envs.window.findings import Evidence, Finding, LookSeen, Pixels, StepSeen, summary
from envs.window.profile import Profile, Region

_MARKS: Final = {"good": "✓", "warning": "!", "fault": "✗", "skipped": "·"}
_STRIP: Final = 320  # pixels, of the width of a step's picture
_STYLE: Final = """
:root { color-scheme: light dark; --text: #1c1f23; --soft: #5b636e; --line: #d8dce2; --ground: #fff; --card: #f5f6f8;
  --good: #1a7f37; --warning: #8a5a00; --fault: #c62828; --skipped: #6b7280; }
@media (prefers-color-scheme: dark) { :root { --text: #e8eaed; --soft: #a4abb6; --line: #3a4049; --ground: #15181c;
  --card: #1f2329; --good: #57c774; --warning: #e6b450; --fault: #ff7b72; --skipped: #9aa2ad; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 0 auto; padding: 1.5rem 1rem 4rem;
  color: var(--text); background: var(--ground); overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 0.3rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 0.6rem; }
p { margin: 0.4rem 0; } .soft { color: var(--soft); }
.good { color: var(--good); } .warning { color: var(--warning); } .fault { color: var(--fault); }
.skipped { color: var(--skipped); }
.do { border-left: 4px solid currentColor; background: var(--card); padding: 0.6rem 1rem; margin: 0.8rem 0;
  border-radius: 0 6px 6px 0; } .do p { color: var(--text); } .do b { color: inherit; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
td, th { padding: 0.45rem 0.8rem 0.45rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.state { white-space: nowrap; font-weight: 600; } td.name { font-weight: 600; white-space: nowrap; }
.frames { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 3fr); gap: 1.2rem; align-items: start; }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 1.2rem; }
@media (max-width: 700px) { .frames { grid-template-columns: 1fr; } }
figure { margin: 0; } figcaption { color: var(--soft); font-size: 0.9rem; margin-top: 0.35rem; }
.picture { position: relative; line-height: 0; } .picture img { width: 100%; border-radius: 4px; }
.pixels img { image-rendering: pixelated; }
.box { position: absolute; outline: 2px solid; outline-offset: -1px; color: #ffd23f; }
.box.good { color: #35e06a; } .box.fault { color: #ff5a52; } .box.seen { color: #fff; outline-style: dashed; }
.box span { position: absolute; left: 0; top: 0; font: 600 11px/1.35 system-ui, sans-serif; padding: 0 4px;
  background: #000c; color: inherit; white-space: nowrap; }
"""


def page(name: str, profile: Profile | None, findings: Sequence[Finding], evidence: Evidence) -> str:
    """The page, HTML. Args: name: what the profile was called by."""
    title = profile.name if profile is not None else name
    worst = next((state for state in ("fault", "warning") if any(f.state == state for f in findings)), "good")
    when = time.strftime("%Y-%m-%d %H:%M")
    parts = [
        f'<h1><span class="{worst}">{_MARKS[worst]} {html.escape(summary(findings))}</span></h1>',
        f'<p class="soft">{html.escape(title)}, on {when}: <code>skygarden doctor {html.escape(name)}</code>, '
        f"Python {platform.python_version()}, {platform.system()}.</p>",
        *_to_do(findings),
        "<h2>Every check</h2>",
        _table(findings),
        *_frames(evidence),
        *_looks(evidence),
        *_steps(evidence.steps),
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<title>Skygarden doctor: {html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><main>\n" + "\n".join(parts) + "\n</main></body></html>\n"
    )


def _to_do(findings: Sequence[Finding]) -> list[str]:
    """What is to be done, the worst first."""
    parts = ["<h2>What to do</h2>"] if any(finding.advice for finding in findings) else []
    for state in ("fault", "warning"):
        parts += [
            f'<div class="do {state}"><b>{_MARKS[state]} {html.escape(finding.name)}</b>'
            f"<p>{html.escape(finding.said)}</p><p><b>{html.escape(finding.advice)}</b></p></div>"
            for finding in findings
            if finding.state == state
        ]
    return parts


def _table(findings: Sequence[Finding]) -> str:
    rows = "".join(
        f'<tr><td class="state {finding.state}">{_MARKS[finding.state]} {finding.state}</td>'
        f'<td class="name">{html.escape(finding.name)}</td><td>{html.escape(finding.said)}</td>'
        f'<td class="number">{finding.seconds:.1f}</td></tr>'
        for finding in findings
    )
    return (
        '<div class="scroll"><table><thead><tr><th>state</th><th>check</th><th>what was found</th>'
        f'<th class="number">seconds</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _frames(evidence: Evidence) -> list[str]:
    """The window with all looks, and what the agent gets of it."""
    if evidence.window is None or evidence.agent is None or evidence.seen is None:
        return []
    height, width = evidence.window.shape[:2]
    moment = "at the start of an episode" if evidence.at_start else "when it was first captured"
    boxes = _box(evidence.seen, "seen", "") + "".join(_look_box(look) for look in evidence.looks)
    side = evidence.agent.shape[0]
    large = cv2.resize(evidence.agent, (4 * side, 4 * side), interpolation=cv2.INTER_NEAREST)
    return [
        f"<h2>The game {moment}</h2>",
        '<div class="frames">'
        + _figure(evidence.window, boxes, f"The window, {width}x{height}; dashed is what the agent sees of it.")
        + _figure(np.asarray(large, np.uint8), "", f"As the agent sees it: {side}x{side}, enlarged.", "pixels")
        + "</div>",
    ]


def _looks(evidence: Evidence) -> list[str]:
    if not evidence.looks:
        return []
    rows = "".join(
        f'<tr><td class="name">{html.escape(look.name)}</td>'
        f'<td class="state {"good" if look.difference <= look.tolerance else "skipped"}">'
        f"{'looks like it' if look.difference <= look.tolerance else 'does not'}</td>"
        f'<td class="number">{look.difference:.1f}</td><td class="number">{look.tolerance:g}</td></tr>'
        for look in evidence.looks
    )
    return [
        "<h2>The looks, in this picture</h2>",
        '<p class="soft">Mean difference of a colour value, 0 to 255, from the profile\'s picture. Not all can be '
        "there at once: a menu is not the game.</p>",
        '<div class="scroll"><table><thead><tr><th>look</th><th></th><th class="number">difference</th>'
        f'<th class="number">tolerance</th></tr></thead><tbody>{rows}</tbody></table></div>',
    ]


def _steps(steps: Sequence[StepSeen]) -> list[str]:
    """The way to the start of an episode, in pictures."""
    figures = [_step(number, step) for number, step in enumerate(steps, 1)]
    return (
        ["<h2>The way to the start of an episode</h2>", f'<div class="strip">{"".join(figures)}</div>'] if steps else []
    )


def _step(number: int, step: StepSeen) -> str:
    times = f" {len(step.pressed)} times" if len(step.pressed) > 1 else ""
    pressed = f"pressed {step.pressed[0]}{times}" if step.pressed else "nothing pressed"
    state, came = ("good", "seen") if step.reached else ("fault", "not seen")
    caption = (
        f'<b class="{state}">{_MARKS[state]} {number}. {html.escape(step.look)} {came}</b><br>{html.escape(pressed)}, '
        f"{step.seconds:.1f} s; at best {step.nearest:.2f} times its tolerance away"
    )
    if step.window is None:
        return f"<figure><figcaption>{caption}; the window was gone</figcaption></figure>"
    height, width = step.window.shape[:2]
    size = (min(_STRIP, width), max(1, round(height * min(_STRIP, width) / width)))
    small = np.asarray(cv2.resize(step.window, size, interpolation=cv2.INTER_AREA), np.uint8)
    return _figure(small, _box(step.region, state, ""), caption, escaped=True)


def _look_box(look: LookSeen) -> str:
    state = "good" if look.difference <= look.tolerance else ""
    return _box(look.region, state, f"{look.name} {look.difference:.1f} / {look.tolerance:g}")


def _box(region: Region, state: str, label: str) -> str:
    left, top, width, height = (f"{100 * share:.3f}%" for share in region)
    named = f"<span>{html.escape(label)}</span>" if label else ""
    return f'<div class="box {state}" style="left:{left};top:{top};width:{width};height:{height}">{named}</div>'


def _figure(pixels: Pixels, boxes: str, caption: str, kind: str = "", *, escaped: bool = False) -> str:
    """A picture with boxes on it. Args: escaped: whether the caption is HTML."""
    height, width = pixels.shape[:2]
    coded = cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))[1].tobytes()
    source = f"data:image/png;base64,{base64.b64encode(coded).decode()}"
    alt = "" if escaped else html.escape(caption)
    below = caption if escaped else html.escape(caption)
    return (
        f'<figure><div class="picture {kind}"><img src="{source}" width="{width}" height="{height}" alt="{alt}" '
        f'style="height:auto">{boxes}</div><figcaption>{below}</figcaption></figure>'
    )
