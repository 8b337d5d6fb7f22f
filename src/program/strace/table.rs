//! The table of counts that `-c` and `-C` write at the end of a log.

use super::raw::Raw;

/// Drops the lines of such tables.
pub(super) fn without_tables(lines: Vec<Raw<'_>>) -> Vec<Raw<'_>> {
    let is_rule = |at: usize| lines.get(at).is_some_and(|line| is_rule(&line.text));
    let mut is_table = vec![false; lines.len()];
    let mut at = 0;
    while at < lines.len() {
        // A rule, the rows, a rule and the sum; the line before has the columns' names.
        let begins = is_rule(at) && at > 0 && lines[at - 1].text.contains("syscall");
        let rows = if begins { at + 1..lines.len() } else { 0..0 };
        match rows.take(1000).find(|&row| is_rule(row)) {
            Some(closing) => {
                let end = (closing + 2).min(lines.len());
                is_table[at - 1..end].fill(true);
                at = end;
            }
            None => at += 1,
        }
    }
    let kept = lines
        .into_iter()
        .zip(is_table)
        .filter(|(_, is_table)| !is_table);
    kept.map(|(line, _)| line).collect()
}

fn is_rule(text: &str) -> bool {
    text.len() > 10 && text.bytes().all(|b| b == b'-' || b == b' ') && text.contains("---")
}
