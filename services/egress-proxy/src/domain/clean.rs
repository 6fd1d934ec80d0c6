//! What may be passed on of a body: redacted first and cut then, so that no half of a secret stands at the cut.

use std::collections::BTreeMap;

use harombe_redact::{Redactor, Scanner};

/// What is read beyond the budget, at most: as much as must be seen before it is certain what stands at the cut.
const BEYOND: u64 = Redactor::HELD as u64;

/// Takes a body as it comes and gives back what may be passed on.
#[derive(Debug)]
pub struct Clean {
    redactor: Redactor,
    /// Bytes that may still be passed on.
    left: u64,
    /// Bytes that may still be looked at.
    unread: u64,
    cut: bool,
}

impl Clean {
    /// For a body of which at most `budget` bytes, redacted, are passed on.
    pub fn new(budget: u64) -> Self {
        Self {
            redactor: Redactor::new(Scanner::shared()),
            left: budget,
            unread: budget.saturating_add(BEYOND),
            cut: false,
        }
    }

    /// The next piece of the body; what is certain by now comes back.
    pub fn piece(&mut self, piece: &[u8]) -> Vec<u8> {
        if self.cut {
            return Vec::new();
        }
        let most = usize::try_from(self.unread).unwrap_or(usize::MAX);
        let (looked_at, over) = piece.split_at_checked(most).unwrap_or((piece, &[]));
        self.unread = self.unread.saturating_sub(length(looked_at));
        let certain = self.redactor.push(looked_at);
        let passed = self.within(certain);
        // What the redactor still holds may be the beginning of a secret, and stays with it.
        self.cut |= !over.is_empty();
        passed
    }

    /// The rest, when the body has ended by itself.
    pub fn end(&mut self) -> Vec<u8> {
        if self.cut {
            return Vec::new();
        }
        let rest = self.redactor.finish();
        self.within(rest)
    }

    /// Was something left out at the end? Then nothing more is passed on.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// How many secrets of each kind were replaced.
    pub fn redactions(&self) -> &BTreeMap<&'static str, u64> {
        self.redactor.counts()
    }

    fn within(&mut self, mut clean: Vec<u8>) -> Vec<u8> {
        if length(&clean) > self.left {
            clean.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.cut = true;
        }
        self.left = self.left.saturating_sub(length(&clean));
        clean
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As many characters of a secret in a row tell something of it.
    const TELLING: usize = 8;

    fn pass(budget: usize, pieces: &[&[u8]]) -> (Vec<u8>, Clean) {
        let mut clean = Clean::new(budget as u64);
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(clean.piece(piece));
        }
        out.extend(clean.end());
        (out, clean)
    }

    /// The part of each secret that nothing else on the page looks like.
    fn secrets() -> Vec<(String, String)> {
        let token = "kB4G60AyX5J7ybnEqnaFFaksc1448K2Csry1";
        let aws = "Z7QK4M2NP3RT6VWX";
        let key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
        let dashes = "-----";
        vec![
            (format!("{}{token}", ["gh", "p_"].concat()), token.to_owned()),
            (format!("aws_access_key_id = {}{aws}", "AKIA"), aws.to_owned()),
            (
                "password = 'Zw\u{e9}7-h\u{fc}nter-Xq2'".to_owned(),
                "7-h\u{fc}nter-Xq2".to_owned(),
            ),
            (
                format!("{dashes}BEGIN PRIVATE KEY{dashes}\n{key}\n{key}\n{dashes}END PRIVATE KEY{dashes}"),
                key.to_owned(),
            ),
        ]
    }

    #[track_caller]
    fn tells_nothing(passed: &[u8], core: &str) {
        for telling in core.as_bytes().windows(TELLING) {
            assert!(
                memchr::memmem::find(passed, telling).is_none(),
                "{}",
                String::from_utf8_lossy(passed)
            );
        }
    }

    #[test]
    fn a_secret_at_the_cut_is_not_passed_on_by_half() {
        for (secret, core) in secrets() {
            let page = format!("Some words.\n{secret}\nAnd others.\n");
            for budget in 0..page.len() + 40 {
                let (passed, clean) = pass(budget, &[page.as_bytes()]);
                assert!(passed.len() <= budget);
                tells_nothing(&passed, &core);
                assert!(clean.is_cut() || passed.ends_with(b"And others.\n"));
            }
        }
    }

    #[test]
    fn what_is_read_beyond_the_budget_ends_somewhere_and_tells_nothing_either() {
        // Secrets are longer than what stands for them, so the budget is not used up when reading ends, in one of them.
        let (secret, core) = secrets().remove(0);
        let line = format!("{secret} password='{}'\n", core.repeat(80));
        for shift in (0..line.len()).step_by(37) {
            let page = ["y".repeat(shift).as_str(), "\n", &line.repeat(40)].concat();
            let (passed, clean) = pass(2000, &[page.as_bytes()]);
            assert!(clean.is_cut() && passed.len() <= 2000);
            tells_nothing(&passed, &core);
        }
    }

    #[test]
    fn a_line_without_end_is_cut_where_it_is_certain() {
        let (secret, core) = secrets().remove(0);
        for lead in (900..1100)
            .chain(32 * 1024 - 60..32 * 1024 + 20)
            .chain(64 * 1024 + 900..64 * 1024 + 1100)
        {
            let page = format!("{} {secret} {}", "-".repeat(lead), "-".repeat(100 * 1024));
            let (passed, clean) = pass(1000, &[page.as_bytes()]);
            assert_eq!((passed.len(), clean.is_cut()), (1000, true), "lead {lead}");
            tells_nothing(&passed, &core);
        }
    }

    #[test]
    fn a_body_within_its_budget_is_whole_and_its_secrets_are_counted() {
        let (passed, clean) = pass(6, &[b"ab\n", b"cde"]);
        assert_eq!((passed.as_slice(), clean.is_cut()), (&b"ab\ncde"[..], false));
        let (passed, clean) = pass(5, &[b"ab\n", b"cde"]);
        assert_eq!((passed.as_slice(), clean.is_cut()), (&b"ab\ncd"[..], true));
        let (passed, clean) = pass(0, &[b""]);
        assert_eq!((passed.as_slice(), clean.is_cut()), (&b""[..], false));
        let (secret, _) = secrets().remove(0);
        let (passed, clean) = pass(1000, &[secret.as_bytes()]);
        assert_eq!(passed, b"[REDACTED:github_token]");
        assert_eq!(clean.redactions().get("github_token"), Some(&1));
    }

    proptest! {
        #[test]
        fn neither_pieces_nor_budgets_matter(
            words in prop::collection::vec("[a-z ]{0,30}\n?", 0..8),
            at in 0_usize..8,
            which in 0_usize..4,
            budget in 0_usize..400,
            piece in 1_usize..60,
        ) {
            let (secret, core) = secrets().remove(which);
            let mut page = words;
            page.insert(at.min(page.len()), format!("\n{secret}\n"));
            let page = page.concat();
            let pieces: Vec<&[u8]> = page.as_bytes().chunks(piece).collect();
            let (passed, _) = pass(budget, &pieces);
            let (whole, _) = pass(usize::MAX, &[page.as_bytes()]);
            prop_assert!(whole.starts_with(&passed) && passed.len() == budget.min(whole.len()));
            tells_nothing(&passed, &core);
        }
    }
}
