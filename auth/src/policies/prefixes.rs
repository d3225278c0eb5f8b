//! A map from texts that answers which of them is the longest start of another text, in time of that text's length.

/// A radix tree over bytes, its nodes in one vector so that its depth costs no stack.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefixes {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// The bytes between the parent and this node.
    label: Box<[u8]>,
    value: Option<u32>,
    /// By their label's first byte, in order.
    children: Vec<(u8, u32)>,
}

impl Prefixes {
    /// Adds `key`; replaces its value if it is there.
    pub(super) fn insert(&mut self, key: &str, value: u32) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        let mut rest = key.as_bytes();
        loop {
            let Some(first) = rest.first() else {
                self.nodes[at].value = Some(value);
                return;
            };
            match self.nodes[at].children.binary_search_by_key(first, |(byte, _)| *byte) {
                Err(place) => {
                    let leaf = self.push(Node { label: rest.into(), value: Some(value), children: Vec::new() });
                    self.nodes[at].children.insert(place, (*first, leaf));
                    return;
                }
                Ok(place) => {
                    let child = self.nodes[at].children[place].1 as usize;
                    let common = common(&self.nodes[child].label, rest);
                    if common < self.nodes[child].label.len() {
                        self.split(child, common);
                    }
                    at = child;
                    rest = &rest[common..];
                }
            }
        }
    }

    /// The value of the longest key that `text` starts with.
    pub(super) fn longest(&self, text: &str) -> Option<u32> {
        let mut node = self.nodes.first()?;
        let mut rest = text.as_bytes();
        let mut found = node.value;
        while let Some(first) = rest.first()
            && let Ok(place) = node.children.binary_search_by_key(first, |(byte, _)| *byte)
        {
            node = &self.nodes[node.children[place].1 as usize];
            let Some(after) = rest.strip_prefix(&*node.label) else { break };
            rest = after;
            found = node.value.or(found);
        }
        found
    }

    /// Cuts a node in two: it keeps the first `length` bytes of its label, a new child takes the rest.
    fn split(&mut self, at: usize, length: usize) {
        let node = &mut self.nodes[at];
        let tail: Box<[u8]> = node.label[length..].into();
        node.label = node.label[..length].into();
        let first = tail[0];
        let lower = Node { label: tail, value: node.value.take(), children: std::mem::take(&mut node.children) };
        let lower = self.push(lower);
        self.nodes[at].children.push((first, lower));
    }

    fn push(&mut self, node: Node) -> u32 {
        self.nodes.push(node);
        // A policy's text is at most a mebibyte and a token's policies are few: far below 2³² nodes.
        u32::try_from(self.nodes.len() - 1).expect("fewer than 2^32 nodes")
    }
}

fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_start_counts() {
        let mut prefixes = Prefixes::default();
        assert_eq!(prefixes.longest("a"), None);
        for (value, key) in ["secret/", "secret/a", "secret/abc", "sec", "t"].into_iter().enumerate() {
            prefixes.insert(key, value as u32);
        }
        let table = [
            ("secret/", Some(0)),
            ("secret/b", Some(0)),
            ("secret/a", Some(1)),
            ("secret/ab", Some(1)),
            ("secret/abcd", Some(2)),
            ("secret", Some(3)),
            ("se", None),
            ("", None),
            ("transit", Some(4)),
        ];
        for (text, expected) in table {
            assert_eq!(prefixes.longest(text), expected, "{text}");
        }
        prefixes.insert("", 9);
        assert_eq!(prefixes.longest(""), Some(9));
        assert_eq!(prefixes.longest("x"), Some(9));
        prefixes.insert("t", 7);
        assert_eq!(prefixes.longest("t"), Some(7));
    }

    proptest! {
        #[test]
        fn as_a_plain_search(keys in prop::collection::vec("[ab/é]{0,5}", 0..20), text in "[ab/é]{0,8}") {
            let mut prefixes = Prefixes::default();
            for (value, key) in keys.iter().enumerate() {
                prefixes.insert(key, value as u32);
            }
            let fits = keys.iter().enumerate().filter(|(_, key)| text.starts_with(*key));
            let expected = fits.max_by_key(|(value, key)| (key.len(), *value)).map(|(value, _)| value as u32);
            prop_assert_eq!(prefixes.longest(&text), expected);
        }
    }
}
