# What people type. Each target does all of its own set-up on a fresh Debian 12 with Rust, make and a C compiler.
# ONCE=1 ends `make run` after the story. PROFILE=release builds the lasting binary.

PROFILE ?= ci
SHELL := /bin/bash

.PHONY: run test bench tamper power fuzz soak long doc dist

## run: builds, makes a token, starts, initialises, encrypts, kills, restarts, decrypts, and keeps serving
run:
	@scripts/setup.sh run
	@scripts/run.sh

## test: everything that CI runs
test:
	@scripts/setup.sh test
	@scripts/test.sh

## bench: ratios against bare baselines in the same run; results under target/bench/
bench:
	@scripts/setup.sh bench
	@scripts/bench.sh

## tamper: thousands of changes to a store, at row and at byte level; TAMPER_CASES=n
tamper:
	@scripts/campaign.sh tamper

## power: a disk that forgets what was not flushed: every subset of few writes, POWER_CASES of more; POWER_CUTS of xfs as root
power:
	@scripts/campaign.sh power

## fuzz: each fuzz target for FUZZ_SECONDS (60)
fuzz:
	@scripts/campaign.sh fuzz

## soak: kill -9 under load, SOAK_KILLS times (1000), acknowledged writes checked
soak:
	@scripts/campaign.sh soak

## long: what is too long for CI; results worth keeping go to docs/results/
long: tamper power soak
	@scripts/campaign.sh fuzz

## doc: the crates' documentation
doc:
	cargo doc --workspace --no-deps

## dist: the release binary with its checksum
dist:
	cargo build --release -p strongroom-cli --bin strongroom
	@mkdir -p target/dist && cp target/release/strongroom target/dist/ && cd target/dist && sha256sum strongroom | tee SHA256SUMS && ls -l strongroom
