//! Templates that are kept in the database.

use longshore_testkit::{suite::Test, tests};
use serde_json::{Value, json};

use crate::{desk::Desk, program::Run};

pub(crate) const TESTS: &[Test] = &tests![
    jobs_begin_from_a_kept_template,
    a_template_of_the_configuration_comes_first,
    a_template_that_is_missing_is_told_with_those_that_are_there,
    only_a_template_is_kept,
    templates_move_with_the_database,
];

/// A file that describes a template of this name, which tells itself.
pub(crate) fn file(desk: &Desk, name: &str, word: &str) -> String {
    let text = json!({ "name": name, "image": desk.image, "command": [format!("print {word}")] });
    std::fs::write(desk.path("template.json"), text.to_string()).unwrap();
    desk.word("template.json")
}

async fn jobs_begin_from_a_kept_template() {
    let desk = Desk::new();
    assert_eq!(desk.does(&["templates", "save", &file(&desk, "report", "one")]).await, "report is kept\n");
    let early = desk.does(&["submit", "--template", "report"]).await;
    desk.does(&["templates", "save", "--why", "quicker", &file(&desk, "report", "two")]).await;
    let late = desk.does(&["submit", "--template", "report", "-l", "team=blue"]).await;
    desk.dispatch_all().await;
    assert_eq!(desk.log(early.trim()).await, "one\n", "a job keeps the template it was handed in with");
    assert_eq!(desk.log(late.trim()).await, "two\n");
    let ran = desk.longshore(&["run", "-q", "--template", "report"]).finish().await;
    assert_eq!(ran.exited(0), "two\n");
    let kept = desk.json(&["templates", "list"]).await;
    assert_eq!((&kept[0]["template"]["name"], &kept[0]["request"]["why"]), (&json!("report"), &json!("quicker")));
    let shown: Value = serde_json::from_str(&desk.does(&["templates", "show", "report"]).await).unwrap();
    assert_eq!(shown, kept[0]["template"]);
    assert_eq!(desk.does(&["templates", "remove", "report"]).await, "report is removed\n");
    assert_eq!(desk.does(&["templates", "list"]).await, "no templates\n");
}

async fn a_template_of_the_configuration_comes_first() {
    let desk = Desk::new();
    desk.does(&["templates", "save", &file(&desk, "report", "kept")]).await;
    let path = desk.path("longshore.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let template = format!("\n[templates.report]\nimage = \"{}\"\ncommand = [\"print configured\"]\n", desk.image);
    std::fs::write(&path, config + &template).unwrap();
    let ran = desk.longshore(&["run", "-q", "--template", "report"]).finish().await;
    assert_eq!(ran.exited(0), "configured\n");
}

async fn a_template_that_is_missing_is_told_with_those_that_are_there() {
    let desk = Desk::new();
    let submit = |name: &'static str| desk.longshore(&["submit", "--template", name]).finish();
    let none = submit("report").await;
    assert_eq!(none.code, Some(125), "{}", none.stderr);
    assert!(none.stderr.contains("neither the configuration nor the database has one"), "{}", none.stderr);
    desk.does(&["templates", "save", &file(&desk, "report", "x")]).await;
    for words in
        [&["submit", "--template", "reprot"][..], &["templates", "remove", "reprot"], &["templates", "show", "reprot"]]
    {
        let done = desk.longshore(words).finish().await;
        assert_eq!(done.code, Some(125), "{}", done.stderr);
        assert!(done.stderr.contains("did you mean `report`?"), "{}", done.stderr);
    }
    // Looking for one makes no database.
    let fresh = tempfile::TempDir::new().unwrap();
    let done = Run::new(&["run", "--template", "x"], fresh.path()).finish().await;
    assert_eq!(done.code, Some(125), "{}", done.stderr);
    assert_eq!(std::fs::read_dir(fresh.path()).unwrap().count(), 0);
}

async fn only_a_template_is_kept() {
    let desk = Desk::new();
    let text = json!({ "name": "urgent", "image": desk.image, "priority": 5 });
    std::fs::write(desk.path("job.json"), text.to_string()).unwrap();
    let done = desk.longshore(&["templates", "save", &desk.word("job.json")]).finish().await;
    assert_eq!(done.code, Some(125), "{}", done.stderr);
    assert!(done.stderr.contains("says more than a template can hold"), "{}", done.stderr);
}

async fn templates_move_with_the_database() {
    let desk = Desk::new();
    desk.does(&["templates", "save", &file(&desk, "report", "x")]).await;
    let export = desk.word("export.jsonl");
    desk.does(&["db", "export", &export]).await;
    let other = desk.word("other.db");
    for _ in 0..2 {
        desk.does(&["db", "import", "--database", &other, &export]).await;
        let moved = desk.does(&["templates", "show", "--database", &other, "report"]).await;
        assert_eq!(moved, desk.does(&["templates", "show", "report"]).await);
    }
}
