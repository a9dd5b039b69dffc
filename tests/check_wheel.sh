#!/usr/bin/env bash
# Installs the wheel alone into a fresh environment and uses it from another folder: what is missing from the wheel
# shows only there. Usage: tests/check_wheel.sh DIST_FOLDER
set -euo pipefail
dist=$(realpath "$1")
constraints=$(realpath constraints.txt)
python=$(realpath -s "${PYTHON:-python3}")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$python" -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet -c "$constraints" "$dist"/*.whl
cd "$place"
if venv/bin/python -c "import torch" 2>/dev/null; then echo "the core install must not bring torch" >&2; exit 1; fi
venv/bin/noisyweb datasets
venv/bin/noisyweb build --dataset cars --kind blue --noise 0 --out built
venv/bin/noisyweb verify built
refusal=$(venv/bin/noisyweb train --manifest built/cars/blue_noise_nl_0.0 2>&1 || true)
case $refusal in
    *"pip install 'noisyweb[train]'"*) ;;
    *) echo "train without torch must say how to install it, and said: $refusal" >&2; exit 1 ;;
esac
du -sm venv | awk '{print "core install: " $1 " MB"}'
echo "wheel: ok"
