"""Online alignment from end to end: see end_to_end.py, which this runs.

A script's own folder comes first where Python looks, and there this file would stand for the package `rollout`.
"""

import sys

if __name__ == "__main__":
    sys.path.append(sys.path.pop(0))
    from end_to_end import main

    main()
