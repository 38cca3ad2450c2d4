use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::{DataError, Result};

/// Writes a file under a temporary name beside `path`, syncs it, then renames it. A file under the
/// final name is complete.
pub(super) fn write_renamed(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let result = File::create(&temporary)
        .and_then(|file| {
            let mut file = BufWriter::new(file);
            write(&mut file)?;
            file.flush()?;
            file.get_ref().sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path));
    if result.is_ok() {
        sync_folder(path);
    }
    result.map_err(|cause| {
        // Removes the incomplete file. An error here would add nothing.
        let _ = fs::remove_file(&temporary);
        DataError::Write {
            path: path.into(),
            cause,
        }
    })
}

/// Syncs the new name, if the system supports it. The file itself is safe either way.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
}
