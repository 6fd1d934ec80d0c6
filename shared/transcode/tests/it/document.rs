use std::collections::BTreeSet;

use harombe_transcode::{Info, Table, TableError};
use serde_json::Value;

use crate::toy::{AGENT, request, rest};

const SERVICES: [&str; 4] = [
    AGENT,
    "harombe.agent.v1.KeyService",
    "harombe.hitl.v1.ApprovalService",
    "harombe.audit.v1.AuditService",
];

fn document() -> (Table, Value) {
    let table = Table::new(harombe_proto::DOCUMENTED, &SERVICES).unwrap();
    let info = Info {
        title: "t",
        version: "1",
        description: "d",
    };
    let document = table.openapi(&info);
    (table, document)
}

#[test]
fn the_document_and_the_table_have_the_same_places() {
    let (table, document) = document();
    let of_table: BTreeSet<_> = table
        .operations()
        .map(|operation| (operation.path(), operation.method().as_str().to_lowercase()))
        .collect();
    let mut of_document = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            of_document.insert((path.clone(), method.clone()));
        }
    }
    assert_eq!(of_document, of_table);
    assert!(of_table.len() >= 22);
}

#[test]
fn every_reference_leads_somewhere_and_every_braced_name_is_a_parameter() {
    let (_, document) = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas[name].is_object(), "{name}");
    }
    for (path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            let parameters = operation["parameters"].as_array().unwrap();
            let named: BTreeSet<_> = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            let braced: BTreeSet<_> = path
                .split('{')
                .skip(1)
                .map(|rest| rest.split('}').next().unwrap())
                .collect();
            assert_eq!(named, braced, "{path}");
        }
    }
}

#[test]
fn what_the_protos_say_above_things_is_in_the_document() {
    let (table, document) = document();
    let says = |pointer: &str, text: &str| {
        let description = document.pointer(pointer).and_then(Value::as_str);
        assert!(
            description.is_some_and(|description| description.contains(text)),
            "{pointer}: {description:?}"
        );
    };
    says(
        "/paths/~1v1~1sessions~1{session_id}/delete/description",
        "Erases the session",
    );
    says(
        "/components/schemas/harombe.agent.v1.Key/description",
        "the key itself is not kept",
    );
    says(
        "/components/schemas/harombe.agent.v1.Session/properties/active_run_id/description",
        "empty when none does",
    );
    let cursor = document["paths"]["/v1/runs/{run_id}/events"]["get"]["parameters"].as_array();
    let cursor = cursor
        .unwrap()
        .iter()
        .find(|found| found["name"] == "after_cursor");
    assert!(
        cursor.unwrap()["description"]
            .as_str()
            .unwrap()
            .contains("last event seen")
    );

    // Nothing else differs: without the comments the places are the same.
    let bare = Table::new(harombe_proto::DESCRIPTORS, &SERVICES).unwrap();
    let places = |table: &Table| {
        table
            .operations()
            .map(|found| (found.method().clone(), found.path()))
            .collect::<Vec<_>>()
    };
    assert_eq!(places(&bare), places(&table));
}

#[tokio::test]
async fn the_router_serves_what_the_table_says() {
    let (rest, _) = rest();
    let table = Table::new(harombe_proto::DESCRIPTORS, &[AGENT]).unwrap();
    for operation in table.operations() {
        let path = operation.path().replace(['{', '}'], "");
        let answer = rest.answer(request(operation.method().as_str(), &path, "")).await;
        let error = answer.headers().contains_key("allow");
        assert!(!error, "{} {path} has no such method", operation.method());
        let nobody = answer.status().as_u16() == 404 && !path.ends_with("/files/path");
        assert!(!nobody, "{} {path} is not found", operation.method());
    }
}

#[test]
fn services_that_there_are_not_are_refused() {
    let table = Table::new(harombe_proto::DESCRIPTORS, &["harombe.agent.v1.Nothing"]);
    assert!(matches!(table, Err(TableError::Unknown(_))));
    let twice = Table::new(harombe_proto::DESCRIPTORS, &[AGENT, AGENT]);
    assert!(matches!(twice, Err(TableError::Twice(_))));
}
