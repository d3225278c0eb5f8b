//! A key of fixed length with its purpose in its type.

use crate::RandomError;
use crate::page::Slots;
use std::marker::PhantomData;

/// What a key is for. A key of one purpose cannot be passed where another is asked for.
pub trait Purpose {
    /// The name by which documents and SP 800-108 labels call this purpose.
    const NAME: &'static str;
}

/// `N` secret bytes that serve one purpose, born in their final place in the key pages ([`crate::page`]), wiped on drop.
///
/// Not `Clone`, `Copy`, `Debug`, `Serialize` or `PartialEq`: see [`Key::expose`] and [`Key::same_as`].
pub struct Key<P: Purpose, const N: usize = 32> {
    held: Slots,
    purpose: PhantomData<fn() -> P>,
}

impl<P: Purpose, const N: usize> Key<P, N> {
    /// A fresh key from the module's random generator.
    pub fn generate() -> Result<Self, RandomError> {
        let mut held = Slots::new(N);
        crate::random::fill(held.bytes_mut())?;
        Ok(Self { held, purpose: PhantomData })
    }

    /// A key made in place by `fill`, which sees zero bytes.
    pub fn filled(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut held = Slots::new(N);
        // The slots were made with N bytes a line above.
        fill(held.bytes_mut().try_into().expect("the slots hold N bytes"));
        Self { held, purpose: PhantomData }
    }

    /// Copies `bytes`, or `None` when their number is not `N`. The caller wipes the source.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == N).then(|| Self::filled(|held| held.copy_from_slice(bytes)))
    }

    /// The bytes themselves, for the primitive that needs them. Do not store, log or clone them.
    pub fn expose(&self) -> &[u8; N] {
        // Every constructor makes exactly N bytes.
        self.held.bytes().try_into().expect("a key holds N bytes")
    }

    /// Compares in constant time.
    pub fn same_as(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.held.bytes(), other.held.bytes()).into()
    }
}

/// Declares key purposes: unit types that implement [`Purpose`].
#[macro_export]
macro_rules! purposes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {$(
        $(#[$doc])*
        #[allow(unreachable_pub)]
        pub enum $name {}
        impl $crate::Purpose for $name {
            const NAME: &'static str = $text;
        }
    )*};
}

/// The purposes that more than one crate names.
pub mod purpose {
    crate::purposes! {
        /// The root key: opens the keyring; shared out by the seal tree.
        Root = "root";
    }
}

/// The root key of one generation, 256 bit.
pub type RootKey = Key<purpose::Root, 32>;
