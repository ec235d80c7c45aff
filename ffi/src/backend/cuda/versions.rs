//! What a driver version means: its text, and the greatest PTX version that its compiler accepts.
//!
//! The table follows the release history in the PTX ISA (section "Release Notes"). No driver calls here.

/// `13000` as the driver counts, `13.0` as people do.
pub(super) fn version_text(driver: i32) -> String {
    let (major, minor) = split(driver);
    format!("{major}.{minor}")
}

fn split(driver: i32) -> (u32, u32) {
    let driver = u32::try_from(driver).unwrap_or(0);
    (driver / 1000, driver % 1000 / 10)
}

/// The greatest PTX version that a driver of this CUDA version accepts, as (major, minor).
///
/// Since CUDA 11.0 the PTX version is four majors behind and keeps the minor, but CUDA 12.6 came without a new one. Later
/// releases are taken to follow the rule; the driver has the last word when it loads a module.
pub(super) fn greatest_ptx(driver: i32) -> (u32, u32) {
    match split(driver) {
        (12, minor @ 0..=5) => (8, minor),
        (12, minor) => (8, minor - 1),
        (major, minor) if major >= 11 => (major - 4, minor),
        (10, minor) => match minor {
            0 => (6, 3),
            1 => (6, 4),
            _ => (6, 5),
        },
        // Older drivers lack functions that are looked up at load time, so this is never the answer for a usable one.
        _ => (6, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_version_text_drops_the_patch_digit() {
        assert_eq!(version_text(12080), "12.8");
        assert_eq!(version_text(13000), "13.0");
        assert_eq!(version_text(11040), "11.4");
        assert_eq!(version_text(12041), "12.4");
    }

    #[test]
    fn test_greatest_ptx_follows_the_release_history() {
        let history = [
            (11000, (7, 0)),
            (11080, (7, 8)),
            (12000, (8, 0)),
            (12010, (8, 1)),
            (12020, (8, 2)),
            (12030, (8, 3)),
            (12040, (8, 4)),
            (12050, (8, 5)),
            (12060, (8, 5)),
            (12070, (8, 6)),
            (12080, (8, 7)),
            (12090, (8, 8)),
            (13000, (9, 0)),
            (13010, (9, 1)),
            (13020, (9, 2)),
        ];
        for (driver, ptx) in history {
            assert_eq!(greatest_ptx(driver), ptx, "driver {driver}");
        }
    }
}
