//! Text that is safe to show: others' words can't move the cursor, change colours or forge lines of ours.

/// The text on one line, without control characters and without those that re-order what is shown.
pub(crate) fn clean(text: &str) -> String {
    let shown = text.trim_end().chars().filter_map(|c| match c {
        '\n' | '\r' | '\t' => Some(' '),
        c if c.is_control() || re_orders(c) => None,
        c => Some(c),
    });
    shown.collect()
}

/// The text with its lines, each of them clean.
pub(crate) fn clean_lines(text: &str) -> String {
    text.lines().map(|line| clean(line) + "\n").collect()
}

/// JSON on one line, with every character that a terminal could take for a command written as an escape.
pub(crate) fn json_line(value: &impl serde::Serialize) -> serde_json::Result<String> {
    let mut text = String::new();
    // Outside of strings JSON is plain ASCII, so whatever is replaced here is inside of one.
    for c in serde_json::to_string(value)?.chars() {
        if c.is_control() || re_orders(c) {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text.push('\n');
    Ok(text)
}

/// The bidirectional controls of Unicode (UAX #9), which can show a text in another order than it is read.
const fn re_orders(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_words_stay_words() {
        let cases = [
            ("plain ä 木", "plain ä 木"),
            ("\u{1b}[31mred\u{1b}[0m", "[31mred[0m"),
            ("a\r\nlongshore: forged\n", "a  longshore: forged"),
            ("a\u{9b}2Jb\u{7f}\u{8}", "a2Jb"),
            ("\u{202e}abc\u{2066}", "abc"),
            ("\u{1b}]0;title\u{7}", "]0;title"),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }

    #[test]
    fn json_says_the_same_and_commands_nothing() {
        let text = "\u{1b}[2J\u{9b}2J\u{7f}\u{202e}ä\n\"";
        let line = json_line(&text).unwrap();
        assert!(!line.trim_end().chars().any(|c| c.is_control() || re_orders(c)), "{line:?}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }
}
