//! What programs that die, or that are late, do not harm.

use futures::{TryStreamExt, future::join};
use longshore_core::{ErrorKind, LaunchToken, LogQuery};
use longshore_store::{LogPosition, LogReference, LogStore};
use longshore_testkit::suite::Test;
use std::{collections::BTreeSet, path::Path};

use crate::{
    program::{Program, line, token},
    support::{CAP, Folder, at_most_waiting, read_all, read_what_is_left, save},
};

pub(crate) const TESTS: &[Test] = &longshore_testkit::tests![
    a_save_that_is_dropped_anywhere_is_saved_again,
    two_savers_at_once_agree,
    savers_that_differ_harm_each_other_nothing,
    what_is_left_is_swept,
    nothing_is_removed_for_a_wrong_reference,
    a_chunk_that_is_gone_is_named_and_the_rest_is_read,
    a_log_that_is_gone_is_said_to_be_gone,
    what_is_kept_with_the_attempt_is_read_up_to_where_it_is_cut,
];

async fn a_save_that_is_dropped_anywhere_is_saved_again() {
    let mut program = Program::writing(900, line);
    program.page = 150;
    let (whole, token) = (Folder::new(), token());
    let expected = save(&whole.store, &program, token).await;
    assert!(read_all(&whole.store, &expected.reference).await == program.records());
    for waits in 0.. {
        let folder = Folder::new();
        let died = die_while_saving(folder.folder.path().to_owned(), program.clone(), token, waits).await;
        let again = LogStore::local(folder.folder.path()).unwrap();
        assert_eq!(save(&again, &program, token).await, expected);
        assert_eq!(again.keep_only(token, Some(&expected.reference)).await.unwrap(), 0);
        assert!(folder.named() == whole.named());
        if !died {
            assert!(waits > 5, "there are more places to die at than {waits}");
            return;
        }
    }
}

/// Saves in a runtime of its own, which ends when the save has waited so many times.
async fn die_while_saving(folder: std::path::PathBuf, program: Program, token: LaunchToken, waits: usize) -> bool {
    let saving = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = LogStore::local(folder).unwrap();
        let handle = program.handle(token);
        let saved = runtime.block_on(at_most_waiting(waits, store.save(&program, &handle, CAP)));
        saved.map(Result::unwrap).is_none()
    };
    tokio::task::spawn_blocking(saving).await.unwrap()
}

async fn two_savers_at_once_agree() {
    let (folder, token) = (Folder::new(), token());
    let program = Program::writing(1_700, line);
    let other = LogStore::local(folder.folder.path()).unwrap();
    let (one, two) = join(save(&folder.store, &program, token), save(&other, &program, token)).await;
    assert_eq!(one, two);
    assert_eq!(folder.store.keep_only(token, Some(&one.reference)).await.unwrap(), 0);
    assert!(read_all(&other, &one.reference).await == program.records());
}

async fn savers_that_differ_harm_each_other_nothing() {
    let (folder, token) = (Folder::new(), token());
    let programs = [Program::writing(1_700, line), Program::writing(1_750, |number| line(number + number / 1_000))];
    let handle = programs[0].handle(token);
    let [one, two] = &programs;
    let (first, second) = join(folder.store.save(one, &handle, CAP), folder.store.save(two, &handle, CAP)).await;
    let references = [first.unwrap().reference, second.unwrap().reference];
    for (program, reference) in programs.iter().zip(&references) {
        assert!(read_all(&folder.store, reference).await == program.records());
    }
    assert!(folder.store.keep_only(token, Some(&references[1])).await.unwrap() > 0);
    assert!(read_all(&folder.store, &references[1]).await == two.records());
    let LogReference::Stored { chunks, .. } = references[1] else { panic!("it is inline") };
    assert_eq!(folder.paths().len(), chunks as usize);
}

async fn what_is_left_is_swept() {
    let in_memory = Folder { store: LogStore::in_memory(), ..Folder::new() };
    for folder in [Folder::new(), in_memory] {
        sweep(&folder).await;
    }
}

async fn sweep(folder: &Folder) {
    let store = &folder.store;
    let tokens: BTreeSet<_> = (0..40).map(|_| token()).collect();
    let mut saved = Vec::new();
    for token in &tokens {
        saved.push((*token, save(store, &Program::writing(200, line), *token).await.reference));
    }
    save(store, &Program::writing(5, line), token()).await;
    assert_eq!(store.tokens().try_collect::<BTreeSet<_>>().await.unwrap(), tokens);
    let (kept, reference) = saved.pop().unwrap();
    let (with_reference, without) = saved.split_at(20);
    for (_, reference) in with_reference {
        store.remove(reference).await.unwrap();
        store.remove(reference).await.unwrap();
    }
    for (token, _) in without {
        remove_with_leftovers(folder, *token).await;
    }
    assert_eq!(store.tokens().try_collect::<Vec<_>>().await.unwrap(), [kept]);
    assert_eq!(read_all(store, &reference).await.len(), 200);
}

async fn remove_with_leftovers(folder: &Folder, token: LaunchToken) {
    half_write(&folder.folder.path().join(shard(token)), token);
    let removed = folder.store.keep_only(token, None).await.unwrap();
    assert!((1..=2).contains(&removed), "{removed}");
}

fn shard(token: LaunchToken) -> String {
    let id = token.job().to_string();
    id[id.len() - 2..].to_owned()
}

