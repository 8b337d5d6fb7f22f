//! A manager of somebody else's, and all that can be done with it.

#[cfg(feature = "command")]
use std::process::ExitCode;

use vmadiff_contract::{Boot, DefectInfo, DefectKind, DesignInfo};

use super::{Difference, Known, Placement, Terms, View, World};
use crate::areas::{self, Areas};
use crate::designs::Entry;
use crate::expect::{looks, unasked_in, unmet_in};
use crate::judge::Verdict;
use crate::pair::{Pair, Ran, pair_of};
use crate::program::text::TextError;
use crate::program::{Case, Step};

/// A manager that is compared with the reference, and on what terms.
///
/// Nothing runs until one of [`command`](Compare::command), [`check`](Compare::check),
/// [`pair`](Compare::pair) or [`target`](Compare::target) is called.
#[must_use = "nothing runs until it is asked for"]
pub struct Compare {
    design: DesignInfo,
    terms: Terms,
    mutants: Vec<(&'static str, Boot)>,
    defects: Vec<DefectInfo>,
}

/// Compares a manager of [areas](crate::areas) with the reference, in a [plain](World::plain)
/// world. `name` is what it is called in reports and on the command line: lower case, digits,
/// dashes and underscores.
pub fn compare<M: Areas>(name: &'static str) -> Compare {
    Compare::new(name, areas::boot::<M>)
        .view(View::areas())
        .world(World::plain())
}

/// Runs a program, as text, on a manager of areas and the reference: as far as both merge alike or
/// not, wherever it maps.
///
/// # Panics
/// If they differ, with the report; if a call is one that the manager has not; if the text is no program.
///
/// ```no_run
/// # use std::ops::Range;
/// # use vmadiff::{Config, Errno, Prot, areas::{Areas, Place}};
/// # struct Mine;
/// # impl Areas for Mine {
/// #     fn boot(_: &Config) -> Self { Self }
/// #     fn map(&mut self, _: Range<u64>, _: Prot, _: Place) -> Result<u64, Errno> { Ok(0) }
/// #     fn unmap(&mut self, _: Range<u64>) -> Result<(), Errno> { Ok(()) }
/// #     fn each(&self, _: impl FnMut(Range<u64>, Prot)) {}
/// # }
/// vmadiff::check::<Mine>(
///     "mmap(0x1f0000, 0x3000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)
///      munmap(0x1f1000, 0x1000) = 0",
/// );
/// ```
#[track_caller]
pub fn check<M: Areas>(text: &str) {
    compare::<M>("manager")
        .view(View::areas().joined())
        .placement(Placement::FollowReference)
        .check(text);
}

/// The whole command for several managers, chosen by `--design NAME`; the first where none is named.
#[cfg(feature = "command")]
pub fn commands(managers: impl IntoIterator<Item = Compare>) -> ExitCode {
    crate::designs::register(managers.into_iter().map(Compare::entry).collect());
    crate::cli::command()
}

impl Compare {
    /// A manager that is booted so, compared in all that the contract knows.
    pub fn new(name: &'static str, boot: Boot) -> Self {
        Self::of(DesignInfo::plain(name, boot))
    }

    /// A manager that says more of itself: what it counts, when it frees, where its calls can be
    /// interleaved.
    pub fn of(design: DesignInfo) -> Self {
        Self {
            design,
            terms: Terms::default(),
            mutants: Vec::new(),
            defects: Vec::new(),
        }
    }

    /// What it is, in a sentence, and where it is from: for `vmadiff designs`.
    pub fn about(mut self, what: &'static str, source: &'static str) -> Self {
        (self.design.what, self.design.source) = (what, source);
        self
    }

    /// Looks at both managers through this.
    pub fn view(mut self, view: View) -> Self {
        self.terms.view = view;
        self
    }

    /// Makes programs of this.
    pub fn world(mut self, world: World) -> Self {
        self.terms.world = world;
        self
    }

    /// Has places chosen so.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.terms.placement = placement;
        self
    }

