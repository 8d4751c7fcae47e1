#!/usr/bin/env bash
# Builds the wheel and proves, in a clean environment, that what a user installs starts.
# Usage: wheel_check.sh PYTHON  (a Python that has `build`)
set -euo pipefail
python=$1
cd "$(dirname "$0")/../.."
python=$(realpath -s "$python")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m build --quiet --wheel --outdir "$work/dist" .
wheel=$(ls "$work"/dist/forewarn-*.whl)
"$python" -m venv "$work/venv"
bin=$work/venv/bin
cd "$work" # away from the checkout: nothing may be found there

"$bin/pip" install --quiet --disable-pip-version-check "$wheel"
"$bin/forewarn-agent" --version
"$bin/forewarn-agent" --print >"$work/printed"
grep -q '^node_load1{' "$work/printed" || { echo "the agent prints no node_load1"; exit 1; }
if "$bin/forewarn" --version 2>"$work/error"; then
  echo "forewarn started without the collector's libraries"; exit 1
fi
grep -q "pip install 'forewarn\[collector\]'" "$work/error" || { cat "$work/error"; exit 1; }

"$bin/pip" install --quiet --disable-pip-version-check "$wheel[collector]"
"$bin/forewarn" --version
"$bin/forewarn" serve --listen 127.0.0.1:0 --data "$work/data" >"$work/out" 2>&1 &
collector=$!
trap 'kill $collector 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 100); do
  address=$(sed -n 's/.*listening on \(http[^ ]*\).*/\1/p' "$work/out" | head -n 1)
  [ -n "$address" ] && break
  kill -0 $collector 2>/dev/null || { cat "$work/out"; exit 1; }
  sleep 0.1
done
"$bin/python" - "$address" <<'PY'
import json, sys, urllib.request
groups = json.load(urllib.request.urlopen(sys.argv[1] + "/api/v1/rules"))["data"]["groups"]
print(f"the wheel's collector runs {sum(len(g['rules']) for g in groups)} shipped rules")
assert groups, "no shipped rules in the wheel"
page = urllib.request.urlopen(sys.argv[1] + "/").read().decode()
assert "No host reports yet" in page, page
for name in ("forewarn.css", "plot.css", "live.js", "plots.js", "keys.js", "forewarn.svg"):
    urllib.request.urlopen(f"{sys.argv[1]}/static/{name}").read()
PY
kill -TERM $collector
wait $collector
echo "the wheel installs and both commands start"
