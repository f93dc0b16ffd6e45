//! What can be typed, as people read it: a change here is a change of the program's face.

#[test]
fn the_help_is_as_it_was_decided() {
    let mut command = longshore_cli::command().term_width(110);
    command.build();
    insta::assert_snapshot!("longshore", command.render_long_help());
    let run = command.find_subcommand_mut("run").unwrap();
    insta::assert_snapshot!("run", run.render_long_help());
    insta::assert_snapshot!("run_short", run.render_help());
}
