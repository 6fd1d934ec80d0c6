use proptest::prelude::*;

use super::*;

fn run_request() -> Run {
    Run {
        argv: vec!["/usr/bin/python3".into(), "/run/harombe/main.py".into()],
        env: vec![("PATH".into(), "/usr/bin".into())],
        program_path: "/run/harombe/main.py".into(),
        program: b"print(1)".to_vec(),
        processes: 128,
        open_files: 1024,
        file_size: 1 << 30,
    }
}

#[test]
fn requests_survive_the_wire() {
    for request in [Request::Probe, Request::Run(run_request())] {
        assert_eq!(Request::read(&mut request.encode().as_slice()).unwrap(), request);
    }
}

#[test]
fn replies_survive_the_wire() {
    for reply in [
        Reply::Started,
        Reply::Exited(-7),
        Reply::Signaled(9),
        Reply::Failed("no such file".into()),
        Reply::Facts("uid=10000\n".into()),
    ] {
        assert_eq!(Reply::read(&mut reply.encode().as_slice()).unwrap(), reply);
    }
}

#[test]
fn a_long_text_is_cut_at_a_character_and_still_readable() {
    let reply = Reply::Failed("é".repeat(MAX_REPLY as usize));
    let Reply::Failed(text) = Reply::read(&mut reply.encode().as_slice()).unwrap() else {
        panic!("another kind came back");
    };
    assert!(text.len() < MAX_REPLY as usize && text.chars().all(|c| c == 'é'));
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_anything_is_allocated() {
    let mut frame = u32::MAX.to_le_bytes().to_vec();
    frame.push(STARTED);
    assert!(matches!(
        Reply::read(&mut frame.as_slice()),
        Err(FrameError::TooLong(u32::MAX))
    ));
}

#[test]
fn odd_frames_are_refused() {
    let check = |bytes: &[u8]| Reply::read(&mut &*bytes).unwrap_err();
    assert!(matches!(check(b""), FrameError::Truncated));
    assert!(matches!(check(b"\x02\0\0\0\x81"), FrameError::Truncated));
    assert!(matches!(check(b"\0\0\0\0"), FrameError::Malformed));
    assert!(matches!(check(b"\x01\0\0\0\x01"), FrameError::UnknownKind(1)));
    assert!(matches!(check(b"\x02\0\0\0\x81x"), FrameError::Malformed));
    assert!(matches!(check(b"\x03\0\0\0\x82\0\0"), FrameError::Malformed));
    assert!(matches!(check(b"\x02\0\0\0\x84\xff"), FrameError::Malformed));
}

#[test]
fn a_list_that_claims_more_than_it_may_hold_is_refused() {
    let mut run = run_request();
    run.argv = vec![String::new(); MAX_ITEMS as usize + 1];
    let frame = Request::Run(run).encode();
    assert!(matches!(
        Request::read(&mut frame.as_slice()),
        Err(FrameError::Malformed)
    ));
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = Request::read(&mut bytes.as_slice());
        // What decodes is what would be written again: there is one spelling of every reply.
        if let Ok(reply) = Reply::decode(&bytes) {
            prop_assert_eq!(&reply.encode()[4..], bytes.as_slice());
        }
    }

    #[test]
    fn every_prefix_of_a_request_is_refused(cut in 0usize..130) {
        let whole = Request::Run(run_request()).encode();
        prop_assume!(cut < whole.len());
        prop_assert!(Request::read(&mut &whole[..cut]).is_err());
    }

    #[test]
    fn a_flipped_bit_never_panics(position in 0usize..200, bit in 0u8..8) {
        let mut whole = Request::Run(run_request()).encode();
        let position = position % whole.len();
        whole[position] ^= 1 << bit;
        let _ = Request::read(&mut whole.as_slice());
    }
}
