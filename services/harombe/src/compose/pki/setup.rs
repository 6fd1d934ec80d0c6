//! Making the certificates of services that are processes of their own: done by whoever sets them up, before they start.

use std::io;
use std::path::Path;

use harombe_identity::{CertificateAuthority, Error};
use harombe_types::{Clock, ServiceName};

use crate::compose::StartError;

/// Makes a CA and a certificate for every service in `dir`, which must be absent or empty: `DIR/ca.pem`, `DIR/ca.key`, and
/// `DIR/<service>/{cert,key,ca}.pem`. A directory that is there afterwards is whole.
///
/// # Errors
/// There is something in `dir`, it cannot be written, or `trust_domain` cannot be one.
pub fn init(dir: &Path, trust_domain: &str, clock: &dyn Clock) -> Result<(), StartError> {
    let fault = |source| StartError::PkiFile {
        path: dir.to_owned(),
        source,
    };
    let made = |source| StartError::PkiSetup(source);
    if !is_vacant(dir).map_err(fault)? {
        return Err(StartError::PkiExists(dir.to_owned()));
    }
    let authority = CertificateAuthority::create(trust_domain, clock).map_err(made)?;
    let dir = std::path::absolute(dir).map_err(fault)?;
    let parent = dir.parent().unwrap_or(&dir);
    std::fs::create_dir_all(parent).map_err(fault)?;
    // Only its owner can look into it; made beside its place, so that it comes there in one step.
    let draft = tempfile::Builder::new()
        .prefix(".harombe-pki-")
        .tempdir_in(parent)
        .map_err(fault)?;
    authority.save(draft.path()).map_err(made)?;
    for service in ServiceName::SERVICES {
        issue(&authority, draft.path(), service, clock).map_err(made)?;
    }
    std::fs::rename(draft.path(), &dir).map_err(fault)?;
    // It is where it belongs, and no longer where its guard would look.
    let _ = draft.keep();
    Ok(())
}

/// Makes new certificates and keys for these services, by the CA in `dir`.
///
/// # Errors
/// There is no CA in `dir`, or a file cannot be written.
pub fn renew(dir: &Path, services: &[ServiceName], clock: &dyn Clock) -> Result<(), StartError> {
    let fault = |source| StartError::Pki {
        path: dir.to_owned(),
        source,
    };
    let authority = CertificateAuthority::open(dir).map_err(|error| match error {
        Error::File { path, source } => StartError::PkiFile { path, source },
        source => StartError::PkiSetup(source),
    })?;
    for service in services {
        issue(&authority, dir, *service, clock).map_err(fault)?;
    }
    Ok(())
}

fn is_vacant(dir: &Path) -> io::Result<bool> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn issue(
    authority: &CertificateAuthority,
    dir: &Path,
    service: ServiceName,
    clock: &dyn Clock,
) -> Result<(), Error> {
    let identity = authority.issue(service, clock)?;
    identity.save(&dir.join(service.as_str()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use harombe_types::{ManualClock, Timestamp};

    use super::*;
    use crate::compose::Pki;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
    const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);

    fn refusal(dir: &Path, service: ServiceName, now: Timestamp) -> String {
        let pki = Pki::of_service(dir, service, &ManualClock::at(now));
        pki.unwrap_err().to_string()
    }

    #[test]
    fn every_service_gets_what_it_can_start_with_and_nothing_is_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("a/pki");
        let clock = ManualClock::at(NOW);
        init(&dir, "example.org", &clock).unwrap();
        for service in ServiceName::SERVICES {
            let pki = Pki::of_service(&dir, service, &clock).unwrap();
            let identity = pki.identity(service).unwrap();
            assert_eq!(identity.roots().trust_domain(), "example.org");
        }
        for private in ["ca.key", "hitl/key.pem"] {
            let mode = std::fs::metadata(dir.join(private)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{private}");
        }
        let before = std::fs::read(dir.join("ca.key")).unwrap();
        assert!(matches!(
            init(&dir, "example.org", &clock),
            Err(StartError::PkiExists(_))
        ));
        assert_eq!(std::fs::read(dir.join("ca.key")).unwrap(), before);
    }

    #[test]
    fn a_trust_domain_that_cannot_be_one_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("pki");
        let error = init(&dir, "Not A Domain", &ManualClock::at(NOW)).unwrap_err();
        assert!(matches!(error, StartError::PkiSetup(_)), "{error}");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_used_says_what_to_do_and_renewing_helps() {
        let home = tempfile::tempdir().unwrap();
        let (dir, other) = (home.path().join("pki"), home.path().join("other"));
        let clock = ManualClock::at(NOW);
        init(&dir, "example.org", &clock).unwrap();
        init(&other, "example.org", &clock).unwrap();
        let audit = ServiceName::Audit;
        let check = |words: &[&str], now| {
            let text = refusal(&dir, audit, now);
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        };
        let copy =
            |from: &Path, name: &str| std::fs::copy(from.join(name), dir.join("audit").join(name)).unwrap();

        check(&["has expired", "pki renew"], NOW.plus(YEAR));
        for name in ["cert.pem", "key.pem"] {
            copy(&other.join("audit"), name);
        }
        check(&["not issued by the CA", "ca.pem"], NOW);
        for name in ["cert.pem", "key.pem"] {
            copy(&dir.join("hitl"), name);
        }
        check(&["it is hitl's"], NOW);
        std::fs::remove_file(dir.join("audit/key.pem")).unwrap();
        check(&["key.pem is not there", "pki init", "network.pki"], NOW);

        renew(&dir, &[audit], &clock).unwrap();
        Pki::of_service(&dir, audit, &clock).unwrap();
    }
}
