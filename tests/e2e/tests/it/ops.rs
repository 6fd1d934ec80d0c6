//! What a service of a cluster answers its operators.

use std::net::{Ipv4Addr, SocketAddr};

use harombe_e2e::{Cluster, Place};
use harombe_types::ServiceName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How far a service's port for operators is from its own.
const OPS: u16 = 100;

/// The answer to a GET, head and body.
pub(crate) async fn get(cluster: &Cluster, service: ServiceName, path: &str) -> String {
    let place: Ipv4Addr = cluster.uri(ServiceName::Audit).host().unwrap().parse().unwrap();
    let port = Place::at(place).address(service, 0).port() + OPS;
    let mut stream = TcpStream::connect(SocketAddr::from((place, port))).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// How many calls of a method a service has answered with that code.
pub(crate) async fn calls(cluster: &Cluster, service: ServiceName, method: &str, code: &str) -> u64 {
    let (method, code) = (format!("{method}\""), format!("code=\"{code}\""));
    let page = get(cluster, service, "/metrics").await;
    let line = page.lines().find(|line| {
        line.starts_with("harombe_rpc_server_calls_total{") && line.contains(&method) && line.contains(&code)
    });
    let count = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    count.unwrap_or(0)
}
