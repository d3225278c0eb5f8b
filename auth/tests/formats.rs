//! The examples of `docs/formats/` are decoded from the documents themselves.

mod support;

use strongroom_auth::Token;
use strongroom_auth::tokens::{NewToken, State, TokenKey, TokenType, Uses, is_service_token};
use strongroom_clock::{Clock, Timestamp};
use strongroom_secret::mac::HmacKey;
use support::{House, run, service};

const TOKEN_ID: &str = include_str!("../../docs/formats/token-id.md");
const STORED_TOKEN: &str = include_str!("../../docs/formats/stored-token.md");
const EXPIRY_BUCKET: &str = include_str!("../../docs/formats/expiry-bucket.md");

/// The second cell of the row whose first cell holds `name`, without its back-ticks.
fn cell<'a>(document: &'a str, name: &str) -> &'a str {
    let example = document.split_once("## Example").expect("an example").1;
    let row = example.lines().find(|line| line.starts_with("| ") && line.contains(name));
    row.expect(name).split('|').nth(2).expect("two cells").trim().trim_matches('`')
}

#[test]
fn the_token_id_of_the_document() {
    let token = cell(TOKEN_ID, "| token |");
    assert!(is_service_token(token) && !is_service_token(&token.replace('E', "e")));
    let key = HmacKey::new(&hex::decode(cell(TOKEN_ID, "id key")).unwrap());
    assert_eq!(hex::encode(key.sign16(&[token.as_bytes()])), cell(TOKEN_ID, "| key |"));
}

#[test]
fn the_stored_token_of_the_document() {
    let hex = STORED_TOKEN.split("```hex\n").nth(1).unwrap().split("```").next().unwrap();
    let row = hex::decode(hex.replace('\n', "")).unwrap();
    let key = TokenKey::parse("3f9a5c0e7d1b4826a0c4e8f2b6d09173").unwrap();
    let token = Token::decode(key, TokenType::Service, &row).unwrap();
    let says = |name| cell(STORED_TOKEN, name);
    let time = |name| Some(says(name).parse::<Timestamp>().unwrap());
    let number = |name| says(name).parse::<u64>().unwrap();
    assert_eq!((token.state, says("| state")), (State::Live, "live"));
    assert_eq!(token.renewable.to_string(), says("renewable"));
    assert_eq!((Some(token.created), token.expires, token.renewed), (time("| created"), time("expires"), None));
    assert_eq!(token.due, token.expires);
    assert_eq!((token.creation_ttl, token.granted_ttl), (number("creation ttl"), number("granted ttl")));
    assert_eq!((token.explicit_max_ttl.in_force, token.period.in_force), (number("explicit max"), number("period")));
    assert_eq!(token.uses, Uses::Left(number("uses left")));
    assert_eq!(token.parent.unwrap().to_string(), says("parent"));
    assert_eq!(
        (&*token.accessor, &*token.display_name, &*token.path),
        (says("accessor"), says("display"), says("path"))
    );
    assert_eq!(token.policies.join(","), says("policies"));
    assert_eq!(token.cidrs[0].as_str(), says("bound addresses"));
    let metadata: Vec<String> = token.metadata.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(metadata.join(","), says("metadata"));
    assert_eq!(token.encode(), row, "what is written is what the document says");

    for cut in 0..row.len() {
        assert!(Token::decode(key, TokenType::Service, &row[..cut]).is_err(), "cut at {cut}");
    }
    for (at, byte) in [(0, 2), (1, 3), (2, 8), (107, 0xFF)] {
        let mut wrong = row.clone();
        wrong[at] = byte;
        assert!(Token::decode(key, TokenType::Service, &wrong).is_err(), "byte {at}");
    }
    assert!(Token::decode(key, TokenType::Service, &[&row[..], &[0]].concat()).is_err());
}

#[test]
fn the_bucket_of_the_document() {
    let row = EXPIRY_BUCKET.lines().find(|line| line.starts_with("| 2026-")).expect("an example");
    let due: Timestamp = row.split('|').nth(1).unwrap().trim().parse().unwrap();
    let house = House::over(House::new().barrier, Clock::manual(Timestamp::from_unix(due.unix() - 60)));
    let id = house.make(NewToken { ttl: 60, ..service() });
    let name =
        cell(EXPIRY_BUCKET, "2026-").replace("3f9a5c0e7d1b4826a0c4e8f2b6d09173", &house.tokens.key_of(&id).to_string());
    assert_eq!(run(house.rows().get(&name)).unwrap().unwrap().value.expose(), [1]);
}
