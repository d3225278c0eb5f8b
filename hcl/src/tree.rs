//! What a text says, item by item, each with its place.

use std::fmt;
use std::sync::Arc;

/// A place in a text: line and column, both from 1; a column is one character, whatever its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Position {
    /// The first character of a text.
    pub const START: Position = Position { line: 1, column: 1 };

    /// The place behind `text`, if `text` starts here.
    pub(crate) fn after(mut self, text: &str) -> Position {
        text.chars().for_each(|character| self.step(character));
        self
    }

    /// Moves over one character. A text is at most a mebibyte, so the numbers cannot overflow.
    pub(crate) fn step(&mut self, character: char) {
        if character == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A whole text.
#[derive(Debug)]
pub struct Tree {
    /// The name of the file, empty if there is none.
    pub file: Arc<str>,
    /// Whether the text is JSON: there, labels of a block are nested objects.
    pub json: bool,
    /// The items in their order.
    pub items: Vec<Item>,
}

/// `key = value`, `key { … }` or `key "label" … { … }`; in JSON, one member of an object.
#[derive(Debug, PartialEq)]
pub struct Item {
    /// The key and its labels; never empty. With `=` there is exactly one.
    pub keys: Vec<Key>,
    /// Whether `=` (or JSON's `:`) stands between key and value.
    pub assigned: bool,
    /// What the key names.
    pub value: Value,
}

/// One key or label, quoted or not.
#[derive(Debug, PartialEq)]
pub struct Key {
    /// The name, without quotes and with escapes resolved.
    pub text: String,
    /// Where it starts.
    pub position: Position,
}

/// A value and its place.
#[derive(Debug, PartialEq)]
pub struct Value {
    /// Where it starts.
    pub position: Position,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of value.
#[derive(Debug, PartialEq)]
pub enum Kind {
    /// JSON's `null`: readers take it as not given.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it is written.
    Number(Number),
    /// A quoted text or a heredoc.
    Text(String),
    /// `[…]`.
    List(Vec<Value>),
    /// `{…}`.
    Object(Vec<Item>),
}

impl Kind {
    /// The word for this kind in messages.
    pub fn noun(&self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Object(_) => "an object",
        }
    }
}

/// A number as it is written: its text keeps every digit, and whether it fits is asked when it is read.
#[derive(Debug, PartialEq, Eq)]
pub struct Number(pub(crate) String);

impl Number {
    /// The digits as they stand in the text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The whole number, if it is one that fits: decimal, `0x…` or with a leading `0` octal.
    pub fn int(&self) -> Option<i64> {
        let (sign, digits) = match self.0.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", self.0.as_str()),
        };
        let (radix, digits) = match digits.as_bytes() {
            [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
            [b'0', _, ..] => (8, &digits[1..]),
            _ => (10, digits),
        };
        if digits.starts_with(['+', '-']) {
            return None;
        }
        i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
    }

    /// The number as a finite floating point number.
    pub fn float(&self) -> Option<f64> {
        match self.int() {
            Some(int) => Some(int as f64),
            None => self.0.parse().ok().filter(|float: &f64| float.is_finite()),
        }
    }
}
