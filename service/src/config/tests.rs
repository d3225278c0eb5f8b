use super::*;
use std::os::unix::fs::PermissionsExt;

const PLAIN: &str = "storage \"inmem\" {}\nlistener \"tcp\" { address = \"127.0.0.1:8200\"  tls_disable = true }\n";

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn parse(text: &str) -> Result<Loaded, Mistakes> {
    Config::parse("server.hcl", text, &Environment::default())
}

fn mistakes(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(Mistakes(mistakes)) => mistakes,
    }
}

/// The only mistake of the plain configuration with `more` behind it.
fn mistake(more: &str) -> String {
    let mut found = mistakes(&format!("{PLAIN}{more}"));
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

fn with(more: &str) -> Loaded {
    parse(&format!("{PLAIN}{more}")).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

#[test]
fn the_configuration_of_the_interface_page_is_read() {
    let text = r#"
        storage  "embedded" { path = "/var/lib/strongroom" }
        listener "tcp"      { address = "127.0.0.1:8200"  tls_cert_file = "c.pem"  tls_key_file = "k.pem" }
        audit    "file" "a" { options { file_path = "/var/log/strongroom/audit.log" } }
        seal "pkcs11" "hsm-a" { lib = "/x/libsofthsm2.so"  token_label = "root"  pin = "env://HSM_PIN"  key_label = "strongroom" }
        seal "shamir" "custodians" { }
        unseal_when  = "any(hsm-a, custodians)"
        api_addr = "https://a"  cluster_addr = "https://b"  log_level = "debug"  log_format = "json"
        default_lease_ttl = "24h"  max_lease_ttl = "768h"
    "#;
    let Loaded { config, warnings } = Config::parse("x", text, &environment(&[("HSM_PIN", "1234")])).unwrap();
    assert_eq!(config.storage, Storage::Embedded { path: "/var/lib/strongroom".into() });
    assert_eq!(config.listeners[0].tls.as_ref().unwrap().cert_file, Path::new("c.pem"));
    assert_eq!(config.audits[0].path, "a/");
    assert_eq!(config.audits[0].options["file_path"], "/var/log/strongroom/audit.log");
    assert_eq!(config.unseal_when.unwrap().to_string(), "any(hsm-a, custodians)");
    assert_eq!((config.log_level, config.log_format), (LogLevel::Debug, LogFormat::Json));
    assert_eq!(config.default_lease_ttl.as_secs(), 86_400);
    let SealKind::Pkcs11(device) = &config.seals[0].kind else { panic!("the first seal is the token") };
    let Secret::Known(pin) = &device.pin else { panic!("the pin is known") };
    assert!(pin.same_as(b"1234"));
    assert_eq!(device.token, strongroom_hsm::TokenName::Label("root".into()));
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn json_says_the_same() {
    let text = r#"{"storage": {"inmem": {}}, "listener": [{"tcp": {"address": "[::1]:0", "tls_disable": 1}}],
        "seal": [{"shamir": {"a": {}}}, {"shamir": {"b": {}}}], "unseal_when": "all(a, b)", "max_lease_ttl": 2764800}"#;
    let Loaded { config, .. } = parse(text).unwrap();
    assert_eq!(config.seals.iter().map(|seal| seal.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(config.unseal_when.unwrap().to_string(), "all(a, b)");
    assert_eq!(config.listeners[0].address, "[::1]:0");
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_name() {
    assert_eq!(mistake("log_leve = \"info\""), "server.hcl:3:1: invalid key \"log_leve\", did you mean \"log_level\"?");
    let found = mistake("listener \"tcp\" {\n address = \"127.0.0.1:1\"\n tls_disable = true\n tls_dissable = 1 }");
    assert_eq!(found, "server.hcl:6:2: invalid key \"tls_dissable\", did you mean \"tls_disable\"?");
    assert!(mistake("seal \"shamir\" { treshold = 3 }").starts_with("server.hcl:3:17: invalid key \"treshold\""));
    assert!(mistake("wholly_strange = 1").ends_with("invalid key \"wholly_strange\""));
}

#[test]
fn every_mistake_is_said_not_only_the_first() {
    let found = mistakes(
        "storage \"raft\" {}\nlistener \"tcp\" { address = \"nowhere\" }\nlog_level = \"loud\"\n\
         seal \"awskms\" {}\nmax_lease_ttl = []",
    );
    for (line, part) in [(1, "embedded"), (2, "host:port"), (2, "tls_cert_file"), (3, "log_level"), (4, "awskms")] {
        let place = format!("server.hcl:{line}:");
        assert!(found.iter().any(|text| text.starts_with(&place) && text.contains(part)), "{line} {part}: {found:#?}");
    }
    assert!(found.iter().any(|text| text.starts_with("server.hcl:5:") && text.contains("a duration")), "{found:#?}");
}

#[test]
fn known_keys_without_effect_are_warnings_with_a_place() {
    let Loaded { warnings, .. } = with(
        "telemetry { prometheus_retention_time = \"30s\" }\nui = true\ndisable_mlock = true\n\
         allow_audit_log_prefixing = true\nunsafe_allow_api_audit_creation = false",
    );
    assert_eq!(warnings.len(), 4, "{warnings:#?}");
    let prefixes = "server.hcl:6:29: allow_audit_log_prefixing = true has no effect";
    assert!(warnings.iter().any(|text| text.starts_with(prefixes)), "{warnings:#?}");
    assert!(warnings.iter().any(|text| text == "server.hcl:3:1: \"telemetry\" has no effect here"), "{warnings:#?}");
    assert!(warnings.iter().any(|text| text.starts_with("server.hcl:4:6: ui = true has no effect")), "{warnings:#?}");
}

#[test]
fn other_stores_are_refused_by_a_text_that_names_ours() {
    for kind in ["file", "raft", "consul", "s3", "tape"] {
        let found =
            mistakes(&format!("storage {kind:?} {{ path = \"x\" }}\nlistener \"tcp\" {{ tls_disable = true }}"));
        assert!(found[0].contains("\"embedded\"") && found[0].starts_with("server.hcl:1:1: "), "{found:?}");
        assert_eq!(found.len(), 1, "{found:?}");
    }
    assert!(
        mistakes("storage \"embedded\" {}\nlistener \"tcp\" { tls_disable = true }")[0].contains("\"path\" is missing")
    );
    assert!(mistake("storage \"inmem\" {}").contains("only one storage stanza"));
}

#[test]
fn a_configuration_needs_a_store_and_a_listener() {
    assert!(mistakes("log_level = \"info\"")[0].contains("no storage"));
    assert!(mistakes("storage \"inmem\" {}")[0].contains("no listener"));
}

#[test]
fn plaintext_leaves_the_machine_only_when_accepted_in_so_many_words() {
    let listener = |address: &str, more: &str| {
        parse(&format!(
            "storage \"inmem\" {{}}\nlistener \"tcp\" {{ address = {address:?} tls_disable = true {more} }}"
        ))
    };
    for address in ["127.0.0.1:8200", "[::1]:8200", "127.8.9.1:0", "localhost:1", "[::ffff:127.0.0.1]:1"] {
        assert!(listener(address, "").is_ok(), "{address}");
    }
    for address in ["0.0.0.0:8200", "[::]:8200", "10.0.0.1:8200", "localhost.example:1", "vault.local:8200"] {
        let Err(found) = listener(address, "") else { panic!("{address} was accepted") };
        assert!(found.0[0].contains("i_accept_plaintext"), "{found}");
        assert!(listener(address, "i_accept_plaintext = true").is_ok(), "{address}");
    }
    for address in ["8200", "127.0.0.1", "::1:8200", "a:99999", ""] {
        assert!(listener(address, "i_accept_plaintext = true").is_err(), "{address}");
    }
}

#[test]
fn tls_needs_its_files_and_versions_that_are_spoken() {
    let listener = |more: &str| {
        parse(&format!("storage \"inmem\" {{}}\nlistener \"tcp\" {{ {more} }}"))
            .map_err(|mistakes| mistakes.to_string())
    };
    let files = "tls_cert_file = \"c\" tls_key_file = \"k\"";
    let versions = |more: &str| {
        let tls = listener(&format!("{files} {more}")).unwrap().config.listeners.remove(0).tls.unwrap();
        (tls.min_version, tls.max_version)
    };
    assert_eq!(versions(""), (TlsVersion::Tls13, TlsVersion::Tls13));
    assert_eq!(versions("tls_min_version = \"tls13\""), (TlsVersion::Tls13, TlsVersion::Tls13));
    assert_eq!(versions("tls_min_version = \"tls12\""), (TlsVersion::Tls12, TlsVersion::Tls13));
    assert_eq!(versions("tls_max_version = \"tls12\""), (TlsVersion::Tls12, TlsVersion::Tls12));
    for (more, part) in [
        ("tls_cert_file = \"c\"", "tls_key_file"),
        (&*format!("{files} tls_min_version = \"tls10\""), "RFC 8996"),
        (&*format!("{files} tls_min_version = \"ssl\""), "tls12"),
        (&*format!("{files} tls_min_version = \"tls13\" tls_max_version = \"tls12\""), "later than"),
        (&*format!("{files} tls_require_and_verify_client_cert = true tls_disable_client_certs = true"), "exclude"),
    ] {
        let Err(found) = listener(more) else { panic!("{more} was accepted") };
        assert!(found.contains(part), "{found}");
    }
}

#[test]
fn a_listener_s_other_values_are_read_and_checked() {
    let listener = |more: &str| {
        let text = format!("storage \"inmem\" {{}}\nlistener \"tcp\" {{ tls_disable = true\n{more} }}");
        parse(&text).map(|mut loaded| loaded.config.listeners.remove(0))
    };
    let read = listener(
        "http_idle_timeout = \"1m\" max_request_size = 1024 require_request_header = true redact_version = true\n\
         telemetry { unauthenticated_metrics_access = true } x_forwarded_for_authorized_addrs = \"10.0.0.0/8,::1\"\n\
         custom_response_headers { \"default\" = { \"X-A\" = [\"b\", \"c\"], \"X-B\" = \"all\" }\n\
           \"4xx\" = { \"x-b\" = [\"4\"] }, \"404\" = { \"X-B\" = [\"404\"] } }\n\
         max_request_duration = \"0s\"",
    )
    .unwrap();
    assert_eq!((read.idle_timeout.as_secs(), read.max_request_size), (60, 1024));
    assert!(read.require_request_header && read.redact.version && read.unauthenticated_metrics_access);
    assert_eq!(read.forwarded_for, ["10.0.0.0/8", "::1"]);
    for (status, wanted) in [(200, "all"), (403, "4"), (404, "404"), (500, "all")] {
        let mut headers = http::HeaderMap::new();
        read.response_headers.add(status, &mut headers);
        assert_eq!(
            (&headers["x-a"], &headers["x-b"]),
            (&"b; c".parse().unwrap(), &wanted.parse().unwrap()),
            "{status}"
        );
    }
    assert_eq!(read.max_request_duration, None, "zero is the server's, and that is never zero");
    let default = listener("").unwrap();
    assert_eq!((default.address.as_str(), default.max_request_size), ("127.0.0.1:8200", 32 << 20));
    for more in [
        "x_forwarded_for_authorized_addrs = \"10.0.0.0/33\"",
        "x_forwarded_for_authorized_addrs = [\"proxy\"]",
        "max_request_size = -1",
        "custom_response_headers { \"200\" = { \"X-Vault-Token\" = [\"b\"] } }",
        "custom_response_headers { \"200\" = { \"Content-Length\" = [\"3\"] } }",
        "custom_response_headers { \"200\" = { \"Cache-control\" = [\"public\"] } }",
        "custom_response_headers { \"200\" = { \"A B\" = [\"c\"] } }",
        "custom_response_headers { \"200\" = { \"X-A\" = [\"c\\nX-D: e\"] } }",
        "custom_response_headers { \"200\" = { \"X-A\" = [] } }",
        "custom_response_headers { \"200\" = { \"X-A\" = [\"a\", 1] } }",
        "custom_response_headers { \"200\" = \"X-A\" }",
        "custom_response_headers { \"600\" = { \"X-A\" = [\"c\"] } }",
        "custom_response_headers { \"9xx\" = { \"X-A\" = [\"c\"] } }",
        "custom_response_headers { \"success\" = { \"X-A\" = [\"c\"] } }",
    ] {
        assert!(listener(more).is_err(), "{more}");
    }
}

#[test]
fn secrets_come_from_the_text_the_environment_or_a_file_that_others_cannot_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pin");
    std::fs::write(&path, "98765\n").unwrap();
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let seal = |pin: &str| {
        let text = format!("{PLAIN}seal \"pkcs11\" {{ lib = \"l\" slot = 0 key_label = \"k\" pin = {pin:?} }}");
        Config::parse("x", &text, &environment(&[("PIN", "55")]))
    };
    let pin = |given: &str| match seal(given).map(|mut loaded| loaded.config.seals.remove(0).kind) {
        Ok(SealKind::Pkcs11(Pkcs11Seal { pin: Secret::Known(pin), .. })) => pin.expose().to_vec(),
        _ => panic!("{given} was refused"),
    };
    mode(0o600);
    let file = format!("file://{}", path.display());
    assert_eq!((pin("1234"), pin("env://PIN"), pin(&file)), (b"1234".to_vec(), b"55".to_vec(), b"98765".to_vec()));
    mode(0o440);
    assert_eq!(pin(&file), b"98765");
    for (bits, given, part) in [
        (0o644, file.as_str(), "mode 0644 lets others"),
        (0o660, &file, "mode 0660 lets others"),
        (0o600, "env://MISSING", "MISSING is not set"),
        (0o600, "file:///nowhere/pin", "No such file"),
        (0o600, &format!("file://{}", directory.path().display()), "not a file"),
        (0o600, "", "empty"),
    ] {
        mode(bits);
        let Err(found) = seal(given) else { panic!("{given} was accepted") };
        assert!(found.0.iter().any(|text| text.contains(part) && text.starts_with("x:3:")), "{given}: {found}");
        assert!(!found.to_string().contains("98765"), "{found}");
    }
}

#[test]
fn a_pin_may_be_asked_for_and_a_static_key_may_not() {
    let text = format!("{PLAIN}seal \"pkcs11\" \"a\" {{ lib = \"l\" slot = 0 key_label = \"k\" pin = \"prompt://\" }}");
    let Loaded { mut config, .. } = parse(&text).unwrap();
    let ask = |name: &str| Ok::<_, ()>(strongroom_secret::SecretBytes::from_slice(format!("for {name}").as_bytes()));
    config.ask(ask).unwrap();
    let SealKind::Pkcs11(Pkcs11Seal { pin: Secret::Known(pin), .. }) = &config.seals[0].kind else { panic!("asked") };
    assert!(pin.same_as(b"for a"));
    let fixed = mistake("seal \"static\" { current_key_id = \"1\" current_key = \"prompt://\" }");
    assert!(fixed.contains("cannot be asked for"), "{fixed}");
}

#[test]
fn a_static_key_is_32_bytes_in_one_of_four_writings() {
    let key = [7u8; 32];
    let standard = base64_simd::STANDARD.encode_to_string(key);
    let url = base64_simd::URL_SAFE_NO_PAD.encode_to_string(key);
    for text in [hex::encode(key), hex::encode_upper(key), standard, url, "\u{7}".repeat(32)] {
        let Loaded { config, .. } = Config::parse(
            "x",
            &format!("{PLAIN}seal \"static\" {{ current_key_id = \"1\" current_key = \"env://K\" }}"),
            &environment(&[("K", &text)]),
        )
        .unwrap();
        let SealKind::Static(seal) = &config.seals[0].kind else { panic!("static") };
        assert!(seal.current_key.same_as(&key), "{} characters", text.len());
    }
    for (text, part) in [
        ("current_key_id = \"1\"", "needs current_key_id and current_key"),
        ("current_key_id = \"1\" current_key = \"short\"", "32 bytes"),
        (&*format!("current_key_id = \"1\" current_key = \"{}\"", "zz".repeat(32)), "32 bytes"),
        (&*format!("current_key_id = \"1\" current_key = \"{}\" previous_key_id = \"0\"", "00".repeat(32)), "together"),
    ] {
        let found = mistake(&format!("seal \"static\" {{ {text} }}"));
        assert!(found.contains(part) && !found.contains("zzzz"), "{found}");
    }
}

#[test]
fn a_token_and_a_key_are_named_exactly_once() {
    for (text, part) in [
        ("key_label = \"k\" lib = \"l\" pin = \"1\"", "no token is named"),
        ("key_label = \"k\" lib = \"l\" pin = \"1\" slot = 1 token_label = \"x\"", "named twice"),
        ("key_label = \"k\" lib = \"l\" pin = \"1\" slot = \"one\"", "slot must be a number"),
        ("lib = \"l\" pin = \"1\" slot = 1", "no key is named"),
        ("key_label = \"k\" key_id = \"01\" lib = \"l\" pin = \"1\" slot = 1", "named twice"),
        ("key_id = \"xyz\" lib = \"l\" pin = \"1\" slot = 1", "hex"),
        ("key_label = \"k\" pin = \"1\" slot = 1", "lib is missing"),
        ("key_label = \"k\" lib = \"l\" slot = 1", "pin is missing"),
        ("key_label = \"k\" lib = \"l\" pin = \"1\" slot = 1 mechanism = \"0x1082\"", "does not authenticate"),
        ("key_label = \"k\" lib = \"l\" pin = \"1\" slot = 1 max_parallel = 100", "1 to 64"),
        ("key_label = \"k\" lib = \"l\" pin = \"1\" slot = 1 timeout = \"3h\"", "1ms to 1h"),
        ("key_label = \"k\" lib = \"l\" pin = \"1\" slot = 1 isolation = \"none\"", "isolation"),
    ] {
        let found = mistake(&format!("seal \"pkcs11\" {{ {text} }}"));
        assert!(found.contains(part), "{text}: {found}");
    }
}

#[test]
fn vault_s_environment_names_win_and_are_told_apart_by_the_leaf_s_name() {
    let one = "seal \"pkcs11\" { lib = \"l\" slot = 0 key_label = \"k\" pin = \"1\" }";
    let variables = [("VAULT_HSM_PIN", "2"), ("BAO_HSM_PIN", "3"), ("BAO_HSM_KEY_LABEL", "env")];
    let Loaded { config, .. } = Config::parse("x", &format!("{PLAIN}{one}"), &environment(&variables)).unwrap();
    let SealKind::Pkcs11(device) = &config.seals[0].kind else { panic!("pkcs11") };
    assert!(matches!(&device.pin, Secret::Known(pin) if pin.same_as(b"2")));
    assert_eq!(device.key, strongroom_hsm::KeyName::Label("env".into()));

    let two = "seal \"pkcs11\" \"a\" { lib = \"l\" slot = 0 key_label = \"k\" pin = \"1\" }\n\
               seal \"pkcs11\" \"b\" { lib = \"l\" slot = 1 key_label = \"k\" pin = \"1\" }";
    let variables = [("VAULT_HSM_PIN", "2"), ("VAULT_HSM_PIN_b", "3")];
    let Loaded { config, .. } = Config::parse("x", &format!("{PLAIN}{two}"), &environment(&variables)).unwrap();
    let pins: Vec<bool> = (config.seals.iter().zip([b"1", b"3"]))
        .map(|(seal, want)| matches!(&seal.kind, SealKind::Pkcs11(Pkcs11Seal { pin: Secret::Known(pin), .. }) if pin.same_as(want)))
        .collect();
    assert_eq!(pins, [true, true]);

    let alone = [
        ("BAO_SEAL_TYPE", "pkcs11"),
        ("BAO_HSM_LIB", "l"),
        ("BAO_HSM_SLOT", "7"),
        ("BAO_HSM_PIN", "1"),
        ("BAO_HSM_KEY_ID", "0x0a"),
    ];
    let Loaded { config, .. } = Config::parse("x", PLAIN, &environment(&alone)).unwrap();
    let SealKind::Pkcs11(device) = &config.seals[0].kind else { panic!("pkcs11") };
    assert_eq!(device.token, strongroom_hsm::TokenName::Slot(7));
    assert_eq!(device.key, strongroom_hsm::KeyName::Id(vec![10]));
}

#[test]
fn seals_have_names_priorities_and_a_switch() {
    let Loaded { config, .. } = with(
        "seal \"shamir\" { priority = 2 disabled = true }\nseal \"static\" \"s\" { priority = 1 current_key_id = \"1\" \
         current_key = \"0707070707070707070707070707070707070707070707070707070707070707\" }",
    );
    assert_eq!(config.seals.iter().map(|seal| seal.name.as_str()).collect::<Vec<_>>(), ["s", "shamir"]);
    assert!(config.seals[1].disabled);
    assert_eq!(config.seals[0].place, "server.hcl:4:1");
    assert!(mistake("seal \"shamir\" {}\nseal \"shamir\" {}").contains("two seals are named \"shamir\""));
    assert!(mistake("seal \"shamir\" \"any\" {}").contains("seal name \"any\""));
    assert!(mistake("seal \"shamir\" { priority = -1 }").contains("priority"));
    for later in ["transit", "tpm", "yubihsm"] {
        assert!(mistake(&format!("seal {later:?} {{ address = \"x\" }}")).contains("is not in this version"));
    }
    assert!(mistake("seal \"awskms\" {}").contains("hardware that you hold"));
    assert!(mistake("seal \"box\" {}").contains("unknown seal"));
}

#[test]
fn an_expression_parses_and_names_seals_that_are_there() {
    let seals = "seal \"shamir\" \"a\" {}\nseal \"shamir\" \"b\" {}\n";
    assert_eq!(
        with(&format!("{seals}unseal_when = \"2 of (a, b)\"")).config.unseal_when.unwrap().to_string(),
        "all(a, b)"
    );
    let found = mistake(&format!("{seals}unseal_when = \"any(a, c)\""));
    assert!(
        found.starts_with("server.hcl:5:15: ") && found.contains("names \"c\", and the seals are: a, b"),
        "{found}"
    );
    assert!(mistake(&format!("{seals}unseal_when = \"any(a\"")).starts_with("server.hcl:5:15: "));
}

#[test]
fn audit_devices_are_read_and_told_apart() {
    let Loaded { config, .. } = with(
        "audit \"file\" { options { file_path = \"/a\" mode = 0600 log_raw = true } description = \"d\" }\n\
         audit \"file\" \"b\" { options = { file_path = \"/b\" } }",
    );
    assert_eq!(config.audits.iter().map(|audit| audit.path.as_str()).collect::<Vec<_>>(), ["file/", "b/"]);
    assert_eq!(
        (config.audits[0].options["mode"].as_str(), config.audits[0].options["log_raw"].as_str()),
        ("0600", "true")
    );
    assert!(mistake("audit \"file\" \"x\" {}").contains("file_path"));
    assert!(mistake("audit \"syslog\" {}").contains("not in this version"));
    assert!(mistake("audit \"pigeon\" {}").contains("unknown audit device"));
    let same = "audit \"file\" \"x\" { options { file_path = \"/a\" } }\n";
    assert!(mistake(&same.repeat(2)).contains("two audit devices"));
    assert!(mistake("audit \"file\" \"x\" { options { file_path = [] } }").contains("must be a string"));
}

#[test]
fn files_and_directories_merge_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    put("10-base.hcl", PLAIN);
    put(
        "20-more.json",
        "{\"log_level\": \"warn\", \"cluster_name\": \"a\", \"listener\": {\"tcp\": {\"address\": \"[::1]:1\", \"tls_disable\": true}}}",
    );
    put("notes.txt", "not read {{{");
    put(".hidden.hcl", "not read {{{");
    let over = directory.path().join("over.conf");
    std::fs::write(&over, "log_level = \"error\"").unwrap();
    let paths = [directory.path().to_path_buf(), over];
    let Loaded { config, .. } = Config::load(&paths, &Environment::default()).unwrap();
    assert_eq!((config.log_level, config.listeners.len()), (LogLevel::Error, 2));
    assert_eq!(config.cluster_name.as_deref(), Some("a"));

    put("30-bad.hcl", "listener {\n");
    put("40-bad.hcl", "log_levels = 1");
    let Err(Mistakes(found)) = Config::load(&paths, &Environment::default()) else { panic!("accepted") };
    assert!(found.iter().any(|text| text.contains("30-bad.hcl:2:1: ")), "{found:#?}");
    assert!(found.iter().any(|text| text.contains("40-bad.hcl:1:1: ")), "{found:#?}");
    let empty = tempfile::tempdir().unwrap();
    for (path, part) in [(empty.path(), "no *.hcl"), (&empty.path().join("none"), "No such file")] {
        let Err(found) = Config::load(&[path.to_path_buf()], &Environment::default()) else { panic!("accepted") };
        assert!(found.0[0].contains(part), "{found}");
    }
    assert!(Config::load(&[], &Environment::default()).is_err());
}

#[test]
fn leases_have_an_order() {
    assert!(mistake("default_lease_ttl = \"800h\"").contains("longer than max_lease_ttl"));
    assert_eq!(with("epoch_interval = 0").config.epoch_interval, None);
    assert_eq!(with("").config.epoch_interval, Some(Duration::from_secs(3600)));
}

#[test]
fn development_listens_where_it_is_told() {
    let config = Config::dev("0.0.0.0:0").unwrap();
    assert_eq!((config.storage, config.listeners[0].address.as_str()), (Storage::InMemory, "0.0.0.0:0"));
    assert!(Config::dev("nonsense").is_err());
}
