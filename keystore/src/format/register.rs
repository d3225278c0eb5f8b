//! The register: which clear rows there are, with the MAC of each (`docs/formats/register.md`).

use super::{Fields, Malformed, domain};
use std::collections::BTreeMap;
use strongroom_secret::mac::HmacKey;

/// The clear rows by name, with the MAC of each. The keyring is one of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Register(pub BTreeMap<String, [u8; 32]>);

/// The name under which the keyring is listed.
pub const KEYRING: &str = "keyring";

const FORMAT: u8 = 1;

impl Register {
    /// The register's bytes, names in order.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        // Names and their number are checked where a clear row is put.
        out.extend(u16::try_from(self.0.len()).expect("at most 65,535 clear rows").to_be_bytes());
        for (name, mac) in &self.0 {
            out.extend(u16::try_from(name.len()).expect("a short name").to_be_bytes());
            out.extend(name.as_bytes());
            out.extend(mac);
        }
        out
    }

    /// Reads a register.
    pub fn decode(bytes: &[u8]) -> Result<Register, Malformed> {
        let mut fields = Fields(bytes);
        if fields.u8()? != FORMAT {
            return Err(Malformed("its format is not known"));
        }
        let mut rows = BTreeMap::new();
        for _ in 0..fields.u16()? {
            let length = fields.u16()?;
            let name =
                std::str::from_utf8(fields.bytes(length.into())?).map_err(|_| Malformed("a name is not UTF-8"))?;
            if rows.last_key_value().is_some_and(|(last, _): (&String, _)| last.as_str() >= name) {
                return Err(Malformed("its names are not in order"));
            }
            rows.insert(name.to_owned(), fields.array()?);
        }
        fields.end()?;
        Ok(Register(rows))
    }
}

/// The MAC of the register that the head holds: HMAC(index key, 'G' ‖ cluster ‖ register).
pub fn digest(index: &HmacKey, cluster: &[u8; 16], register: &[u8]) -> [u8; 32] {
    index.sign(&[domain::REGISTER, cluster, register])
}

/// The MAC of a clear row: HMAC(index key, 'C' ‖ cluster ‖ length of the name u16 ‖ name ‖ row).
pub fn mac(index: &HmacKey, cluster: &[u8; 16], name: &str, row: &[u8]) -> [u8; 32] {
    index.sign(&[domain::CLEAR_ROW, cluster, &(name.len() as u16).to_be_bytes(), name.as_bytes(), row])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_register_round_trips_and_every_cut_is_refused() {
        let register = Register([("a".into(), [1; 32]), ("keyring".into(), [2; 32])].into());
        let bytes = register.encode();
        assert_eq!(Register::decode(&bytes), Ok(register));
        for len in 0..bytes.len() {
            assert!(Register::decode(&bytes[..len]).is_err());
        }
        assert!(Register::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for bytes in [bytes.clone(), [vec![FORMAT, 0], bytes].concat()] {
                if let Ok(register) = Register::decode(&bytes) {
                    prop_assert_eq!(register.encode(), bytes);
                }
            }
        }
    }
}
