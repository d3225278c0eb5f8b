//! The heads of requests as they arrive, before the HTTP library reads them: what it lets pass, and a proxy in front may
//! have read otherwise, is refused, so that nobody hides one request in another (RFC 9112, 2.2, 6.1, 6.3 and 11.2).
//!
//! Refused are a line that ends in a bare line feed, a length beside a transfer coding, two lengths even if they are equal,
//! and any coding but `chunked` alone. The bytes are looked at once and not kept, but for a line that is not whole yet; its
//! end is spoiled where it must not pass, and the library answers 400 and closes, as to all that it cannot read.
//!
//! Where the next head begins is known from the length. After a chunked body no head follows: the edge closes.

/// A line that is longer is refused by the library, which buffers no head of that size.
const LONGEST: usize = super::HEAD;

/// One connection's heads.
#[derive(Default)]
pub(super) struct Heads {
    stage: Stage,
    head: Head,
    /// What has arrived of a line that is not whole.
    line: Vec<u8>,
}

#[derive(Default)]
enum Stage {
    #[default]
    Head,
    /// So many bytes of a body are to come.
    Body(u64),
    /// No further head is served on this connection.
    Over,
}

/// What is known of the head that is arriving.
#[derive(Default)]
struct Head {
    /// Whether the request line has come. Empty lines before it are passed over.
    begun: bool,
    length: Option<u64>,
    chunked: bool,
}

/// A head that must not pass.
struct Refused;

impl Heads {
    /// Looks at what has just arrived; spoils the line that must not pass.
    pub(super) fn watch(&mut self, mut arrived: &mut [u8]) {
        while !arrived.is_empty() {
            match self.stage {
                Stage::Over => return,
                Stage::Body(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(arrived.len());
                    // At most `left`.
                    let left = left - here as u64;
                    self.stage = if left == 0 { Stage::Head } else { Stage::Body(left) };
                    arrived = &mut arrived[here..];
                }
                Stage::Head => {
                    let Some(end) = memchr::memchr(b'\n', arrived) else {
                        self.keep(arrived);
                        return;
                    };
                    if self.line_ends(&arrived[..end]).is_err() {
                        // In no place of a head is this byte anything but an error.
                        arrived[end] = 0;
                        self.stage = Stage::Over;
                        return;
                    }
                    arrived = &mut arrived[end + 1..];
                }
            }
        }
    }

    fn keep(&mut self, part: &[u8]) {
        if self.line.len() + part.len() > LONGEST {
            self.stage = Stage::Over;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(part);
        }
    }

    /// `rest` is what was missing of the line, without the line feed.
    fn line_ends(&mut self, rest: &[u8]) -> Result<(), Refused> {
        let ended = if self.line.is_empty() {
            self.head.line(rest)?
        } else {
            self.line.extend_from_slice(rest);
            let ended = self.head.line(&self.line);
            self.line.clear();
            ended?
        };
        if ended {
            let head = std::mem::take(&mut self.head);
            self.stage = match head.length {
                _ if head.chunked => Stage::Over,
                None | Some(0) => Stage::Head,
                Some(length) => Stage::Body(length),
            };
        }
        Ok(())
    }
}

impl Head {
    /// Takes one line; whether it is the last.
    fn line(&mut self, line: &[u8]) -> Result<bool, Refused> {
        let line = line.strip_suffix(b"\r").ok_or(Refused)?;
        match line {
            [] => return Ok(self.begun),
            _ if !self.begun => self.begun = true,
            [b'C' | b'c', ..] => {
                if let Some(value) = value_of(line, b"content-length") {
                    if self.chunked || self.length.is_some() {
                        return Err(Refused);
                    }
                    self.length = Some(number(value).ok_or(Refused)?);
                }
            }
            [b'T' | b't', ..] => {
                if let Some(value) = value_of(line, b"transfer-encoding") {
                    if self.chunked || self.length.is_some() || !value.eq_ignore_ascii_case(b"chunked") {
                        return Err(Refused);
                    }
                    self.chunked = true;
                }
            }
            _ => {}
        }
        Ok(false)
    }
}

/// The value of the line when it is the header `name`, which is given in lower case.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (held, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    held.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// Digits alone.
fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a stream is spoiled, if at all, when it arrives in pieces of `size` bytes.
    fn spoiled_in_pieces(stream: &[u8], size: usize) -> Option<usize> {
        let mut heads = Heads::default();
        let mut seen = stream.to_vec();
        seen.chunks_mut(size).for_each(|piece| heads.watch(piece));
        let at = seen.iter().zip(stream).position(|(now, before)| now != before);
        if let Some(at) = at {
            assert_eq!((stream[at], seen[at]), (b'\n', 0));
            seen[at] = b'\n';
        }
        assert!(seen == stream, "at most one byte is spoiled");
        at
    }

    /// The same, however the stream arrives.
    fn spoiled(stream: &[u8]) -> Option<usize> {
        let whole = spoiled_in_pieces(stream, stream.len());
        for size in 1..stream.len() {
            assert_eq!(spoiled_in_pieces(stream, size), whole, "in pieces of {size}: {}", stream.escape_ascii());
        }
        whole
    }

    #[test]
    fn what_is_clean_passes() {
        for stream in [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n\na\n\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length:\t 0 \r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n1\n",
            "POST / HTTP/1.1\r\nTE: trailers\r\nContent-Lengthy: x\r\nTransfer-Encoding-X: x\r\nConnection: close\r\n\r\n",
        ] {
            assert_eq!(spoiled(stream.as_bytes()), None, "{stream:?}");
        }
    }

    #[test]
    fn what_two_readers_may_read_in_two_ways_does_not() {
        for (stream, spoiled_line) in [
            ("\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 0),
            ("GET / HTTP/1.1\nHost: x\r\n\r\n", 0),
            ("GET / HTTP/1.1\r\nHost: x\nTransfer-Encoding: chunked\r\n\r\n", 1),
            ("GET / HTTP/1.1\r\nHost: x\r\n\n", 2),
            ("GET / HTTP/1.1\r\nHost: x\n\n", 1),
            ("POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 2),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nA: b\r\nContent-Length: 4\r\n\r\n", 3),
            ("POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n", 2),
            ("POST / HTTP/1.1\r\ncontent-length: 4, 4\r\n\r\n", 1),
            ("POST / HTTP/1.1\r\nContent-Length: +4\r\n\r\n", 1),
            ("POST / HTTP/1.1\r\nContent-Length: \r\n\r\n", 1),
            ("POST / HTTP/1.1\r\nContent-Length: 0x4\r\n\r\n", 1),
            ("POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n", 1),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n", 1),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 1),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n", 2),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", 1),
            // The second request on the connection, behind a body that looks like anything.
            ("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345GET / HTTP/1.1\nA: b\r\n\r\n", 3),
            ("GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n", 4),
        ] {
            let ends: Vec<usize> = stream.match_indices('\n').map(|(at, _)| at).collect();
            assert_eq!(spoiled(stream.as_bytes()), Some(ends[spoiled_line]), "{stream:?}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_kept_for_ever() {
        let mut heads = Heads::default();
        for _ in 0..3 {
            heads.watch(&mut vec![b'a'; LONGEST / 2]);
        }
        assert!(heads.line.is_empty() && matches!(heads.stage, Stage::Over));
    }
}
