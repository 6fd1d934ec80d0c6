//! What a typed line asks for.

use super::nearest::nearest;

/// A line as it was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Nothing,
    /// To the agent.
    Say(String),
    Command(Command),
    /// Nothing that there is; with what to type instead.
    Wrong(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Sessions,
    Load(String),
    /// That many turns.
    History(u32),
    /// This session, or a memory.
    Forget(Option<String>),
    Model(Option<String>),
    Tools,
    Memory(Option<String>),
    New,
    Quit,
}

/// Every command, what may stand behind it, and what it does.
pub(super) const NAMES: [(&str, &str, &str); 11] = [
    ("/help", "", "this list"),
    ("/sessions", "", "sessions, newest first"),
    (
        "/load",
        "ID",
        "go on with a session; the beginning of its id is enough",
    ),
    ("/history", "[N]", "the last turns of this session"),
    ("/forget", "[ID]", "erase this session, or forget a memory"),
    (
        "/model",
        "[AGENT]",
        "the agents and their models; or take one for new sessions",
    ),
    ("/tools", "", "what agents can use"),
    (
        "/memory",
        "[TEXT]",
        "the newest memories, or those about something",
    ),
    ("/new", "", "begin a session with the next message"),
    ("/quit", "", "leave; so does Ctrl-D"),
    ("//", "", "begin a message with /"),
];

/// Turns that are shown when nobody says how many.
pub(super) const TURNS: u32 = 3;

impl Input {
    pub(super) fn read(line: &str) -> Self {
        let text = line.trim_end();
        if text.trim().is_empty() {
            return Self::Nothing;
        }
        if let Some(said) = text.strip_prefix("//") {
            return Self::Say(format!("/{said}"));
        }
        if !text.starts_with('/') {
            return Self::Say(text.to_owned());
        }
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = Some(rest.trim())
            .filter(|rest| !rest.is_empty())
            .map(str::to_owned);
        command(name, rest)
    }
}

fn command(name: &str, rest: Option<String>) -> Input {
    Input::Command(match (name, rest) {
        ("/help", None) => Command::Help,
        ("/sessions", None) => Command::Sessions,
        ("/load", Some(session)) => Command::Load(session),
        ("/history", None) => Command::History(TURNS),
        ("/history", Some(turns)) => match turns.parse() {
            Ok(turns @ 1..) => Command::History(turns),
            _ => {
                return Input::Wrong(format!(
                    "{turns:?} is no number of turns; say /history or /history 10"
                ));
            }
        },
        ("/forget", memory) => Command::Forget(memory),
        ("/model", agent) => Command::Model(agent),
        ("/tools", None) => Command::Tools,
        ("/memory", query) => Command::Memory(query),
        ("/new", None) => Command::New,
        ("/quit", None) => Command::Quit,
        (name, rest) => return Input::Wrong(wrong(name, rest.is_some())),
    })
}

fn wrong(name: &str, has_rest: bool) -> String {
    if let Some((name, arguments, _)) = NAMES.iter().find(|(known, _, _)| *known == name) {
        return match (has_rest, *arguments) {
            (true, _) => format!("nothing stands behind {name}"),
            (false, arguments) => format!("say {name} {arguments}"),
        };
    }
    let shown: String = name.chars().take(32).collect();
    let known = NAMES
        .iter()
        .map(|(name, _, _)| *name)
        .filter(|name| *name != "//");
    match nearest(name, known) {
        Some(meant) => format!("there is no {shown}; did you mean {meant}? (// begins a message with /)"),
        None => format!("there is no {shown}; /help has all commands, and // begins a message with /"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &Input) {
        assert_eq!(&Input::read(line), expected, "{line:?}");
    }

    fn say(text: &str) -> Input {
        Input::Say(text.to_owned())
    }

    #[test]
    fn a_slash_is_a_command_and_two_are_one() {
        check("", &Input::Nothing);
        check("  \t", &Input::Nothing);
        check("hello\n", &say("hello"));
        check("  hello", &say("  hello"));
        check("//etc/passwd", &say("/etc/passwd"));
        check(" /help", &say(" /help"));
        check("two\nlines", &say("two\nlines"));
        check("/help ", &Input::Command(Command::Help));
        check("/load  0192 ", &Input::Command(Command::Load("0192".to_owned())));
        check("/history", &Input::Command(Command::History(TURNS)));
        check("/history 7", &Input::Command(Command::History(7)));
        check("/forget", &Input::Command(Command::Forget(None)));
        check(
            "/memory what did I say",
            &Input::Command(Command::Memory(Some("what did I say".to_owned()))),
        );
    }

    #[test]
    fn what_is_wrong_says_what_is_right() {
        for (line, expected) in [
            ("/hlep", "did you mean /help?"),
            ("/banana", "/help has all commands"),
            ("/load", "say /load ID"),
            ("/quit now", "nothing stands behind /quit"),
            ("/history 0", "no number of turns"),
            ("/history x", "no number of turns"),
        ] {
            let Input::Wrong(told) = Input::read(line) else {
                unreachable!("{line} is taken");
            };
            assert!(told.contains(expected), "{line}: {told}");
        }
    }
}
