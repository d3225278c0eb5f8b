//! Numbers below 2,048 as words that people can compare: the English list of BIP-39, whose words differ in their first
//! four letters.

use std::sync::LazyLock;

static WORDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| include_str!("words.txt").lines().collect());

/// The words of four numbers below 2,048; a larger number wraps.
pub fn words(numbers: [u16; 4]) -> [&'static str; 4] {
    numbers.map(|number| WORDS[usize::from(number) % 2048])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_one_of_bip_39() {
        assert_eq!(WORDS.len(), 2048);
        let digest = strongroom_secret::digest::sha256(&[include_bytes!("words.txt")]);
        assert_eq!(hex::encode(digest), "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda");
        assert_eq!(words([0, 1, 2047, 2048]), ["abandon", "ability", "zoo", "abandon"]);
    }
}
