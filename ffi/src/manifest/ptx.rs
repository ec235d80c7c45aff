//! A manifest against its PTX: the entry is there, its parameters have the number and sizes that the arguments make, the
//! thread block is the one the entry was compiled for, the architecture is enough for `.target`.

use super::table::error;
use super::{Arch, Arg, ArgKind, DTypeRef, Manifest, Variant};
use crate::backend::Image;
use crate::dtype::DType;
use crate::error::Result;

/// One PTX parameter that an argument makes.
struct Expected<'a> {
    arg: &'a Arg,
    /// Which element of an inline array, from 1; 0 for the parameter itself.
    element: usize,
    bytes: usize,
}

impl Manifest {
    /// Compares one variant with its PTX.
    pub fn check_ptx(&self, variant: &Variant, image: &Image) -> Result<()> {
        let blame = |key: &str, text: String| Err(error(&self.origin, &format!("{}.{key}", variant.key), &text));
        let Some(entry) = image.module.entry(&variant.entry) else {
            let names: Vec<_> = image.module.entries().iter().map(|e| e.name.as_str()).collect();
            let there = if names.is_empty() {
                "nothing".into()
            } else {
                names.join(", ")
            };
            let text = format!(
                "is \"{}\", but {} has {there}; name one of its entries",
                variant.entry, image.origin
            );
            return blame("entry", text);
        };
        if let Some(target) = Arch::parse(image.module.target()) {
            let enough = if target.suffix.is_some() {
                target == variant.arch
            } else {
                target.number <= variant.arch.number
            };
            if !enough {
                let least = if target.suffix.is_some() { "" } else { " or later" };
                let text = format!(
                    "is {}, but {} has .target {target}; expected {target}{least}",
                    variant.arch, image.origin
                );
                return blame("arch", text);
            }
        }
        self.check_params(variant, image, entry)?;
        self.check_block(variant, image, entry)
    }

    fn check_params(&self, variant: &Variant, image: &Image, entry: &emulator::Entry) -> Result<()> {
        let expected = self.expected_params(variant);
        let of = format!("entry {} of {}", entry.name, image.origin);
        if expected.len() != entry.params.len() {
            let (made, there) = (expected.len(), entry.params.len());
            let text = format!("make {made} PTX parameters, but {of} has {there}; expected the same number");
            return Err(error(&self.origin, "args", &text));
        }
        for (number, (param, want)) in entry.params.iter().zip(&expected).enumerate() {
            if param.bytes != want.bytes {
                let element = if want.element == 0 {
                    String::new()
                } else {
                    format!(" element {}", want.element)
                };
                let text = format!(
                    "({}){element} takes {} bytes, but parameter {} of {of} is .{} of {} bytes; expected the same size",
                    want.arg.name,
                    want.bytes,
                    number + 1,
                    param.type_name,
                    param.bytes
                );
                return Err(error(&self.origin, &want.arg.key, &text));
            }
        }
        Ok(())
    }

    fn expected_params(&self, variant: &Variant) -> Vec<Expected<'_>> {
        let mut list = Vec::new();
        for arg in &self.args {
            let mut push = |element, bytes| list.push(Expected { arg, element, bytes });
            match &arg.kind {
                ArgKind::Array(array) => {
                    push(0, 8);
                    let bytes = self.instance(variant, &array.dtype).bytes();
                    (1..=array.inline.unwrap_or(0)).for_each(|element| push(element, bytes));
                }
                ArgKind::Scalar(scalar) => push(0, self.instance(variant, &scalar.dtype).bytes()),
                ArgKind::Size { dtype, .. } => push(0, self.instance(variant, dtype).bytes()),
                ArgKind::Control { .. } => push(0, 8),
            }
        }
        list
    }

    /// The dtype that a reference means in a variant; the default instance where the variant leaves it open.
    fn instance(&self, variant: &Variant, dtype: &DTypeRef) -> DType {
        let chosen = match dtype {
            DTypeRef::Fixed(fixed) => return *fixed,
            DTypeRef::Variable(name) => variant.dtypes.iter().find(|(n, _)| n == name).map(|(_, d)| *d),
        };
        chosen.unwrap_or(self.allowed(dtype)[0])
    }

    fn check_block(&self, variant: &Variant, image: &Image, entry: &emulator::Entry) -> Result<()> {
        let spec = self.geometry(variant).block;
        let Some(constant) = spec.iter().map(super::Expr::as_constant).collect::<Option<Vec<_>>>() else {
            return Ok(());
        };
        let block = [0, 1, 2].map(|axis| constant.get(axis).copied().unwrap_or(1));
        let key = if variant.launch.block.is_some() {
            format!("{}.launch.block", variant.key)
        } else {
            "launch.block".into()
        };
        let of = format!("entry {} of {}", entry.name, image.origin);
        let triple = |t: [i64; 3]| format!("[{}, {}, {}]", t[0], t[1], t[2]);
        if let Some(required) = entry.required_block.map(|r| r.map(i64::from)) {
            if required != block {
                let text = format!(
                    "is {}, but {of} has .reqntid {}; expected the same",
                    triple(block),
                    triple(required)
                );
                return Err(error(&self.origin, &key, &text));
            }
        }
        if let Some(most) = entry.max_block.map(|m| m.map(i64::from)) {
            let threads = |t: [i64; 3]| t.iter().fold(1i64, |n, &axis| n.saturating_mul(axis));
            if threads(block) > threads(most) {
                let text = format!(
                    "is {}, but {of} has .maxntid {}; expected no more threads",
                    triple(block),
                    triple(most)
                );
                return Err(error(&self.origin, &key, &text));
            }
        }
        Ok(())
    }
}
