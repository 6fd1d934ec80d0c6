//! The service graph and what every method says about itself.

use std::collections::{BTreeMap, BTreeSet};

use harombe_types::{Role, ServiceName};
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage as _, Value};

use crate::tree;

fn pool() -> DescriptorPool {
    DescriptorPool::decode(harombe_proto::DESCRIPTORS).unwrap()
}

struct Method {
    path: String,
    /// The service of ours that serves the package.
    server: ServiceName,
    callers: BTreeSet<String>,
    principal: i32,
    roles: Vec<String>,
    key_field: Option<String>,
    fields: BTreeSet<String>,
}

fn methods() -> Vec<Method> {
    let pool = pool();
    let auth = pool.get_extension_by_name("harombe.options.v1.auth").unwrap();
    let idempotency = pool
        .get_extension_by_name("harombe.options.v1.idempotency")
        .unwrap();
    let mut methods = Vec::new();
    for service in pool.services() {
        for method in service.methods() {
            let options = method.options();
            assert!(
                options.has_extension(&auth),
                "{} has no auth option",
                method.full_name()
            );
            assert!(
                options.has_extension(&idempotency),
                "{} has no idempotency option",
                method.full_name()
            );
            let auth = options.get_extension(&auth).as_message().unwrap().clone();
            let key_field = text(
                options.get_extension(&idempotency).as_message().unwrap(),
                "key_field",
            );
            methods.push(Method {
                path: method.full_name().to_owned(),
                server: server_of(service.package_name()),
                callers: texts(&auth, "callers").into_iter().collect(),
                principal: auth
                    .get_field_by_name("principal")
                    .unwrap()
                    .as_enum_number()
                    .unwrap(),
                roles: texts(&auth, "roles"),
                key_field: Some(key_field).filter(|field| !field.is_empty()),
                fields: method
                    .input()
                    .fields()
                    .map(|field| field.name().to_owned())
                    .collect(),
            });
        }
    }
    assert!(methods.len() > 40, "only {} methods found", methods.len());
    methods
}

fn text(message: &DynamicMessage, field: &str) -> String {
    message
        .get_field_by_name(field)
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

fn texts(message: &DynamicMessage, field: &str) -> Vec<String> {
    let list = message.get_field_by_name(field).unwrap().into_owned();
    let Value::List(list) = list else {
        panic!("{field} is no list")
    };
    list.iter()
        .map(|value| value.as_str().unwrap().to_owned())
        .collect()
}

fn server_of(package: &str) -> ServiceName {
    match package.split('.').nth(1).unwrap() {
        "agent" => ServiceName::Gateway,
        "sandbox" => ServiceName::SandboxBroker,
        "egress" => ServiceName::EgressProxy,
        name => name.parse().unwrap(),
    }
}

/// Lines of `service: callee callee …`.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let file = include_str!("service-graph.txt");
    let lines = file
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (from, to) = line.split_once(':').unwrap();
            (
                from.to_owned(),
                to.split_whitespace().map(str::to_owned).collect(),
            )
        })
        .collect()
}

#[test]
fn methods_may_be_called_by_whom_the_graph_says() {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for method in methods() {
        for caller in method.callers {
            graph.entry(caller).or_default().insert(method.server.to_string());
        }
    }
    let mut expected = allowed();
    expected.retain(|_, to| !to.is_empty());
    assert_eq!(
        graph, expected,
        "the callers in proto/ and tests/arch/tests/it/service-graph.txt differ"
    );
}

#[test]
fn the_graph_has_no_cycle() {
    let mut graph = allowed();
    while let Some(leaf) = graph
        .iter()
        .find(|(_, to)| to.iter().all(|to| !graph.contains_key(to)))
    {
        let leaf = leaf.0.clone();
        graph.remove(&leaf);
    }
    assert!(graph.is_empty(), "a cycle among {:?}", graph.keys());
}

#[test]
fn options_name_real_services_roles_and_fields() {
    let mut faults = Vec::new();
    for method in methods() {
        if method.callers.is_empty() {
            faults.push(format!("{}: nobody may call it", method.path));
        }
        for caller in &method.callers {
            if caller.parse::<ServiceName>().is_err() {
                faults.push(format!("{}: caller {caller}", method.path));
            }
        }
        for role in &method.roles {
            if role.parse::<Role>().is_err() {
                faults.push(format!("{}: role {role}", method.path));
            }
        }
        if method.principal == 0 {
            faults.push(format!("{}: no principal kind", method.path));
        }
        // Only a person has roles.
        if method.principal != 3 && !method.roles.is_empty() {
            faults.push(format!("{}: roles without a person", method.path));
        }
        if method
            .key_field
            .as_ref()
            .is_some_and(|field| !method.fields.contains(field))
        {
            faults.push(format!(
                "{}: idempotency key {:?} is no field",
                method.path, method.key_field
            ));
        }
    }
    tree::none("options of proto/", &faults);
}

#[test]
fn deciding_policy_and_log_reads_need_a_person_through_the_gateway() {
    for method in methods() {
        let reads_log = method.server == ServiceName::Audit && !method.path.contains("Append");
        if method.path.contains("ApprovalService") || reads_log {
            assert_eq!(
                method.callers,
                BTreeSet::from(["gateway".to_owned()]),
                "{}",
                method.path
            );
            assert_eq!(method.principal, 3, "{}", method.path);
            assert!(!method.roles.is_empty(), "{}", method.path);
        }
    }
}

#[test]
fn a_run_has_no_persons_power() {
    // What runtime may call is called under a RUN token or by the service itself, never as a person.
    for method in methods() {
        if method.callers.contains("runtime") {
            assert_ne!(method.principal, 3, "{}", method.path);
        }
    }
}

#[test]
fn descriptors_keep_their_options() {
    // `prost_types` would drop them; this guards the build script.
    let pool = pool();
    let field = pool
        .get_message_by_name("harombe.hitl.v1.Granted")
        .unwrap()
        .get_field_by_name("grant")
        .unwrap();
    let sensitive = pool
        .get_extension_by_name("harombe.options.v1.sensitive")
        .unwrap();
    assert!(field.options().has_extension(&sensitive));
    assert_eq!(
        field.options().descriptor().full_name(),
        "google.protobuf.FieldOptions"
    );
}
