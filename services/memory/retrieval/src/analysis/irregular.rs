//! Forms that a stemmer of regular endings cannot bring together, and a few words of everyday talk that mean the same.

/// A form and its base, sorted by the form.
#[rustfmt::skip]
pub(super) static BASES: &[(&str, &str)] = &[
    ("ate", "eat"), ("became", "become"), ("began", "begin"), ("begun", "begin"), ("bit", "bite"),
    ("bitten", "bite"), ("bought", "buy"), ("broke", "break"), ("broken", "break"), ("brought", "bring"),
    ("built", "build"), ("came", "come"), ("caught", "catch"), ("child", "kid"), ("children", "kid"),
    ("chose", "choose"), ("chosen", "choose"), ("drank", "drink"), ("drawn", "draw"), ("dreamt", "dream"),
    ("drew", "draw"), ("driven", "drive"), ("drove", "drive"), ("drunk", "drink"), ("dug", "dig"),
    ("eaten", "eat"), ("fallen", "fall"), ("father", "dad"), ("feet", "foot"), ("fell", "fall"),
    ("felt", "feel"), ("flew", "fly"), ("flown", "fly"), ("forgot", "forget"), ("forgotten", "forget"),
    ("fought", "fight"), ("found", "find"), ("froze", "freeze"), ("frozen", "freeze"), ("gave", "give"),
    ("given", "give"), ("gone", "go"), ("got", "get"), ("gotten", "get"), ("grew", "grow"),
    ("grown", "grow"), ("heard", "hear"), ("held", "hold"), ("hid", "hide"), ("hidden", "hide"),
    ("hung", "hang"), ("kept", "keep"), ("knew", "know"), ("known", "know"), ("learnt", "learn"),
    ("led", "lead"), ("left", "leave"), ("lent", "lend"), ("lives", "life"), ("lost", "lose"),
    ("made", "make"), ("meant", "mean"), ("men", "man"), ("met", "meet"), ("mice", "mouse"),
    ("mother", "mom"), ("mum", "mom"), ("paid", "pay"), ("people", "person"), ("photograph", "photo"),
    ("photographs", "photo"), ("photos", "photo"), ("ran", "run"), ("rang", "ring"), ("ridden", "ride"),
    ("rode", "ride"), ("rung", "ring"), ("said", "say"), ("sang", "sing"), ("sat", "sit"), ("saw", "see"),
    ("seen", "see"), ("sent", "send"), ("shaken", "shake"), ("shook", "shake"), ("shot", "shoot"),
    ("slept", "sleep"), ("sold", "sell"), ("sought", "seek"), ("spent", "spend"), ("spoke", "speak"),
    ("spoken", "speak"), ("stole", "steal"), ("stolen", "steal"), ("stood", "stand"), ("stuck", "stick"),
    ("sung", "sing"), ("swam", "swim"), ("swum", "swim"), ("taken", "take"), ("taught", "teach"),
    ("teeth", "tooth"), ("television", "tv"), ("thought", "think"), ("threw", "throw"), ("thrown", "throw"),
    ("told", "tell"), ("took", "take"), ("tore", "tear"), ("torn", "tear"), ("understood", "understand"),
    ("went", "go"), ("wives", "wife"), ("woke", "wake"), ("woken", "wake"), ("women", "woman"),
    ("won", "win"), ("wore", "wear"), ("worn", "wear"), ("written", "write"), ("wrote", "write"),
];

#[cfg(test)]
mod tests {
    use super::BASES;

    #[test]
    fn the_table_is_sorted_and_without_repetition() {
        assert!(BASES.is_sorted_by(|(left, _), (right, _)| left < right));
    }
}
