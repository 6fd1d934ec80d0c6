//! Finds texts that a regular expression cannot match without, so that it need not run where none of them occurs.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::scan::fold;

/// Shorter texts occur everywhere and would not save anything.
pub(super) const MIN_LITERAL: usize = 3;
/// A longer text saves nothing more.
const LONG_ENOUGH: usize = 8;
const MAX_LITERALS: usize = 64;
const MAX_CLASS: u32 = 24;

/// Texts in ASCII lower case, white space as a blank, of which at least one occurs, in some case, in every match of `hir`;
/// `None` if no such set of useful texts is found.
pub(super) fn required(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let mut best = None;
    if let Some(all) = exact(hir) {
        offer(&mut best, Some(all));
        return best;
    }
    match hir.kind() {
        HirKind::Concat(parts) => required_of_sequence(parts),
        HirKind::Alternation(parts) => {
            let sets: Option<Vec<_>> = parts.iter().map(required).collect();
            sets.and_then(|sets| union(sets.into_iter().map(Some)))
        }
        HirKind::Repetition(repeated) if repeated.min > 0 => required(&repeated.sub),
        HirKind::Capture(group) => required(&group.sub),
        _ => None,
    }
}

/// Joins neighbours with finitely many texts into runs, from every start, and keeps the best run or the best
/// requirement of a single part.
fn required_of_sequence(parts: &[Hir]) -> Option<Vec<Vec<u8>>> {
    let mut best = None;
    for start in 0..parts.len() {
        let mut run = vec![Vec::new()];
        for part in parts.iter().skip(start) {
            let (texts, goes_on) = match (exact(part), part.kind()) {
                (Some(texts), _) => (texts, true),
                // The first of the repeated texts follows the run; how many there are is open.
                (None, HirKind::Repetition(repeated)) if repeated.min > 0 => match exact(&repeated.sub) {
                    Some(texts) => (texts, false),
                    None => break,
                },
                _ => break,
            };
            let Some(joined) = cross(&run, &texts) else { break };
            run = joined;
            offer(&mut best, Some(run.clone()));
            if !goes_on {
                break;
            }
        }
        offer(
            &mut best,
            parts
                .get(start)
                .filter(|part| exact(part).is_none())
                .and_then(required),
        );
        // A run may also begin with the last of repeated texts.
        offer(&mut best, required_after_repetition(parts, start));
    }
    best
}

/// Texts made of one repetition's last text and what follows it.
fn required_after_repetition(parts: &[Hir], start: usize) -> Option<Vec<Vec<u8>>> {
    let HirKind::Repetition(repeated) = parts.get(start)?.kind() else {
        return None;
    };
    let mut run = exact(&repeated.sub).filter(|_| repeated.min > 0)?;
    let mut best = None;
    for part in parts.iter().skip(start + 1) {
        let Some(joined) = exact(part).and_then(|texts| cross(&run, &texts)) else {
            break;
        };
        run = joined;
        offer(&mut best, Some(run.clone()));
    }
    best
}

/// Replaces `best` if `offered` has useful texts, and longer or fewer ones.
fn offer(best: &mut Option<Vec<Vec<u8>>>, offered: Option<Vec<Vec<u8>>>) {
    let Some(offered) = offered else { return };
    let rank = |set: &Vec<Vec<u8>>| {
        let shortest = set.iter().map(Vec::len).min().unwrap_or(0);
        (shortest.min(LONG_ENOUGH), std::cmp::Reverse(set.len()))
    };
    if rank(&offered).0 >= MIN_LITERAL && best.as_ref().is_none_or(|best| rank(&offered) > rank(best)) {
        *best = Some(offered);
    }
}

/// All texts that `hir` matches, in lower case, if they are few.
fn exact(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![Vec::new()]),
        HirKind::Literal(literal) => Some(vec![literal.0.iter().copied().map(fold).collect()]),
        HirKind::Class(class) => exact_class(class),
        HirKind::Capture(group) => exact(&group.sub),
        HirKind::Repetition(repeated) => {
            let sub = exact(&repeated.sub)?;
            let most = repeated.max.filter(|most| *most <= 8)?;
            let times = |count| (0..count).try_fold(vec![Vec::new()], |texts, _| cross(&texts, &sub));
            union((repeated.min..=most).map(times))
        }
        HirKind::Concat(parts) => parts
            .iter()
            .try_fold(vec![Vec::new()], |texts, part| cross(&texts, &exact(part)?)),
        HirKind::Alternation(parts) => union(parts.iter().map(exact)),
    }
}

fn exact_class(class: &Class) -> Option<Vec<Vec<u8>>> {
    let mut texts = Vec::new();
    match class {
        Class::Bytes(class) => {
            for range in class.ranges() {
                if u32::from(range.end() - range.start()) >= MAX_CLASS {
                    return None;
                }
                texts.extend((range.start()..=range.end()).map(|b| vec![fold(b)]));
            }
        }
        Class::Unicode(class) => {
            for range in class.ranges() {
                if u32::from(range.end()) - u32::from(range.start()) >= MAX_CLASS {
                    return None;
                }
                texts
                    .extend((range.start()..=range.end()).map(|c| c.to_string().bytes().map(fold).collect()));
            }
        }
    }
    few(texts)
}

fn union(sets: impl Iterator<Item = Option<Vec<Vec<u8>>>>) -> Option<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for set in sets {
        all.extend(set?);
    }
    few(all)
}

fn cross(left: &[Vec<u8>], right: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if left.len() * right.len() > MAX_LITERALS {
        return None;
    }
    few(left
        .iter()
        .flat_map(|a| right.iter().map(move |b| [a.as_slice(), b].concat()))
        .collect())
}

fn few(mut texts: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    texts.sort();
    texts.dedup();
    (!texts.is_empty() && texts.len() <= MAX_LITERALS).then_some(texts)
}
