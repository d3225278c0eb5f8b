#!/usr/bin/env bash
# story.sh PROGRAM: plays the main job with the given `strongroom` binary. ONCE=1 ends after the story.
set -euo pipefail
program=$(realpath "${1:?usage: story.sh PROGRAM}")
here=$(mktemp -d "${TMPDIR:-/tmp}/strongroom-run.XXXXXX")
module=$(find /usr/lib -name libsofthsm2.so -print -quit 2>/dev/null)
[ -n "$module" ] || { echo "libsofthsm2.so is missing: install the package softhsm2" >&2; exit 1; }
server=

cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$here"
}
trap cleanup EXIT

port=8200
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
export VAULT_ADDR=http://127.0.0.1:$port
unset VAULT_TOKEN VAULT_NAMESPACE BAO_ADDR BAO_TOKEN
now() { date +%s%N; }
since() { echo "$(( ($(now) - $1) / 1000000 )) ms"; }

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1. A token. SoftHSM2 stands in for the HSM in your rack; everything below speaks PKCS#11 to it."
export SOFTHSM2_CONF=$here/softhsm2.conf HSM_PIN=$((RANDOM % 9000 + 1000))$((RANDOM % 9000 + 1000))
mkdir -m 700 "$here/token"
printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$here/token" > "$SOFTHSM2_CONF"
softhsm2-util --init-token --free --label root --so-pin "so-$HSM_PIN" --pin "$HSM_PIN" | sed 's/^/   /'
cat > "$here/strongroom.hcl" <<HCL
storage  "embedded" { path = "$here/store" }
listener "tcp"      { address = "127.0.0.1:$port"  tls_disable = true }
audit    "file" "file" { options { file_path = "$here/audit.log" } }
seal "pkcs11" "hsm" { lib = "$module"  token_label = "root"  pin = "env://HSM_PIN"  key_label = "strongroom" }
api_addr = "$VAULT_ADDR"
HCL
"$program" operator hsm keygen -config="$here/strongroom.hcl" -seal=hsm | sed 's/^/   /'
echo "   The key was made on the token and cannot leave it."

start() {
  "$program" server -config="$here/strongroom.hcl" >> "$here/server.log" 2>&1 &
  server=$!
}
# Waits until sys/health answers one of the statuses given.
await() {
  local end=$((SECONDS + 30))
  until [[ " $* " == *" $(curl -s -o /dev/null -w '%{http_code}' "$VAULT_ADDR/v1/sys/health" || true) "* ]]; do
    kill -0 "$server" 2>/dev/null || { echo "the server ended:" >&2; cat "$here/server.log" >&2; exit 1; }
    [ $SECONDS -lt $end ] || { echo "the server is not ready:" >&2; cat "$here/server.log" >&2; exit 1; }
    sleep 0.005
  done
}

say "2. Start and initialise. Nobody types an unseal key, now or later: the token opens the root key."
start
await 501
"$program" operator init -recovery-shares=3 -recovery-threshold=2 -format=json > "$here/init.json"
token=$(sed -n 's/.*"root_token": *"\([^"]*\)".*/\1/p' "$here/init.json")
[ -n "$token" ] || { echo "init gave no root token" >&2; exit 1; }
export VAULT_TOKEN=$token
await 200
echo "   Initialised and unsealed. Three recovery keys were dealt; two of them authorise, none of them decrypts."

say "3. Encrypt. Any Vault client does this; here it is the stock words on our own command line."
"$program" secrets enable transit | sed 's/^/   /'
"$program" write -force transit/keys/orders > /dev/null
plaintext=$(printf 'meet me at the vault' | base64)
ciphertext=$("$program" write -field=ciphertext transit/encrypt/orders plaintext="$plaintext")
echo "   plaintext   meet me at the vault"
echo "   ciphertext  $ciphertext"

say "4. Pull the plug: kill -9, in the middle of everything, and start again."
kill -9 "$server"
wait "$server" 2>/dev/null || true
begin=$(now)
start
await 200
echo "   From start to unsealed and serving: $(since "$begin"). No human, no cloud: the token did it."

say "5. Decrypt what was encrypted before."
back=$("$program" write -field=plaintext transit/decrypt/orders ciphertext="$ciphertext" | base64 -d)
echo "   $back"
[ "$back" = "meet me at the vault" ] || { echo "the data did not decrypt" >&2; exit 1; }

say "6. Take the token away: the server starts, says why it stays sealed, and waits."
kill -9 "$server"; wait "$server" 2>/dev/null || true
mv "$here/token" "$here/away" && mkdir -m 700 "$here/token"
start
await 503
echo "   sealed: $("$program" status 2>/dev/null | grep -i '^sealed' || true)"
rm -rf "$here/token" && mv "$here/away" "$here/token"
begin=$(now)
await 200
echo "   The token is back, and the server unsealed by itself after $(since "$begin")."

if [ "${ONCE:-0}" = 1 ]; then
  say "That was the main job. (ONCE=1: stopping.)"
  exit 0
fi

say "Still serving. Things to try in another terminal:"
cat <<TEXT
   export VAULT_ADDR=$VAULT_ADDR VAULT_TOKEN=$token
   $program status
   $program list transit/keys
   $program write transit/encrypt/orders plaintext=\$(echo -n hello | base64)
   $program write -force transit/keys/orders/rotate
   $program read sys/seal-tree
   $program read sys/integrity
   tail -f $here/audit.log
   Ctrl-C ends it and removes $here.
TEXT
wait "$server"
