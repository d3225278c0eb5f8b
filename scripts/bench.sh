#!/usr/bin/env bash
# bench.sh: every benchmark against its bare baseline in the same run. Results: target/bench/. Nothing else should run.
source "$(dirname "$0")/steps.sh"
step "build" cargo build --locked --release -q -p strongroom-cli -p strongroom-bench
programs=${CARGO_TARGET_DIR:-target}/release
step "transit encrypt against a bare echo" "$programs/strongroom-bench" transit "${BENCH_SECONDS:-8}" "${BENCH_ROUNDS:-3}"
step "kv against a bare echo and bare redb" "$programs/strongroom-bench" kv "${BENCH_SECONDS:-8}" "${BENCH_ROUNDS:-3}" "${BENCH_SECRETS:-1000000}"
step "start to active" "$programs/strongroom-bench" start
step "store against bare redb" cargo run --locked --release -q -p strongroom-keystore --example store_bench
ls -l "$programs/strongroom"
