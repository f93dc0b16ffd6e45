//! An image as it is typed: a path in it counts from the current folder.

use longshore::{ImageFormat, ImageSource, Violation};
use std::path::{Component, Path, PathBuf};

/// Whether the text names a file or folder, rightly or not.
pub(crate) fn is_local(text: &str) -> bool {
    taken_apart(text).is_some()
}

/// The image that was typed in the given folder.
///
/// # Errors
/// The rule that the text breaks.
pub(crate) fn typed(text: &str, folder: &Path) -> Result<ImageSource, Violation> {
    let Some((scheme, rest)) = taken_apart(text) else { return text.parse() };
    let wrong = |rule: String| Violation::new("image", text, rule);
    let (path, name) = rest.split_once(':').map_or((rest, ""), |(path, _)| rest.split_at(path.len()));
    if path.is_empty() {
        return Err(wrong(format!("a path is needed, such as {scheme}:./image")));
    }
    let plain = plain(&folder.join(path));
    let path = plain.to_str().ok_or_else(|| wrong("the current folder's name must be UTF-8".to_owned()))?;
    if path.contains(':') {
        return Err(wrong(format!(
            "its path is {path:?}, and what follows a `:` is taken for a name; use a link to it"
        )));
    }
    format!("{scheme}:{path}{name}").parse().map_err(|violation: Violation| wrong(violation.rule))
}

/// The name of the format, and what follows it.
fn taken_apart(text: &str) -> Option<(&str, &str)> {
    text.split_once(':').filter(|(scheme, _)| ImageFormat::ALL.iter().any(|format| format.scheme() == *scheme))
}

/// The path without `.` and `..`, as it is written: no link is followed.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            component => plain.push(component),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_count_from_the_current_folder() {
        let cases = [
            ("docker-archive:a.tar", "docker-archive:/here/there/a.tar"),
            ("docker-archive:./a.tar:tool:1.2", "docker-archive:/here/there/a.tar:tool:1.2"),
            ("oci-archive:../a.tar", "oci-archive:/here/a.tar"),
            ("oci:.", "oci:/here/there"),
            ("oci:../../../../a//b/./c/:1", "oci:/a/b/c:1"),
            ("rootfs:/srv/../root/", "rootfs:/root"),
            ("rootfs:~/root", "rootfs:/here/there/~/root"),
            ("oci", "oci"),
            ("tool:1.2", "tool:1.2"),
            ("localhost:5000/oci:1", "localhost:5000/oci:1"),
        ];
        for (text, expected) in cases {
            assert_eq!(typed(text, Path::new("/here/there")).unwrap().to_string(), expected, "{text}");
            assert_eq!(is_local(text), expected.contains(":/"), "{text}");
        }
    }

    #[test]
    fn what_can_not_be_meant_is_refused_as_it_was_typed() {
        let cases = [
            ("oci:", "/here", "a path is needed, such as oci:./image"),
            ("oci::1", "/here", "a path is needed"),
            ("rootfs:..", "/here", "use an absolute path below `/`"),
            ("rootfs:a:b", "/here", "a root folder holds one image; its path must have no `:` in it"),
            ("oci:a:", "/here", "name the image after the path's `:`"),
            ("oci:a", "/he:re", "its path is \"/he:re/a\", and what follows a `:` is taken for a name; use a link"),
            ("oci:a", "", "use an absolute path below `/`"),
            ("Tool x", "/here", "a name is made of lower-case letters"),
        ];
        for (text, folder, rule) in cases {
            let error = typed(text, Path::new(folder)).unwrap_err();
            assert_eq!((error.field.as_str(), error.shown.as_str()), ("image", format!("{text:?}").as_str()));
            assert!(error.rule.starts_with(rule), "{text}: {}", error.rule);
        }
    }
}
