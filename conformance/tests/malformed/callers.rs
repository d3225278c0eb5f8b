//! Tokens that are none, wherever they may stand.

use crate::table::Table;

pub(crate) fn add(table: &mut Table) {
    table.class("token");
    let good = table.token.clone();
    let mut with = |name: &str, headers: String, status: u16| {
        let text = format!("GET /v1/sys/mounts HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{headers}\r\n");
        table.raw(name, text, status);
    };
    table_of(&good, &mut with);
}

fn table_of(good: &str, with: &mut impl FnMut(&str, String, u16)) {
    let mut token = |name: &str, text: &str, status| with(name, format!("X-Vault-Token: {text}\r\n"), status);
    let changed = |at: usize| -> String {
        let swap = |(index, c): (usize, char)| if index == at { if c == 'a' { 'b' } else { 'a' } } else { c };
        good.chars().enumerate().map(swap).collect()
    };
    token("the root token, for comparison", good, 200);
    for (name, text) in [
        ("one letter more", format!("{good}a")),
        ("one letter less", good[..good.len() - 1].to_owned()),
        ("its last letter changed", changed(good.len() - 1)),
        ("its first letter changed", changed(0)),
        ("a letter in its middle changed", changed(good.len() / 2)),
        ("twice", format!("{good}{good}")),
        ("twice with a comma", format!("{good},{good}")),
        ("without its prefix", good.trim_start_matches("hvs.").to_owned()),
        ("with an older prefix", good.replace("hvs.", "s.")),
        ("with a batch token's prefix", good.replace("hvs.", "hvb.")),
        ("with a recovery token's prefix", good.replace("hvs.", "hvr.")),
        ("in upper case", good.to_uppercase()),
        ("in quotes", format!("\"{good}\"")),
        ("with an escape", good.replace('.', "%2e")),
        ("behind Bearer", format!("Bearer {good}")),
        ("with a namespace behind it", format!("{good}.root")),
        ("with a path before it", format!("../{good}")),
        ("a wildcard", "*".to_owned()),
        ("the word root", "root".to_owned()),
        ("an empty batch token", "hvb.".to_owned()),
        ("a batch token of zeroes", format!("hvb.{}", "A".repeat(160))),
        ("a batch token that is no base64", "hvb.****".to_owned()),
        ("an empty service token", "hvs.".to_owned()),
        ("a service token of zeroes", format!("hvs.{}", "0".repeat(24))),
        ("a query", "' OR '1'='1".to_owned()),
        ("a look-up", "${jndi:ldap://t/a}".to_owned()),
        ("text beyond ASCII", "hvs.tökén".to_owned()),
        ("60 KiB", "a".repeat(60 << 10)),
        ("60 KiB of a batch token", format!("hvb.{}", "A".repeat(60 << 10))),
    ] {
        token(name, &text, 403);
    }
    token("nothing", "", 403);
    token("spaces", "    ", 403);
    token("a NUL behind it", &format!("{good}\0"), 400);
    with("none", String::new(), 403);
    with("two lines, the first wrong", format!("X-Vault-Token: x\r\nX-Vault-Token: {good}\r\n"), 403);
    with("a wrong one beside a good bearer", format!("X-Vault-Token: x\r\nAuthorization: Bearer {good}\r\n"), 403);
    with("bearer in lower case", format!("Authorization: bearer {good}\r\n"), 403);
    with("basic", format!("Authorization: Basic {good}\r\n"), 403);
    with("bearer without a token", "Authorization: Bearer\r\n".to_owned(), 403);
    with("bearer of two", format!("Authorization: Bearer x {good}\r\n"), 403);
    with("in a cookie", format!("Cookie: X-Vault-Token={good}\r\n"), 403);
    with("under another name", format!("X-Vault-Tokens: {good}\r\n"), 403);
    with("with an underscore", format!("X_Vault_Token: {good}\r\n"), 403);
    with("in the client's own header", format!("X-Vault-Client-Token: {good}\r\n"), 403);
}
