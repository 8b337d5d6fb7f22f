//! States as people look at them: a diff of lines ([`states`]), and a row of columns for the areas of
//! an address space ([`columns`]); and what of a long run is shown ([`fold`]). Reports print them, pictures draw them.

pub mod columns;
pub mod fold;
pub mod states;
