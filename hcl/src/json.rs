//! The same tree from JSON (RFC 8259), strictly: a policy that breaks off in the middle is refused.

use crate::error::Fault;
use crate::parser::deeper;
use crate::scanner::Slip;
use crate::tree::{Item, Key, Kind, Number, Position, Value};

/// Parses a whole text; its value must be an object.
pub(crate) fn parse(text: &str) -> Result<Vec<Item>, Slip> {
    let mut reader = Reader { rest: text, position: Position::START };
    reader.skip_blank();
    let root = reader.value(0)?;
    reader.skip_blank();
    if !reader.rest.is_empty() {
        return Err(reader.slip("unexpected text behind the end of the JSON object"));
    }
    match root.kind {
        Kind::Object(items) => Ok(items),
        other => Err((root.position, Fault::Syntax(format!("expected a JSON object, found {}", other.noun())))),
    }
}

struct Reader<'t> {
    rest: &'t str,
    position: Position,
}

impl<'t> Reader<'t> {
    fn slip(&self, reason: impl Into<String>) -> Slip {
        (self.position, Fault::syntax(reason))
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(length);
        self.position = self.position.after(taken);
        self.rest = rest;
        taken
    }

    fn skip_blank(&mut self) {
        let blank = self.rest.bytes().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.take(blank);
    }

    /// Passes over white space and then `letter`, if it is the next.
    fn accept(&mut self, letter: char) -> bool {
        self.skip_blank();
        let found = self.peek() == Some(letter);
        if found {
            self.take(letter.len_utf8());
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, Slip> {
        self.skip_blank();
        let position = self.position;
        let kind = match self.peek() {
            Some('{') => Kind::Object(self.object(deeper(position, depth)?)?),
            Some('[') => Kind::List(self.list(deeper(position, depth)?)?),
            Some('"') => Kind::Text(self.string()?),
            Some('-' | '0'..='9') => Kind::Number(self.number()?),
            Some('t' | 'f' | 'n') => self.word()?,
            Some(other) => return Err(self.slip(format!("expected a JSON value, found {other:?}"))),
            None => return Err(self.slip("expected a JSON value, found the end of the text")),
        };
        Ok(Value { position, kind })
    }

    fn object(&mut self, depth: usize) -> Result<Vec<Item>, Slip> {
        let mut items = Vec::new();
        self.take(1);
        if self.accept('}') {
            return Ok(items);
        }
        loop {
            self.skip_blank();
            let position = self.position;
            if self.peek() != Some('"') {
                return Err(self.slip("expected a JSON string as the name of a member"));
            }
            let key = Key { text: self.string()?, position };
            if !self.accept(':') {
                return Err(self.slip("expected ':' behind the name of a member"));
            }
            let value = self.value(depth)?;
            items.push(Item { keys: vec![key], assigned: true, value });
            if self.accept('}') {
                return Ok(items);
            }
            if !self.accept(',') {
                return Err(self.slip("expected ',' or '}' in a JSON object"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value>, Slip> {
        let mut values = Vec::new();
        self.take(1);
        if self.accept(']') {
            return Ok(values);
        }
        loop {
            values.push(self.value(depth)?);
            if self.accept(']') {
                return Ok(values);
            }
            if !self.accept(',') {
                return Err(self.slip("expected ',' or ']' in a JSON list"));
            }
        }
    }

    fn word(&mut self) -> Result<Kind, Slip> {
        let length = self.rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let kind = match &self.rest[..length] {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "null" => Kind::Null,
            _ => return Err(self.slip("expected a JSON value, found a word")),
        };
        self.take(length);
        Ok(kind)
    }

    fn number(&mut self) -> Result<Number, Slip> {
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut end = usize::from(bytes[0] == b'-');
        let whole = digits(end);
        if whole == 0 || (whole > 1 && bytes[end] == b'0') {
            return Err(self.slip("illegal JSON number"));
        }
        end += whole;
        if bytes.get(end) == Some(&b'.') {
            let fraction = digits(end + 1);
            if fraction == 0 {
                return Err(self.slip("illegal JSON number"));
            }
            end += 1 + fraction;
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent == 0 {
                return Err(self.slip("illegal JSON number"));
            }
            end += 1 + sign + exponent;
        }
        Ok(Number(self.take(end).to_owned()))
    }

    fn string(&mut self) -> Result<String, Slip> {
        let start = self.position;
        let unterminated = || (start, Fault::syntax("literal not terminated"));
        let mut text = String::new();
        self.take(1);
        loop {
            let plain = self.rest.find(|letter: char| letter == '"' || letter == '\\' || letter < ' ');
            text.push_str(self.take(plain.ok_or_else(unterminated)?));
            match self.peek() {
                Some('"') => {
                    self.take(1);
                    return Ok(text);
                }
                Some('\\') => {
                    let Some((letter, length)) = escape(&self.rest[1..]) else {
                        return Err(self.slip("illegal char escape"));
                    };
                    text.push(letter);
                    self.take(1 + length);
                }
                _ => return Err(self.slip("illegal control character in a JSON string")),
            }
        }
    }
}

/// The character that the escape behind a backslash names, and the escape's length.
fn escape(text: &str) -> Option<(char, usize)> {
    let unit = |from: usize| {
        let digits = text.get(from..from + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let letter = match text.chars().next()? {
        letter @ ('"' | '\\' | '/') => letter,
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let first = unit(1)?;
            return match first {
                0 => None,
                0xd800..=0xdbff if text.get(5..7) == Some("\\u") => {
                    let pair = char::decode_utf16([first, unit(7)?]).next()?.ok()?;
                    Some((pair, 11))
                }
                _ => Some((char::from_u32(u32::from(first))?, 5)),
            };
        }
        _ => return None,
    };
    Some((letter, 1))
}
