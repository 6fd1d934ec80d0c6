use proptest::prelude::*;

use super::super::width::columns;
use super::*;

fn whole(text: &str, style: Style, width: usize) -> Vec<String> {
    let mut markdown = Markdown::new(style, width);
    let mut lines = markdown.push(text);
    lines.extend(markdown.finish());
    lines
}

fn streamed(text: &str, width: usize, pieces: usize) -> Vec<String> {
    let mut markdown = Markdown::new(Style::Plain, width);
    let mut lines = Vec::new();
    let chars: Vec<_> = text.chars().collect();
    for piece in chars.chunks(pieces.max(1)) {
        lines.extend(markdown.push(&piece.iter().collect::<String>()));
    }
    lines.extend(markdown.finish());
    lines
}

#[track_caller]
fn check(text: &str, width: usize, expected: &str) {
    let lines = whole(text, Style::Plain, width);
    assert_eq!(lines.join("\n"), expected.trim_matches('\n'));
    for pieces in [1, 3, 7, 50] {
        assert_eq!(streamed(text, width, pieces), lines, "in pieces of {pieces}");
    }
}

const ALL: &str = "\
# Revenue by region

North earned **most** in 2025: *103,407.52* from 1,270 delivered orders, then south. See `orders.csv` and [the report](https://example.com/r).

- first item that is long enough to be broken at a narrow width
  - nested one
  - nested two
- second item

1. one
2. two

> What somebody else said, and it goes on for more than one line of the page.

```python
print(\"a rather long line of code that does not fit into forty columns\")

done()
```

| region | orders | what is said of it |
|:-------|-------:|--------------------|
| north | 1270 | it earned most |
| south | 998 | it did not, but it is warmer there and people smile |

---
The end.
";

#[test]
fn everything_at_80_columns() {
    check(
        ALL,
        78,
        "
# Revenue by region
North earned **most** in 2025: *103,407.52* from 1,270 delivered orders, then
south. See `orders.csv` and the report (https://example.com/r).

• first item that is long enough to be broken at a narrow width
  • nested one
  • nested two
• second item

1. one
2. two

│ What somebody else said, and it goes on for more than one line of the page.

┌─ python
│ print(\"a rather long line of code that does not fit into forty columns\")
│
│ done()
└─

region │ orders │ what is said of it
───────┼────────┼────────────────────────────────────────────────────
north  │   1270 │ it earned most
south  │    998 │ it did not, but it is warmer there and people smile

────────────────────────────────────────

The end.
",
    );
}

#[test]
fn everything_at_40_columns() {
    check(
        ALL,
        38,
        "
# Revenue by region
North earned **most** in 2025:
*103,407.52* from 1,270 delivered
orders, then south. See `orders.csv`
and the report
(https://example.com/r).

• first item that is long enough to be
  broken at a narrow width
  • nested one
  • nested two
• second item

1. one
2. two

│ What somebody else said, and it goes
│ on for more than one line of the
│ page.

┌─ python
│ print(\"a rather long line of code th
┆ at does not fit into forty columns\")
│
│ done()
└─

region │ orders │ what is said of it
───────┼────────┼─────────────────────
north  │   1270 │ it earned most
south  │    998 │ it did not, but it
       │        │ is warmer there and
       │        │ people smile

──────────────────────────────────────

The end.
",
    );
}

#[test]
fn colours_take_the_place_of_marks() {
    let lines = whole("# A\n**b** *c* `d` ~~e~~ [f](g)\n> h\n", Style::Coloured, 80);
    let expected = [
        "\u{1b}[1;36mA\u{1b}[0m",
        "\u{1b}[1mb\u{1b}[0m \u{1b}[3mc\u{1b}[0m \u{1b}[36md\u{1b}[0m \u{1b}[9me\u{1b}[0m \u{1b}[4mf\u{1b}[0m\u{1b}[2m (g)\u{1b}[0m",
        "",
        "\u{1b}[2m│ \u{1b}[0mh",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_line_is_shown_as_soon_as_nothing_can_change_it() {
    let mut markdown = Markdown::new(Style::Plain, 20);
    assert!(markdown.push("one two three four").is_empty());
    assert_eq!(markdown.push(" five six "), ["one two three four"]);
    assert!(markdown.push("**seven eight nine ten eleven").is_empty());
    assert_eq!(
        markdown.push("** twelve "),
        ["five six **seven", "eight nine ten"]
    );
    assert_eq!(markdown.push("\n\n"), ["eleven** twelve"]);
    assert_eq!(markdown.push("```\na\nb"), ["", "┌─", "│ a"]);
    assert_eq!(markdown.push("c\n"), ["│ bc"]);
    assert_eq!(markdown.preview(), None);
    assert_eq!(markdown.push("d"), [""; 0]);
    assert_eq!(markdown.preview(), Some("│ d"), "what has come of the next line");
    assert_eq!(markdown.push("\n```\n"), ["│ d", "└─"]);
    assert!(markdown.finish().is_empty());
}

#[test]
fn items_below_words_are_not_taken_for_the_rule_of_a_heading() {
    check("Here they are:\n- a\n- b\n", 40, "Here they are:\n\n• a\n• b");
}

#[test]
fn a_table_that_is_too_wide_has_a_row_below_the_other() {
    check(
        "|a|b|c|d|e|\n|-|-|-|-|-|\n|one two three|four five six|seven eight|nine ten|eleven twelve|\n|1|2|3|4|5|\n",
        30,
        "
**a**: one two three
**b**: four five six
**c**: seven eight
**d**: nine ten
**e**: eleven twelve
────────
**a**: 1
**b**: 2
**c**: 3
**d**: 4
**e**: 5
"
        .replace("**", "")
        .as_str(),
    );
}

#[test]
fn nothing_in_a_text_drives_the_terminal() {
    let text = "a\u{1b}[2J &#27;[1m &#x202e; `\u{1b}]0;x\u{7}` [x](http://a\u{9b}b) <b\u{1b}>\n\n```\u{1b}[3m\n\u{1b}c\r\n```\n";
    for style in [Style::Plain, Style::Coloured] {
        let all = whole(text, style, 60).join("\n");
        assert!(!without_colours(&all).contains(is_forbidden), "{all:?}");
    }
}

fn is_forbidden(c: char) -> bool {
    (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Our own colours and nothing else are taken out.
fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let codes = after.find('m').unwrap();
        assert!(
            after[..codes].chars().all(|c| c.is_ascii_digit() || c == ';'),
            "{text:?}"
        );
        rest = &after[codes + 1..];
    }
    plain.push_str(rest);
    plain
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,12}( [a-z]{1,8}){0,6}",
        "\\PC{0,12}",
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        prop::sample::select(vec![
            "**",
            "*",
            "_",
            "`",
            "```\n",
            "\n```\n",
            "# ",
            "\n- ",
            "\n  - ",
            "\n1. ",
            "\n> ",
            "|",
            "\n|-|-|\n",
            "[",
            "](",
            ")",
            "---\n",
            "\u{1b}[2J",
            "\u{202e}",
            "&#27;",
            "&#10;",
            "\t",
            "\r\n",
            "日本語",
            "👩‍👩‍👧",
            "<b>",
            "\n<div>\n",
            "~~",
            "\\",
            "![",
        ])
        .prop_map(str::to_owned),
    ]
}

#[test]
fn a_line_that_begins_with_a_picture_selector_keeps_its_width() {
    for line in whole("```\n\u{fe0f}a aa aaaaaa aaaaaa\n```\n", Style::Plain, 20) {
        assert!(columns(&line) <= 20, "{line:?}");
    }
}

proptest! {
    #[test]
    fn whatever_comes_stays_inside_of_its_lines(
        pieces in prop::collection::vec(piece(), 0..40),
        width in 20_usize..90,
        coloured: bool,
    ) {
        let style = if coloured { Style::Coloured } else { Style::Plain };
        let mut markdown = Markdown::new(style, width);
        let mut lines = Vec::new();
        for piece in &pieces {
            lines.extend(markdown.push(piece));
        }
        lines.extend(markdown.finish());
        for line in lines {
            let plain = if coloured { without_colours(&line) } else { line };
            prop_assert!(!plain.contains(is_forbidden) && !plain.contains('\n'), "{plain:?}");
            prop_assert!(columns(&plain) <= width, "{plain:?} takes more than {width}");
        }
    }

    #[test]
    fn how_it_comes_in_makes_no_difference(
        words in prop::collection::vec("[a-z]{1,9}|\\*\\*[a-z]{1,9} [a-z]{1,5}\\*\\*|`[a-z]{1,9}`|\n\n|\n\n- |\n\n# ", 1..60),
        size in 1_usize..30,
    ) {
        let text = words.join(" ");
        prop_assert_eq!(streamed(&text, 40, size), whole(&text, Style::Plain, 40));
    }
}
