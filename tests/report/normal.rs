//! Addresses as pages from the lowest one on, so that golden texts outlive a window that moves.

const PAGE: u64 = 0x1000;
/// Below this a number is a length, an offset or a value.
const LOWEST: u64 = 0x10000;

/// The text with `0x1f3000` as `@3`, if `0x1f0000` is the lowest address in it.
pub fn normalised(text: &str) -> String {
    let words = || split(text);
    let lowest = words().filter_map(address).min().unwrap_or(0);
    words()
        .map(|word| match address(word) {
            Some(addr) if addr % PAGE == 0 => format!("@{}", (addr - lowest) / PAGE),
            Some(addr) => format!("@{}+{:#x}", (addr - lowest) / PAGE, addr % PAGE),
            None => word.to_owned(),
        })
        .collect()
}

/// Words and what is between them.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.char_indices()
        .scan(0, move |start, (at, c)| {
            let next = at + c.len_utf8();
            let follows = text[next..].chars().next();
            let ends = follows.is_none_or(|follows| is_word(follows) != is_word(c) || !is_word(c));
            let word = &text[*start..next];
            if ends {
                *start = next;
            }
            Some(ends.then_some(word))
        })
        .flatten()
}

/// An address: `0x` and digits, or eight digits as in /proc/PID/maps.
fn address(word: &str) -> Option<u64> {
    let digits = word
        .strip_prefix("0x")
        .or((word.len() == 8).then_some(word))?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (number >= LOWEST).then_some(number)
}

#[test]
fn addresses_are_pages_and_the_rest_stays() {
    let text = "mmap(0x1f0000, 0x4000) = 0x1f0000\n001f3000-001f4000 rw-p 00000000 #2 0x1f1008";
    let pages = "mmap(@0, 0x4000) = @0\n@3-@4 rw-p 00000000 #2 @1+0x8";
    assert_eq!(normalised(text), pages);
}
