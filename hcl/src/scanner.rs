//! Cuts a text into tokens.

use crate::error::Fault;
use crate::heredoc;
use crate::quote;
use crate::tree::{Number, Position};

/// A mistake and its place, before the file's name is known.
pub(crate) type Slip = (Position, Fault);

#[derive(Debug, PartialEq)]
pub(crate) enum Token {
    /// The end of the text.
    End,
    /// A name without quotes.
    Word(String),
    /// A quoted text.
    Text(String),
    /// A heredoc.
    Heredoc(String),
    Number(Number),
    Bool(bool),
    Comma,
    Assign,
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
}

impl Token {
    /// The word for this token in messages. It never repeats a text, which may be a secret.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Token::End => "the end of the text",
            Token::Word(_) => "a name",
            Token::Text(_) => "a string",
            Token::Heredoc(_) => "a heredoc",
            Token::Number(_) => "a number",
            Token::Bool(_) => "a boolean",
            Token::Comma => "','",
            Token::Assign => "'='",
            Token::OpenBrace => "'{'",
            Token::CloseBrace => "'}'",
            Token::OpenBracket => "'['",
            Token::CloseBracket => "']'",
        }
    }
}

/// A cursor over the text; every character is passed once, but for one look ahead.
pub(crate) struct Scanner<'t> {
    rest: &'t str,
    position: Position,
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Scanner<'t> {
        Scanner { rest: text, position: Position::START }
    }

    /// The next token and where it starts; comments and white space are passed over.
    pub(crate) fn next(&mut self) -> Result<(Position, Token), Slip> {
        self.skip_blank()?;
        let start = self.position;
        let Some(first) = self.peek() else { return Ok((start, Token::End)) };
        let token = match first {
            '"' => {
                let raw = self.quoted(start)?;
                Token::Text(quote::unquote(raw).map_err(|reason| (start, Fault::syntax(reason)))?)
            }
            '<' => Token::Heredoc(self.heredoc(start)?),
            ',' => self.single(Token::Comma),
            '=' => self.single(Token::Assign),
            '{' => self.single(Token::OpenBrace),
            '}' => self.single(Token::CloseBrace),
            '[' => self.single(Token::OpenBracket),
            ']' => self.single(Token::CloseBracket),
            '0'..='9' | '-' | '.' => Token::Number(self.number(start)?),
            first if first == '_' || first.is_alphabetic() => {
                let word = self.take_while(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.'));
                match word {
                    "true" => Token::Bool(true),
                    "false" => Token::Bool(false),
                    word => Token::Word(word.to_owned()),
                }
            }
            other => return Err((start, Fault::syntax(format!("illegal character {other:?}")))),
        };
        Ok((start, token))
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let first = self.peek()?;
        self.rest = &self.rest[first.len_utf8()..];
        self.position.step(first);
        Some(first)
    }

    fn single(&mut self, token: Token) -> Token {
        self.bump();
        token
    }

    /// Passes over `length` bytes, which must end at a character, and returns them.
    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(length);
        self.position = self.position.after(taken);
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'t str {
        let length = self.rest.find(|letter| !keep(letter)).unwrap_or(self.rest.len());
        self.take(length)
    }

    fn skip_blank(&mut self) -> Result<(), Slip> {
        loop {
            self.take_while(|letter| matches!(letter, ' ' | '\t' | '\n' | '\r'));
            let start = self.position;
            if self.rest.starts_with('#') || self.rest.starts_with("//") {
                self.take_while(|letter| letter != '\n');
            } else if self.rest.starts_with("/*") {
                let Some(end) = self.rest[2..].find("*/") else {
                    return Err((start, Fault::syntax("comment not terminated")));
                };
                self.take(end + 4);
            } else if self.rest.starts_with('/') {
                return Err((start, Fault::syntax("expected '/' or '*' for a comment")));
            } else {
                return Ok(());
            }
        }
    }

    /// Passes over a quoted text and returns it without its quotes. Inside `${…}` quotes and line ends are text.
    fn quoted(&mut self, start: Position) -> Result<&'t str, Slip> {
        let unterminated = || (start, Fault::syntax("literal not terminated"));
        self.bump();
        let body = self.rest;
        let mut braces = 0usize;
        loop {
            let before = self.rest.len();
            match self.bump().ok_or_else(unterminated)? {
                '\n' if braces == 0 => return Err(unterminated()),
                '"' if braces == 0 => return Ok(&body[..body.len() - before]),
                '$' if braces == 0 && self.rest.starts_with('{') => {
                    self.bump();
                    braces = 1;
                }
                '{' if braces > 0 => braces += 1,
                '}' if braces > 0 => braces -= 1,
                '\\' => {
                    self.bump().ok_or_else(unterminated)?;
                }
                _ => {}
            }
        }
    }

    fn heredoc(&mut self, start: Position) -> Result<String, Slip> {
        let (text, length) = heredoc::read(self.rest).map_err(|reason| (start, Fault::syntax(reason)))?;
        self.take(length);
        Ok(text)
    }

    /// `12`, `-1`, `0x1f`, `0755`, `1.5`, `.5`, `1e9`.
    fn number(&mut self, start: Position) -> Result<Number, Slip> {
        let illegal = |what: &str| (start, Fault::syntax(format!("illegal {what}")));
        let text = self.rest;
        if self.peek() == Some('-') {
            self.bump();
        }
        if self.rest.starts_with("0x") || self.rest.starts_with("0X") {
            self.take(2);
            if self.take_while(|digit| digit.is_ascii_hexdigit()).is_empty() {
                return Err(illegal("hexadecimal number"));
            }
            return Ok(Number(text[..text.len() - self.rest.len()].to_owned()));
        }
        let whole = self.take_while(|digit| digit.is_ascii_digit());
        let mut fraction = None;
        if self.peek() == Some('.') {
            self.bump();
            fraction = Some(self.take_while(|digit| digit.is_ascii_digit()));
        }
        if whole.is_empty() && (text.starts_with('-') || fraction.is_none_or(str::is_empty)) {
            return Err(illegal("character, expected a number"));
        }
        let mut exponent = false;
        if matches!(self.peek(), Some('e' | 'E')) {
            self.bump();
            if matches!(self.peek(), Some('+' | '-')) {
                self.bump();
            }
            if self.take_while(|digit| digit.is_ascii_digit()).is_empty() {
                return Err(illegal("exponent"));
            }
            exponent = true;
        }
        let octal = whole.len() > 1 && whole.starts_with('0') && fraction.is_none() && !exponent;
        if octal && whole.contains(['8', '9']) {
            return Err(illegal("octal number"));
        }
        Ok(Number(text[..text.len() - self.rest.len()].to_owned()))
    }
}
