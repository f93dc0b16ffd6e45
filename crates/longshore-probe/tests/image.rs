//! The image's archive, as other tools read it.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on ends, in its functions too")]

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{self, Command, Output, Stdio},
};

use longshore_probe::{BINARY, image_archive};

/// What the program writes when it is given the input.
fn piped(program: &str, arguments: &[&str], input: &[u8]) -> String {
    let mut command = Command::new(program);
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
    String::from_utf8(stdout).unwrap()
}

/// The layer inside the archive: the file that starts at the header of this name.
fn layer(archive: &[u8]) -> &[u8] {
    let mut rest = archive;
    loop {
        let name = rest[..100].split(|byte| *byte == 0).next().unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[124..135]).unwrap(), 8).unwrap();
        if name.ends_with(b"/layer.tar") {
            return &rest[512..512 + size];
        }
        rest = &rest[512 + size.next_multiple_of(512)..];
    }
}

#[test]
fn tar_lists_what_docker_looks_for() {
    let archive = image_archive("probe:1");
    let names = piped("tar", &["-t"], &archive);
    let names: Vec<&str> = names.lines().collect();
    assert_eq!((names[0], names.len()), ("manifest.json", 4), "{names:?}");
    let manifest = piped("tar", &["-xO", "manifest.json"], &archive);
    for name in [names[1], names[3]] {
        assert!(manifest.contains(&format!("\"{name}\"")), "{name} in {manifest}");
    }
    let config = piped("tar", &["-xO", names[1]], &archive);
    let digest = piped("sha256sum", &[], layer(&archive));
    let digest = digest.split(' ').next().unwrap();
    assert!(config.contains(&format!("\"sha256:{digest}\"")), "{config}");
    let config_digest = piped("sha256sum", &[], config.as_bytes());
    assert_eq!(config_digest.split(' ').next(), names[1].strip_suffix(".json"));
}

#[test]
fn tar_lists_the_files_with_their_modes() {
    let archive = image_archive("probe:1");
    let listing = piped("tar", &["-tv", "--numeric-owner"], layer(&archive));
    let found: Vec<(&str, &str, &str)> = listing
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            (fields[0], fields[1], fields[fields.len() - 1])
        })
        .collect();
    let expected = [
        ("drwxr-xr-x", "0/0", "etc/"),
        ("-rw-r--r--", "0/0", "etc/group"),
        ("-rw-r--r--", "0/0", "etc/passwd"),
        ("-rwxr-xr-x", "0/0", "probe"),
        ("drwxrwxrwt", "0/0", "tmp/"),
    ];
    assert_eq!(found, expected);
    assert!(piped("tar", &["-xO", "etc/passwd"], layer(&archive)).contains("nobody:x:65534:65534:"));
}

#[test]
fn the_embedded_program_runs() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("probe-{}", process::id()));
    // The shell writes it: a file that this process has open for writing, a child of another test could hold open too,
    // and then it can't be executed.
    let script = "cat > \"$0\" && chmod 755 \"$0\" && \"$0\" 'print hello' 'read /proc/self/maps'";
    let told = piped("sh", &["-c", script, path.to_str().unwrap()], BINARY);
    fs::remove_file(&path).unwrap();
    assert!(told.starts_with("hello\n"), "{told}");
    assert!(!told.contains(".so"), "it has loaded a shared library: {told}");
}
