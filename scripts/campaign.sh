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
    # libFuzzer's coverage by flags that the stable compiler has, so that nothing is installed: what cargo-fuzz passes, but for
    # the address sanitizer, which has little to find in crates that forbid unsafe code. With debug assertions: overflow counts.
    cd fuzz
    host=$(rustc -vV | sed -n 's/^host: //p')
    export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
      -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
      -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions"
    step "build the fuzz targets" cargo build --release --target "$host" --bins -q
    built=${CARGO_TARGET_DIR:-target}/$host/release
    for target in $(sed -n 's/^name = "\(.*\)"/\1/p' Cargo.toml | grep -v strongroom-fuzz); do
      mkdir -p "corpus/$target" "artifacts/$target"
      step "fuzz $target" "$built/$target" "corpus/$target" -max_total_time="${FUZZ_SECONDS:-60}" -rss_limit_mb=4096 \
        -timeout=10 -print_final_stats=1 -verbosity=0 -artifact_prefix="artifacts/$target/"
    done
    ;;
esac
