//! What a hunt found of one defect: a line for a terminal, a row of a table for a page.

use super::Hunted;
use super::statistics::Median;
use crate::cli::paint;
use crate::counted::noun_for;

/// The head of the table.
pub const HEAD: &str = "| defect | seeds | executions, median | seconds, median | at 95 % | signatures |\n\
                        |---|---|---|---|---|---|\n";

/// A row of the table.
pub fn row(hunted: &Hunted) -> String {
    let Hunted {
        defect,
        found,
        seeds,
        executions,
        seconds,
        signatures,
        ..
    } = hunted;
    let middle = |median: &Median, digits: usize| match median.median {
        Some(middle) => format!("{middle:.digits$}"),
        None => "—".to_owned(),
    };
    let names: Vec<String> = signatures
        .iter()
        .map(|(signature, times)| format!("`{signature}` {times}"))
        .collect();
    format!(
        "| {defect} | {found} of {seeds} | {} | {} | {} | {} |\n",
        middle(executions, 0),
        middle(seconds, 1),
        interval(seconds, hunted.seconds_each),
        names.join(", ")
    )
}

/// A line, and what it was found as.
pub fn line(hunted: &Hunted) -> String {
    let Hunted {
        defect,
        found,
        seeds,
        interrupted,
        seconds_each,
        executions,
        seconds,
        tries,
        ..
    } = hunted;
    let share = format!("{found}/{seeds}");
    let share = if found == seeds && *seeds > 0 {
        paint::good(&share)
    } else {
        paint::bad(&share)
    };
    let mut line = format!("{defect:32} {share}");
    let worst = tries.iter().filter(|tried| tried.signature.is_some());
    let worst = worst.map(|tried| tried.seconds).reduce(f64::max);
    match (executions.median, seconds.median, worst) {
        (Some(executions), Some(seconds), Some(worst)) => {
            line +=
                &format!("  median {executions:.0} executions, {seconds:.1} s; worst {worst:.1} s");
        }
        (_, _, Some(worst)) => {
            line +=
                &format!("  at half of the seeds not in {seconds_each} s; else worst {worst:.1} s");
        }
        _ if *seeds > 0 => {
            let all: u64 = tries.iter().map(|tried| tried.executions).sum();
            line += &format!(
                "  not in {seconds_each} s ({all} {} in all)",
                noun_for(all, "execution")
            );
        }
        _ => {}
    }
    if hunted.stages.first_triggered.is_some() {
        let stages = &hunted.stages;
        line += &format!(
            "; reached {}, triggered {}, detected {}",
            stages.reached, stages.triggered, stages.detected
        );
    } else if tries.iter().all(|tried| tried.signature.is_none()) && *seeds > 0 {
        line += &format!("; reached {}", hunted.stages.reached);
    }
    if seconds.low.is_some() {
        line += &format!("; at 95 % {}", interval(seconds, *seconds_each));
    }
    if let Some(last) = tries.last().filter(|_| *interrupted > 0) {
        line += &format!("  interrupted after {:.1} s", last.seconds);
    }
    line + "\n"
}

/// Between which seconds the median is.
fn interval(seconds: &Median, each: u64) -> String {
    match (seconds.low, seconds.high) {
        (Some(low), Some(high)) => format!("{low:.1} to {high:.1} s"),
        (Some(low), None) => format!("{low:.1} to more than {each} s"),
        _ => "too few seeds".to_owned(),
    }
}
