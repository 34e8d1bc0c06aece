#!/usr/bin/env bash
# Check a GPU on a machine that may have no network: does it compute what the CPU does, and how fast?
#
#   make gpu-pack                       where there is a network; the folder build/gpu-pack is all that is needed
#   bash build/gpu-pack/check.sh        on the machine with the GPU
#
# It takes under 9 minutes. Results: $OUT/check.json and $OUT/log.txt (OUT is `out` by default). Exit codes are those of
# `gssl doctor --full`: 0 as the CPU, 1 not so, 2 something is missing. Variables: PYTHON (python3, one that has torch),
# DEVICE (cuda), SECONDS_IN_ALL (480); further arguments go to `gssl doctor --full`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
out=${OUT:-out}
device=${DEVICE:-cuda}
seconds=${SECONDS_IN_ALL:-480}
begin=$(date +%s)
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -c 'import torch' 2>/dev/null || { echo "error: $python has no torch: install it, or set PYTHON" >&2; exit 2; }

# A virtual environment without pip, which sees the packages of the one that runs this, itself perhaps a virtual one.
"$python" -m venv --without-pip "$work/venv"
venv=$work/venv/bin/python
site=$("$venv" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -c 'import site, sys; print(*[p for p in sys.path if p.endswith(("site-packages", "dist-packages"))], sep="\n")' \
  > "$site/zz-outer.pth"
"$python" "$here/missing.py" "$here" > "$work/wheels.txt"
if [[ -s $work/wheels.txt ]]; then
  "$python" -m pip install --quiet --no-index --no-deps --no-compile --disable-pip-version-check --target "$site" \
    --requirement "$work/wheels.txt"
fi

export PYTHONPATH=$here/project PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 NUMBA_CACHE_DIR=$work/numba
export GSSL_RUNS=$work/runs GSSL_DATA=$work/data
"$venv" "$here/missing.py" "$here" --strict
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.used --format=csv,noheader || true
status=0
"$venv" -m gssl doctor --full --device "$device" --seconds "$seconds" --out "$out" "$@" 2>&1 | tee "$out/log.txt" || status=$?
cp "$here/pack.json" "$out/pack.json"
echo "$(($(date +%s) - begin)) s with the installation; results are in $out"
exit "$status"