/// What is left of a chunk when its writer was killed while it wrote.
fn half_write(shard: &Path, token: LaunchToken) {
    let folder = shard.join(token.to_string());
    if folder.is_dir() {
        std::fs::write(folder.join("00000000-0-2d711642b726b04401627ca9fbac32f5#1"), b"LSLG").unwrap();
    }
}

async fn nothing_is_removed_for_a_wrong_reference() {
    let folder = Folder::new();
    let (one, two) = (token(), token());
    let program = Program::writing(1_700, line);
    let reference = save(&folder.store, &program, one).await.reference;
    save(&folder.store, &program, two).await;
    let error = folder.store.keep_only(two, Some(&reference)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let mut files = folder.paths();
    files.retain(|path| path.parent().unwrap().ends_with(one.to_string()));
    std::fs::remove_file(files.last().unwrap()).unwrap();
    let fresh = LogStore::local(folder.folder.path()).unwrap();
    let error = fresh.keep_only(one, Some(&reference)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(files[..files.len() - 1].iter().all(|path| path.exists()));
}

type Damage = fn(&Path);

async fn a_chunk_that_is_gone_is_named_and_the_rest_is_read() {
    let program = Program::writing(2_700, line);
    let whole = program.bytes();
    let folder = Folder::new();
    let reference = save(&folder.store, &program, token()).await.reference;
    let starts: Vec<usize> = folder.paths().iter().map(|path| start_of(path)).collect();
    let damages: [(Damage, &str); 4] = [
        (|path| std::fs::remove_file(path).unwrap(), "is missing"),
        (|path| cut(path, 1), "is not what was written"),
        (|path| cut(path, usize::MAX), "is not what was written"),
        (flip, "is not what was written"),
    ];
    for (number, (path, content)) in folder.files().iter().enumerate() {
        let (start, end) = (starts[number], starts.get(number + 1).copied().unwrap_or(whole.len()));
        for (damage, words) in damages {
            damage(path);
            let store = LogStore::local(folder.folder.path()).unwrap();
            let (found, errors) = read_what_is_left(&store, &reference).await;
            std::fs::write(path, content).unwrap();
            assert!(found == [&whole[..start], &whole[end..]].concat(), "chunk {number} {words}");
            assert_eq!(errors.len(), 1, "{errors:?}");
            let until = if end == whole.len() { "its end".to_owned() } else { format!("byte {end}") };
            let named = format!("chunk {} of 4 of the log {words}", number + 1);
            let lost = format!("from byte {start} to {until} can't be shown");
            assert!(errors[0].contains(&named) && errors[0].contains(&lost), "{}", errors[0]);
        }
    }
    two_chunks_are_gone(&folder, &reference, &whole, &starts).await;
}

/// The last chunk, which tells of the others, and one in the middle.
async fn two_chunks_are_gone(folder: &Folder, reference: &LogReference, whole: &[u8], starts: &[usize]) {
    let paths = folder.paths();
    for gone in [0, 2] {
        let content = std::fs::read(&paths[gone]).unwrap();
        std::fs::remove_file(&paths[gone]).unwrap();
        cut(&paths[3], 1);
        let store = LogStore::local(folder.folder.path()).unwrap();
        let (found, errors) = read_what_is_left(&store, reference).await;
        assert!(found == [&whole[..starts[gone]], &whole[starts[gone + 1]..starts[3]]].concat());
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors[0].contains(&format!("chunk {} of 4 of the log is missing", gone + 1)), "{errors:?}");
        let tail = store.seek(reference, LogPosition::LastLines(3)).await.unwrap_err();
        assert!(tail.to_string().contains("chunk 4 of 4 of the log is not what was written"), "{tail}");
        std::fs::write(&paths[gone], content).unwrap();
    }
}

fn start_of(path: &Path) -> usize {
    let name = path.file_name().unwrap().to_str().unwrap();
    usize::from_str_radix(name.split('-').nth(1).unwrap(), 16).unwrap()
}

fn cut(path: &Path, bytes: usize) {
    let content = std::fs::read(path).unwrap();
    std::fs::write(path, &content[..content.len().saturating_sub(bytes)]).unwrap();
}

fn flip(path: &Path) {
    let mut content = std::fs::read(path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(path, content).unwrap();
}

async fn a_log_that_is_gone_is_said_to_be_gone() {
    let folder = Folder::new();
    for records in [200, 1_700] {
        let reference = save(&folder.store, &Program::writing(records, line), token()).await.reference;
        folder.store.remove(&reference).await.unwrap();
        let error = LogStore::local(folder.folder.path()).unwrap().read(&reference, &LogQuery::from_start()).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("of the log is missing: what the program wrote from byte 0"), "{error}");
    }
}

async fn what_is_kept_with_the_attempt_is_read_up_to_where_it_is_cut() {
    let store = LogStore::in_memory();
    let program = Program::writing(8, line);
    let LogReference::Inline(whole) = save(&store, &program, token()).await.reference else { panic!("it is stored") };
    for length in 0..whole.0.len() {
        let cut = LogReference::Inline(longshore_store::LogBytes(whole.0.slice(..length)));
        let (found, errors) = read_what_is_left(&store, &cut).await;
        assert!(program.bytes().starts_with(&found));
        assert_eq!(errors.len(), 1);
        assert!(errors[0].contains("kept with the attempt can't be read any further"), "{}", errors[0]);
        assert!(store.seek(&cut, LogPosition::LastBytes(1)).await.is_err());
    }
}
