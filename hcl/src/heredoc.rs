//! Texts of several lines: `<<EOF` and, with the indent of its last line taken off, `<<-EOF`.

/// Reads the heredoc that `text` starts with: what it says, and its length in bytes up to the line end behind its marker.
pub(crate) fn read(text: &str) -> Result<(String, usize), &'static str> {
    let opening = text.strip_prefix("<<").ok_or("heredoc expected second '<', didn't see it")?;
    let (opening, indented) = match opening.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (opening, false),
    };
    let line = opening.find('\n').ok_or("heredoc not terminated")?;
    let marker = &opening[..line];
    if marker.is_empty() {
        return Err("zero-length heredoc anchor");
    }
    if !marker.chars().all(|letter| letter == '_' || letter.is_alphanumeric()) {
        return Err("invalid characters in heredoc anchor");
    }
    let body = &opening[line + 1..];
    let mut start = 0;
    loop {
        let end = body[start..].find('\n').map_or(body.len(), |at| start + at);
        let last = body[start..end].trim_start_matches(is_space);
        if last.trim_end_matches('\r') == marker {
            let indent = &body[start..end - last.len()];
            let said = if indented { unindent(&body[..start], indent) } else { format!("{}{indent}", &body[..start]) };
            return Ok((said, text.len() - body.len() + end));
        }
        if end == body.len() {
            return Err("heredoc not terminated");
        }
        start = end + 1;
    }
}

fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\x0b' | '\x0c')
}

/// Takes the indent of the marker off every line, if every line has it; otherwise the text stays as it is.
fn unindent(body: &str, indent: &str) -> String {
    let lines = || body.split_inclusive('\n');
    if !lines().all(|line| line.starts_with(indent)) {
        return body.to_owned();
    }
    lines().map(|line| &line[indent.len()..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heredocs() {
        let table = [
            ("<<EOF\nfoo\nEOF\n", "foo\n"),
            ("<<EOF\nEOF\n", ""),
            ("<<EOF\nfoo\nEOF", "foo\n"),
            ("<<EOF\nEOFX\n XEOF\nEOF\n", "EOFX\n XEOF\n"),
            ("<<E_1\na\n\nb\nE_1\n", "a\n\nb\n"),
            // An indented marker without `-` leaves its indent behind, as the reference does.
            ("<<EOF\n  foo\n  EOF\n", "  foo\n  "),
            ("<<-EOF\n    foo\n      bar\n    EOF\n", "foo\n  bar\n"),
            ("<<-EOF\n  foo\n bar\n  EOF\n", "  foo\n bar\n"),
            ("<<-EOF\n  foo\n\n  EOF\n", "  foo\n\n"),
            ("<<-EOF\n\tfoo\n\tEOF\n", "foo\n"),
            ("<<-EOF\nfoo\nEOF\n", "foo\n"),
            ("<<-EOF\n  EOF\n", ""),
        ];
        for (text, said) in table {
            let (read, length) = read(text).unwrap();
            assert_eq!(read, said, "{text:?}");
            assert_eq!(length, text.trim_end_matches('\n').len(), "{text:?}");
        }
        let mistakes = [
            ("<EOF\n", "heredoc expected second '<', didn't see it"),
            ("<<EOF", "heredoc not terminated"),
            ("<<EOF\nfoo\n", "heredoc not terminated"),
            ("<<EOF\nfoo\nEO", "heredoc not terminated"),
            ("<<\nfoo\n\n", "zero-length heredoc anchor"),
            ("<<-\nfoo\n\n", "zero-length heredoc anchor"),
            ("<<E F\nfoo\nE F\n", "invalid characters in heredoc anchor"),
            ("<<\"EOF\"\n\n", "invalid characters in heredoc anchor"),
        ];
        for (text, reason) in mistakes {
            assert_eq!(read(text), Err(reason), "{text:?}");
        }
    }
}
