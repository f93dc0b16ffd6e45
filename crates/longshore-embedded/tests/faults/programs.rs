//! Programs that are not what they should be.

use longshore_core::{ErrorKind, ImageFormat, LaunchSearch, Mount, MountSource};
use longshore_testkit::{suite::Test, tests};
use serde_json::json;
use std::{fs, path::PathBuf, time::Duration};

use crate::{
    bench::{Bench, OWNER, lives, number_in, until},
    support,
};

pub(crate) const TESTS: &[Test] = &tests![
    a_supervisor_that_is_missing_is_named,
    a_supervisor_that_is_no_longshore_is_told_and_leaves_nothing,
    a_supervisor_that_never_hears_the_word_starts_nothing,
    an_image_of_another_architecture_can_not_be_executed_and_leaves_nothing,
];

/// What a launch by the program says. Nothing is left of it.
async fn refused(bench: &Bench, program: PathBuf) -> longshore_core::Error {
    let request = bench.request(&["print never"]).await;
    let executor = bench.another(json!({ "supervisor": program }));
    let launched = tokio::time::timeout(Duration::from_secs(20), executor.launch_job(&request)).await;
    let Ok(launched) = launched else { panic!("the launch hangs") };
    let error = launched.unwrap_err();
    assert_eq!(bench.executor.find_launch(&request).await.unwrap(), LaunchSearch::Absent);
    bench.assert_nothing_left(request.token);
    error
}

async fn a_supervisor_that_is_missing_is_named() {
    let bench = Bench::new().await;
    let missing = bench.allowed.path().join("missing");
    let error = refused(&bench, missing.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.message().contains("missing can't be executed"), "{error}");
    let error = bench.another(json!({ "supervisor": missing })).discover().await.unwrap_err();
    assert!(error.message().contains("missing can't be executed"), "{}", error.chain());
}

async fn a_supervisor_that_is_no_longshore_is_told_and_leaves_nothing() {
    let bench = Bench::new().await;
    let pid_file = bench.allowed.path().join("pid");
    let rubbish = bench.script("rubbish", "#!/bin/sh\necho rubbish >&2\ncat > /dev/null\necho more >&2\n");
    let stays = format!("#!/bin/sh\necho $$ > {}\necho rubbish >&2\nexec sleep 1000\n", pid_file.display());
    let stays = bench.script("stays", &stays);
    for (program, said) in [
        (PathBuf::from("/bin/true"), "without a word"),
        (PathBuf::from("/bin/cat"), "No such file"),
        (rubbish, "rubbish"),
        (stays, "rubbish"),
    ] {
        let error = refused(&bench, program.clone()).await;
        let clear = error.kind() == ErrorKind::StartFailed && error.message().contains(said);
        assert!(clear, "{}: {}", program.display(), error.chain());
        assert!(error.message().contains("is it the Longshore of this program?"), "{}", error.chain());
    }
    let stayed = number_in(&pid_file).await;
    until("it is ended too", || !lives(stayed)).await;
    for program in ["/bin/true", "/bin/cat"] {
        let error = bench.another(json!({ "supervisor": program })).discover().await.unwrap_err();
        assert!(error.chain().contains(program), "{program}: {}", error.chain());
    }
}

/// As when the launcher dies after the order and before everything is on disk.
async fn a_supervisor_that_never_hears_the_word_starts_nothing() {
    let bench = Bench::new().await;
    let own = std::env::current_exe().unwrap();
    // Hands on the first line alone, which is the order.
    let text = format!(
        "#!/bin/bash\nread -r order\nprintf '%s\\n' \"$order\" | (exec -a longshore-supervisor {} \"$@\")\n",
        own.display()
    );
    let deaf = bench.script("deaf", &text);
    let mut template = bench.template(&["write /shared/started yes"]);
    let shared = bench.allowed.path().to_string_lossy().into_owned();
    template.mounts.push(Mount::new(MountSource::Bind(shared), "/shared"));
    let request = bench.request_of(template, OWNER).await;
    let error = bench.another(json!({ "supervisor": deaf })).launch_job(&request).await.unwrap_err();
    assert!(error.message().contains("the launcher went away before the start"), "{}", error.chain());
    assert!(!bench.allowed.path().join("started").exists(), "the program was started without the word");
    assert_eq!(bench.executor.find_launch(&request).await.unwrap(), LaunchSearch::Absent);
    bench.assert_nothing_left(request.token);
    bench.executor.launch_job(&request).await.unwrap();
}

async fn an_image_of_another_architecture_can_not_be_executed_and_leaves_nothing() {
    let bench = Bench::new().await;
    let folder = support::images::image(bench.allowed.path(), ImageFormat::RootFolder);
    let program = PathBuf::from(folder.split_once(':').unwrap().1).join("probe");
    // The machine's number in the header of an ELF file.
    let mut bytes = fs::read(&program).unwrap();
    bytes[18..20].copy_from_slice(&[0xf3, 0]);
    fs::write(&program, bytes).unwrap();
    let mut template = bench.template(&["print never"]);
    template.image = folder.parse().unwrap();
    for (entrypoint, kind, said) in [
        ("/probe", ErrorKind::CommandNotExecutable, "no program of this machine"),
        ("/no/such/program", ErrorKind::CommandNotFound, "/no/such/program is not in the image"),
    ] {
        template.entrypoint = Some(vec![entrypoint.to_owned()]);
        let request = bench.request_of(template.clone(), OWNER).await;
        let error = bench.executor.launch_job(&request).await.unwrap_err();
        assert!(error.kind() == kind && error.message().contains(said), "{error}");
        bench.assert_nothing_left(request.token);
    }
}
