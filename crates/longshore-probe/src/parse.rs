//! The verbs and how each of them is read.

use std::time::Duration;

use crate::{
    Instruction, Signal, Stream,
    instruction::DEFAULT_WIDTH,
    words::{duration, number, size},
};

/// The instruction, or the rule that the text breaks.
type Reading = Result<Instruction, String>;

struct Verb {
    name: &'static str,
    usage: &'static str,
    /// Reads what follows the verb and one space.
    read: fn(&str) -> Reading,
}

const fn verb(name: &'static str, usage: &'static str, read: fn(&str) -> Reading) -> Verb {
    Verb { name, usage, read }
}

const VERBS: [Verb; 26] = [
    verb("print", "print TEXT", |rest| text(Stream::Stdout, rest, true)),
    verb("eprint", "eprint TEXT", |rest| text(Stream::Stderr, rest, true)),
    verb("put", "put TEXT", |rest| text(Stream::Stdout, rest, false)),
    verb("eput", "eput TEXT", |rest| text(Stream::Stderr, rest, false)),
    verb("lines", "lines N [WIDTH]", |rest| lines(Stream::Stdout, rest)),
    verb("elines", "elines N [WIDTH]", |rest| lines(Stream::Stderr, rest)),
    verb("bytes", "bytes N [CHAR]", bytes),
    verb("random", "random N SEED", random),
    verb("tick", "tick N DURATION", tick),
    verb("sleep", "sleep DURATION", |rest| Ok(Instruction::Sleep(duration("DURATION", rest)?))),
    verb("forever", "forever", |rest| alone(rest, Instruction::Forever)),
    verb("exit", "exit CODE", |rest| Ok(Instruction::Exit(number("CODE", rest, u8::MAX)?))),
    verb("raise", "raise SIGNAL", |rest| Ok(Instruction::Raise(signal(rest)?))),
    verb("allocate", "allocate SIZE", |rest| Ok(Instruction::Allocate(size("SIZE", rest)?))),
    verb("spin", "spin DURATION", |rest| Ok(Instruction::Spin(duration("DURATION", rest)?))),
    verb("ignore", "ignore SIGNAL", |rest| Ok(Instruction::Ignore(changeable_signal(rest)?))),
    verb("catch", "catch SIGNAL CODE [DURATION]", catch),
    verb("env", "env NAME", |rest| Ok(Instruction::Env(name("NAME", rest)?))),
    verb("envs", "envs", |rest| alone(rest, Instruction::Envs)),
    verb("read", "read PATH", |rest| Ok(Instruction::Read(name("PATH", rest)?))),
    verb("write", "write PATH TEXT", |rest| write(rest, false)),
    verb("append", "append PATH TEXT", |rest| write(rest, true)),
    verb("pwd", "pwd", |rest| alone(rest, Instruction::Pwd)),
    verb("id", "id", |rest| alone(rest, Instruction::Id)),
    verb("hostname", "hostname", |rest| alone(rest, Instruction::Hostname)),
    verb("children", "children N DURATION", children),
];

/// Reads one instruction.
pub(crate) fn instruction(text: &str) -> Reading {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        return Err(format!("there is no verb {name:?}"));
    };
    (verb.read)(rest).map_err(|rule| format!("{rule}; write it as `{}`", verb.usage))
}

/// The names of all verbs.
pub(crate) fn verbs() -> String {
    VERBS.map(|verb| verb.name).join(", ")
}

fn text(stream: Stream, rest: &str, newline: bool) -> Reading {
    Ok(Instruction::Text { stream, text: rest.to_owned(), newline })
}

fn lines(stream: Stream, rest: &str) -> Reading {
    let (count, width) = match words(rest)[..] {
        [count] => (count_of(count)?, DEFAULT_WIDTH),
        [count, width] => (count_of(count)?, number("WIDTH", width, u64::MAX)?),
        _ => return miscounted("one argument or two", rest),
    };
    let digits = count.checked_ilog10().map_or(1, |log| u64::from(log) + 1);
    if width <= digits {
        return Err(format!("WIDTH must have room for the last number and the newline, {} bytes", digits + 1));
    }
    if count.checked_mul(width).is_none() {
        return Err("N times WIDTH must be below 2^64".to_owned());
    }
    Ok(Instruction::Lines { stream, count, width })
}

fn bytes(rest: &str) -> Reading {
    match words(rest)[..] {
        [count] => Ok(Instruction::Bytes { count: count_of(count)?, byte: b'x' }),
        [count, character] => match character.as_bytes() {
            [byte] if byte.is_ascii_graphic() => Ok(Instruction::Bytes { count: count_of(count)?, byte: *byte }),
            _ => Err(format!("CHAR must be one visible ASCII character, found {character:?}")),
        },
        _ => miscounted("one argument or two", rest),
    }
}

fn random(rest: &str) -> Reading {
    match words(rest)[..] {
        [count, seed] => Ok(Instruction::Random { count: count_of(count)?, seed: number("SEED", seed, u64::MAX)? }),
        _ => miscounted("two arguments", rest),
    }
}

fn tick(rest: &str) -> Reading {
    match words(rest)[..] {
        [count, pause] => Ok(Instruction::Tick { count: count_of(count)?, pause: duration("DURATION", pause)? }),
        _ => miscounted("two arguments", rest),
    }
}

fn catch(rest: &str) -> Reading {
    let (caught, code, after) = match words(rest)[..] {
        [caught, code] => (caught, code, Duration::ZERO),
        [caught, code, after] => (caught, code, duration("DURATION", after)?),
        _ => return miscounted("two arguments or three", rest),
    };
    Ok(Instruction::Catch { signal: changeable_signal(caught)?, code: number("CODE", code, u8::MAX)?, after })
}

fn write(rest: &str, append: bool) -> Reading {
    let (path, text) = rest.split_once(' ').unwrap_or((rest, ""));
    Ok(Instruction::Write { path: name("PATH", path)?, text: text.to_owned(), append })
}

fn children(rest: &str) -> Reading {
    match words(rest)[..] {
        [count, life] => {
            let count = number("N", count, u32::MAX)?;
            Ok(Instruction::Children { count, duration: duration("DURATION", life)? })
        }
        _ => miscounted("two arguments", rest),
    }
}

fn alone(rest: &str, instruction: Instruction) -> Reading {
    if rest.is_empty() { Ok(instruction) } else { miscounted("no argument", rest) }
}

fn miscounted(expected: &str, rest: &str) -> Reading {
    Err(format!("it takes {expected}, one space before each, found {rest:?}"))
}

fn words(rest: &str) -> Vec<&str> {
    rest.split(' ').collect()
}

fn count_of(text: &str) -> Result<u64, String> {
    number("N", text, u64::MAX)
}

fn name(kind: &str, text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains([' ', '\0']) {
        return Err(format!("{kind} must be given and hold no space, found {text:?}"));
    }
    Ok(text.to_owned())
}

fn signal(text: &str) -> Result<Signal, String> {
    text.parse().map_err(|rule| format!("SIGNAL {rule}, found {text:?}"))
}

fn changeable_signal(text: &str) -> Result<Signal, String> {
    match signal(text)? {
        fixed @ (Signal::KILL | Signal::STOP) => Err(format!("no process can ignore or catch {fixed}; take another")),
        signal => Ok(signal),
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
