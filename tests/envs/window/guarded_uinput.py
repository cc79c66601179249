"""The pad's watchdog with its real driver, and a window that lacks the focus once a file exists.

python guarded_uinput.py FILE
"""

import os
import sys
from pathlib import Path

from envs.window.focus import FocusGuard
from envs.window.watchdog import serve

if __name__ == "__main__":
    spoiler = Path(sys.argv[1])
    sys.exit(serve(0, os.dup(1), make_guards=lambda *_: [FocusGuard(lambda: not spoiler.exists())]))
