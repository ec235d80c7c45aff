//! Which variant of a kernel runs a call: by dtypes, architecture and sizes.
//! What is launched then is laid out in `plan.rs`.

use super::call::Call;
use crate::device::Device;
use crate::error::{Error, Kind, Result};
use crate::manifest::{Arch, Variant};

impl Call<'_> {
    /// The variant for the call's dtypes with the greatest architecture that runs on the device; of that, the first whose
    /// condition holds, else one without.
    pub(super) fn choose_variant(&self, device: &Device) -> Result<(usize, &Variant)> {
        let of_dtypes = |v: &Variant| {
            v.dtypes
                .iter()
                .all(|(name, d)| self.dtypes.get(name).is_none_or(|(have, _)| have == d))
        };
        let fitting: Vec<_> = self
            .manifest
            .variants
            .iter()
            .enumerate()
            .filter(|(_, v)| of_dtypes(v))
            .collect();
        if fitting.is_empty() {
            return Err(self.no_dtypes());
        }
        let own = Arch::parse(&device.backend.info().arch);
        let runs =
            |v: &Variant| own.is_some_and(|own| v.arch.runs_on(own)) && self.arch.is_none_or(|wanted| v.arch == wanted);
        let rank = |v: &Variant| (v.arch.number, v.arch.suffix.is_some(), v.when.is_some());
        let mut running: Vec<_> = fitting.iter().copied().filter(|(_, v)| runs(v)).collect();
        running.sort_by_key(|(_, v)| std::cmp::Reverse(rank(v)));
        for (index, variant) in &running {
            let holds = |when| Ok(self.eval(&format!("{}.when", variant.key), when)? != 0);
            if variant.when.as_ref().map_or(Ok(true), holds)? {
                return Ok((*index, variant));
            }
        }
        Err(match running.first() {
            Some(_) => self.no_condition(&running),
            None => self.no_variant(device, &fitting),
        })
    }

    fn no_dtypes(&self) -> Error {
        let dtypes: Vec<_> = self
            .dtypes
            .iter()
            .map(|(name, (d, _))| format!("{name} = {}", d.name()))
            .collect();
        let text = format!("no variant for {}; build one, or convert the arrays", dtypes.join(", "));
        self.error(Kind::Load, &text)
    }

    fn no_condition(&self, running: &[(usize, &Variant)]) -> Error {
        let conditions: Vec<_> = running
            .iter()
            .filter_map(|(_, v)| Some(format!("\"{}\"", v.when.as_ref()?)))
            .collect();
        let text = format!(
            "no variant for these sizes, expected sizes with {}; use others, or add a variant without when",
            conditions.join(" or ")
        );
        self.error(Kind::Argument, &text)
    }

    fn no_variant(&self, device: &Device, fitting: &[(usize, &Variant)]) -> Error {
        let archs: Vec<_> = fitting.iter().map(|(_, v)| v.arch.to_string()).collect();
        let own = device.backend.info().arch.clone();
        let there = format!("variants for {}", archs.join(", "));
        let text = match self.arch {
            Some(wanted) if archs.contains(&wanted.to_string()) => {
                format!(
                    "variant {wanted} was asked for, but {} is {own}; ask for another of the {there}",
                    device.name()
                )
            }
            Some(wanted) => format!("variant {wanted} was asked for, but there are {there}; ask for one of them"),
            None => format!(
                "{there}, but {} is {own}; expected one for {own} or earlier",
                device.name()
            ),
        };
        self.error(Kind::Device, &text)
            .with("device", device.name())
            .with("arch", own)
    }
}
