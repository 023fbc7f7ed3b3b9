#!/bin/sh
# The browser tests drive Debian's Chromium. Install it where that is permitted, else say what is left out.
set -u
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Chromium for the browser tests …"
    { apt-get update -qq && apt-get install -y -qq chromium; } >/dev/null 2>&1 && exit 0
fi
echo "LEFT OUT: no Chromium here, and installing it is not permitted: the browser tests will be reported as skipped." >&2
