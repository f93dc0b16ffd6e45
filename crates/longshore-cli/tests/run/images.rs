//! Images in files and folders: found from where the program was started, and allowed by whoever types them.

use crate::support::{Longshore, configured};

#[test]
fn who_types_an_image_allows_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let path = path.to_str().unwrap();
    for (typed, image) in [
        ("docker-archive:./tool v1.tar:a:1", format!("docker-archive:{path}/tool v1.tar:a:1")),
        ("oci-archive:sub/../tool v1.tar", format!("oci-archive:{path}/tool v1.tar")),
        ("oci:tool", format!("oci:{path}/tool")),
        ("rootfs:.", format!("rootfs:{path}")),
    ] {
        let words = ["run", "--executor", "mock", "--dry-run", "--json", typed, "--", "print ran"];
        let done = Longshore::new(words).within(&folder).finish();
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{typed}");
        assert_eq!(done.json()["template"]["image"], image);
    }
    let done = Longshore::new(["run", "--executor", "mock", "rootfs:.", "--", "print ran"]).within(&folder).finish();
    assert_eq!((done.code, done.stdout(), done.stderr.as_str()), (Some(0), "ran\n", ""));
}

#[test]
fn a_file_that_describes_a_job_allows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("job.toml"), "name = \"job\"\nimage = \"rootfs:/srv/root\"\n").unwrap();
    let run = |options: &[&str]| {
        let words = ["run", "--executor", "mock", "--file", "job.toml"];
        Longshore::new(words.iter().chain(options).chain(&["--", "print ran"])).within(&folder).finish()
    };
    let refused = run(&[]);
    assert_eq!(refused.code, Some(125));
    assert!(refused.stderr.contains("in allow.image_folders"), "{}", refused.stderr);
    let allowed = run(&["--allow", r#"image_folders=["/srv"]"#]);
    assert_eq!((allowed.code, allowed.stdout()), (Some(0), "ran\n"), "{}", allowed.stderr);
}

#[test]
fn on_a_configured_host_its_operator_allows_it() {
    for (allow, code, told) in
        [("", 125, "in allow.image_folders"), ("allow = { image_folders = [\"/srv/images\"] }", 0, "runs on home")]
    {
        let folder = configured(&format!("[hosts.home]\nexecutor = \"mock\"\ndefault = true\n{allow}\n"));
        let done = Longshore::new(["run", "oci:/srv/images/tool:1", "--", "print ran"]).within(&folder).finish();
        assert_eq!(done.code, Some(code), "{}", done.stderr);
        assert!(done.stderr.contains(told), "{}", done.stderr);
    }
}

#[test]
fn the_router_is_asked_with_the_whole_path() {
    let rule = "[[routing.rules]]\ncondition = \"template.name == 'tool'\"\nhost = \"home\"\n";
    let hosts = "[hosts.home]\nexecutor = \"mock\"\n[hosts.far]\nexecutor = \"mock\"\ndefault = true\n";
    let folder = configured(&format!("{hosts}{rule}"));
    let done = Longshore::new(["route", "--offline", "rootfs:./tool"]).within(&folder).finish();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout().contains("home"), "{}", done.stdout());
}

#[test]
fn what_is_no_path_is_told_as_it_was_typed() {
    for (image, rule) in [("oci:", "a path is needed"), ("rootfs:a:b", "no `:` in it"), ("rootfs:/", "below `/`")] {
        let done = Longshore::new(["run", "--executor", "mock", image]).finish();
        assert_eq!(done.code, Some(125));
        let expected = format!("longshore: IMAGE {image:?} is not valid: ");
        assert!(done.stderr.starts_with(&expected) && done.stderr.contains(rule), "{}", done.stderr);
    }
}
