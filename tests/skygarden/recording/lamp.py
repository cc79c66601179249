"""A game as small as can be: a window that is red while W is down, green while the space bar is, black otherwise.

Usage: lamp.py TITLE WIDTH HEIGHT. Ends when it is told to.
"""

import sys
from importlib import import_module
from typing import Any


def main() -> None:
    x: Any = import_module("Xlib.X")
    symbols: Any = import_module("Xlib.XK")
    display: Any = import_module("Xlib.display").Display()
    title, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    screen = display.screen()
    events = x.KeyPressMask | x.KeyReleaseMask
    window = screen.root.create_window(
        100, 80, width, height, 0, screen.root_depth, background_pixel=0, event_mask=events | x.ExposureMask
    )
    window.set_wm_name(title)
    window.map()
    display.sync()
    paint = window.create_gc()
    colours = {
        display.keysym_to_keycode(symbols.string_to_keysym("w")): 0xFF0000,
        display.keysym_to_keycode(symbols.string_to_keysym("space")): 0x00FF00,
    }
    shown, size = 0, (width, height)
    window.set_input_focus(x.RevertToParent, x.CurrentTime)
    display.sync()
    print("ready", flush=True)
    while True:
        event = display.next_event()
        if event.type in {x.KeyPress, x.KeyRelease} and event.detail in colours:
            shown = colours[event.detail] if event.type == x.KeyPress else 0
        paint.change(foreground=shown)
        window.fill_rectangle(paint, 0, 0, *size)
        display.flush()


if __name__ == "__main__":
    main()
