//! Batch tokens: sealed into themselves and stored nowhere. The byte table is in `docs/formats/stored-token.md`.

use base64_simd::URL_SAFE_NO_PAD;
use strongroom_secret::aead::{AeadKey, OVERHEAD};
use strongroom_secret::{Key, kdf, random};
use zeroize::Zeroizing;

use super::id::{BATCH_PREFIX, ID_LIMIT};
use super::keys::{BatchTokens, Keys};
use super::token::{Token, TokenType};
use crate::Error;

const LAYOUT: u8 = 1;
const SALT: usize = 16;
const HEAD: usize = 1 + SALT;

/// The id that is `token`.
pub(super) fn seal(keys: &Keys, token: &Token) -> Result<Zeroizing<String>, Error> {
    let mut sealed = vec![LAYOUT];
    sealed.extend(random::array::<SALT>()?);
    let head = sealed.clone();
    // The module seals anything shorter than 64 GiB.
    key(keys, &head[1..]).seal(&head, &token.encode(), &mut sealed).expect("a token is shorter than 64 GiB");
    let mut id = Zeroizing::new(String::from(BATCH_PREFIX));
    URL_SAFE_NO_PAD.encode_append(&sealed, &mut *id);
    if id.len() > ID_LIMIT { Err(Error::BatchTooLong) } else { Ok(id) }
}

/// The token that is `id`; `None` where it is none of ours.
pub(super) fn open(keys: &Keys, id: &str) -> Result<Option<Token>, Error> {
    let Some(text) = id.strip_prefix(BATCH_PREFIX).filter(|_| id.len() <= ID_LIMIT) else { return Ok(None) };
    let Ok(mut sealed) = URL_SAFE_NO_PAD.decode_to_vec(text) else { return Ok(None) };
    if sealed.len() < HEAD + OVERHEAD || sealed[0] != LAYOUT {
        return Ok(None);
    }
    let (head, body) = sealed.split_at_mut(HEAD);
    match key(keys, &head[1..]).open_in_place(head, body) {
        Ok(token) => Token::decode(keys.key_of(id), TokenType::Batch, token).map(Some),
        Err(_) => Ok(None),
    }
}

/// One key for one message, so that no count of messages is needed.
fn key(keys: &Keys, salt: &[u8]) -> AeadKey {
    let key: Key<BatchTokens> = Key::filled(|out| kdf::counter_hmac_sha256(&keys.batch, b"batch token", &[salt], out));
    AeadKey::new(key.expose())
}
