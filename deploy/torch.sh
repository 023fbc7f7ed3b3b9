# Sourced by the install scripts: the torch of constraints.txt for one Python. Without a GPU a CPU build is taken.

has_gpu() { command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; }

# install_torch PYTHON, from the repository's root. A file of the CPU build that pip already knows wins; else PyTorch's
# CPU index if it answers in 3 s.
install_torch() {
    torch=$(grep '^torch==' constraints.txt)
    if "$1" -c "import importlib.metadata as m, sys; sys.exit(m.version('torch').split('+')[0] != '${torch#torch==}')" 2>/dev/null; then
        return
    fi
    wheels=$(mktemp -d)
    cpu_index=https://download.pytorch.org/whl/cpu
    pip="$1 -m pip --disable-pip-version-check --quiet"
    if has_gpu; then
        $pip install "$torch"
    elif $pip download --no-deps --only-binary :all: --no-index --dest "$wheels" "$torch" 2>/dev/null; then
        $pip install "$wheels"/torch-*.whl
    elif "$1" -c "import urllib.request; urllib.request.urlopen('$cpu_index/torch/', timeout=3)" 2>/dev/null; then
        $pip install "$torch" --index-url "$cpu_index" --extra-index-url https://pypi.org/simple
    else
        $pip install "$torch"
    fi
    rm -rf "$wheels"
}
