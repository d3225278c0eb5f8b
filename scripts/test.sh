#!/usr/bin/env bash
# test.sh: all that CI runs. One profile, `ci`, for program, tests and judges.
source "$(dirname "$0")/steps.sh"

step "formatting" cargo fmt --all --check
step "clippy" cargo clippy --locked --profile ci --workspace --all-targets -q -- -D warnings
step "build" cargo build --locked --profile ci --workspace --bins -q
step "tokens" scripts/tokens.sh
step "tests" cargo test --no-fail-fast --locked --profile ci --workspace -q
step "make run, once" env ONCE=1 scripts/run.sh
