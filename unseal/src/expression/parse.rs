//! Text to [`Expression`], with the column of every mistake.

use super::{Expression, MAX_DEPTH, MAX_NAME, MAX_OCCURRENCES, MAX_TEXT, Mention, Node, is_name};
use crate::Error;
use std::str::FromStr;

impl FromStr for Expression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_TEXT {
            return Err(mistake(1, format!("the expression is longer than {MAX_TEXT} bytes")));
        }
        let mut parser = Parser { words: words(text)?, next: 0, end: text.chars().count() + 1, occurrences: 0 };
        let node = parser.expression(0)?;
        match parser.peek() {
            None => Ok(Expression { node }),
            Some(word) => Err(mistake(word.column, format!("{} follows the end of the expression", word.quoted()))),
        }
    }
}

#[derive(Clone)]
struct Word {
    text: String,
    column: usize,
}

impl Word {
    fn quoted(&self) -> String {
        format!("{:?}", self.text)
    }
}

struct Parser {
    words: Vec<Word>,
    next: usize,
    end: usize,
    occurrences: usize,
}

impl Parser {
    fn expression(&mut self, depth: usize) -> Result<Node, Error> {
        if depth > MAX_DEPTH {
            return Err(mistake(self.column(), format!("lists are nested deeper than {MAX_DEPTH}")));
        }
        let word = self.take("a leaf's name, any(…), all(…) or K of (…)")?;
        match word.text.as_str() {
            "any" => {
                let members = self.list(depth)?;
                Ok(Node::Threshold { needed: 1, members })
            }
            "all" => {
                let members = self.list(depth)?;
                // A list has at most MAX_OCCURRENCES members.
                Ok(Node::Threshold { needed: members.len() as u8, members })
            }
            text if text.bytes().all(|byte| byte.is_ascii_digit()) => self.of(&word, depth),
            _ => self.mention(word, None, None),
        }
    }

    /// After a number K: `of (list)`, `of name` or `of N name`.
    fn of(&mut self, number: &Word, depth: usize) -> Result<Node, Error> {
        let needed = count(number)?;
        let of = self.take("\"of\"")?;
        if of.text != "of" {
            return Err(mistake(of.column, format!("{} stands where \"of\" is due", of.quoted())));
        }
        if self.peek().is_some_and(|word| word.text == "(") {
            let members = self.list(depth)?;
            if usize::from(needed) > members.len() {
                let reason = format!("{needed} of {} leaves can never come together", members.len());
                return Err(mistake(number.column, reason));
            }
            return Ok(Node::Threshold { needed, members });
        }
        let word = self.take("a list or the name of a shamir seal")?;
        if !word.text.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.mention(word, Some(needed), None);
        }
        let shares = count(&word)?;
        if needed > shares {
            return Err(mistake(number.column, format!("{needed} of {shares} shares can never come together")));
        }
        let name = self.take("the name of a shamir seal")?;
        self.mention(name, Some(needed), Some(shares))
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Error> {
        self.expect("(")?;
        let mut members = vec![self.expression(depth + 1)?];
        loop {
            let word = self.take("\",\" or \")\"")?;
            match word.text.as_str() {
                "," => members.push(self.expression(depth + 1)?),
                ")" => return Ok(members),
                _ => return Err(mistake(word.column, format!("{} stands where \",\" or \")\" is due", word.quoted()))),
            }
        }
    }

    fn mention(&mut self, word: Word, threshold: Option<u8>, shares: Option<u8>) -> Result<Node, Error> {
        if !is_name(&word.text) {
            let reason = match word.text.as_str() {
                text if text.len() > MAX_NAME => format!("a name is longer than {MAX_NAME} bytes"),
                _ => format!("{} is no name of a leaf", word.quoted()),
            };
            return Err(mistake(word.column, reason));
        }
        self.occurrences += 1;
        if self.occurrences > MAX_OCCURRENCES {
            return Err(mistake(word.column, format!("more than {MAX_OCCURRENCES} leaves")));
        }
        Ok(Node::Leaf(Mention { name: word.text, threshold, shares, column: word.column }))
    }

    fn expect(&mut self, text: &str) -> Result<(), Error> {
        let word = self.take(&format!("{text:?}"))?;
        if word.text == text {
            return Ok(());
        }
        Err(mistake(word.column, format!("{} stands where {text:?} is due", word.quoted())))
    }

    fn take(&mut self, due: &str) -> Result<Word, Error> {
        let Some(word) = self.peek().cloned() else {
            return Err(mistake(self.end, format!("the expression ends where {due} is due")));
        };
        self.next += 1;
        Ok(word)
    }

    fn peek(&self) -> Option<&Word> {
        self.words.get(self.next)
    }

    fn column(&self) -> usize {
        self.peek().map_or(self.end, |word| word.column)
    }
}

/// A number of leaves or shares, 1 to 255.
fn count(word: &Word) -> Result<u8, Error> {
    match word.text.parse::<u8>() {
        Ok(0) | Err(_) => Err(mistake(word.column, format!("{} is not a number from 1 to 255", word.text))),
        Ok(number) => Ok(number),
    }
}

fn words(text: &str) -> Result<Vec<Word>, Error> {
    let mut words: Vec<Word> = Vec::new();
    let mut inside = false;
    for (index, letter) in text.chars().enumerate() {
        let column = index + 1;
        match letter {
            '(' | ')' | ',' => {
                words.push(Word { text: letter.to_string(), column });
                inside = false;
            }
            letter if letter.is_ascii_whitespace() => inside = false,
            letter if letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-') => match words.last_mut() {
                Some(word) if inside => word.text.push(letter),
                _ => {
                    words.push(Word { text: letter.to_string(), column });
                    inside = true;
                }
            },
            _ => return Err(mistake(column, format!("{letter:?} cannot stand in an expression"))),
        }
    }
    Ok(words)
}

fn mistake(column: usize, reason: String) -> Error {
    Error::Expression { column, reason }
}
