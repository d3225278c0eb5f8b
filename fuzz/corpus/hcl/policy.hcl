path "secret/+/x*" { capabilities = ["read", "list"] allowed_parameters = { "a" = ["1", 2], "*" = [] } }
