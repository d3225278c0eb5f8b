#!/usr/bin/env bash
# campaign.sh tamper|power|fuzz|soak: the long runs. Each prints what it did; results worth keeping go to docs/results/.
source "$(dirname "$0")/steps.sh"
case ${1:?tamper, power, fuzz or soak} in
  tamper)
    step "tamper" env TAMPER_CASES="${TAMPER_CASES:-5000}" cargo test --locked --profile ci -p strongroom-keystore --test tamper -- --nocapture
    ;;
  power)
    step "power: a disk of our own" env POWER_CASES="${POWER_CASES:-200}" cargo test --locked --profile ci -p strongroom-keystore --test power -- --nocapture
    if [ "$(id -u)" = 0 ] && grep -qw xfs /proc/filesystems && command -v mkfs.xfs xfs_io >/dev/null; then
      step "power: xfs on a loop device" env POWER_CUTS="${POWER_CUTS:-100}" cargo test --locked --profile ci -p strongroom-keystore --test kill -- --nocapture power_cut
    else
      echo "skipped: xfs on a loop device needs root, a kernel with xfs, mkfs.xfs and xfs_io (xfsprogs)"
    fi
    ;;
  soak)
    scripts/setup.sh test
    step "build" cargo build --locked --profile ci -p strongroom-cli -q
    step "soak: ${SOAK_KILLS:-1000} kills" env KILLS="${SOAK_KILLS:-1000}" cargo test --locked --profile ci -p strongroom-conformance --test kill -- --nocapture
    ;;
  fuzz)
    cargo fuzz --version >/dev/null 2>&1 || step "install cargo-fuzz" cargo install --locked cargo-fuzz
    cd fuzz
    for target in $(RUSTC_BOOTSTRAP=1 cargo fuzz list); do
      step "fuzz $target" env RUSTC_BOOTSTRAP=1 cargo fuzz run "$target" -- -max_total_time="${FUZZ_SECONDS:-60}" -rss_limit_mb=4096
    done
    ;;
esac
