//! Transit: encryption, signatures and MACs with keys that stay here.
//!
//! A key has versions; new ones are made by rotation, old ones stay readable until the minimum versions rise. One file
//! per group of paths; the primitives lie in `cipher`, `ecdsa`, `ed25519`, `rsa` and `hash`; `row` is the stored form.

mod aside;
mod backup;
mod batch;
mod byok;
mod cipher;
mod config;
mod create;
mod crypt;
mod csr;
mod datakey;
mod decimal;
mod decrypt;
mod der;
mod describe;
mod ecdsa;
mod ed25519;
mod encrypt;
mod errors;
mod export;
mod hash;
mod hashing;
mod import;
mod key;
mod key_type;
mod keys;
mod mac;
mod random;
mod rewrap;
mod rotate;
mod row;
mod rsa;
mod settings;
mod sign;
mod signing;
mod soft_delete;
mod store;
mod text;
mod trim;
mod usage;
mod verify;
mod version;
#[cfg(test)]
mod wycheproof;

pub use key_type::KeyType;

use std::borrow::Cow;
use strongroom_mount::backend::Boxed;
use strongroom_mount::{Answer, Backend, Ctx, Error, Kind, Param, Request, Route};

/// The transit engine. One instance may serve any number of mounts.
pub struct Transit {
    keys: store::Keys,
}

impl Transit {
    /// An engine with nothing decoded yet.
    pub fn new() -> Transit {
        Transit { keys: store::Keys::new() }
    }
}

impl Default for Transit {
    fn default() -> Self {
        Transit::new()
    }
}

type Handler = for<'a> fn(&'a Transit, &'a Ctx<'a>, &'a Request) -> Answer<'a>;

table! {
    encrypt::ROUTE => encrypt::handle,
    decrypt::ROUTE => decrypt::handle,
    rewrap::ROUTE => rewrap::handle,
    datakey::ROUTE => datakey::handle,
    sign::ROUTE => sign::handle,
    verify::ROUTE => verify::handle,
    mac::ROUTE => mac::handle,
    hashing::ROUTE => hashing::handle,
    random::ROUTE => random::handle,
    keys::LIST => keys::list,
    keys::ROUTE => keys::handle,
    config::ROUTE => config::handle,
    rotate::ROUTE => rotate::handle,
    trim::ROUTE => trim::handle,
    soft_delete::DELETE => soft_delete::delete,
    soft_delete::RESTORE => soft_delete::restore,
    import::WRAPPING_KEY => import::wrapping_key,
    import::IMPORT => import::import,
    import::IMPORT_VERSION => import::import_version,
    csr::ROUTE => csr::handle,
    export::ROUTE => export::handle,
    byok::ROUTE => byok::handle,
    backup::BACKUP => backup::backup,
    backup::RESTORE => backup::restore,
    backup::RESTORE_AS => backup::restore,
    settings::CACHE => settings::cache,
    settings::KEYS => settings::keys,
}

impl Backend for Transit {
    fn kind(&self) -> &'static str {
        "transit"
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    /// Encrypting with a key that is not there makes it, and so is a create.
    fn exists<'a>(&'a self, cx: &'a Ctx<'a>, request: &'a Request) -> Boxed<'a, Result<Option<bool>, Error>> {
        if ROUTES[request.route].path != encrypt::ROUTE.path {
            return Box::pin(std::future::ready(Ok(None)));
        }
        Box::pin(async move {
            // A name that no key can have is told so after the caller's rights are known.
            let Ok(name) = name(request) else { return Ok(Some(false)) };
            Ok(Some(self.keys.get(cx.view, &name).await?.is_some()))
        })
    }

    fn handle<'a>(&'a self, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
        HANDLERS[request.route](self, cx, request)
    }

    /// Rotates the keys whose period has passed.
    fn tick<'a>(&'a self, cx: &'a Ctx<'a>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(rotate::due(self, cx))
    }
}

const NAME: Param = Param::path("name", "The key.");
const CONTEXT: Param = Param::input("context", Kind::String, "The context of a derived key, in base64.");
const KEY_VERSION: Param = Param::input("key_version", Kind::Int, "The version to use; 0 is the newest.");

/// The key's name in the path. A name that no key can have is a path that is not there.
fn name(request: &Request) -> Result<Cow<'_, str>, Error> {
    named(request, "name")
}

fn named<'a>(request: &'a Request, parameter: &str) -> Result<Cow<'a, str>, Error> {
    let name = request.fields.string(parameter)?.ok_or_else(Error::unsupported_path)?;
    if is_name(&name) { Ok(name) } else { Err(Error::unsupported_path()) }
}

/// Word characters, and between them also `-` and `.`; at most 512 bytes.
fn is_name(name: &str) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let bytes = name.as_bytes();
    bytes.len() <= 512
        && bytes.first().is_some_and(word)
        && bytes.last().is_some_and(word)
        && bytes.iter().all(|byte| word(byte) || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_makes_a_router() {
        let router = strongroom_mount::Router::new(ROUTES);
        assert_eq!(ROUTES.len(), HANDLERS.len());
        for (path, template) in [
            ("encrypt/a", "encrypt/{name}"),
            ("keys/a", "keys/{name}"),
            ("keys/a/config", "keys/{name}/config"),
            ("random/all/5", "random/{source?}/{urlbytes?}"),
            ("restore/a/b", "restore/{name...}"),
        ] {
            assert_eq!(router.find(path).map(|found| found.route.path), Some(template));
        }
        assert!(router.find("nothing/here").is_none());
    }

    #[test]
    fn names_are_words_with_dots_and_dashes_inside() {
        for good in ["a", "A_9", "a-b.c", "_", &"x".repeat(512)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", ".a", "a.", "a b", "a/b", "ü", "a\0b", &"x".repeat(513)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
