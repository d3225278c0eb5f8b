//! Addresses from which a token may be used.

use std::net::IpAddr;

/// An address, or a block of them in CIDR notation (RFC 4632).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cidr {
    text: String,
    base: u128,
    mask: u128,
    v6: bool,
}

impl Cidr {
    /// Reads `10.0.0.0/8`, `10.1.2.3`, `fe80::/10`; `None` for anything else. Bits below the mask are ignored.
    pub fn parse(text: &str) -> Option<Cidr> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (base, bits, v6) = number(address);
        let length = match length {
            None => bits,
            Some(digits) if digits.len() <= 3 && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().ok().filter(|length| *length <= bits)?
            }
            Some(_) => return None,
        };
        let mask = if length == 0 { 0 } else { u128::MAX << (bits - length) };
        Some(Cidr { text: text.to_owned(), base: base & mask, mask, v6 })
    }

    /// Whether `address` lies in it. An IPv4 address inside IPv6 counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (number, _, v6) = number(address.to_canonical());
        v6 == self.v6 && number & self.mask == self.base
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn number(address: IpAddr) -> (u128, u32, bool) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32, false),
        IpAddr::V6(address) => (u128::from(address), 128, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_what_they_name() {
        for (block, inside, outside) in [
            ("127.0.0.0/8", "127.255.0.1", "128.0.0.1"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("10.1.2.3/24", "10.1.2.250", "10.1.3.1"),
            ("fe80::/10", "febf::1", "fec0::1"),
            ("::1", "::1", "::2"),
            ("127.0.0.0/8", "::ffff:127.0.0.1", "::1"),
            ("0.0.0.0/0", "1.2.3.4", "::1"),
        ] {
            let block = Cidr::parse(block).unwrap();
            assert!(block.contains(inside.parse().unwrap()), "{} {inside}", block.as_str());
            assert!(!block.contains(outside.parse().unwrap()), "{} {outside}", block.as_str());
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in
            ["", "localhost", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0/8", "::/129", "10.0.0.0/", "/8"]
        {
            assert!(Cidr::parse(text).is_none(), "{text}");
        }
    }
}
