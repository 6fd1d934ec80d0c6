//! HTTP/2 by hand, for what no client library can be talked into.

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GO_AWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The preface and empty settings.
pub(crate) fn hello() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()
}

/// The headers of a gRPC call, without compression but for the static table (RFC 7541, appendix A).
pub(crate) fn call(path: &str, authorization: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    literal(&mut block, 4, path);
    literal(&mut block, 1, "toy");
    literal(&mut block, 31, "application/grpc");
    literal(&mut block, 23, authorization);
    block
}

/// A header whose name is in the static table, not to be indexed.
fn literal(block: &mut Vec<u8>, name: u8, value: &str) {
    match name.checked_sub(15) {
        None => block.push(name),
        Some(rest) => block.extend([15, rest]),
    }
    block.push(u8::try_from(value.len()).unwrap());
    assert!(value.len() < 127, "longer values need another length");
    block.extend(value.as_bytes());
}

/// The kinds of the frames that a server sent.
pub(crate) fn kinds(mut bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = bytes {
        kinds.push(*kind);
        let length = u32::from_be_bytes([0, *a, *b, *c]);
        bytes = rest.get(length as usize..).unwrap_or_default();
    }
    kinds
}
