#!/bin/sh
# Skygarden with a screen for games: what the image of deploy/Dockerfile starts.
set -eu

Xvfb "$DISPLAY" -screen 0 1280x720x24 -nolisten tcp &
exec skygarden "$@"
