//! One call to the server: with its key, its deadline, and another try when that may help. Every call that is made here may
//! be repeated.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harombe_rpc::{GrpcChannel, Public};
use qdrant_client::qdrant::collections_client::CollectionsClient;
use qdrant_client::qdrant::points_client::PointsClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Code, Request, Response, Status};

use crate::{Error, QdrantConfig, config};

const KEY: &str = "api-key";
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// A page of vectors of the largest dimension fits.
const LARGEST_ANSWER: usize = 64 << 20;

pub(super) type Link = InterceptedService<GrpcChannel, Key>;

pub(super) struct Calls {
    collections: CollectionsClient<Link>,
    points: PointsClient<Link>,
    timeout: Duration,
    tries: u32,
    closed: AtomicBool,
}

/// Why a call failed after all of its tries.
#[derive(Debug)]
pub(super) enum Failed {
    Closed,
    Answered(Status),
}

#[derive(Clone)]
pub(super) struct Key(Option<MetadataValue<Ascii>>);

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert(KEY, key.clone());
        }
        Ok(request)
    }
}

impl Calls {
    pub(super) fn connect(config: &QdrantConfig) -> Result<Self, Error> {
        let faults = config.validate("qdrant");
        if !faults.is_empty() {
            return Err(Error::Config(faults.join("; ")));
        }
        let url = config.url.as_deref().unwrap_or_default();
        let uri = config::address(url).map_err(|fault| Error::Config(format!("qdrant.url: {fault}")))?;
        let door = Public {
            uri,
            ca: config
                .certificates()
                .map_err(|fault| Error::Config(format!("qdrant.ca: {fault}")))?,
            key: None,
        };
        let channel =
            GrpcChannel::public(&door).map_err(|error| Error::Config(format!("qdrant: {error}")))?;
        let key = Key(config
            .api_key()
            .map_err(|fault| Error::Config(format!("qdrant.api_key_file: {fault}")))?
            .map(header)
            .transpose()?);
        let link = InterceptedService::new(channel, key);
        Ok(Self {
            collections: CollectionsClient::new(link.clone()).max_decoding_message_size(LARGEST_ANSWER),
            points: PointsClient::new(link).max_decoding_message_size(LARGEST_ANSWER),
            timeout: config.timeout.as_duration(),
            tries: config.tries,
            closed: AtomicBool::new(false),
        })
    }

    pub(super) async fn collections<Q, A, F>(
        &self,
        request: Q,
        send: impl Fn(CollectionsClient<Link>, Request<Q>) -> F + Send,
    ) -> Result<A, Failed>
    where
        Q: Clone + Send,
        F: Future<Output = Result<Response<A>, Status>> + Send,
    {
        self.tried(request, |request| send(self.collections.clone(), request))
            .await
    }

    pub(super) async fn points<Q, A, F>(
        &self,
        request: Q,
        send: impl Fn(PointsClient<Link>, Request<Q>) -> F + Send,
    ) -> Result<A, Failed>
    where
        Q: Clone + Send,
        F: Future<Output = Result<Response<A>, Status>> + Send,
    {
        self.tried(request, |request| send(self.points.clone(), request))
            .await
    }

    async fn tried<Q, A, F>(&self, message: Q, send: impl Fn(Request<Q>) -> F) -> Result<A, Failed>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut attempt = 1;
        loop {
            if self.closed.load(Ordering::Relaxed) {
                return Err(Failed::Closed);
            }
            let mut request = Request::new(message.clone());
            request.set_timeout(self.timeout);
            match send(request).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) if attempt < self.tries && passes(status.code()) => {
                    tracing::debug!(code = ?status.code(), attempt, "another try");
                    tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(attempt - 1)).await;
                    attempt += 1;
                }
                Err(status) => return Err(Failed::Answered(status)),
            }
        }
    }

    /// # Errors
    /// [`Error::Closed`].
    pub(super) fn open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        Ok(())
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

impl Failed {
    /// What the server answered, if it did.
    pub(super) fn code(&self) -> Option<Code> {
        match self {
            Self::Closed => None,
            Self::Answered(status) => Some(status.code()),
        }
    }

    /// As a failure of a call about a collection.
    pub(super) fn about(self, name: &str) -> Error {
        let status = match self {
            Self::Closed => return Error::Closed,
            Self::Answered(status) => status,
        };
        let reason = format!("{} ({:?})", status.message(), status.code());
        match status.code() {
            Code::NotFound => Error::Missing {
                name: name.to_owned(),
            },
            Code::ResourceExhausted => Error::Busy,
            code if passes(code) => Error::Unreachable { reason },
            Code::Unauthenticated | Code::PermissionDenied => Error::Refused {
                reason: format!("{reason}; look at api_key_file"),
            },
            _ => Error::Refused { reason },
        }
    }
}

/// Whether the same call may be answered otherwise a moment later.
fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Aborted
            | Code::ResourceExhausted
    )
}

fn header(key: String) -> Result<MetadataValue<Ascii>, Error> {
    let value = MetadataValue::try_from(key);
    let mut value = value.map_err(|_| {
        Error::Config("qdrant.api_key_file: the key has characters that no header can carry".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}
