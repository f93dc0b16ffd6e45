use super::*;
use serde_json::json;

fn wanted(execution: &str, after: i64, until: i64) -> Wanted {
    let time = |second| Timestamp::from_second(second).unwrap();
    Wanted { execution: execution.to_owned(), after: Position::before(time(after)), until: time(until) }
}

fn answer(entries: &[(&str, i64, &str)]) -> Answer {
    let entries: Vec<_> = entries
        .iter()
        .map(|(execution, at, id)| {
            json!({
                "insertId": id,
                "timestamp": Timestamp::from_second(*at).unwrap(),
                "logName": "projects/p/logs/run.googleapis.com%2Fstdout",
                "labels": { "run.googleapis.com/execution_name": execution },
                "textPayload": format!("{execution} {at} {id}"),
            })
        })
        .collect();
    serde_json::from_value(json!({ "entries": entries })).unwrap()
}

fn texts(stretch: &Stretch) -> Vec<String> {
    stretch.entries.iter().map(|entry| String::from_utf8_lossy(&entry.bytes).trim_end().to_owned()).collect()
}

#[test]
fn each_gets_its_own_once_in_order_and_no_further_than_it_wanted() {
    let (one, two) = (wanted("one", 10, 20), wanted("two", 12, 15));
    let group = [&one, &two];
    let mut read = Read::new(Position::after(one.until));
    read.take(
        answer(&[("one", 9, "a"), ("one", 10, "b"), ("two", 11, "c"), ("two", 12, "d"), ("three", 13, "e")]),
        &group,
    );
    read.take(answer(&[("one", 10, "b"), ("two", 16, "g"), ("two", 13, "f"), ("one", 10, "a")]), &group);
    let (first, second) = (read.stretch(&one), read.stretch(&two));
    assert_eq!(texts(&first), ["one 10 a", "one 10 b"]);
    assert_eq!(texts(&second), ["two 12 d", "two 13 f"]);
    assert_eq!((first.reaches, second.reaches), (Position::after(one.until), Position::after(two.until)));
}

#[test]
fn a_read_that_stops_early_reaches_no_further_than_its_last_entry() {
    let one = wanted("one", 10, 20);
    let mut read = Read::new(Position::after(one.until));
    read.take(answer(&[("one", 10, "b"), ("one", 12, "a")]), &[&one]);
    assert!(read.is_enough());
    read.stop_at_the_last();
    let stretch = read.stretch(&one);
    assert_eq!(Some(&stretch.reaches), stretch.entries.last().map(|entry| &entry.position));
}

#[test]
fn neighbours_in_time_are_asked_for_together_as_many_as_a_filter_can_name() {
    let round: Vec<Wanted> = (0..450).map(|at| wanted(&format!("e{at}"), at % 3 * 1_000, 9_000)).collect();
    let mut order: Vec<usize> = (0..round.len()).collect();
    order.sort_by_key(|at| round[*at].after.at);
    let sizes: Vec<usize> = groups(&order, &round).iter().map(|group| group.len()).collect();
    assert_eq!(sizes, [150, 150, 150]);
    let same: Vec<Wanted> = (0..450).map(|at| wanted(&format!("e{at}"), 0, 9_000)).collect();
    let sizes: Vec<usize> = groups(&order, &same).iter().map(|group| group.len()).collect();
    assert_eq!(sizes, [200, 200, 50]);
}
