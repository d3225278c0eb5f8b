#!/usr/bin/env bash
# run.sh: the main job, told while it happens. A SoftHSM2 token stands in for a hardware one.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${PROFILE:-ci}
echo "Building Strongroom (the first build takes some minutes) ..."
cargo build --locked --profile "$profile" -p strongroom-cli --bin strongroom -q
program=${CARGO_TARGET_DIR:-target}/$([ "$profile" = dev ] && echo debug || echo "$profile")/strongroom
exec "$(dirname "$0")/story.sh" "$program"
