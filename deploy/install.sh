#!/bin/sh
# Make .venv with exactly the versions of constraints.txt. Torch comes first: without a GPU a CPU build is taken.
set -eu
cd "$(dirname "$0")/.."

extras=${1:-}
stamp=.venv/.installed$extras
newest=$(cat pyproject.toml constraints.txt | cksum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$newest" ] && exit 0

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
torch=$(grep '^torch==' constraints.txt)
if ! .venv/bin/python -c "import importlib.metadata as m, sys; sys.exit(m.version('torch').split('+')[0] != '${torch#torch==}')" 2>/dev/null; then
    # A file of the CPU build that pip already knows wins; else PyTorch's CPU index if it answers in 3 s.
    cpu_index=https://download.pytorch.org/whl/cpu
    if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; then
        pip install "$torch"
    elif pip download --no-deps --only-binary :all: --no-index --dest .venv/wheels "$torch" 2>/dev/null; then
        pip install .venv/wheels/torch-*.whl
    elif .venv/bin/python -c "import urllib.request; urllib.request.urlopen('$cpu_index/torch/', timeout=3)" 2>/dev/null; then
        pip install "$torch" --index-url "$cpu_index" --extra-index-url https://pypi.org/simple
    else
        pip install "$torch"
    fi
    rm -rf .venv/wheels
fi
pip install --constraint constraints.txt --editable ".${extras:+[$extras]}"
printf '%s\n' "$newest" > "$stamp"
