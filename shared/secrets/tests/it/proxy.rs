//! Between a client and its server: passes bytes on, holds them back, or is gone, as the test says.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What happens to connections, those that are open included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Open,
    /// Bytes to the server wait.
    Slow,
    /// Connections end.
    Gone,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    mood: watch::Sender<Mood>,
    connections: Arc<watch::Sender<usize>>,
    stop: CancellationToken,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Proxy {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (mood, moods) = watch::channel(Mood::Open);
        let connections = Arc::new(watch::Sender::new(0));
        let (stop, counted) = (CancellationToken::new(), connections.clone());
        let stopped = stop.clone();
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stopped.cancelled() => return,
                };
                let Ok((stream, _)) = accepted else { return };
                counted.send_modify(|count| *count += 1);
                let pass = pass(stream, server, moods.clone());
                let stopped = stopped.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = pass => {}
                        () = stopped.cancelled() => {}
                    }
                });
            }
        });
        Self {
            port,
            mood,
            connections,
            stop,
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.borrow()
    }
}

async fn pass(client: TcpStream, server: SocketAddr, mut moods: watch::Receiver<Mood>) {
    let mut gone = moods.clone();
    let forward = async {
        let server = TcpStream::connect(server).await?;
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let outward = async {
            let mut piece = vec![0; 16 * 1024];
            loop {
                let length = tokio::io::AsyncReadExt::read(&mut from_client, &mut piece).await?;
                if length == 0 {
                    return Ok(());
                }
                let _ = moods.wait_for(|mood| *mood != Mood::Slow).await;
                tokio::io::AsyncWriteExt::write_all(&mut to_server, &piece[..length]).await?;
            }
        };
        let inward = tokio::io::copy(&mut from_server, &mut to_client);
        tokio::select! {
            done = outward => done,
            done = inward => done.map(|_| ()),
        }
    };
    tokio::select! {
        // Whoever ends a connection is part of what is tested.
        _ = forward => {}
        _ = gone.wait_for(|mood| *mood == Mood::Gone) => {}
    }
}
