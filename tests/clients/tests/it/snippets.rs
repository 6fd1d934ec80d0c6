//! What docs/api.md shows is what works: each snippet is run, and prints what the page says.

use harombe_clients::{Done, System, root};

use crate::Topology;

both!(every_snippet_of_the_page_does_what_it_says);

struct Snippet {
    /// Of the heading above.
    title: String,
    language: String,
    code: String,
    /// What the page says that it prints; `…` stands for anything.
    prints: String,
}

/// The page's code blocks; a block of `text` is what the one before it prints.
fn snippets(page: &str) -> Vec<Snippet> {
    let mut found = Vec::<Snippet>::new();
    let mut title = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("## ") {
            heading.clone_into(&mut title);
        }
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let code: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        let code = code.join("\n");
        match language {
            "text" => found.last_mut().unwrap().prints = code,
            // How a system is started: the one that answers here was started otherwise.
            "console" => {}
            language => found.push(Snippet {
                title: title.clone(),
                language: language.to_owned(),
                code,
                prints: String::new(),
            }),
        }
    }
    found
}

async fn run(system: &System, snippet: &Snippet) -> Done {
    match snippet.language.as_str() {
        "sh" => {
            system
                .run("bash", &["-euo", "pipefail", "-c", &snippet.code])
                .await
        }
        "python" => system.run("python3", &["-c", &snippet.code]).await,
        "js" => {
            system
                .run("node", &["--input-type=module", "-e", &snippet.code])
                .await
        }
        "rust" => system.run(env!("CARGO_BIN_EXE_harombe-clients-rust"), &[]).await,
        other => panic!("{}: nothing runs {other}", snippet.title),
    }
}

/// Whether the pieces that the page shows come in that order.
fn shows(out: &str, expected: &str) -> bool {
    let mut rest = out;
    let pieces = expected.lines().flat_map(|line| line.split('…')).map(str::trim);
    pieces
        .filter(|piece| !piece.is_empty())
        .all(|piece| match rest.split_once(piece) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
}

async fn every_snippet_of_the_page_does_what_it_says(topology: Topology) {
    let page = std::fs::read_to_string(root().join("docs/api.md")).unwrap();
    let snippets = snippets(&page);
    let languages: std::collections::BTreeSet<_> =
        snippets.iter().map(|snippet| &*snippet.language).collect();
    assert_eq!(languages, ["js", "python", "rust", "sh"].into());
    let system = topology.start().await;
    for snippet in &snippets {
        let done = run(&system, snippet).await;
        assert!(done.good, "{}\n{}\n{}", snippet.title, done.out, done.err);
        assert!(
            !snippet.prints.is_empty(),
            "{}: the page does not say what it prints",
            snippet.title
        );
        assert!(
            shows(&done.out, &snippet.prints),
            "{} prints\n{}\nwhere the page says\n{}",
            snippet.title,
            done.out,
            snippet.prints
        );
    }
    system.stop().await;
}