    /// A difference that is no news. It is told and counted by this name, and the program goes on
    /// past it if the manager can take the reference's areas on; otherwise it ends there.
    pub fn known(
        self,
        name: &'static str,
        explains: impl Fn(&Step, &Difference<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        // Said once for a process, as the name is.
        self.knowing(Known::new(name, Box::leak(Box::new(explains))))
    }

    /// A difference that is no news, with all that is to be said of it: what is different, a program
    /// that shows it, the releases that have it.
    ///
    /// ```
    /// # use vmadiff::compare::{Change, Compare, Known, Origin};
    /// # fn with(compare: Compare) -> Compare {
    /// compare.release(0, 3).knowing(Known {
    ///     what: "mprotect changes what lies behind a hole, too.",
    ///     origin: Origin::Changed(Change::since((0, 3), (0, 2), (0, 3))),
    ///     ..Known::new("skips holes", &|_, difference| difference.names_a_hole())
    /// })
    /// # }
    /// ```
    pub fn knowing(mut self, known: Known) -> Self {
        self.terms.known.push(known);
        self
    }

    /// The manager's release: known differences that are bounded by releases apply accordingly.
    pub fn release(mut self, major: u32, minor: u32) -> Self {
        self.terms.release = Some((major, minor));
        self
    }

    /// A variant with a defect, for `hunt` and `--defect NAME`: how fast that is found. `boot` is,
    /// for example, [`areas::boot::<Variant>`](areas::boot).
    pub fn defect(self, name: &'static str, what: &'static str, boot: Boot) -> Self {
        self.plant(name, DefectKind::Serial, what, boot)
    }

    /// As [`defect`](Compare::defect), and `hunt` looks for it in races: of a manager whose calls can be
    /// [interleaved](crate::interleaved).
    pub fn race(self, name: &'static str, what: &'static str, boot: Boot) -> Self {
        self.plant(name, DefectKind::Interleaved, what, boot)
    }

    fn plant(
        mut self,
        name: &'static str,
        kind: DefectKind,
        what: &'static str,
        boot: Boot,
    ) -> Self {
        self.mutants.push((name, boot));
        self.defects.push(DefectInfo {
            name,
            kind,
            what,
            source: "",
            // Who plants one knows what it changes, and need not know what the judge calls that.
            rules: &[],
        });
        self
    }

    /// The command for this manager alone: fuzz, run, minimize, show, hunt, corpus and the rest. It
    /// is the whole of a `main`.
    #[cfg(feature = "command")]
    pub fn command(self) -> ExitCode {
        commands([self])
    }

    /// Both managers, to run programs on.
    pub fn pair(self) -> Pair {
        pair_of(self.entry())
    }

    /// Runs a program, as text, and checks what the text expects on both managers.
    ///
    /// # Panics
    /// If the managers differ, with the report; if an expectation is not met; if a call is not made,
    /// since the manager has it not or its [`World`] leaves it out; if the text is no program.
    #[track_caller]
    pub fn check(self, text: &str) {
        let mut pair = self.pair();
        let case = parse(text, pair.design().name).unwrap_or_else(|error| panic!("{error}"));
        let ran = pair.observe_twice_at(&case.program, &looks(&case));
        match &ran.verdict {
            Verdict::Agree => {}
            Verdict::Skip(why) => panic!("not compared: {why}"),
            Verdict::Diverge(_) => panic!("{}", report(&case, &ran)),
        }
        let mut wrong: Vec<String> = unmet_in(&case, &ran)
            .iter()
            .map(ToString::to_string)
            .collect();
        wrong.extend(unasked_in(&case, &ran).iter().map(ToString::to_string));
        for at in ran.unmade() {
            let (name, step) = (ran.design.name, &case.program.calls[at]);
            wrong.push(format!(
                "call {}, {step}: not made, {name} has it not, or not so",
                at + 1
            ));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// What a fuzz target runs.
    pub fn target(self) -> crate::target::Target {
        crate::target::Target::new(self.pair())
    }

    fn entry(self) -> Entry {
        let Self {
            mut design,
            terms,
            mutants,
            defects,
        } = self;
        let source = design.source;
        let defects: Vec<_> = defects
            .into_iter()
            .map(|info| DefectInfo { source, ..info })
            .collect();
        if !defects.is_empty() {
            // Said once for a process, as the name is.
            let defects: &'static [DefectInfo] = defects.leak();
            design.defects = vec![defects].leak();
        }
        Entry {
            design: Box::leak(Box::new(design)),
            terms,
            mutants,
        }
    }
}

/// Reads a text for a test. What a campaign has found may name this manager; here it is the only one.
fn parse(text: &str, manager: &str) -> Result<Case, TextError> {
    let named = format!("design: {manager}");
    let lines = text.lines().map(|line| match line.trim() == named {
        true => "",
        false => line,
    });
    Case::parse("check", &lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(feature = "report")]
fn report(case: &Case, ran: &Ran) -> String {
    let Verdict::Diverge(divergence) = &ran.verdict else {
        return String::new();
    };
    let replay = "this test";
    crate::report::explain(&case.program, divergence, ran, replay, crate::report::WIDTH).to_string()
}

#[cfg(not(feature = "report"))]
fn report(_: &Case, ran: &Ran) -> String {
    let Verdict::Diverge(divergence) = &ran.verdict else {
        return String::new();
    };
    let at = divergence.at.map_or(0, |at| at + 1);
    format!(
        "call {at}: {} ({}); the feature `report` of vmadiff tells more",
        divergence.what, divergence.signature
    )
}
