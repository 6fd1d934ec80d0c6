use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use harombe_error::{Code, Reason};
use harombe_transcode::{Table, Transcoder};
use http::Request;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::json;
use tonic::body::Body;

use crate::toy::{AGENT, KEEP_ALIVE, bytes, json, refused, request, rest, sender};

const PART: usize = 1024 * 1024;

/// A body of so many MiB, and how many of them were taken.
fn parts(count: usize) -> (Body, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let parts = stream::iter(0..count).map(move |number| {
        counter.fetch_add(1, Ordering::SeqCst);
        let byte = u8::try_from(number % 251).unwrap();
        Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from(vec![byte; PART])))
    });
    (Body::new(StreamBody::new(parts)), taken)
}

fn put(path: &str, body: Body) -> Request<Body> {
    Request::put(path)
        .header("authorization", "x")
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn a_file_goes_up_as_it_is() {
    let (rest, _) = rest();
    let (body, _) = parts(5);
    let answer = json(rest.answer(put("/v1/sessions/s/files/a%20b/c.bin", body)).await).await;
    assert_eq!(
        answer,
        (
            200,
            json!({"path": "s:a b/c.bin", "size": (5 * PART).to_string()})
        )
    );
    let answer = json(
        rest.answer(put("/v1/sessions/s/files/empty", Body::empty()))
            .await,
    )
    .await;
    assert_eq!(answer, (200, json!({"path": "s:empty", "size": "0"})));
}

#[tokio::test]
async fn nobody_unknown_writes_anything() {
    let (rest, _) = rest();
    let (body, taken) = parts(5);
    let mut put = put("/v1/sessions/s/files/a", body);
    put.headers_mut().remove("authorization");
    assert_eq!(json(rest.answer(put).await).await.0, 401);
    assert_eq!(taken.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nothing_is_read_of_whoever_is_refused() {
    let refusing = tower::service_fn(|_: Request<Body>| async {
        let status = refused(Code::Unauthenticated, Reason::Unauthenticated, "who are you?");
        Ok::<_, Infallible>(status.into_http::<Body>())
    });
    let table = Table::new(harombe_proto::DESCRIPTORS, &[AGENT]).unwrap();
    let rest = Transcoder::new(Arc::new(table), refusing, sender, KEEP_ALIVE);
    for path in ["/v1/sessions", "/v1/sessions/s/messages"] {
        let (body, taken) = parts(1);
        let post = Request::post(path).header("content-type", "application/json");
        let answer = rest.answer(post.body(body).unwrap()).await;
        assert_eq!(json(answer).await.0, 401, "{path}");
        assert_eq!(taken.load(Ordering::SeqCst), 0, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let (rest, _) = rest();
    let body = Body::new(StreamBody::new(stream::pending::<
        std::io::Result<http_body::Frame<Bytes>>,
    >()));
    let post = Request::post("/v1/sessions").header("content-type", "application/json");
    let answer = rest.answer(post.body(body).unwrap()).await;
    assert_eq!(json(answer).await.0, 408);
}

#[tokio::test]
async fn too_much_is_refused_when_it_is_seen() {
    let (rest, _) = rest();
    let (body, taken) = parts(1);
    let mut announced = put("/v1/sessions/s/files/a", body);
    announced
        .headers_mut()
        .insert("content-length", (64 * PART + 1).to_string().parse().unwrap());
    assert_eq!(json(rest.answer(announced).await).await.0, 413);
    assert_eq!(taken.load(Ordering::SeqCst), 0);

    let (body, taken) = parts(200);
    let (status, error) = json(rest.answer(put("/v1/sessions/s/files/a", body)).await).await;
    assert_eq!(
        (status, &error["error"]["reason"]),
        (413, &json!("LIMIT_EXCEEDED"))
    );
    assert_eq!(taken.load(Ordering::SeqCst), 65);
}

#[tokio::test(start_paused = true)]
async fn files_of_one_that_do_not_come_leave_room_for_those_of_others() {
    let (rest, _) = rest();
    let mut dripping = Vec::new();
    for _ in 0..2 {
        let (wanted, want) = tokio::sync::oneshot::channel();
        let never = stream::once(async move {
            wanted.send(()).unwrap();
            std::future::pending::<std::io::Result<http_body::Frame<Bytes>>>().await
        });
        let put = put("/v1/sessions/s/files/a", Body::new(StreamBody::new(never)));
        let rest = rest.clone();
        dripping.push(tokio::spawn(async move { rest.answer(put).await }));
        want.await.unwrap();
    }
    let small = || put("/v1/sessions/s/files/b", Body::new("abc".to_owned()));
    let refused = rest.answer(small()).await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (503, &"5".parse().unwrap())
    );
    let mut other = small();
    other.headers_mut().insert("authorization", "y".parse().unwrap());
    assert_eq!(json(rest.answer(other).await).await.0, 200);
    for answer in dripping {
        assert_eq!(json(answer.await.unwrap()).await.0, 408);
    }
    assert_eq!(json(rest.answer(small()).await).await.0, 200);
}

#[tokio::test]
async fn a_digest_that_is_given_must_be_right() {
    let (rest, _) = rest();
    for (digest, expected) in [
        ("sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:", 200),
        (
            "sha-512=:AA==:, sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:",
            200,
        ),
        ("sha-256=:AAAA:", 400),
        ("sha-256=abc", 400),
        ("md5=:AA==:", 400),
    ] {
        let mut put = put("/v1/sessions/s/files/a", Body::new("abc".to_owned()));
        put.headers_mut().insert("repr-digest", digest.parse().unwrap());
        assert_eq!(json(rest.answer(put).await).await.0, expected, "{digest}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_file() {
    let (rest, _) = rest();
    let parts = [
        Ok(http_body::Frame::data(Bytes::from_static(b"abc"))),
        Err(std::io::Error::other("gone")),
    ];
    let body = Body::new(StreamBody::new(stream::iter(parts)));
    let (status, error) = json(rest.answer(put("/v1/sessions/s/files/a", body)).await).await;
    assert_eq!(
        (status, &error["error"]["message"]),
        (400, &json!("the body broke off"))
    );
}

#[tokio::test]
async fn a_file_comes_down_as_it_is() {
    let (rest, _) = rest();
    let (status, headers, body) =
        bytes(rest.answer(request("GET", "/v1/sessions/s/files/a/b", "")).await).await;
    assert_eq!((status.as_u16(), &body[..]), (200, &b"a/b\x00\xff"[..]));
    assert_eq!(headers["content-type"], "application/octet-stream");
    assert_eq!(
        (
            &headers["content-disposition"],
            &headers["x-content-type-options"]
        ),
        (&"attachment".parse().unwrap(), &"nosniff".parse().unwrap())
    );
    let (status, _, body) = bytes(
        rest.answer(request("GET", "/v1/sessions/s/files/empty", ""))
            .await,
    )
    .await;
    assert_eq!((status.as_u16(), body.len()), (200, 0));
    assert_eq!(
        json(rest.answer(request("GET", "/v1/sessions/s/files/none", "")).await)
            .await
            .0,
        404
    );
    // A part is never taken for the whole.
    let cut = rest.answer(request("GET", "/v1/sessions/s/files/cut", "")).await;
    assert!(cut.into_body().collect().await.is_err());
}
