//! One upstream: the request as it is sent, with the credential on it, and the answer as it may be passed on, without.

mod answer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use harombe_secrets::{SecretName, Secrets};
use harombe_types::ServiceName;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use hyper_util::client::legacy;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::Error;
use crate::config::{self, Injection, Search};
use crate::domain::mask::Mask;
use crate::domain::target::Target;
use crate::domain::upstream;
use crate::net::roots::Roots;
use crate::net::upstream::{Sending, UpstreamClient};

pub(crate) use answer::{Answer, Body};

/// An exchange with an upstream that did not come to its end. Which upstream it was, the caller and the record know.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("the upstream cannot be reached")]
    Connect(#[source] legacy::Error),
    #[error("the upstream broke off or does not speak http/1.1 within the limits")]
    Exchange(#[source] legacy::Error),
    #[error("the upstream broke off in its answer")]
    Body(#[source] hyper::Error),
    #[error("the upstream was silent for too long")]
    Silent,
    #[error("the upstream's answer is longer than max_response")]
    TooLong,
    #[error("the upstream's answer is compressed although that was not asked for")]
    Coded,
    #[error("the upstream switched protocols without being asked")]
    Switched,
    #[error("the upstream answered with status {0}")]
    Status(u16),
    #[error("the upstream's answer is not what a search service answers")]
    NoResults,
}

/// A configured destination, ready to be asked.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    pub(crate) target: Target,
    pub(crate) services: Vec<ServiceName>,
    pub(crate) search: Option<Search>,
    /// Longest time for one request and its answer.
    pub(crate) time: Duration,
    pub(crate) max_request: u64,
    pub(crate) credential: Option<SecretName>,
    inject: Injection,
    headers: HeaderMap,
    host: HeaderValue,
    idle: Duration,
    max_response: u64,
    client: UpstreamClient,
}

/// A credential on its way into a request.
#[derive(Debug)]
pub(crate) struct Shown {
    field: Option<(HeaderName, HeaderValue)>,
    mask: Mask,
}

/// How far a request has been sent, in bytes of its body.
pub(crate) type Progress = Arc<AtomicU64>;

impl Upstream {
    /// # Errors
    /// What [`config::Config::validate`] would have said.
    pub(crate) fn new(name: &str, config: &config::Upstream, roots: &Roots) -> Result<Self, String> {
        let target = Target::parse(&config.url).map_err(|error| format!("{name}: {error}"))?;
        let host =
            HeaderValue::from_str(&target.host_header()).map_err(|error| format!("{name}: {error}"))?;
        let credential = config.credential.as_deref().map(str::parse).transpose();
        let mut headers = HeaderMap::new();
        for (field, value) in &config.headers {
            let field =
                HeaderName::from_bytes(field.as_bytes()).map_err(|error| format!("{name}: {error}"))?;
            let value = HeaderValue::from_str(value).map_err(|error| format!("{name}: {error}"))?;
            headers.insert(field, value);
        }
        Ok(Self {
            name: name.to_owned(),
            client: UpstreamClient::new(&target, config.ca.clone(), roots.clone()),
            target,
            services: config.services.clone(),
            search: config.search,
            time: config.time.as_duration(),
            max_request: config.max_request.as_bytes(),
            credential: credential.map_err(|error| format!("{name}: {error}"))?,
            inject: config.inject.clone(),
            headers,
            host,
            idle: config.idle.as_duration(),
            max_response: config.max_response.as_bytes(),
        })
    }

    /// The credential as its store has it now.
    ///
    /// # Errors
    /// It cannot be had, or cannot travel in a header field.
    pub(crate) async fn shown(&self, secrets: &dyn Secrets) -> Result<Shown, Error> {
        let Some(name) = &self.credential else {
            return Ok(Shown {
                field: None,
                mask: Mask::new(None),
            });
        };
        let secret = secrets.get(name).await.map_err(Error::Credential)?;
        let value = match &self.inject {
            Injection::Bearer => Zeroizing::new([b"Bearer ", secret.expose()].concat()),
            Injection::Field(_) => Zeroizing::new(secret.expose().to_vec()),
        };
        let mut value = HeaderValue::from_bytes(&value).map_err(|_| Error::CredentialForm)?;
        value.set_sensitive(true);
        Ok(Shown {
            field: Some((self.inject.field(), value)),
            mask: Mask::new(Some(secret.expose())),
        })
    }

    /// The request as it is sent, without the credential yet.
    ///
    /// # Errors
    /// The target is none of this upstream's.
    pub(crate) fn request(
        &self,
        method: http::Method,
        target: &http::Uri,
        fields: &HeaderMap,
        body: Sending,
    ) -> Result<http::Request<Sending>, upstream::Unfit> {
        upstream::check_method(&method)?;
        let path = upstream::join(&self.target, target)?;
        let mut request = http::Request::new(body);
        *request.uri_mut() = path.parse().map_err(|_| upstream::Unfit::Escapes)?;
        *request.method_mut() = method;
        *request.headers_mut() = upstream::outgoing(fields, &self.headers, self.host.clone());
        Ok(request)
    }

    /// Sends a request and waits for the head of its answer. While the request's body is still moving, nobody is silent.
    ///
    /// # Errors
    /// Whatever ends the exchange before the head is complete, or makes it one that cannot be passed on.
    pub(crate) async fn send(
        &self,
        mut request: http::Request<Sending>,
        shown: Shown,
        progress: &Progress,
    ) -> Result<Answer, UpstreamError> {
        let Shown { field, mask } = shown;
        if let Some((name, value)) = field {
            request.headers_mut().insert(name, value);
        }
        let sending = self.client.send(request);
        tokio::pin!(sending);
        let mut sent = 0;
        let response = loop {
            match timeout(self.idle, &mut sending).await {
                Ok(Ok(response)) => break response,
                Ok(Err(error)) if error.is_connect() => return Err(UpstreamError::Connect(error)),
                Ok(Err(error)) => return Err(UpstreamError::Exchange(error)),
                Err(_) => {
                    let now = progress.load(Ordering::Relaxed);
                    if now == sent {
                        return Err(UpstreamError::Silent);
                    }
                    sent = now;
                }
            }
        };
        Answer::new(response, mask, self.idle, self.max_response)
    }
}
