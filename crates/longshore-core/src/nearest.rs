//! Which of the known words somebody meant.

/// The one of the known words that was most likely meant: the nearest, where it is near enough.
#[must_use]
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = wanted.chars().count();
    // What has no character in common is another word, however short both are.
    let limit = (1 + length / 4).min(length.saturating_sub(1));
    let near = known.into_iter().map(|word| (distance(wanted, word), word)).filter(|(distance, _)| *distance <= limit);
    near.min().map(|(_, word)| word)
}

/// What to say to somebody whose word there is not: what they most likely meant, else what there is, else `nothing`.
pub fn suggestion<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>, nothing: &str) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(wanted, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => nothing.to_owned(),
        None => format!("available: {}", known.join(", ")),
    }
}

/// The optimal string alignment distance: how many characters to change, add, remove or swap.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_a_slip_of_the_hand_and_no_other_word() {
        let known = ["docker", "fargate", "mock"];
        let cases = [("dokcer", Some("docker")), ("Fargate", Some("fargate")), ("mok", Some("mock")), ("lambda", None)];
        for (wanted, expected) in cases {
            assert_eq!(nearest(wanted, known), expected, "{wanted}");
        }
        assert_eq!(suggestion("dokcer", known, "nothing"), "did you mean `docker`?");
        assert_eq!(suggestion("x", known, "nothing"), "available: docker, fargate, mock");
        assert_eq!(suggestion("x", [], "nothing"), "nothing");
        assert_eq!((nearest("", known), nearest("a", ["b"]), nearest("ab", ["a"])), (None, None, Some("a")));
    }
}
