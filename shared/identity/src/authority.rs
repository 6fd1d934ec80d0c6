//! The small CA that makes service certificates. Its key is read by whoever sets services up, never by a service.

use std::path::Path;
use std::time::Duration;

use harombe_types::{Clock, ServiceName, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::roots::is_trust_domain;
use crate::{Error, ServiceIdentity, TrustRoots, dns_name, files};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const CA_LIFETIME: Duration = Duration::from_secs(3650 * DAY.as_secs());
const LEAF_LIFETIME: Duration = Duration::from_secs(365 * DAY.as_secs());
/// Certificates begin a little in the past, for machines whose clocks are behind.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca.key";

/// Signs service certificates of one trust domain.
#[derive(Debug)]
pub struct CertificateAuthority {
    key: KeyPair,
    roots: TrustRoots,
}

impl CertificateAuthority {
    /// A new CA with a new key, good for ten years.
    ///
    /// # Errors
    /// The trust domain is not one.
    pub fn create(trust_domain: &str, clock: &dyn Clock) -> Result<Self, Error> {
        if !is_trust_domain(trust_domain) {
            return Err(Error::TrustDomain(trust_domain.chars().take(64).collect()));
        }
        let key = new_key()?;
        let mut params = ca_params(trust_domain)?;
        set_validity(&mut params, clock.now(), CA_LIFETIME);
        let certificate = params.self_signed(&key).map_err(Error::Issue)?;
        Ok(Self {
            key,
            roots: TrustRoots::from_der(certificate.into())?,
        })
    }

    /// A CA from its certificate and key.
    ///
    /// # Errors
    /// Either is not what it should be.
    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Self, Error> {
        let roots = TrustRoots::from_pem(certificate_pem)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|_| Error::Pem { what: "CA key" })?;
        let key =
            KeyPair::from_pkcs8_der_and_sign_algo(&key, &rcgen::PKCS_ED25519).map_err(|_| Error::Key)?;
        let probe = rcgen::SigningKey::sign(&key, b"probe").map_err(Error::Issue)?;
        crate::roots::verify_signature(roots.ca_der(), b"probe", &probe).map_err(|_| Error::KeyMismatch)?;
        Ok(Self { key, roots })
    }

    /// Reads `ca.pem` and `ca.key` of a directory.
    ///
    /// # Errors
    /// A file is missing, unreadable or not what it should be, or the key is open to others.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let certificate = files::read(&dir.join(CERTIFICATE))?;
        let key = Zeroizing::new(files::read_private(&dir.join(KEY))?);
        Self::load(&certificate, &key)
    }

    /// Writes what [`open`](Self::open) reads; the key 0600, the directory 0700 if it has to be made.
    ///
    /// # Errors
    /// The directory or a file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), Error> {
        files::create_dir(dir)?;
        files::write(&dir.join(KEY), 0o600, &self.key_pem())?;
        files::write(&dir.join(CERTIFICATE), 0o644, &self.certificate_pem())
    }

    /// A new key and a certificate for it, good for a year from the clock's now.
    ///
    /// # Errors
    /// `service` is [`ServiceName::Client`], which has no certificate, or the CA itself is not valid now.
    pub fn issue(&self, service: ServiceName, clock: &dyn Clock) -> Result<ServiceIdentity, Error> {
        if !ServiceName::SERVICES.contains(&service) {
            return Err(Error::NotIssuable(service));
        }
        let key = new_key()?;
        let params = leaf_params(self.roots.trust_domain(), service, clock.now())?;
        // The same names and key as in the CA's certificate, so the same issuer; `ServiceIdentity::new` verifies it.
        let issuer = Issuer::new(ca_params(self.roots.trust_domain())?, &self.key);
        let certificate: CertificateDer<'static> =
            params.signed_by(&key, &issuer).map_err(Error::Issue)?.into();
        let pkcs8 = Zeroizing::new(key.serialize_der());
        ServiceIdentity::new(vec![certificate], pkcs8, self.roots.clone(), clock.now())
    }

    #[must_use]
    pub fn roots(&self) -> &TrustRoots {
        &self.roots
    }

    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.roots.ca_pem()
    }

    #[must_use]
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.serialize_pem())
    }
}

fn new_key() -> Result<KeyPair, Error> {
    KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(Error::Issue)
}

fn ca_params(trust_domain: &str) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(trust_domain, "Harombe service CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = vec![uri(format!("spiffe://{trust_domain}"))?];
    Ok(params)
}

fn leaf_params(trust_domain: &str, service: ServiceName, now: Timestamp) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(trust_domain, service.as_str());
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::ServerAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    let dns = dns_name(service).try_into().map_err(Error::Issue)?;
    params.subject_alt_names = vec![
        uri(format!("spiffe://{trust_domain}/svc/{service}"))?,
        SanType::DnsName(dns),
    ];
    set_validity(&mut params, now, LEAF_LIFETIME);
    Ok(params)
}

fn uri(text: String) -> Result<SanType, Error> {
    Ok(SanType::URI(text.try_into().map_err(Error::Issue)?))
}

fn name(trust_domain: &str, common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, trust_domain);
    name.push(DnType::CommonName, common);
    name
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, lifetime: Duration) {
    // A clock before 1970 or after 9000 is broken; certificates cannot express it.
    let latest = Duration::from_secs(7000 * 365 * DAY.as_secs());
    let since = Duration::from_secs(u64::try_from(now.as_secs()).unwrap_or(0)).min(latest);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since.saturating_sub(BACKDATED);
    params.not_after = epoch + (since + lifetime);
}
