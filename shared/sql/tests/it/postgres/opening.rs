//! Opening: schemas, replicas that start together, servers that must not be trusted with anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harombe_sql::{Error, Migrator, Postgres, PostgresConfig};
use harombe_testkit::postgres::{Database, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::{MIGRATIONS, SCHEMA, names, open};

#[tokio::test]
async fn replicas_that_start_together_make_one_schema() {
    let database = Database::create().await;
    let config = database.config();
    let opened = (0..6).map(|_| open(&config));
    let opened = futures_util::future::join_all(opened).await;
    for postgres in &opened {
        assert_eq!(names(postgres).await, Vec::<String>::new());
    }
    let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM harombe_notes._sqlx_migrations")
        .fetch_one(opened[0].pool())
        .await
        .unwrap();
    assert_eq!(applied, 1);
}

#[tokio::test]
async fn two_services_share_a_database_and_no_table() {
    let database = Database::create().await;
    let first = open(&database.config()).await;
    let other = Postgres::open(&database.config(), "harombe_other", &MIGRATIONS)
        .await
        .unwrap();
    sqlx::query("INSERT INTO notes (name) VALUES ('a')")
        .execute(first.pool())
        .await
        .unwrap();
    assert_eq!(names(&first).await, ["a"]);
    assert_eq!(names(&other).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_schema_from_the_future_or_with_other_migrations_is_refused() {
    let database = Database::create().await;
    drop(open(&database.config()).await);
    let refused = async |migrations| {
        let migrator = Migrator::with_migrations(migrations);
        Postgres::open(&database.config(), SCHEMA, &migrator)
            .await
            .unwrap_err()
    };
    let error = refused(Vec::new()).await;
    assert!(
        matches!(
            error,
            Error::SchemaNewer {
                found: 1,
                known: 0,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains(SCHEMA), "{error}");
    let mut changed: Vec<_> = MIGRATIONS.iter().cloned().collect();
    changed[0].checksum = vec![0; 48].into();
    let error = refused(changed).await;
    assert!(matches!(error, Error::Migration { .. }), "{error:?}");
}

#[tokio::test]
async fn who_cannot_be_reached_or_does_not_let_in_is_told_apart() {
    let database = Database::create().await;
    let config = database.config();
    let refused =
        async |config: &PostgresConfig| Postgres::open(config, SCHEMA, &MIGRATIONS).await.unwrap_err();
    let gone = PostgresConfig {
        url: "postgres://r@127.0.0.1:1/d".to_owned(),
        acquire: Duration::from_millis(300).into(),
        ..PostgresConfig::default()
    };
    let error = refused(&gone).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1/d"), "{error}");
    let nobody = PostgresConfig {
        url: config.url.replace("postgres@", "nobody_knows@"),
        ..config.clone()
    };
    let error = refused(&nobody).await;
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    let error = refused(&PostgresConfig::default()).await;
    assert!(matches!(error, Error::Config(_)), "{error:?}");
}

#[tokio::test]
async fn a_server_that_may_lose_what_it_acknowledged_is_refused() {
    let server = Server::create_with(|_, _| "fsync = off".to_owned()).await;
    let error = Postgres::open(&server.config(), SCHEMA, &MIGRATIONS)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::NotDurable { setting: "fsync", .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn durability_is_demanded_whatever_the_role_prefers() {
    let server = Server::create_with(|_, _| "synchronous_commit = off".to_owned()).await;
    let postgres = open(&server.config()).await;
    let setting: String = sqlx::query_scalar("SHOW synchronous_commit")
        .fetch_one(postgres.pool())
        .await
        .unwrap();
    assert_eq!(setting, "on");
}

#[tokio::test]
async fn tls_is_spoken_with_the_server_whose_ca_is_named_and_no_other() {
    let authority = |name: &str| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let (ours, others) = (authority("ours"), authority("others"));
    let dir = tempfile::tempdir().unwrap();
    let (our_ca, other_ca) = (dir.path().join("ours.pem"), dir.path().join("others.pem"));
    fs::write(&our_ca, ours.pem()).unwrap();
    fs::write(&other_ca, others.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = |name: String| {
        let params = CertificateParams::new(vec![name]).unwrap();
        params.signed_by(&key, &ours).unwrap().pem()
    };
    let mut file = PathBuf::new();
    let mut server = Server::create_with(|data, address| {
        file = data.join("server.crt");
        fs::write(&file, certificate(address.to_string())).unwrap();
        fs::write(data.join("server.key"), key.serialize_pem()).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(data.join("server.key"), mode).unwrap();
        "ssl = on".to_owned()
    })
    .await;
    let plain = server.config().url;
    let config = |ca: &Path| PostgresConfig {
        url: format!("{plain}?sslmode=verify-full&sslrootcert={}", ca.display()),
        ..PostgresConfig::default()
    };
    let refused = async |ca: &Path| {
        let error = Postgres::open(&config(ca), SCHEMA, &MIGRATIONS)
            .await
            .unwrap_err();
        assert!(!matches!(error, Error::Config(_)), "{error:?}");
    };
    let postgres = open(&config(&our_ca)).await;
    let encrypted: bool = sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        .fetch_one(postgres.pool())
        .await
        .unwrap();
    assert!(encrypted);
    refused(&other_ca).await;

    server.stop().await;
    fs::write(&file, certificate("elsewhere".to_owned())).unwrap();
    server.start().await;
    refused(&our_ca).await;
}

#[tokio::test]
async fn a_role_needs_its_password_and_a_schema_and_nothing_more() {
    let server = Server::create_with(|data, _| {
        let rules = "host all postgres 127.0.0.0/8 trust\nhost all app 127.0.0.0/8 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), rules).unwrap();
        String::new()
    })
    .await;
    let admin = open(&server.config()).await;
    let prepare = "CREATE ROLE app LOGIN PASSWORD 'app-secret'; CREATE SCHEMA harombe_app AUTHORIZATION app; \
                   REVOKE CREATE ON DATABASE postgres FROM PUBLIC";
    sqlx::raw_sql(prepare).execute(admin.pool()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = |password: &str| {
        let file = dir.path().join("password");
        fs::write(&file, password).unwrap();
        PostgresConfig {
            url: server.config().url.replace("postgres@", "app@"),
            password_file: Some(file),
            ..PostgresConfig::default()
        }
    };
    let app = Postgres::open(&config("app-secret\n"), "harombe_app", &MIGRATIONS)
        .await
        .unwrap();
    assert_eq!(names(&app).await, Vec::<String>::new());
    assert!(!format!("{app:?}").contains("app-secret"));
    for (password, schema) in [("wrong", "harombe_app"), ("app-secret", "harombe_other")] {
        let error = Postgres::open(&config(password), schema, &MIGRATIONS)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{schema}: {error:?}");
        assert!(!format!("{error:?} {error}").contains("app-secret"), "{error:?}");
    }
    let foreign = sqlx::query("SELECT FROM harombe_notes.notes")
        .execute(app.pool())
        .await;
    let error = app.error(foreign.unwrap_err());
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
}
