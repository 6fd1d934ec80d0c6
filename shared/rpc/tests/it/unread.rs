//! Clients who ask and do not read the answer: it ends, and its connection when nothing else goes over that.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use harombe_rpc::{PublicLimits, serve_public};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;

/// Has more for as long as somebody reads; says when it is gone.
struct Flood(Sender<()>);

impl http_body::Body for Flood {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 65536])))))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        // Nobody listens once the test is over.
        let _ = self.0.try_send(());
    }
}

struct Port {
    address: SocketAddr,
    gone: Receiver<()>,
    /// Each makes a `/quiet` answer say one thing more.
    say: Sender<&'static str>,
}

/// `/quiet` says what it is told to, anything else never ends.
async fn open() -> Port {
    let (flooding, gone) = channel(4);
    let (say, told) = channel::<&'static str>(4);
    let told = std::sync::Arc::new(parking_lot::Mutex::new(Some(told)));
    let service = tower::service_fn(move |request: Request<Body>| {
        let body = if request.uri().path() == "/quiet" {
            let told = told.lock().take();
            let words = futures_util::stream::unfold(told, |told| async {
                let mut told = told?;
                let word = told.recv().await?;
                Some((
                    Ok::<_, Status>(Frame::data(Bytes::from_static(word.as_bytes()))),
                    Some(told),
                ))
            });
            Body::new(StreamBody::new(words))
        } else {
            Body::new(Flood(flooding.clone()))
        };
        async move { Ok::<_, Infallible>(Response::new(body)) }
    });
    let limits = PublicLimits {
        unread: Duration::from_secs(1),
        ..PublicLimits::default()
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_public(
        listener,
        None,
        service,
        limits,
        CancellationToken::new(),
    ));
    Port { address, gone, say }
}

#[tokio::test]
async fn who_does_not_read_loses_the_answer_and_the_connection() {
    let mut port = open().await;
    let mut socket = TcpStream::connect(port.address).await.unwrap();
    socket
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    port.gone.recv().await.unwrap();
    // What is on its way comes, then the end or a reset.
    let _ = socket.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn other_answers_of_the_same_connection_go_on() {
    let mut port = open().await;
    let socket = TcpStream::connect(port.address).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket));
    let (mut client, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let ask = |path: &str| {
        let uri = format!("http://{}{path}", port.address);
        Request::get(uri).body(Empty::<Bytes>::new()).unwrap()
    };
    let mut quiet = client.send_request(ask("/quiet")).await.unwrap().into_body();
    let flood = client.send_request(ask("/")).await.unwrap();
    port.gone.recv().await.unwrap();
    // It was silent all the while, and nobody's fault.
    port.say.send("still here").await.unwrap();
    let word = quiet.frame().await.unwrap().unwrap();
    assert_eq!(word.into_data().unwrap(), "still here");
    drop((quiet, flood, client));
    connection.abort();
}
