//! The evidence check that ends every test: the journal, an export of it, and the export verified with the checkpoint key alone.

use std::path::Path;
use std::process::Command;

/// Verifies the journal that the configuration in `folder` names, with the commands that an operator and an auditor use.
///
/// The programs run beside a server of the test, as they do in production. They block this thread, which may be the one that the server's
/// tasks run on: reading the journal needs none of them.
pub fn verify(folder: &Path) -> Result<(), String> {
    let outside = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (config, export) = (folder.join("carnet.toml"), outside.path().join("export"));
    let (config, export) = (config.display().to_string(), export.display().to_string());
    carnet(&["journal", "verify", "-c", &config])?;
    carnet(&["journal", "export", &export, "-c", &config])?;
    // The auditor has the export and the key, and nothing else.
    let key = carnet(&["key", "show", "--checkpoint", "-c", &config])?;
    carnet(&["journal", "verify", &export, "--key", key.trim()]).map(drop)
}

/// The standard output of a command that ends well; else the command and its messages.
fn carnet(arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    let output = command.args(arguments).env("CARNET_LOG", "off").output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("carnet {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
    }
}
