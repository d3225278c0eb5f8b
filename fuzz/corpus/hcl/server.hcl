storage  "embedded" { path = "/var/lib/strongroom" }
listener "tcp"      { address = "127.0.0.1:8200"  tls_disable = true, }
seal "pkcs11" "hsm-a" { lib = "/usr/lib/softhsm/libsofthsm2.so"  token_label = "root"  pin = "env://HSM_PIN" }
seal "shamir" "custodians" {} # shares and threshold are given at init
unseal_when = "any(hsm-a, custodians)" // an expression
default_lease_ttl = "768h" ui = true /* the
last */ pcrs = [7, 0x0b, 011,] options { "a b" = "${c("d")}\n\u00e9" }
