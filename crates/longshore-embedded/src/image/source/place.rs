//! A folder or a tar archive with an image's files in it.

use longshore_core::{Error, ErrorKind, Result};
use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
};

use super::{archive::Index, unusable};
use crate::image::{
    digest::{Digest, Hasher},
    manifest::LONGEST_DOCUMENT,
};

/// Where an image's files lie.
#[derive(Debug)]
pub(super) struct Place {
    /// The image, as its user names it.
    image: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Folder(PathBuf),
    Archive(Arc<File>, Index),
}

/// A file of an image, opened.
pub(super) struct Content {
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) size: u64,
}

impl Place {
    pub(super) fn folder(image: String, path: PathBuf) -> Self {
        Self { image, kind: Kind::Folder(path) }
    }

    pub(super) fn archive(image: String, path: &str) -> Result<Self> {
        let unreadable = |error: io::Error| unreadable(&image, path, error);
        let file = File::open(path).map_err(unreadable)?;
        let index = Index::read(&file).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::Other => unusable(&image, error),
            _ => unreadable(error),
        })?;
        Ok(Self { image, kind: Kind::Archive(Arc::new(file), index) })
    }

    pub(super) fn image(&self) -> &str {
        &self.image
    }

    /// A file by its name, which comes from a digest or from the archive itself.
    pub(super) fn open(&self, name: &str) -> Result<Content> {
        match &self.kind {
            Kind::Folder(folder) => {
                let path = folder.join(name);
                let failed = |error| unreadable(&self.image, &path.display().to_string(), error);
                let file = File::open(&path).map_err(failed)?;
                let size = file.metadata().map_err(failed)?.len();
                Ok(Content { reader: Box::new(file), size })
            }
            Kind::Archive(file, index) => {
                let (at, size) = index
                    .find(name)
                    .ok_or_else(|| unusable(&self.image, format!("the archive has no file {name:?} in it")))?;
                let segment = Segment { file: file.clone(), at, left: size };
                Ok(Content { reader: Box::new(segment), size })
            }
        }
    }

    /// A document by its name; at most 4 MiB of it.
    pub(super) fn document(&self, name: &str) -> Result<Vec<u8>> {
        let content = self.open(name)?;
        if content.size > LONGEST_DOCUMENT {
            return Err(unusable(&self.image, format!("{name} has {} bytes; at most 4 MiB are read", content.size)));
        }
        let mut bytes = Vec::new();
        content
            .reader
            .take(LONGEST_DOCUMENT)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(&self.image, name, error))?;
        Ok(bytes)
    }

    /// A document by its digest, which it is checked against.
    pub(super) fn known_document(&self, digest: &Digest) -> Result<Vec<u8>> {
        let name = blob_name(digest);
        let bytes = self.document(&name)?;
        if !digest.names(&bytes) {
            return Err(unusable(&self.image, format!("{name} does not have the content that its name promises")));
        }
        Ok(bytes)
    }
}

/// The file of an OCI layout that holds what has this digest.
pub(super) fn blob_name(digest: &Digest) -> String {
    let (algorithm, digits) = digest.parts();
    format!("blobs/{algorithm}/{digits}")
}

/// A file of an image that can't be read: absent, which is the image's fault, or for now.
pub(super) fn unreadable(image: &str, what: &str, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            ErrorKind::ImageUnavailable
        }
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("the image {image} can't be read: {what}: {error}"))
        .with_operation("prepare")
        .with_source(error)
}

/// Part of a file, read without moving anybody else's place in it.
struct Segment {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Read for Segment {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut short"));
        }
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// A file that is read through a hasher where there is a digest to check it against.
pub(super) struct Checked {
    reader: Box<dyn Read + Send>,
    promised: Option<(Hasher, Digest)>,
}

impl Checked {
    pub(super) fn new(content: Content, digest: Option<&Digest>) -> Self {
        Self { reader: content.reader, promised: digest.map(|digest| (digest.hasher(), digest.clone())) }
    }

    /// True when everything that was read is what the digest promised.
    pub(super) fn finish(self) -> bool {
        self.promised.is_none_or(|(hasher, digest)| hasher.finish() == digest)
    }
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        if let Some((hasher, _)) = &mut self.promised {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}
