//! Notes against the published example, an independent implementation, and damage.

use proptest::prelude::*;
use signed_note as peer;

use super::{Note, SigningKey, VerifyingKey};
use crate::{Error, naive};

const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const EXAMPLE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
    Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed("log.example/a", &[seed; 32]).unwrap()
}

#[test]
fn published_example() {
    let key = VerifyingKey::parse(VKEY).unwrap();
    assert_eq!(key.name(), "example.com/foo");
    assert_eq!(key.id(), 0x530d_903a);
    let public = naive::unhex("e932791ae6e7a840a46164c904786426d5e7821dd8b29a00d61cae72afdd4da4");
    assert_eq!(
        VerifyingKey::new("example.com/foo", public.try_into().unwrap()).unwrap(),
        key
    );
    assert_eq!(key.to_string(), VKEY);
    let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(note.text(), "This is an example message.\n");
    assert_eq!(note.verify(std::slice::from_ref(&key)).unwrap(), [&key]);
    assert_eq!(note.to_string(), EXAMPLE);
}

#[test]
fn refuses_malformed_keys() {
    for vkey in [
        "",
        "example.com/foo",
        "example.com/foo+530d903a",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/fo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+BOkyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U0",
        "example.com/foo+530d903a+",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ] {
        assert!(VerifyingKey::parse(vkey).is_err(), "{vkey}");
        assert!(SigningKey::parse(vkey).is_err(), "{vkey}");
    }
}

#[test]
fn refuses_malformed_notes() {
    let line = EXAMPLE.split('\n').nth(2).unwrap();
    let many = format!("a\n\n{}", format!("{line}\n").repeat(65));
    for note in [
        "",
        "\n",
        "a\n",
        "a\n\n",
        "a\n\n\n",
        &format!("a\n\n{line}"),
        &format!("a\n{line}\n"),
        &format!("a\u{1}b\n\n{line}\n"),
        &format!("a\r\n\n{line}\n"),
        &format!("a\n\n{line}\n{line} \n"),
        "a\n\n- name AAAAAAA=\n",
        "a\n\n\u{2014} na+me AAAAAAAA\n",
        "a\n\n\u{2014} name AAAAAA==\n",
        "a\n\n\u{2014}  AAAAAAAA\n",
        &many,
    ] {
        assert!(Note::parse(note.as_bytes()).is_err(), "{note:?}");
    }
    assert!(Note::parse(b"a\xff\n\n").is_err());
    assert!(Note::parse(&vec![b'a'; (1 << 20) + 1]).is_err());
    assert!(Note::sign("no newline", &[&key(1)]).is_err());
    assert!(Note::sign("tab\t\n", &[&key(1)]).is_err());
    assert!(SigningKey::from_seed("a b", &[1; 32]).is_err());
}

#[test]
fn text_may_hold_blank_lines() {
    let note = Note::sign("one\n\ntwo\n\n", &[&key(1)]).unwrap();
    let read = Note::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!(read, note);
    read.verify(&[key(1).verifying_key().clone()]).unwrap();
}

#[test]
fn unknown_lines_are_skipped_and_wrong_known_lines_condemn() {
    let (mine, other) = (key(1), key(2));
    let known = [mine.verifying_key().clone()];
    let both = Note::sign("text\n", &[&other, &mine]).unwrap();
    assert_eq!(both.verify(&known).unwrap(), [mine.verifying_key()]);

    let stranger = Note::sign("text\n", &[&other]).unwrap();
    assert_eq!(stranger.verify(&known), Err(Error::NoKnownSignature));
    assert_eq!(stranger.verify(&[]), Err(Error::NoKnownSignature));

    let mut forged = both.clone();
    forged.signatures[1].signature[5] ^= 1;
    assert!(matches!(
        forged.verify(&known),
        Err(Error::InvalidSignature { .. })
    ));
    let mut short = both.clone();
    short.signatures[1].signature.truncate(10);
    assert!(matches!(
        short.verify(&known),
        Err(Error::InvalidSignature { .. })
    ));
    // The same key once right and once wrong: still condemned.
    let mut twice = both;
    twice.signatures.push(forged.signatures[1].clone());
    assert!(matches!(
        twice.verify(&known),
        Err(Error::InvalidSignature { .. })
    ));
}

#[test]
fn private_keys_round_trip_and_stay_out_of_debug() {
    let secret = key(7).to_secret_text().unwrap();
    let again = SigningKey::parse(&secret).unwrap();
    assert_eq!(again.verifying_key(), key(7).verifying_key());
    let seed = secret.rsplit('+').next().unwrap();
    assert!(!format!("{again:?}").contains(seed));
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec("[^\\x00-\\x1f]{0,20}", 1..6).prop_map(|lines| lines.join("\n") + "\n")
}

proptest! {
    #[test]
    fn signs_the_same_bytes_as_peer(text in text(), seed in any::<[u8; 32]>(), name in "[a-z./-]{1,20}") {
        let key = SigningKey::from_seed(&name, &seed).unwrap();
        let ours = Note::sign(&text, &[&key]).unwrap().to_string();

        let signer = peer::StandardSigner::new(&key.to_secret_text().unwrap()).unwrap();
        let mut theirs = peer::Note::new(text.as_bytes(), &[]).unwrap();
        theirs.add_sigs(&[&signer]).unwrap();
        prop_assert_eq!(&String::from_utf8(theirs.to_bytes()).unwrap(), &ours);

        let verifier = peer::StandardVerifier::new(&key.verifying_key().to_string()).unwrap();
        let known = peer::VerifierList::new(vec![Box::new(verifier)]);
        prop_assert!(peer::Note::from_bytes(ours.as_bytes()).unwrap().verify(&known).is_ok());
        let note = Note::parse(&theirs.to_bytes()).unwrap();
        prop_assert!(note.verify(std::slice::from_ref(key.verifying_key())).is_ok());
    }

    #[test]
    fn any_changed_byte_is_noticed(text in text(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let key = key(3);
        let mut bytes = Note::sign(&text, &[&key]).unwrap().to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let verdict = Note::parse(&bytes).and_then(|note| {
            note.verify(std::slice::from_ref(key.verifying_key())).map(|signers| signers.len())
        });
        prop_assert!(verdict.is_err());
    }

    #[test]
    fn parser_agrees_with_peer_on_noise(note in "(a|\n|\u{2014} |name |AAAAAAAA|=|\t){0,12}") {
        prop_assert_eq!(Note::parse(note.as_bytes()).is_ok(), peer::Note::from_bytes(note.as_bytes()).is_ok());
    }

    #[test]
    fn parser_takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(note) = Note::parse(&bytes) {
            prop_assert_eq!(note.to_string().into_bytes(), bytes);
        }
    }
}
