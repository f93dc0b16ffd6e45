//! What is a secret, by its name or by its form, and how a text is shown without it.

/// What stands in place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// The words that make a name a secret's.
const WORDS: [&str; 14] = [
    "pass",
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "credential",
    "credentials",
    "auth",
    "authorization",
    "apikey",
    "bearer",
    "cookie",
];
/// The words that do so before `key`.
const KEYS: [&str; 6] = ["private", "api", "access", "secret", "signing", "encryption"];
/// The last words of names that only say something about a secret.
const ABOUT: [&str; 12] =
    ["file", "path", "name", "id", "url", "uri", "ttl", "count", "limit", "size", "type", "expiry"];

/// Whether a name says that its value is a secret: `DB_PASSWORD`, `apiKey`; and not `token_file`, `TOKEN_TTL`, `author`.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let words = words(name);
    let is_key = words.windows(2).any(|pair| KEYS.contains(&pair[0].as_str()) && pair[1] == "key");
    let is_about = words.last().is_some_and(|last| ABOUT.contains(&last.as_str()));
    !is_about && (is_key || words.iter().any(|word| is_secret_word(word)))
}

/// `password`, `password1`, `pgpassword`.
fn is_secret_word(word: &str) -> bool {
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    WORDS.contains(&word) || ["password", "passwd", "secret"].iter().any(|end| word.ends_with(end))
}

/// The words of a name, in lower case: between other characters than letters and digits, and where a capital begins one.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let begins = c.is_uppercase() && before.is_lowercase();
        if (begins || !c.is_alphanumeric()) && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a text only says where a secret is: `${NAME}`, `${file:PATH}`, or a job's `env:NAME`.
pub(crate) fn leads_elsewhere(text: &str) -> bool {
    let is_reference = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    is_reference.is_some_and(|inner| !inner.contains(['{', '}']) && !inner.contains(":-"))
        || text.parse::<longshore_core::SecretReference>().is_ok()
}

/// The text as it may be shown: without the defaults of references, and without what is a secret by its form.
pub(crate) fn shown(text: &str) -> String {
    without_form(&without_defaults(text))
}

/// Whether a text holds a secret by its form: who signs in at an address, or what an option or a variable with the name of
/// a secret is given.
pub(crate) fn holds_secret(text: &str) -> bool {
    without_form(text) != text
}

fn without_form(text: &str) -> String {
    let words = text.split_inclusive(char::is_whitespace).map(|word| match word.split_once('=') {
        Some((name, value)) if is_secret_name(name) && !value.trim().is_empty() => {
            format!("{name}={REDACTED}{}", &value[value.trim_end().len()..])
        }
        _ => word.to_owned(),
    });
    without_user(&words.collect::<String>())
}

fn without_defaults(text: &str) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let end = after.find('}').unwrap_or(after.len());
        let (reference, after) = after.split_at(end);
        done.push_str(before);
        done.push_str("${");
        match reference.split_once(":-") {
            Some((name, default)) if !default.is_empty() => done.push_str(&format!("{name}:-{REDACTED}")),
            _ => done.push_str(reference),
        }
        rest = after;
    }
    done + rest
}

fn without_user(text: &str) -> String {
    let mut parts = text.split("://");
    let mut done = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\'')).unwrap_or(part.len());
        // A path may have an @ as well, but who has a password in an address does not care.
        let at = part[..end].rfind('@').filter(|at| part[..*at].contains(':'));
        done.push_str("://");
        match at {
            Some(at) => done.push_str(&format!("{REDACTED}{}", &part[at..])),
            None => done.push_str(part),
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_a_secret() {
        for name in [
            "token",
            "API-Token",
            "DB_PASSWORD",
            "apiKey",
            "private_key",
            "AUTH",
            "awsSecretAccessKey",
            "--password",
            "PGPASSWORD",
            "PASSWORD1",
            "MYSQL_PASS",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "author",
            "token_file",
            "TOKEN_TTL",
            "key",
            "secrets",
            "tokenizer",
            "password-path",
            "",
            "authority",
            "keyboard",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn texts_are_shown_without_what_is_hidden_in_them() {
        let cases = [
            ("plain", "plain"),
            ("${A}-${B:-hunter2}${C:-}", "${A}-${B:-[redacted]}${C:-}"),
            ("${A:-hunter2", "${A:-[redacted]"),
            ("postgres://u:hunter2@db/x", "postgres://[redacted]@db/x"),
            ("http://p,postgres://u:hun/ter2@db", "http://p,postgres://[redacted]@db"),
            ("X=1 DB_PASSWORD=hunter2 Y=2", "X=1 DB_PASSWORD=[redacted] Y=2"),
            ("PASSWORD=", "PASSWORD="),
            ("https://example.com/@x", "https://example.com/@x"),
            ("--password=hunter2", "--password=[redacted]"),
            ("--mode=fast", "--mode=fast"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn a_reference_leads_elsewhere_and_a_default_is_plain() {
        for text in ["${A}", "${file:/a/b}", "env:TOKEN", "file:/x"] {
            assert!(leads_elsewhere(text), "{text}");
        }
        for text in ["hunter2", "${A:-hunter2}", "hun$${ter2", "${A}${B}", "a${B}", ""] {
            assert!(!leads_elsewhere(text), "{text}");
        }
    }
}
