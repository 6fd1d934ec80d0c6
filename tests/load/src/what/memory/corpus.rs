//! Things that people might have said, made up from word lists: the same number gives the same sentence.

/// What somebody said.
pub(super) struct Said {
    pub(super) speaker: &'static str,
    pub(super) text: String,
}

const SPEAKERS: [&str; 2] = ["Nora", "assistant"];
const PEOPLE: [&str; 24] = [
    "Ada", "Bruno", "Chloe", "Dmitri", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Keiko", "Liam",
    "Mina", "Nils", "Olga", "Pavel", "Qadir", "Rosa", "Selim", "Tara", "Umberto", "Vera", "Wanda", "Yusuf",
];
const PLACES: [&str; 24] = [
    "harbour",
    "library",
    "workshop",
    "bakery",
    "station",
    "garden",
    "museum",
    "office",
    "clinic",
    "stadium",
    "market",
    "theatre",
    "airport",
    "kitchen",
    "laboratory",
    "warehouse",
    "church",
    "forest",
    "beach",
    "cinema",
    "school",
    "hotel",
    "bridge",
    "farm",
];
const THINGS: [&str; 40] = [
    "quarterly report",
    "sailing boat",
    "sourdough recipe",
    "database migration",
    "piano lesson",
    "hiking trip",
    "birthday present",
    "tax return",
    "garden fence",
    "job interview",
    "bicycle repair",
    "vaccination",
    "book club",
    "kitchen renovation",
    "solar panels",
    "language course",
    "marathon training",
    "insurance claim",
    "wedding speech",
    "photo exhibition",
    "rescue dog",
    "coffee machine",
    "train ticket",
    "pottery class",
    "security audit",
    "chess tournament",
    "wool blanket",
    "apple orchard",
    "water damage",
    "exchange student",
    "night shift",
    "guitar strings",
    "budget proposal",
    "camping stove",
    "village festival",
    "broken window",
    "salary negotiation",
    "telescope mirror",
    "thesis chapter",
    "rental contract",
];
const FEELINGS: [&str; 16] = [
    "delighted",
    "worried",
    "proud",
    "exhausted",
    "curious",
    "annoyed",
    "relieved",
    "nervous",
    "grateful",
    "bored",
    "surprised",
    "hopeful",
    "jealous",
    "calm",
    "confused",
    "excited",
];
const ENDS: [&str; 12] = [
    "We agreed to look at it again next week.",
    "It took much longer than anybody had planned.",
    "I still have to tell the others about it.",
    "That cost 240 euros, which was fair.",
    "In the end it rained and we went home early.",
    "I wrote everything down so that I do not forget.",
    "The second attempt worked at once.",
    "Nobody had thought of the neighbours.",
    "I would do it again without thinking twice.",
    "There were only three seats left.",
    "Remind me to send the pictures.",
    "The colour turned out darker than in the catalogue.",
];

/// What the memory with that number of that tenant says.
pub(super) fn sentence(tenant: u32, nth: u32) -> Said {
    let mut dice = Dice::of(tenant, nth);
    let (person, place, thing) = (
        dice.of_list(&PEOPLE),
        dice.of_list(&PLACES),
        dice.of_list(&THINGS),
    );
    let (feeling, end) = (dice.of_list(&FEELINGS), dice.of_list(&ENDS));
    let text = format!(
        "{person} and I talked about the {thing} at the {place} on day {}. I was {feeling}. {end}",
        dice.below(365) + 1
    );
    Said {
        speaker: SPEAKERS[usize::from(nth % 2 == 1)],
        text,
    }
}

/// A question; each number is another one.
pub(super) fn question(nth: u32) -> String {
    let mut dice = Dice::of(u32::MAX, nth);
    let (person, place, thing) = (
        dice.of_list(&PEOPLE),
        dice.of_list(&PLACES),
        dice.of_list(&THINGS),
    );
    format!(
        "What did {person} say about the {thing} at the {place} in week {}?",
        nth % 5000
    )
}

/// Numbers that look like chance (SplitMix64).
struct Dice(u64);

impl Dice {
    fn of(tenant: u32, nth: u32) -> Self {
        Self(u64::from(tenant) << 32 | u64::from(nth))
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    fn of_list<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let at = self.below(list.len() as u64);
        usize::try_from(at)
            .ok()
            .and_then(|at| list.get(at))
            .copied()
            .unwrap_or_default()
    }
}
