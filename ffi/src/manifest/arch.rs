//! GPU architectures as manifests, PTX and devices name them: `sm_90`, `sm_90a`, `sm_100f`.

use std::fmt;

/// An architecture; ordered by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arch {
    /// 90 in `sm_90a`.
    pub number: u32,
    /// `a`: that architecture only; `f`: its family; `None`: it and all later ones.
    pub suffix: Option<char>,
}

impl Arch {
    /// Reads `sm_90`, `sm_90a`, `sm_100f`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("sm_")?;
        let suffix = rest.chars().last().filter(|c| matches!(c, 'a' | 'f'));
        let digits = suffix.map_or(rest, |_| &rest[..rest.len() - 1]);
        let number = if digits.bytes().all(|b| b.is_ascii_digit()) {
            digits.parse().ok()?
        } else {
            return None;
        };
        (number >= 10).then_some(Self { number, suffix })
    }
    /// Whether code for this architecture runs on `device`.
    #[must_use]
    pub fn runs_on(self, device: Self) -> bool {
        match self.suffix {
            Some('a') => self.number == device.number,
            Some(_) => self.number / 10 == device.number / 10 && self.number <= device.number,
            None => self.number <= device.number,
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sm_{}", self.number)?;
        self.suffix.map_or(Ok(()), |c| write!(f, "{c}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffix_a_runs_on_that_architecture_only() {
        let arch = |text| Arch::parse(text).expect("an architecture");
        let cases = [
            ("sm_80", "sm_90", true),
            ("sm_90", "sm_80", false),
            ("sm_90a", "sm_90", true),
            ("sm_90a", "sm_100", false),
            ("sm_90", "sm_120", true),
            ("sm_100f", "sm_103", true),
            ("sm_100f", "sm_120", false),
        ];
        for (code, device, runs) in cases {
            assert_eq!(arch(code).runs_on(arch(device)), runs, "{code} on {device}");
        }
    }

    #[test]
    fn text_that_is_no_architecture_is_refused() {
        for text in ["", "sm_", "sm_a", "compute_90", "sm_9", "sm_90b", "sm_+90"] {
            assert_eq!(Arch::parse(text), None, "{text}");
        }
        assert_eq!(Arch::parse("sm_90a").map(|a| a.to_string()), Some("sm_90a".into()));
    }
}
