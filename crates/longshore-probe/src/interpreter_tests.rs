use super::*;
use crate::Signal;

fn interpreter(script: &[&str]) -> Interpreter {
    let context = Context {
        env: [("B", "two"), ("A", "one")].map(|(name, value)| (name.into(), value.into())).into(),
        working_directory: "/work".into(),
        uid: 10,
        gid: 20,
        hostname: "here".to_owned(),
    };
    Interpreter::new(Program::parse(script).unwrap(), context)
}

/// All effects, the exit included.
fn effects(script: &[&str]) -> Vec<Effect> {
    let mut interpreter = interpreter(script);
    let mut effects = vec![interpreter.next_effect()];
    while !matches!(effects.last(), Some(Effect::Exit(_))) {
        effects.push(interpreter.next_effect());
    }
    effects
}

fn written(stream: Stream, text: &str) -> Effect {
    Effect::Write { stream, bytes: text.as_bytes().to_vec() }
}

fn out(text: &str) -> Effect {
    written(Stream::Stdout, text)
}

#[test]
fn each_text_is_one_piece() {
    let script = ["print a b", "eprint c", "put d", "eput e", "print", "put", "lines 2 3", "elines 1", "bytes 3"];
    assert_eq!(
        effects(&script),
        [
            out("a b\n"),
            written(Stream::Stderr, "c\n"),
            out("d"),
            written(Stream::Stderr, "e"),
            out("\n"),
            out("01\n02\n"),
            written(Stream::Stderr, "00000001\n"),
            out("xxx"),
            Effect::Exit(0),
        ]
    );
}

#[test]
fn the_context_answers() {
    assert_eq!(
        effects(&["env A", "env C", "envs", "pwd", "id", "hostname"]),
        [
            out("one\n"),
            out("C is not set\n"),
            out("A=one\nB=two\n"),
            out("/work\n"),
            out("uid=10 gid=20\n"),
            out("here\n"),
            Effect::Exit(0),
        ]
    );
}

#[test]
fn what_the_surroundings_do_is_asked_for() {
    let second = Duration::from_secs(1);
    let usr1 = Signal::from_number(10).unwrap();
    let script = [
        "ignore TERM",
        "catch USR1 9 1s",
        "raise TERM",
        "allocate 1k",
        "spin 1s",
        "children 2 1s",
        "read a",
        "forever",
    ];
    assert_eq!(
        effects_until(&script, 8),
        [
            Effect::Disposition { signal: Signal::TERM, action: Action::Ignore },
            Effect::Disposition { signal: usr1, action: Action::Exit { code: 9, after: second } },
            Effect::Raise(Signal::TERM),
            Effect::Allocate(1024),
            Effect::Spin(second),
            Effect::Spawn { count: 2, duration: second },
            Effect::ReadFile("a".to_owned()),
            Effect::Forever,
        ]
    );
    assert_eq!(
        effects_until(&["write a b c", "append d"], 2),
        [
            Effect::WriteFile { path: "a".to_owned(), text: "b c\n".to_owned(), append: false },
            Effect::WriteFile { path: "d".to_owned(), text: "\n".to_owned(), append: true },
        ]
    );
}

fn effects_until(script: &[&str], count: usize) -> Vec<Effect> {
    let mut interpreter = interpreter(script);
    (0..count).map(|_| interpreter.next_effect()).collect()
}

#[test]
fn an_exit_is_the_end() {
    assert_eq!(effects(&["exit 3", "print never"]), [Effect::Exit(3)]);
    assert_eq!(effects_until(&["exit 3", "print never"], 3), [Effect::Exit(3), Effect::Exit(3), Effect::Exit(3)]);
    assert_eq!(effects(&[]), [Effect::Exit(0)]);
}

#[test]
fn ticks_alternate_and_time_adds_up() {
    let mut interpreter = interpreter(&["tick 2 50ms", "tick 0 1h", "sleep 1s", "spin 2s"]);
    let pause = Effect::Sleep(Duration::from_millis(50));
    assert_eq!(interpreter.next_effect(), out("tick 1\n"));
    assert_eq!(interpreter.elapsed(), Duration::ZERO);
    for expected in [pause.clone(), out("tick 2\n"), pause] {
        assert_eq!(interpreter.next_effect(), expected);
    }
    assert_eq!(interpreter.elapsed(), Duration::from_millis(100));
    assert_eq!(interpreter.next_effect(), Effect::Sleep(Duration::from_secs(1)));
    assert_eq!(interpreter.next_effect(), Effect::Spin(Duration::from_secs(2)));
    assert_eq!(interpreter.next_effect(), Effect::Exit(0));
    assert_eq!(interpreter.elapsed(), Duration::from_millis(3_100));
}

#[test]
fn a_failure_is_a_complaint_and_an_exit() {
    for (script, complaint, code) in [
        ("read a/b", "read a/b: gone", 66),
        ("write c text", "write c: gone", 73),
        ("append d text", "append d: gone", 73),
        ("children 3 1s", "start 3 children: gone", 71),
        ("allocate 5", "allocate 5: gone", 71),
        ("lines 100000", "write to stdout: gone", 74),
    ] {
        let mut interpreter = interpreter(&[script, "print never"]);
        let _ = interpreter.next_effect();
        interpreter.fail("gone");
        let expected = written(Stream::Stderr, &format!("longshore-probe: {complaint}\n"));
        assert_eq!(interpreter.next_effect(), expected, "{script}");
        assert_eq!(interpreter.next_effect(), Effect::Exit(code), "{script}");
    }
}

#[test]
fn a_clone_goes_its_own_way() {
    let mut first = interpreter(&["lines 3000", "exit 1"]);
    let _ = first.next_effect();
    let mut second = first.clone();
    assert_eq!(first.next_effect(), second.next_effect());
}
