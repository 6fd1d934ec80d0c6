//! For tests: a server that speaks Qdrant's gRPC over its engine in this process, and can be away, slow or in trouble.
//!
//! It knows the calls that [`crate::Qdrant`] makes, answers the others as unimplemented, and shares no code with the
//! adapter: what it makes of a filter or a point it reads from the message.

mod collections;
mod convert;
mod points;
mod state;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use qdrant_client::qdrant::CreateCollection;
use qdrant_client::qdrant::collections_server::CollectionsServer;
use qdrant_client::qdrant::points_server::PointsServer;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use crate::QdrantConfig;
use state::State;

const LARGEST_MESSAGE: usize = 64 << 20;

/// A server on this machine's loopback. What was written is there as long as this is, also while it is down.
pub struct TestServer {
    address: SocketAddr,
    state: Arc<State>,
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl TestServer {
    /// Listens, and keeps collections under `folder`.
    ///
    /// # Errors
    /// There is no port to be had.
    pub async fn start(folder: &Path) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let server = Self {
            address: listener.local_addr()?,
            state: Arc::new(State::new(PathBuf::from(folder))),
            running: Mutex::new(None),
        };
        server.serve(listener);
        Ok(server)
    }

    /// For [`QdrantConfig::url`].
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A configuration that names this server, with short waits.
    #[must_use]
    pub fn config(&self) -> QdrantConfig {
        QdrantConfig {
            url: Some(self.url()),
            timeout: Duration::from_secs(10).into(),
            ..QdrantConfig::default()
        }
    }

    /// Takes no connection and ends those there are, until [`Self::resume`].
    pub async fn stop(&self) {
        let running = self.running.lock().take();
        if let Some(running) = running {
            let _ = running.stop.send(());
            let _ = running.task.await;
        }
    }

    /// Listens again, on the same port.
    ///
    /// # Errors
    /// Somebody else has the port by now.
    pub async fn resume(&self) -> std::io::Result<()> {
        self.stop().await;
        self.serve(TcpListener::bind(self.address).await?);
        Ok(())
    }

    /// Answers the next calls UNAVAILABLE.
    pub fn fail(&self, calls: u32) {
        self.state.failing.store(calls, Ordering::SeqCst);
    }

    /// Answers every call this much later.
    pub fn delay(&self, delay: Duration) {
        *self.state.delay.lock() = delay;
    }

    /// Refuses calls without this API key.
    pub fn require_key(&self, key: &str) {
        *self.state.key.lock() = Some(key.to_owned());
    }

    /// Calls that were answered or are being.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.state.calls.load(Ordering::SeqCst)
    }

    /// What a collection was made with; `name` with the adapter's prefix.
    #[must_use]
    pub fn made(&self, name: &str) -> Option<CreateCollection> {
        self.state.collection(name).ok().map(|found| found.made.clone())
    }

    fn serve(&self, listener: TcpListener) {
        let (stop, stopped) = oneshot::channel::<()>();
        let collections = CollectionsServer::from_arc(Arc::clone(&self.state));
        let points = PointsServer::from_arc(Arc::clone(&self.state));
        let serving = Server::builder()
            .add_service(collections)
            .add_service(points.max_decoding_message_size(LARGEST_MESSAGE))
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
                let _ = stopped.await;
            });
        let task = tokio::spawn(async move {
            let _ = serving.await;
        });
        *self.running.lock() = Some(Running { stop, task });
    }
}
