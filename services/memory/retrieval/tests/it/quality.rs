//! A small conversation of our own, and questions whose answers it holds: by words alone, the answer must be near the top.

use harombe_retrieval::{Ablation, Feature, Index, Query, rank, rank_with};

use crate::{DAY_MS, turn};

/// Sessions with the day they took place, counted from 1970-01-01 (19,433 is 2023-03-17), and who said what.
const SESSIONS: [(i64, &[(&str, &str)]); 4] = [
    (
        19_433,
        &[
            ("Petra", "Hi Omar! How have you been?"),
            (
                "Omar",
                "Busy! I started a new job at the botanical garden last Monday.",
            ),
            ("Petra", "Congratulations! What do you do there?"),
            (
                "Omar",
                "I look after the orchids and lead school groups through the greenhouse.",
            ),
            (
                "Petra",
                "Lovely. My sister Ines would enjoy that, she paints flowers.",
            ),
            ("Omar", "Bring her along! And how is the marathon training?"),
            (
                "Petra",
                "Slow. I hurt my knee, so the doctor wants me to swim instead.",
            ),
            ("Omar", "Oh no. Does it hurt when you walk?"),
            ("Petra", "Only on stairs."),
        ],
    ),
    (
        19_466,
        &[
            ("Omar", "Guess what, we adopted a cat from the shelter yesterday!"),
            ("Petra", "What is it called?"),
            ("Omar", "Biscuit. He already broke a vase."),
            (
                "Petra",
                "Ha! I bought a second-hand cello in April, so my neighbours suffer too.",
            ),
            ("Omar", "Since when do you play?"),
            ("Petra", "I had lessons for six years as a child in Porto."),
            ("Petra", "On Saturday I played a concert with my old quartet."),
            (
                "Omar",
                "I only ever learnt the recorder. My favourite season is autumn, by the way, for the leaves.",
            ),
            (
                "Petra",
                "Mine is spring, the favourite season of everybody with hay fever, ha.",
            ),
        ],
    ),
    (
        19_530,
        &[
            ("Petra", "The knee is fine again, I ran ten kilometres on Sunday."),
            ("Omar", "Well done! My parents are visiting from Amman next week."),
            ("Petra", "Will you cook for them?"),
            (
                "Omar",
                "Maqluba, my grandmother's recipe. And we'll hike in the Tatra mountains.",
            ),
            ("Petra", "Ines and I fly to Lisbon in August for her exhibition."),
            ("Omar", "Her flowers in a gallery! Which one?"),
            ("Petra", "A small one near the river, called Casa Azul."),
        ],
    ),
    (
        19_620,
        &[
            ("Omar", "Biscuit ran away for three days, we were so worried."),
            ("Petra", "Poor you! Where did you find him?"),
            ("Omar", "Asleep in the neighbours' shed."),
            ("Petra", "The exhibition went well, Ines sold five paintings."),
            (
                "Petra",
                "And I played a concert again, with the new quartet and far too little practice.",
            ),
            ("Omar", "I got promoted: I am head gardener now."),
            (
                "Petra",
                "You deserve it. I quit the bank and teach music at a school.",
            ),
        ],
    ),
];

/// A question, a piece of the turn that answers it, and how many hits it may take.
const QUESTIONS: [(&str, &str, usize); 22] = [
    ("What is Omar's new job?", "botanical garden", 1),
    ("What is Petra's favourite season?", "Mine is spring", 1),
    ("Which season is the favourite of Omar?", "is autumn", 1),
    ("Which plants does Omar look after?", "orchids", 1),
    ("When did Omar start his new job?", "last Monday", 1),
    ("Who paints flowers?", "she paints", 2),
    ("Which part of her body did Petra hurt?", "I hurt my knee", 2),
    ("Why could Petra not train for the marathon?", "hurt my knee", 3),
    ("What is the name of Omar's cat?", "Biscuit. He", 5),
    ("When was the cat adopted?", "adopted a cat", 1),
    ("What instrument did Petra buy?", "cello", 1),
    ("Where did Petra take lessons as a child?", "Porto", 1),
    ("What did Omar plan to cook for his parents?", "Maqluba", 3),
    ("Which gallery showed the paintings?", "sold five paintings", 3),
    ("Where was Biscuit found?", "shed", 3),
    ("How many paintings did Ines sell?", "sold five", 1),
    ("What did Petra do in April?", "cello", 1),
    (
        "Which concert did Petra play in September 2023?",
        "new quartet",
        1,
    ),
    ("Which concert did Petra play in April 2023?", "old quartet", 2),
    ("When did Omar get into gardening?", "last Monday", 1),
    ("When was that concert of the quartet?", "On Saturday", 1),
    ("What happened in September 2023?", "promoted", 6),
];

