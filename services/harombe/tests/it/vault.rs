//! Every service a process of its own whose certificate and credentials are in a Vault, each with a role that reads nothing else;
//! this machine has no file with a key.

use harombe_testkit::openbao::{AppRole, OpenBao};
use harombe_types::ServiceName;
use rustix::process::Signal;

use crate::backends::{KEY, far_model, model};
use crate::cluster::Cluster;
use crate::harness::{Home, Ran};

/// What a service's configuration has for itself: its role.
type Variables = [(&'static str, String); 2];

/// A cluster whose certificates have gone to Vault, and the role of each service.
fn moved_to_vault(bao: &OpenBao, sections: &str) -> (Cluster, Vec<Variables>) {
    let vault = format!(
        "[secrets.vault]\naddress = \"{}\"\n[secrets.vault.approle]\nrole_id = \"none\"\nsecret_id_file = \"none\"\n",
        bao.address()
    );
    let cluster = Cluster::of(Home::new(), "[network]\n", &(vault + sections));
    let pki = cluster.home.path("pki");
    let mut roles = Vec::new();
    for service in ServiceName::SERVICES {
        let entry = format!("harombe/services/{service}");
        let field = |name: &str| format!("{name}=@{}/{service}/{name}.pem", pki.display());
        bao.bao(&[
            "kv",
            "put",
            "-mount=secret",
            &entry,
            &field("cert"),
            &field("key"),
            &field("ca"),
        ]);
        roles.push(variables(bao.role(service.as_str(), &entry, 3600, 3600)));
    }
    permit_credentials(bao, &cluster.home);
    std::fs::remove_dir_all(pki).unwrap();
    (cluster, roles)
}

fn variables(role: AppRole) -> Variables {
    [
        ("HAROMBE_SECRETS__VAULT__APPROLE__ROLE_ID", role.role_id),
        (
            "HAROMBE_SECRETS__VAULT__APPROLE__SECRET_ID_FILE",
            role.secret_id_file.display().to_string(),
        ),
    ]
}

/// What egress-proxy's role may do beside reading its certificate: keep the credential.
fn permit_credentials(bao: &OpenBao, home: &Home) {
    let policy = home.file(
        "credentials.hcl",
        "path \"secret/data/harombe/model-key\" { capabilities = [\"create\", \"update\", \"read\"] }\n\
         path \"secret/data/harombe/services/egress-proxy\" { capabilities = [\"read\"] }\n",
    );
    bao.bao(&["policy", "write", "egress-proxy", &policy]);
}

fn place(service: ServiceName) -> usize {
    ServiceName::SERVICES
        .iter()
        .position(|name| *name == service)
        .unwrap()
}

#[test]
fn services_take_their_keys_and_credentials_from_vault() {
    let mut bao = OpenBao::start();
    let (port, asked) = model();
    let (cluster, roles) = moved_to_vault(&bao, &far_model(port));
    let role_of = |service| &roles[place(service)][..];
    let try_to_serve = |service: ServiceName, variables: &[(&str, String)]| {
        let args = cluster.args(&["serve", service.as_str()]);
        let mut command = cluster.home.harombe(args);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        // Its last words, without the log.
        Ran::of(&command.env("HAROMBE_LOG__FILTER", "off").output().unwrap())
    };
    let missing = ["hitl did not get its certificate from Vault", "services/hitl"];

    // Another service's role opens nothing.
    let refused = try_to_serve(ServiceName::Hitl, role_of(ServiceName::Memory));
    refused.refused(&[&missing[..], &["does not permit"]].concat());

    let mut services = ServiceName::SERVICES.map(|service| cluster.serve_with(service, role_of(service)));
    let mut set = cluster
        .home
        .harombe(cluster.args(&["secrets", "set", "model-key"]));
    set.envs(
        role_of(ServiceName::EgressProxy)
            .iter()
            .map(|(name, value)| (name, value)),
    );
    let key = cluster.home.file("model.key", KEY);
    Ran::of(&set.stdin(std::fs::File::open(key).unwrap()).output().unwrap()).good();
    let admin = cluster.admin_key();
    let run = || cluster.client(&admin, &["run", "hi"]);
    let answered = run().good();
    assert!(answered.out.contains("Good day."), "{answered:#?}");
    let head = asked.recv().unwrap();
    assert!(
        head.contains(&format!("authorization: bearer {KEY}\r\n")),
        "{head}"
    );

    // Without Vault, services go on with their certificates, and nothing is done that needs a credential.
    bao.seal();
    let without = run();
    assert_eq!(without.code, Some(1), "{without:#?}");
    let said = [without.out, without.err].concat();
    assert!(said.contains("CREDENTIAL_UNAVAILABLE"), "{said}");
    cluster.client(&admin, &["keys", "list"]).good();

    // A service does not start without its certificate, and says why.
    let hitl = &mut services[place(ServiceName::Hitl)];
    hitl.signal(Signal::TERM);
    assert!(hitl.end().success(), "{}", hitl.seen);
    let hitl = || try_to_serve(ServiceName::Hitl, role_of(ServiceName::Hitl));
    hitl().refused(&[&missing[..], &["sealed"]].concat());
    bao.stop();
    hitl().refused(&[&missing[..], &["cannot be reached"]].concat());
    bao.start_again();
    bao.unseal();
    services[place(ServiceName::Hitl)] = cluster.serve_with(ServiceName::Hitl, role_of(ServiceName::Hitl));
    let again = run().good();
    assert!(again.out.contains("Good day."), "{again:#?}");
    assert_eq!(asked.iter().take(1).count(), 1);
    assert!(
        asked.try_recv().is_err(),
        "the model was asked without a credential"
    );
    for mut live in services.into_iter().rev() {
        live.signal(Signal::TERM);
        assert!(live.end().success(), "{}", live.seen);
    }
}
