//! Against a DNS server of our own on loopback: what it is asked, and what is made of its answers.

use std::net::Ipv4Addr;
use std::sync::Arc;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::Record;
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};
use parking_lot::Mutex;
use tokio::net::UdpSocket;

use super::*;
use crate::domain::host::Host;

type Zone = fn(&str, RecordType) -> Result<Vec<RData>, ResponseCode>;

struct Server {
    resolver: SystemResolver,
    asked: Arc<Mutex<Vec<String>>>,
}

/// A server for one zone, and a resolver whose machine has a search domain.
async fn serve(zone: Zone) -> Server {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let port = socket.local_addr().expect("an address").port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let query = Message::from_vec(&buffer[..length]).expect("a query");
            let question = query.queries.first().expect("a question").clone();
            let name = question.name().to_ascii().to_lowercase();
            log.lock().push(format!("{name} {}", question.query_type()));
            let mut reply = Message::response(query.metadata.id, OpCode::Query);
            match zone(&name, question.query_type()) {
                Ok(records) => {
                    let mut owner = question.name().clone();
                    for data in records {
                        let next = if let RData::CNAME(to) = &data {
                            to.0.clone()
                        } else {
                            owner.clone()
                        };
                        reply.add_answer(Record::from_rdata(owner, 30, data));
                        owner = next;
                    }
                }
                Err(code) => reply.metadata.response_code = code,
            }
            reply.add_query(question);
            socket
                .send_to(&reply.to_vec().expect("encoded"), from)
                .await
                .expect("sent");
        }
    });
    let mut connection = ConnectionConfig::udp();
    connection.port = port;
    let server = NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, vec![connection]);
    let search = Name::from_ascii("svc.cluster.local.").expect("a name");
    let config = ResolverConfig::from_parts(Some(search.clone()), vec![search], vec![server]);
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    Server {
        resolver: SystemResolver(OnceCell::new_with(Some(build(builder).expect("a resolver")))),
        asked,
    }
}

async fn resolve(server: &Server, name: &str) -> Result<Vec<String>, ResolveError> {
    let Host::Name(name) = Host::parse(name).expect("a host") else {
        panic!("{name} is an address")
    };
    let answer = server.resolver.resolve(&name).await?;
    assert!(answer.ttl <= Duration::from_secs(30));
    Ok(answer.addresses.iter().map(ToString::to_string).collect())
}

fn v4() -> RData {
    RData::A(A([93, 184, 215, 14].into()))
}

fn v6() -> RData {
    RData::AAAA(AAAA("2606:2800:21f::1".parse().expect("an address")))
}

#[tokio::test]
async fn both_families_are_asked_for_and_nothing_else() {
    let server = serve(|_, kind| {
        Ok(if kind == RecordType::A {
            vec![v4()]
        } else {
            vec![v6()]
        })
    })
    .await;
    let expected = vec!["93.184.215.14".to_owned(), "2606:2800:21f::1".to_owned()];
    assert_eq!(resolve(&server, "api.allowed.test").await, Ok(expected));
    let mut asked = server.asked.lock().clone();
    asked.sort_unstable();
    assert_eq!(asked, ["api.allowed.test. A", "api.allowed.test. AAAA"]);
}

#[tokio::test]
async fn search_domains_and_the_hosts_file_are_never_consulted() {
    let server = serve(|_, _| Err(ResponseCode::NXDomain)).await;
    for name in ["api.allowed.test", "ip6-localhost"] {
        let outcome = resolve(&server, name).await;
        assert!(outcome.is_err(), "{name}: {outcome:?}");
    }
    let asked = server.asked.lock().clone();
    assert!(
        !asked.is_empty() && asked.iter().all(|name| !name.contains("cluster")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_name_of_one_family_is_enough_and_a_name_of_none_is_absent() {
    let server = serve(|name, kind| match (name, kind) {
        ("v6.test.", RecordType::AAAA) => Ok(vec![v6()]),
        _ => Ok(Vec::new()),
    })
    .await;
    assert_eq!(
        resolve(&server, "v6.test").await,
        Ok(vec!["2606:2800:21f::1".to_owned()])
    );
    assert!(matches!(
        resolve(&server, "none.test").await,
        Err(ResolveError::NoAddress { .. })
    ));
}

#[tokio::test]
async fn a_chain_ends_at_its_addresses() {
    let server = serve(|_, kind| {
        let alias = RData::CNAME(CNAME(Name::from_ascii("cdn.test.").expect("a name")));
        Ok(if kind == RecordType::A {
            vec![alias, v4()]
        } else {
            vec![alias]
        })
    })
    .await;
    assert_eq!(
        resolve(&server, "api.allowed.test").await,
        Ok(vec!["93.184.215.14".to_owned()])
    );
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let server = serve(|_, kind| {
        if kind == RecordType::A {
            Ok(vec![v4()])
        } else {
            Err(ResponseCode::ServFail)
        }
    })
    .await;
    assert!(matches!(
        resolve(&server, "api.allowed.test").await,
        Err(ResolveError::Failed(_))
    ));
}
