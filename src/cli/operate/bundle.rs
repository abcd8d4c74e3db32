//! `carnet journal verify FILE.zip`: an evidence bundle, proved with nothing but its key.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use serde_json::json;

use crate::cli::shell::answer::{Answer, Failure};
use crate::cli::shell::exit::Exit;
use crate::journal::bundle::zip::MOST_BYTES;
use crate::journal::bundle::{self, BundleReport};
use crate::journal::tree::note::VerifierKey;

/// Whether a path is a bundle, and no export: a file whose name ends in `.zip`.
pub fn is_bundle(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "zip") && !path.is_dir()
}

/// Proves a bundle, and tells what nothing in it can show.
pub fn verify(path: &Path, key: &VerifierKey) -> Result<Answer, Failure> {
    let bytes = read(path).map_err(|error| Failure::usage(format!("{}: {}", path.display(), error.kind())))?;
    let report = bundle::verify(&bytes, key).map_err(|fault| {
        let mut failure = Failure::new(Exit::Failure, format!("{} does not hold", path.display())).why(fault.to_string());
        failure.faults = fault.name().map(|name| (name.to_owned(), json!({"file": name}))).into_iter().collect();
        failure
    })?;
    Ok(told(path, &report))
}

/// The file, and a byte more than a bundle may have.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn told(path: &Path, report: &BundleReport) -> Answer {
    let data = json!({
        "origin": report.origin, "closing": report.closing, "kind": report.kind, "closed": report.closed.to_string(),
        "root": report.root, "files": report.files, "entries": report.entries,
        "texts": {"named": report.named, "told": report.told},
    });
    let text = format!(
        "verified {}: {} files, {} of them entries of {}\nclosed by entry {} ({}) on {}\n",
        path.display(),
        report.files,
        report.entries,
        report.origin,
        report.closing,
        report.kind,
        report.closed
    );
    let answer = Answer::of(data, text).note("README.html was not verified: it is for reading, and proves nothing");
    let answer = match report.told {
        None if report.named == 0 => answer,
        None => answer.note(format!("names of people and free text ({}) are left out of this bundle", report.named)),
        Some(told) if told < report.named => {
            let missing = report.named - told;
            answer.note(format!("{missing} of {} texts are missing: they were erased, or taken out of this file", report.named))
        }
        Some(_) => answer,
    };
    answer
        .note("nothing here shows whether other entries belong to the case: an export of the journal has all of them")
        .note("nothing here shows whether the log goes on from here: compare a checkpoint that you keep with an export")
}
