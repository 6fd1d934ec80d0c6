//! Names that change while calls go on: the resolver is the one edge that no test can run for real.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use harombe_identity::CertificateAuthority;
use harombe_types::{ServiceName, SystemClock};
use parking_lot::Mutex;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::*;

const FOR_EVER: Duration = Duration::from_secs(60);

/// What a name stands for now; nothing at all is a resolver that fails.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Vec<SocketAddr>>>);

impl resolve::Names for Book {
    async fn lookup(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        let found = self.0.lock().clone();
        if found.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(found)
    }
}

fn balance(book: &Book) -> Balance {
    let pki = CertificateAuthority::create("balance.test", &SystemClock).unwrap();
    let identity = pki.issue(ServiceName::Runtime, &SystemClock).unwrap();
    let tls = MutualTls::new(&identity, ServiceName::Memory).unwrap();
    let targets = Target::parse_all(&["memory:7402".to_owned()]).unwrap();
    Balance::over("memory".into(), targets, book.clone(), tls, Duration::ZERO)
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn accept(listener: &TcpListener) -> TcpStream {
    let accepted = tokio::time::timeout(FOR_EVER, listener.accept()).await;
    accepted.expect("nobody dials").unwrap().0
}

/// Reads until the other side closes.
async fn closed(mut socket: TcpStream) {
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(FOR_EVER, socket.read_to_end(&mut rest))
        .await
        .expect("the connection is still open");
}

#[tokio::test]
async fn a_name_that_moves_is_followed_and_the_old_address_left() {
    let ((old, at_old), (new, at_new)) = (listen().await, listen().await);
    let book = Book::default();
    let _balance = balance(&book);
    // At first the name is not there at all.
    *book.0.lock() = vec![at_old];
    let first = accept(&old).await;
    *book.0.lock() = vec![at_new];
    let second = accept(&new).await;
    closed(first).await;
    // A resolver that fails moves nothing: the watch goes on where it was.
    book.0.lock().clear();
    drop(second);
    accept(&new).await;
}

#[tokio::test]
async fn nothing_is_watched_any_more_once_the_channel_is_dropped() {
    let (listener, address) = listen().await;
    let book = Book(Arc::new(Mutex::new(vec![address])));
    let balance = balance(&book);
    let table = Arc::downgrade(&balance.table);
    let socket = accept(&listener).await;
    drop(balance);
    closed(socket).await;
    let ended = async {
        while table.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(FOR_EVER, ended)
        .await
        .expect("something still runs");
}
