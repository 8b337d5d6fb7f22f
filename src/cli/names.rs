//! Names as arguments: shells complete them, and one that is none is told with near ones by whoever
//! looks it up.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Command, Error};
use vmadiff::designs::{self, defects};

/// Which names.
#[derive(Clone, Copy, Debug)]
pub enum Names {
    /// Of designs.
    Designs,
    /// Of defects, of any design.
    Defects,
}

impl Names {
    fn all(self) -> Vec<&'static str> {
        match self {
            Self::Designs => designs::all().iter().map(|design| design.name).collect(),
            Self::Defects => {
                let infos = designs::all().iter().copied().flat_map(defects);
                let mut names: Vec<_> = infos.map(|info| info.name).collect();
                names.sort_unstable();
                names.dedup();
                names
            }
        }
    }
}

impl TypedValueParser for Names {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.all().into_iter().map(PossibleValue::new)))
    }
}
