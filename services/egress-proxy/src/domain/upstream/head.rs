//! The head of a request, read more strictly than HTTP demands: what two servers could frame differently is refused before
//! any parser completes it (RFC 9112 §2.2, §5, §6.3, §11.2).

use std::collections::BTreeSet;

/// How a head could be read in two ways, or is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Framing {
    #[error("a line does not end with carriage return and line feed, or holds one of them")]
    LineEnd,
    #[error("the first line is not a method, a path and HTTP/1.1")]
    RequestLine,
    #[error("a line is not the name of a header field, a colon and a value")]
    Field,
    #[error("a line continues the one before it")]
    Folded,
    #[error("both a length and a transfer coding are given, or one of them twice")]
    TwoLengths,
    #[error("the length is not a plain number")]
    Length,
    #[error("the only transfer coding is chunked")]
    Coding,
    #[error("the protocol of the connection cannot be changed")]
    Upgrade,
    #[error("the host is given more than once")]
    Host,
}

/// Checks a head, its empty last line included. What it accepts, every HTTP/1.1 parser frames in the same way.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_head(head: &[u8]) -> Result<(), Framing> {
    let lines = head.strip_suffix(b"\r\n\r\n").ok_or(Framing::LineEnd)?;
    let text = std::str::from_utf8(lines).map_err(|_| Framing::Field)?;
    let mut lines = text.split("\r\n");
    let mut seen = BTreeSet::new();
    let first = lines.next().unwrap_or_default();
    check_line(first)?;
    check_request_line(first)?;
    for line in lines {
        check_line(line)?;
        if line.starts_with([' ', '\t']) {
            return Err(Framing::Folded);
        }
        let (name, value) = line.split_once(':').ok_or(Framing::Field)?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(Framing::Field);
        }
        let name = name.to_ascii_lowercase();
        check_field(&name, value.trim_matches([' ', '\t']))?;
        let again = !seen.insert(name.clone());
        match name.as_str() {
            "host" if again => return Err(Framing::Host),
            "content-length" | "transfer-encoding" if again => return Err(Framing::TwoLengths),
            _ => {}
        }
    }
    if seen.contains("content-length") && seen.contains("transfer-encoding") {
        return Err(Framing::TwoLengths);
    }
    Ok(())
}

/// No control character but the tab of a value, so no lone CR, LF or NUL.
fn check_line(line: &str) -> Result<(), Framing> {
    if line.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(Framing::LineEnd);
    }
    Ok(())
}

fn check_request_line(line: &str) -> Result<(), Framing> {
    let mut words = line.split(' ');
    let (method, target, version, rest) = (words.next(), words.next(), words.next(), words.next());
    let fits = method.is_some_and(|method| !method.is_empty() && method.bytes().all(is_token))
        && target
            .is_some_and(|target| target.starts_with('/') && target.is_ascii() && !target.contains('\t'))
        && version == Some("HTTP/1.1")
        && rest.is_none();
    if fits { Ok(()) } else { Err(Framing::RequestLine) }
}

fn check_field(name: &str, value: &str) -> Result<(), Framing> {
    match name {
        "content-length" if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(Framing::Length)
        }
        "transfer-encoding" if !value.eq_ignore_ascii_case("chunked") => Err(Framing::Coding),
        "upgrade" | "http2-settings" => Err(Framing::Upgrade),
        _ => Ok(()),
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expected: Result<(), Framing>) {
        let head = format!("{}\r\n\r\n", lines.join("\r\n"));
        assert_eq!(check_head(head.as_bytes()), expected, "{head:?}");
    }

    #[test]
    fn an_ordinary_head_is_fine() {
        check(&["GET / HTTP/1.1"], Ok(()));
        check(
            &[
                "POST /v1/messages?a=b HTTP/1.1",
                "Host: x",
                "Content-Length: 12",
                "A:b",
            ],
            Ok(()),
        );
        check(
            &["POST / HTTP/1.1", "transfer-encoding:\tChunked ", "x: a\tb"],
            Ok(()),
        );
    }

    #[test]
    fn what_could_be_framed_in_two_ways_is_refused() {
        let post = "POST / HTTP/1.1";
        check(
            &[post, "Content-Length: 1", "Transfer-Encoding: chunked"],
            Err(Framing::TwoLengths),
        );
        check(
            &[post, "Transfer-Encoding: chunked", "Content-Length: 1"],
            Err(Framing::TwoLengths),
        );
        check(
            &[post, "Content-Length: 1", "content-length: 1"],
            Err(Framing::TwoLengths),
        );
        check(
            &[post, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
            Err(Framing::TwoLengths),
        );
        for length in ["", "+1", "1, 1", "0x1", "-1", "1 ", "１"] {
            let expected = if length == "1 " {
                Ok(())
            } else {
                Err(Framing::Length)
            };
            check(&[post, &format!("Content-Length: {length}")], expected);
        }
        for coding in [
            "",
            "identity",
            "gzip, chunked",
            "chunked, chunked",
            "xchunked",
            "\u{b}chunked",
        ] {
            let head = format!("{post}\r\nTransfer-Encoding: {coding}\r\n\r\n");
            assert!(check_head(head.as_bytes()).is_err(), "{coding:?}");
        }
        for name in [
            "Transfer-Encoding ",
            " Transfer-Encoding",
            "Transfer\tEncoding",
            "",
            "Trans fer",
            "é",
        ] {
            let head = format!("{post}\r\n{name}: chunked\r\n\r\n");
            assert!(check_head(head.as_bytes()).is_err(), "{name:?}");
        }
        check(&[post, "A: b", "\tc"], Err(Framing::Folded));
        check(&[post, "no colon"], Err(Framing::Field));
        check(&[post, "Host: a", "Host: b"], Err(Framing::Host));
        check(&[post, "Upgrade: h2c"], Err(Framing::Upgrade));
    }

    #[test]
    fn lines_end_in_one_way() {
        for head in [
            "GET / HTTP/1.1\n\n",
            "GET / HTTP/1.1\nA: b\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\0\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\n",
        ] {
            assert!(check_head(head.as_bytes()).is_err(), "{head:?}");
        }
    }

    #[test]
    fn the_first_line_names_a_path() {
        for line in [
            "CONNECT a.test:443 HTTP/1.1",
            "GET http://a.test/ HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET / HTTP/1.0",
            "GET / HTTP/2.0",
            "GET /",
            "GET /\u{e4} HTTP/1.1",
            " GET / HTTP/1.1",
            "PRI * HTTP/2.0",
        ] {
            check(&[line], Err(Framing::RequestLine));
        }
    }
}