fn index() -> Index {
    let mut index = Index::new();
    let mut number = 0;
    for (session, (day, turns)) in (1..).zip(SESSIONS) {
        for (speaker, text) in turns {
            number += 1;
            let mut item = turn(number, session, speaker, text);
            item.time_ms = day * DAY_MS + i64::from(number) * 1000;
            index.put(item);
        }
    }
    index
}

fn texts() -> Vec<&'static str> {
    SESSIONS
        .iter()
        .flat_map(|(_, turns)| turns.iter().map(|(_, text)| *text))
        .collect()
}

/// At which place the answer stands, from 1.
fn place(answer: &str, texts: &[&str], question: &str, ablation: &Ablation<'_>) -> Option<usize> {
    let query = Query {
        text: question,
        now_ms: 19_700 * DAY_MS,
        limit: 20,
        ..Query::default()
    };
    let ranked = rank_with(&index(), &query, ablation);
    let found = ranked.iter().position(|hit| {
        let text = (1u128..)
            .zip(texts)
            .find(|(number, _)| *number == hit.id.as_u128());
        text.is_some_and(|(_, text)| text.contains(answer))
    });
    found.map(|at| at + 1)
}

#[test]
fn answers_are_near_the_top() {
    let texts = texts();
    let mut faults = Vec::new();
    for (question, answer, within) in QUESTIONS {
        let found = place(answer, &texts, question, &Ablation::NONE);
        if found.is_none_or(|at| at > within) {
            faults.push(format!(
                "{question} -> {answer:?} at {found:?}, not within {within}"
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The sum of 1 / place over the questions.
fn quality(ablation: &Ablation<'_>) -> f64 {
    let texts = texts();
    let places = QUESTIONS
        .iter()
        .map(|(question, answer, _)| place(answer, &texts, question, ablation));
    places.map(|at| at.map_or(0.0, |at| 1.0 / at as f64)).sum()
}

#[test]
fn each_part_of_the_ranking_is_worth_something_here() {
    let all = quality(&Ablation::NONE);
    for feature in [
        Feature::Words,
        Feature::Speaker,
        Feature::Time,
        Feature::TellsTime,
        Feature::Asks,
    ] {
        let without = [feature];
        let less = quality(&Ablation {
            without: &without,
            neighbours: true,
        });
        assert!(less < all, "{feature:?}: {less} of {all}");
    }
    let alone = quality(&Ablation {
        without: &[],
        neighbours: false,
    });
    assert!(alone < all, "neighbours: {alone} of {all}");
}

#[test]
fn the_order_in_which_memories_came_in_makes_no_difference() {
    let mut items = Vec::new();
    let mut number = 0;
    for (session, (_, turns)) in (1..).zip(SESSIONS) {
        for (speaker, text) in turns {
            number += 1;
            items.push(turn(number, session, speaker, text));
        }
    }
    let index = |order: &[harombe_retrieval::Item]| {
        let mut index = Index::new();
        for item in order {
            index.put(item.clone());
        }
        index
    };
    let forwards = index(&items);
    items.reverse();
    let mut backwards = index(&items);
    // What comes and goes leaves nothing behind.
    for number in 1000..1010 {
        backwards.put(turn(
            number,
            1,
            "Petra",
            "Orchids, orchids in the botanical garden",
        ));
    }
    for number in 1000..1010 {
        backwards.remove(crate::id(number));
    }
    for (question, ..) in QUESTIONS {
        let query = Query {
            text: question,
            limit: 20,
            ..Query::default()
        };
        assert_eq!(rank(&forwards, &query), rank(&backwards, &query), "{question}");
    }
}
