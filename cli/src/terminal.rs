//! Secrets from people: from a terminal without echo, or from a pipe.

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{BufRead, IsTerminal, Write};
use zeroize::Zeroizing;

/// Asks at the terminal without echo; where stdin is a pipe, reads its next line without asking.
pub(crate) fn secret(question: &str) -> std::io::Result<Zeroizing<String>> {
    let stdin = std::io::stdin();
    let line = if stdin.is_terminal() {
        eprint!("{question}");
        std::io::stderr().flush()?;
        let quiet = Quiet::new()?;
        let line = line(&mut stdin.lock());
        drop(quiet);
        eprintln!();
        line?
    } else {
        line(&mut stdin.lock())?
    };
    match line.is_empty() {
        true => Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "nothing was entered")),
        false => Ok(line),
    }
}

/// All of stdin: the value of `-`.
pub(crate) fn all() -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    std::io::Read::read_to_string(&mut std::io::stdin().lock(), &mut text)?;
    Ok(text)
}

fn line(from: &mut impl BufRead) -> std::io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(256));
    from.read_line(&mut line)?;
    Ok(Zeroizing::new(line.trim().to_owned()))
}

/// A terminal that does not show what is typed, until it is dropped.
struct Quiet(rustix::termios::Termios);

impl Quiet {
    fn new() -> std::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Quiet(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_where_the_line_ends() {
        let mut input = std::io::Cursor::new(b" one \ntwo\r\n".to_vec());
        assert_eq!((line(&mut input).unwrap().as_str(), line(&mut input).unwrap().as_str()), ("one", "two"));
        assert_eq!(line(&mut input).unwrap().as_str(), "");
    }
}
