//! Links in Markdown files and documentation comments: targets and headings must exist.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders without our own documents.
const SKIPPED: [&str; 6] = [
    "target",
    "runs",
    "corpus",
    "artifacts",
    "reference",
    "found_by_fuzzing",
];

/// All files below `folder` whose names end with `ending`.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !SKIPPED.contains(&name.as_str()) && (!name.starts_with('.') || name == ".github") {
                files(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

/// The text outside of code blocks.
fn prose(text: &str) -> String {
    let mut code = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The targets of inline links and images.
fn inline_links(text: &str) -> Vec<String> {
    let links = text.split("](").skip(1);
    links
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link.trim().to_string())
        .collect()
}

/// The addresses that begin with `repository`.
fn repository_links(text: &str, repository: &str) -> Vec<String> {
    let ends = |c: char| c.is_whitespace() || ")>\"'`".contains(c);
    let starts = text.match_indices(repository);
    starts
        .map(|(start, _)| text[start..].split(ends).next().unwrap().to_string())
        .collect()
}

/// GitHub's anchors of a Markdown file's headings.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// The target file of a link in `document`; `None` if it leads out of the repository.
fn target(link: &str, document: &Path, root: &Path, repository: &str) -> Option<PathBuf> {
    let raw = repository.replace("github.com", "raw.githubusercontent.com");
    for prefix in [
        format!("{repository}/blob/main/"),
        format!("{repository}/tree/main/"),
        format!("{raw}/main/"),
    ] {
        if let Some(path) = link.strip_prefix(&prefix) {
            return Some(root.join(path));
        }
    }
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    match link {
        "" => Some(document.to_path_buf()),
        _ => Some(document.parent().unwrap().join(link)),
    }
}

/// The problem of a link, if any.
fn problem(link: &str, document: &Path, root: &Path, repository: &str) -> Option<String> {
    let (address, anchor) = link.split_once('#').unwrap_or((link, ""));
    let path = target(address, document, root, repository)?;
    let shown = document.strip_prefix(root).unwrap().display();
    if !path.exists() {
        return Some(format!("{shown}: {link} does not exist"));
    }
    if anchor.is_empty() || path.extension().is_none_or(|end| end != "md") {
        return None;
    }
    let text = prose(&fs::read_to_string(&path).unwrap());
    match anchors(&text).iter().any(|found| found == anchor) {
        true => None,
        false => Some(format!("{shown}: {link} names no heading")),
    }
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = env!("CARGO_PKG_REPOSITORY");
    let mut problems = Vec::new();
    let mut count = 0;

    let mut documents = Vec::new();
    files(root, ".md", &mut documents);
    assert!(documents.len() >= 15, "{documents:?}");
    for document in &documents {
        for link in inline_links(&prose(&fs::read_to_string(document).unwrap())) {
            count += 1;
            problems.extend(problem(&link, document, root, repository));
        }
    }

    let mut sources = Vec::new();
    files(root, ".rs", &mut sources);
    for source in &sources {
        for link in repository_links(&fs::read_to_string(source).unwrap(), repository) {
            count += 1;
            problems.extend(problem(&link, source, root, repository));
        }
    }

    assert!(count >= 50, "only {count} links were found");
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn broken_links_are_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (readme, repository) = (root.join("README.md"), "https://github.com/a/b");
    let broken = |link: &str| problem(link, &readme, root, repository).is_some();
    assert!(broken("docs/nothing.md"));
    assert!(broken("https://github.com/a/b/blob/main/docs/nothing.md"));
    assert!(broken("docs/paper.md#nothing"));
    assert!(!broken(
        "https://github.com/a/b/blob/main/docs/paper.md#criterion"
    ));
    assert!(!broken(
        "https://raw.githubusercontent.com/a/b/main/docs/marginals.png"
    ));
    assert!(!broken("https://burn.dev"));
    let wrapped = "see [the\nmap](docs/paper-map.md) and ![x](a.png)";
    assert_eq!(inline_links(wrapped), ["docs/paper-map.md", "a.png"]);
}
