#!/bin/sh
# Make .venv with exactly the versions of constraints.txt. Torch comes first: without a GPU a CPU build is taken.
set -eu
cd "$(dirname "$0")/.."

extras=${1:-}
stamp=.venv/.installed$extras
newest=$(cat pyproject.toml constraints.txt | cksum)
for done in "$stamp" .venv/.installeddev; do # what the tools need holds what the product needs
    [ -f "$done" ] && [ "$(cat "$done")" = "$newest" ] && exit 0
done

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed; $("$python" --version) found. Set PYTHON to another interpreter." >&2
    exit 1
fi
if [ ! -x .venv/bin/pip ]; then
    "$python" -m venv .venv || {
        echo "No virtual environment could be made. On Debian and Ubuntu: apt install python3-venv" >&2
        exit 1
    }
fi
pip() { .venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }

echo "Installing into .venv (the first time takes a few minutes) …"
. deploy/torch.sh
install_torch .venv/bin/python
pip install --constraint constraints.txt --editable ".${extras:+[$extras]}"
printf '%s\n' "$newest" > "$stamp"
