#!/usr/bin/env bash
# campaign.sh tamper|fuzz|soak: the long runs. Each prints what it did; results worth keeping go to docs/results/.
source "$(dirname "$0")/steps.sh"
case ${1:?tamper, fuzz or soak} in
  tamper)
    step "tamper" env TAMPER_CASES="${TAMPER_CASES:-5000}" cargo test --locked --profile ci -p strongroom-keystore --test tamper -- --nocapture
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
