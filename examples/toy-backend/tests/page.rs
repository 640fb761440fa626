//! The page that builds this backend shows its code as it is.

use std::path::Path;

#[test]
fn what_the_page_shows_stands_in_the_source() {
    let read = |path: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        std::fs::read_to_string(path).expect("a file of the workspace")
    };
    let files = ["src/cabinet.rs", "src/drawer.rs", "tests/conformance.rs", "tests/shared.rs"];
    let sources = files.map(|file| flat(&read(file)));
    let page = read("../../docs/adding-a-backend.md");
    let shown: Vec<_> = page.split("```rust,ignore\n").skip(1).collect();
    assert!(shown.len() >= 8, "the page shows {} pieces", shown.len());
    for rest in shown {
        let piece = flat(rest.split("```").next().unwrap_or_default());
        assert!(sources.iter().any(|source| source.contains(&piece)), "changed:\n{piece}");
    }
}

/// Returns the text without indentation.
fn flat(text: &str) -> String {
    text.lines().flat_map(|line| [line.trim(), "\n"]).collect()
}
