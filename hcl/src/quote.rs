//! What a quoted text says.

/// Resolves the escapes of `raw`, the text between two quotes.
///
/// A NUL is refused however it is written. `${…}` is kept as it stands, escapes included: the language once had interpolation, and a policy may name a path so.
pub(crate) fn unquote(raw: &str) -> Result<String, &'static str> {
    if !raw.contains('\\') {
        return Ok(raw.to_owned());
    }
    // `\xff` and `\377` name single bytes, so the whole is checked at the end.
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while !rest.is_empty() {
        if rest.starts_with("${") {
            let end = interpolation(rest);
            bytes.extend_from_slice(&rest.as_bytes()[..end]);
            rest = &rest[end..];
        } else if let Some(escape) = rest.strip_prefix('\\') {
            rest = unescape(escape, &mut bytes)?;
        } else {
            let stop = |&(at, letter): &(usize, char)| at > 0 && matches!(letter, '\\' | '$');
            let end = rest.char_indices().find(stop).map_or(rest.len(), |(at, _)| at);
            bytes.extend_from_slice(&rest.as_bytes()[..end]);
            rest = &rest[end..];
        }
    }
    String::from_utf8(bytes).map_err(|_| "escapes in the string do not form UTF-8")
}

/// The length of the `${…}` that `text` starts with.
fn interpolation(text: &str) -> usize {
    let mut braces = 0usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => braces += 1,
            '}' if braces == 1 => return at + 1,
            '}' => braces -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Appends what the escape at the start of `text`, behind its backslash, means; returns what follows it.
fn unescape<'t>(text: &'t str, bytes: &mut Vec<u8>) -> Result<&'t str, &'static str> {
    const ILLEGAL: &str = "illegal char escape";
    let letter = text.chars().next().ok_or(ILLEGAL)?;
    let after = &text[letter.len_utf8()..];
    let simple = match letter {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        '0'..='7' => {
            let digits =
                text.get(..3).filter(|digits| digits.bytes().all(|b| matches!(b, b'0'..=b'7'))).ok_or(ILLEGAL)?;
            match u8::from_str_radix(digits, 8) {
                Ok(byte) if byte > 0 => bytes.push(byte),
                _ => return Err(ILLEGAL),
            }
            return Ok(&text[3..]);
        }
        'x' | 'u' | 'U' => {
            let length = match letter {
                'x' => 2,
                'u' => 4,
                _ => 8,
            };
            let digits = after.get(..length).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())).ok_or(ILLEGAL)?;
            let number = u32::from_str_radix(digits, 16).map_err(|_| ILLEGAL)?;
            match u8::try_from(number) {
                Ok(0) => return Err(ILLEGAL),
                Ok(byte) if letter == 'x' => bytes.push(byte),
                _ => {
                    let letter = char::from_u32(number).ok_or(ILLEGAL)?;
                    bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            return Ok(&after[length..]);
        }
        _ => return Err(ILLEGAL),
    };
    bytes.push(simple);
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let table = [
            ("plain", Ok("plain")),
            (r#"a\"b\\c"#, Ok("a\"b\\c")),
            (r"\a\b\f\n\r\t\v", Ok("\x07\x08\x0c\n\r\t\x0b")),
            (r"\x41\101\u0041\U00000041", Ok("AAAA")),
            (r"\u00e9", Ok("é")),
            (r"\xc3\xa9", Ok("é")),
            (r"\U0001F512", Ok("🔒")),
            (r#"${file("a\n")}\n"#, Ok("${file(\"a\\n\")}\n")),
            (r"${a{b}\n}\t${c}\t", Ok("${a{b}\\n}\t${c}\t")),
            (r"$\n$", Ok("$\n$")),
            (r"é\né", Ok("é\né")),
            (r"\xff", Err("escapes in the string do not form UTF-8")),
            (r"\ud800", Err("illegal char escape")),
            (r"\U00110000", Err("illegal char escape")),
            (r"\000", Err("illegal char escape")),
            (r"\x00", Err("illegal char escape")),
            (r"\u0000", Err("illegal char escape")),
            (r"\400", Err("illegal char escape")),
            (r"\18", Err("illegal char escape")),
            (r"\x4", Err("illegal char escape")),
            (r"\x+1", Err("illegal char escape")),
            (r"\u12é", Err("illegal char escape")),
            (r"\q", Err("illegal char escape")),
            (r"\'", Err("illegal char escape")),
            (r"\é", Err("illegal char escape")),
            ("\\", Err("illegal char escape")),
        ];
        for (raw, expected) in table {
            assert_eq!(unquote(raw).as_deref(), expected.as_ref().copied(), "{raw}");
        }
    }
}
