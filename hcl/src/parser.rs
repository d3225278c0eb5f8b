//! Tokens to items.

use crate::DEPTH_LIMIT;
use crate::error::Fault;
use crate::scanner::{Scanner, Slip, Token};
use crate::tree::{Item, Key, Kind, Position, Value};

/// Parses a whole text.
pub(crate) fn parse(text: &str) -> Result<Vec<Item>, Slip> {
    let mut parser = Parser { scanner: Scanner::new(text), ahead: None };
    let items = parser.items(0)?;
    match parser.next()? {
        (_, Token::End) => Ok(items),
        (position, token) => Err(expected(position, "a name, a string or the end of the text", &token)),
    }
}

struct Parser<'t> {
    scanner: Scanner<'t>,
    ahead: Option<(Position, Token)>,
}

impl Parser<'_> {
    fn next(&mut self) -> Result<(Position, Token), Slip> {
        match self.ahead.take() {
            Some(token) => Ok(token),
            None => self.scanner.next(),
        }
    }

    fn peek(&mut self) -> Result<&Token, Slip> {
        if self.ahead.is_none() {
            self.ahead = Some(self.scanner.next()?);
        }
        Ok(&self.ahead.as_ref().expect("the line above filled it").1)
    }

    /// Items up to what cannot start one; one comma may follow each.
    fn items(&mut self, depth: usize) -> Result<Vec<Item>, Slip> {
        let mut items = Vec::new();
        while matches!(self.peek()?, Token::Word(_) | Token::Text(_)) {
            items.push(self.item(depth)?);
            if *self.peek()? == Token::Comma {
                self.next()?;
            }
        }
        Ok(items)
    }

    fn item(&mut self, depth: usize) -> Result<Item, Slip> {
        let mut keys = Vec::with_capacity(1);
        loop {
            match self.next()? {
                (position, Token::Word(text) | Token::Text(text)) => keys.push(Key { text, position }),
                (position, Token::Assign) if keys.len() > 1 => {
                    return Err((position, Fault::syntax("expected '{' after a label, found '='")));
                }
                (_, Token::Assign) => {
                    let value = self.value(depth)?;
                    return Ok(Item { keys, assigned: true, value });
                }
                (position, Token::OpenBrace) => {
                    let value = self.object(position, depth)?;
                    return Ok(Item { keys, assigned: false, value });
                }
                // The keys are not repeated: where a `=` was forgotten, the second is a value.
                (position, token) => {
                    let what = "start of object ('{') or assignment ('=') behind the key";
                    return Err(expected(position, what, &token));
                }
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Slip> {
        let (position, token) = self.next()?;
        let kind = match token {
            Token::Text(text) | Token::Heredoc(text) => Kind::Text(text),
            Token::Number(number) => Kind::Number(number),
            Token::Bool(bool) => Kind::Bool(bool),
            Token::OpenBrace => return self.object(position, depth),
            Token::OpenBracket => return self.list(position, depth),
            token => return Err(expected(position, "a value", &token)),
        };
        Ok(Value { position, kind })
    }

    fn object(&mut self, position: Position, depth: usize) -> Result<Value, Slip> {
        let items = self.items(deeper(position, depth)?)?;
        match self.next()? {
            (_, Token::CloseBrace) => Ok(Value { position, kind: Kind::Object(items) }),
            (at, token) => {
                let what = format!("a name, a string or the '}}' that closes the '{{' at {position}");
                Err(expected(at, &what, &token))
            }
        }
    }

    /// Values with commas between; stray commas are passed over, as the reference does.
    fn list(&mut self, position: Position, depth: usize) -> Result<Value, Slip> {
        let depth = deeper(position, depth)?;
        let mut values = Vec::new();
        loop {
            match self.peek()? {
                Token::Comma => {
                    self.next()?;
                }
                Token::CloseBracket => {
                    self.next()?;
                    return Ok(Value { position, kind: Kind::List(values) });
                }
                Token::End => {
                    let (at, token) = self.next()?;
                    return Err(expected(at, &format!("the ']' that closes the '[' at {position}"), &token));
                }
                _ => {
                    values.push(self.value(depth)?);
                    if !matches!(self.peek()?, Token::Comma | Token::CloseBracket | Token::End) {
                        let (at, token) = self.next()?;
                        return Err(expected(at, "comma or list end", &token));
                    }
                }
            }
        }
    }
}

/// One level more, if the limit allows it.
pub(crate) fn deeper(position: Position, depth: usize) -> Result<usize, Slip> {
    if depth >= DEPTH_LIMIT { Err((position, Fault::TooDeep)) } else { Ok(depth + 1) }
}

fn expected(position: Position, what: &str, found: &Token) -> Slip {
    (position, Fault::Syntax(format!("expected {what}, found {}", found.noun())))
}
