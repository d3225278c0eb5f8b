//! The token store's own keys: what turns an id into a key, and what seals batch tokens.

use strongroom_keystore::{Batch, Error as StoreError, View};
use strongroom_secret::Key;
use strongroom_secret::mac::HmacKey;
use zeroize::Zeroizing;

use super::id::TokenKey;
use crate::Error;

strongroom_secret::purposes! {
    /// Turns ids into keys of rows.
    TokenIds = "token ids";
    /// Derives the key of each batch token.
    BatchTokens = "batch tokens";
}

const ROW: &str = "keys";
const LAYOUT: u8 = 1;

/// Both keys, prepared.
pub(super) struct Keys {
    ids: HmacKey,
    pub(super) batch: HmacKey,
}

impl Keys {
    /// Reads the keys, or makes them where there are none yet.
    pub(super) async fn open(view: &View) -> Result<Keys, Error> {
        if let Some(row) = view.get(ROW).await? {
            return Keys::decode(row.value.expose());
        }
        let (ids, batch) = (Key::<TokenIds>::generate()?, Key::<BatchTokens>::generate()?);
        let mut row = Zeroizing::new(Vec::with_capacity(65));
        row.push(LAYOUT);
        row.extend_from_slice(ids.expose());
        row.extend_from_slice(batch.expose());
        let mut change = Batch::new();
        change.expect(view, ROW, None).put(view, ROW, &row);
        match view.commit(change).await {
            Ok(_) => Keys::decode(&row),
            // Somebody else made them first.
            Err(StoreError::Conflict { .. }) => {
                let row = view.get(ROW).await?.ok_or(Error::StoredToken("the store's keys come and go"))?;
                Keys::decode(row.value.expose())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn decode(row: &[u8]) -> Result<Keys, Error> {
        match row {
            [LAYOUT, keys @ ..] if keys.len() == 64 => {
                Ok(Keys { ids: HmacKey::new(&keys[..32]), batch: HmacKey::new(&keys[32..]) })
            }
            _ => Err(Error::StoredToken("the store's keys are not 65 bytes of layout 1")),
        }
    }

    /// The key under which the token `id` is stored.
    pub(super) fn key_of(&self, id: &str) -> TokenKey {
        TokenKey(self.ids.sign16(&[id.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_another_length_or_layout_is_refused() {
        assert!(Keys::decode(&[1; 65]).is_ok());
        for row in [&[][..], &[1; 64], &[1; 66], &[2; 65]] {
            assert!(matches!(Keys::decode(row), Err(Error::StoredToken(_))));
        }
    }
}
