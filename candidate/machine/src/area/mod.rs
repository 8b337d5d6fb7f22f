//! Areas: what they are made of, their lists and tree, how they merge, split and move their bounds,
//! where new ones go, and the anon_vmas that they are linked to.

pub mod adjust;
pub mod anon_vma;
pub mod anon_vma_links;
pub mod find;
pub mod holes;
pub mod link;
pub mod merge;
pub mod ops;
pub mod pieces;
pub mod place;
pub mod split;
pub mod stack;
pub mod tree;
pub mod vma;
