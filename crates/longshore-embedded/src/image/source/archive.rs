//! What lies where in a tar archive that holds an image.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read, Seek},
};
use tar::{Archive, Entry, EntryType};

/// The most files that an archive may hold. An image has a few for each of its layers.
const MOST: usize = 65_536;
/// Links that are followed to one file; `docker save` of old linked equal layers to each other, once.
const MOST_LINKS: usize = 4;

/// Where an archive's files lie in it.
#[derive(Debug, Default)]
pub(super) struct Index(HashMap<String, What>);

#[derive(Debug, Clone)]
enum What {
    File { at: u64, size: u64 },
    Link(String),
}

impl Index {
    /// Reads through the archive's headers; contents are passed over.
    ///
    /// # Errors
    /// `InvalidData` for what is no archive, or one that is cut short.
    pub(super) fn read(file: &File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        refuse_compressed(file)?;
        let mut archive = Archive::new(BufReader::new(file));
        let mut index = Self::default();
        for entry in archive.entries_with_seek().map_err(invalid)? {
            let entry = entry.map_err(invalid)?;
            index.add(&entry, length)?;
        }
        Ok(index)
    }

    fn add(&mut self, entry: &Entry<'_, impl Read>, length: u64) -> io::Result<()> {
        let name = plain_name(&String::from_utf8_lossy(&entry.path_bytes()));
        let what = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                let (at, size) = (entry.raw_file_position(), entry.size());
                if at.checked_add(size).is_none_or(|end| end > length) {
                    return Err(invalid(format!("the archive is cut short: {name:?} goes on beyond its end")));
                }
                What::File { at, size }
            }
            EntryType::Link => What::Link(plain_name(&target(entry))),
            EntryType::Symlink => What::Link(beside(&name, &target(entry))),
            _ => return Ok(()),
        };
        if self.0.len() >= MOST {
            return Err(invalid(format!("the archive holds more than {MOST} files")));
        }
        self.0.insert(name, what);
        Ok(())
    }

    /// Where the file of this name lies, and how long it is.
    pub(super) fn find(&self, name: &str) -> Option<(u64, u64)> {
        let mut name = plain_name(name);
        for _ in 0..=MOST_LINKS {
            match self.0.get(&name)? {
                What::File { at, size } => return Some((*at, *size)),
                What::Link(target) => name.clone_from(target),
            }
        }
        None
    }
}

fn target(entry: &Entry<'_, impl Read>) -> String {
    entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned()).unwrap_or_default()
}

/// A link's target as a name in the archive. The names are looked up among the archive's own, and lead nowhere else.
fn beside(link: &str, target: &str) -> String {
    let folder = link.rsplit_once('/').map_or("", |(folder, _)| folder);
    plain_name(&format!("{folder}/{target}"))
}

fn plain_name(name: &str) -> String {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn refuse_compressed(mut file: &File) -> io::Result<()> {
    let mut head = [0; 4];
    let count = file.read(&mut head)?;
    file.rewind()?;
    match head {
        [0x1f, 0x8b, ..] => Err(invalid("the archive is compressed by gzip; decompress it first (gunzip)")),
        [0x28, 0xb5, 0x2f, 0xfd] => Err(invalid("the archive is compressed by zstd; decompress it first (unzstd)")),
        _ if count == 0 => Err(invalid("the archive is empty")),
        _ => Ok(()),
    }
}

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_in_the_archive() {
        assert_eq!(beside("abc/layer.tar", "../def/layer.tar"), "def/layer.tar");
        assert_eq!(beside("a", "../../../etc/passwd"), "etc/passwd");
        assert_eq!(plain_name("./blobs//sha256/x"), "blobs/sha256/x");
    }

    #[test]
    fn links_that_go_in_a_circle_lead_nowhere() {
        let index = Index(HashMap::from([
            ("a".to_owned(), What::Link("b".to_owned())),
            ("b".to_owned(), What::Link("a".to_owned())),
            ("c".to_owned(), What::Link("d".to_owned())),
            ("d".to_owned(), What::File { at: 512, size: 3 }),
        ]));
        assert_eq!(index.find("a"), None);
        assert_eq!(index.find("./c"), Some((512, 3)));
    }
}
