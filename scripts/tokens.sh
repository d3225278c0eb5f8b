#!/usr/bin/env bash
# Installs what the hardware tests need and is missing: SoftHSM 2, OpenSC, and kryoptic, built once from
# hw-tests/kryoptic into the target directory, where the tests look for it. Needs root or sudo for packages only.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v softhsm2-util >/dev/null || missing+=(softhsm2)
command -v pkcs11-tool >/dev/null || missing+=(opensc)
command -v timeout >/dev/null || missing+=(coreutils)
command -v pkg-config >/dev/null || missing+=(pkg-config)
[ -e /usr/include/openssl/ssl.h ] || missing+=(libssl-dev)
ls /usr/lib/llvm-*/lib/libclang*.so* >/dev/null 2>&1 || missing+=(libclang-dev)
if [ ${#missing[@]} -gt 0 ]; then
    echo "tokens: installing ${missing[*]}"
    root=()
    [ "$(id -u)" = 0 ] || root=(sudo)
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
fi

target="${CARGO_TARGET_DIR:-$PWD/target}/kryoptic"
# cargo notices by itself when there is nothing to do.
CARGO_TARGET_DIR="$target" cargo build --quiet --release --locked --manifest-path hw-tests/kryoptic/Cargo.toml
echo "tokens: SoftHSM $(softhsm2-util --version), kryoptic in $target/release/libkryoptic.so"
