# Sourced: `step NAME COMMAND…` runs a command, prints how long it took, and stops at the first failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
step() {
  local name=$1 begin=$SECONDS
  shift
  printf '== %s\n' "$name"
  "$@" || { printf '== %s FAILED after %d s\n' "$name" $((SECONDS - begin)) >&2; exit 1; }
  printf '== %s: %d s\n' "$name" $((SECONDS - begin))
}
