//! The page: what was broken, the address space over time, the timeline, how to run it again.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::text::program_text;
use super::{Subject, space, style, threads, timeline};
use crate::judge::{Divergence, Verdict};

/// What shapes and colours stand for, in the timeline.
const KEY: [(&str, &str); 12] = [
    ("runs", "a call, while its thread runs"),
    ("waits", "while it does not"),
    ("lock", "a lock held"),
    ("share", "a lock shared"),
    ("rcu", "an RCU read section"),
    ("irq", "interrupts off"),
    ("effect", "a call takes effect"),
    ("served", "a fault served without mmap_sem"),
    ("classic", "a fault served under mmap_sem"),
    ("gave-up", "a fault that gave up and goes on under mmap_sem"),
    ("unlink", "a VMA leaves its tree"),
    ("misuse", "here it is wrong"),
];

pub fn draw(subject: &Subject<'_>) -> Markup {
    let found = subject.divergence().and_then(Divergence::shown_at);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (subject.name) " - vmadiff" }
                (style(include_str!("timeline.css")))
                (style(include_str!("page.css")))
            }
            body {
                (head(subject))
                h2 { "Address space over time" }
                p.note {
                    "A letter is a VMA, a bar at its foot a page in memory, hollow: swapped out. "
                    "What only one manager has is framed."
                    @if subject.ran.woven.is_some() {
                        " Calls that overlap come in the order that explains them, each as soon as \
                         it takes effect; while one is under way the managers may differ, which is \
                         framed in grey."
                    }
                }
                (space::draw(subject))
                h2 { "Threads and objects of the candidate" }
                p.note {
                    "Left to right in the order it happened. Hover over a shape, or tap it, for what "
                    "it is. An object's steps are its references."
                }
                div.scroll { (timeline::draw(subject, None)) }
                (key(subject))
                h2 { "Program" }
                pre.program { (program_text(subject.program, found)) }
                h2 { "Replay" }
                pre.replay { (subject.replay) }
                div #tip role="status" hidden {}
                script { (PreEscaped(include_str!("tip.js"))) }
            }
        }
    }
}

fn head(subject: &Subject<'_>) -> Markup {
    html! {
        header {
            @match &subject.ran.verdict {
                Verdict::Agree => h1.agree { "The managers agree" },
                Verdict::Skip(why) => h1 { "Not compared: " (why) },
                Verdict::Diverge(divergence) => (diverged(divergence)),
            }
            p.name { (subject.name) }
        }
    }
}

fn diverged(divergence: &Divergence) -> Markup {
    let rule = divergence.signature.rule.info();
    html! {
        h1.diverge { (ticked(&divergence.what)) }
        p.signature { code { (divergence.signature) } }
        p.rule { (ticked(rule.says)) " " span.source { (ticked(rule.source)) } }
    }
}

/// Text in which `this` is code.
fn ticked(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn key(subject: &Subject<'_>) -> Markup {
    let lanes = subject.ran.design.lanes.iter();
    let lanes = lanes.map(|lane| (threads::LANE, lane.name));
    html! {
        ul.key {
            @for (class, text) in KEY.into_iter().chain(lanes) {
                li {
                    svg width="18" height="12" viewBox="0 0 18 12" {
                        g class=(class) {
                            @match class {
                                "runs" | "waits" => {
                                    rect class=(class) x="1" y="1" width="16" height="10" rx="3" {}
                                }
                                "lock" | "share" | "rcu" | "irq" | threads::LANE => {
                                    rect x="1" y="3" width="16" height="7" rx="2" {}
                                }
                                "unlink" | "misuse" => circle cx="9" cy="6" r="4" {},
                                _ => path d="M5 6 l4 -4 l4 4 l-4 4 z" {},
                            }
                        }
                    }
                    (text)
                }
            }
        }
    }
}
