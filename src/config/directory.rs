//! `[directory]`: the listener for the company's source of people, by SCIM.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::fault::Faults;
use super::listen::{ListenSection, TlsFiles, tls_files};
use super::section::Section;
use crate::domain::value::clock::Seconds;

/// `[directory]`.
#[derive(Clone, Debug)]
pub struct DirectorySection {
    /// Its address.
    pub listen: SocketAddr,
    /// Its certificate; if absent, a proxy ends TLS.
    pub tls: Option<TlsFiles>,
    /// The files with the bearer tokens that open it: one, or two while one takes the other's place.
    pub token_files: Vec<PathBuf>,
    /// How long the source may say nothing.
    pub silent_after: Seconds,
}

/// The silence after which somebody is told, where the section names none; and its bounds.
const SILENT_AFTER: Seconds = Seconds::days(7);
const SILENCES: (Seconds, Seconds) = (Seconds::hours(1), Seconds::days(30));

const LISTEN_FIX: &str = "write listen = \"127.0.0.1:7444\", or leave [directory] out";
const TOKEN_FIX: &str = "make one with: openssl rand -base64 48 > FILE; chmod 600 FILE; and write token_files = [\"FILE\"]";

pub(super) fn read(
    section: Option<Section<'_>>,
    folder: &Path,
    others: &ListenSection,
    faults: &mut Faults<'_>,
) -> Option<DirectorySection> {
    let mut section = section?;
    if section.keys().iter().all(|(name, _)| name != "listen") {
        faults.add(("directory.listen", section.at().1), "it is missing", LISTEN_FIX);
    }
    let listen = section.address("listen", faults);
    let sockets = [("public", others.public), ("admin", others.admin), ("mtls", others.mtls)];
    // The source calls from the Internet: what it reaches serves the directory alone.
    for (name, address) in sockets.into_iter().filter(|(_, address)| Some(*address) == listen && address.port() != 0) {
        let reason = format!("[listen] {name} has the same address {address}");
        faults.add(("directory.listen", section.at().1), reason, "give it a port of its own");
    }
    let tls = section.section("tls", faults).and_then(|tls| tls_files(tls, folder, faults));
    let token_files = token_files(&mut section, folder, faults);
    let silent_after = match section.keys().iter().any(|(name, _)| name == "silent_after") {
        true => section.duration("silent_after", SILENCES, faults),
        false => Some(SILENT_AFTER),
    };
    section.finish(faults);
    Some(DirectorySection { listen: listen?, tls, token_files, silent_after: silent_after? })
}

fn token_files(section: &mut Section<'_>, folder: &Path, faults: &mut Faults<'_>) -> Vec<PathBuf> {
    let named = section.texts("token_files", faults);
    if !(1..=2).contains(&named.len()) {
        let reason = format!("it names {} files, and one or two are needed", named.len());
        faults.add(("directory.token_files", section.at().1), reason, TOKEN_FIX);
    }
    let mut files = Vec::new();
    for name in named {
        let path = folder.join(&name.value);
        if !path.is_file() {
            faults.add(name.at(), format!("there is no file {}", path.display()), TOKEN_FIX);
        }
        files.push(path);
    }
    files
}
