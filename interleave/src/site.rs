//! Sites: the places in the code where shared accesses happen, by stable readable names.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A place in the code; see [`sites!`](crate::sites).
pub type Site = &'static SiteInfo;

/// What is known of a place.
pub struct SiteInfo {
    /// `function.what`, as the kernel names the function, for example `do_exit.signal`.
    pub name: &'static str,
    number: u32,
}

impl SiteInfo {
    /// The place of this name.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            number: Self::number_of(name),
        }
    }

    /// The number of a place of this name, which may be none of this program.
    pub const fn number_of(name: &str) -> u32 {
        let bytes = name.as_bytes();
        let mut number = 0x811c_9dc5_u32;
        let mut i = 0;
        while i < bytes.len() {
            number = (number ^ bytes[i] as u32).wrapping_mul(0x0100_0193);
            i += 1;
        }
        number
    }

    /// A number that stays the same as long as the name does: what program bytes hold (FNV-1a).
    #[inline]
    pub const fn number(&self) -> u32 {
        self.number
    }
}

/// Two places are the same if their names are.
impl PartialEq for SiteInfo {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for SiteInfo {}

/// By name.
impl Ord for SiteInfo {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(other.name)
    }
}

impl PartialOrd for SiteInfo {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for SiteInfo {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl fmt::Debug for SiteInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Declares sites as statics, `ALL` with every one of them, and `NAMES`.
///
/// ```
/// vmadiff_interleave::sites! {
///     EXIT_SIGNAL = "do_exit.signal";
///     WAIT_LOCK = "do_wait.lock";
/// }
/// assert_eq!(ALL.len(), 2);
/// assert_eq!(WAIT_LOCK.name, "do_wait.lock");
/// ```
#[macro_export]
macro_rules! sites {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $(
            $(#[$doc])*
            #[allow(missing_docs)]
            pub static $name: $crate::Site = &$crate::SiteInfo::new($text);
        )*
        /// Every site declared here.
        pub static ALL: &[&$crate::SiteInfo] = &[$(&$crate::SiteInfo::new($text)),*];
        /// Their names.
        pub static NAMES: &[&str] = &[$($text),*];
    };
}
