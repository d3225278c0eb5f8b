//! What the log says about a token, kept while the token store keeps the token: its HMACs cost more than the rest of a
//! line.

use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use strongroom_mount::Caller;

/// A token's parts of a line.
pub(super) struct Signature {
    /// The `auth` object up to the result of the policies.
    pub auth: Vec<u8>,
    /// The request's `client_token` and `client_token_accessor`.
    pub request: Vec<u8>,
}

/// Signatures by token, for one device.
#[derive(Default)]
pub(super) struct Signatures(RwLock<HashMap<usize, Kept>>);

struct Kept {
    /// Held, so that no other token's key can come to lie at the address that is the map's key.
    key: Arc<str>,
    policies: Arc<[String]>,
    signature: Arc<Signature>,
}

/// Tokens whose signatures are kept; at more, all are forgotten and made again as they are needed.
const KEPT: usize = 4096;

impl Signatures {
    /// The signature of a caller whose token was authenticated; `make` makes it when it is not kept.
    pub(super) fn of(&self, caller: &Caller, make: impl FnOnce() -> Signature) -> Arc<Signature> {
        // The token store hands out one `Caller` as long as the token stays what it is, so its key's address is a name
        // for just that.
        let place = caller.key.as_ptr() as usize;
        if let Some(kept) = self.0.read().get(&place)
            && Arc::ptr_eq(&kept.key, &caller.key)
            && Arc::ptr_eq(&kept.policies, &caller.policies)
        {
            return kept.signature.clone();
        }
        let signature = Arc::new(make());
        let (key, policies) = (caller.key.clone(), caller.policies.clone());
        let mut map = self.0.write();
        if map.len() >= KEPT {
            map.clear();
        }
        map.insert(place, Kept { key, policies, signature: signature.clone() });
        signature
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(text: &str) -> Signature {
        Signature { auth: text.into(), request: vec![] }
    }

    #[test]
    fn a_signature_is_made_once_per_token_and_again_when_it_changed() {
        let signatures = Signatures::default();
        let mut caller = Caller { key: "k".into(), policies: Arc::new(["a".to_owned()]), ..Caller::nobody(None) };
        assert_eq!(signatures.of(&caller, || signature("1")).auth, b"1");
        assert_eq!(signatures.of(&caller.clone(), || panic!("it is kept")).auth, b"1");
        caller.policies = Arc::new(["b".to_owned()]);
        assert_eq!(signatures.of(&caller, || signature("2")).auth, b"2");
        caller.key = "k".into();
        assert_eq!(signatures.of(&caller, || signature("3")).auth, b"3");
    }

    #[test]
    fn the_number_kept_is_bounded() {
        let signatures = Signatures::default();
        for n in 0..2 * KEPT {
            let caller = Caller { key: n.to_string().into(), ..Caller::nobody(None) };
            signatures.of(&caller, || signature("x"));
        }
        assert!(signatures.0.read().len() <= KEPT);
    }
}
