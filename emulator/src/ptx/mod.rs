//! PTX text to a syntax tree: `lexer` makes tokens, `parser`, `declaration`, `variable` and `operand` make the tree of `tree`.
//!
//! Nothing here knows what an instruction means; names stay text. `decode/` resolves and selects.
//! Everything is iterative and proportional to the input: no recursion, no allocation by declared counts.

mod declaration;
mod lexer;
mod number;
mod operand;
mod parser;
pub(crate) mod tree;
pub(crate) mod types;
mod variable;

pub(crate) use parser::{cut, parse};
