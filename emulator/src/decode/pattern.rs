//! Patterns of instruction forms and how an instruction is matched with them.
//!
//! `add{.sat}.<int>` reads: `add`, perhaps `.sat`, then a modifier of class `int`. `.(a|b)` is one of a list.
//! `<m64>` is a shape of `wgmma`, of which there are too many for a list.
//! `ld/<load>` allows any modifiers of class `load`, in any order, as often as they come.

/// Classes of modifiers: name, members.
const CLASSES: &[(&str, &str)] = &[
    ("int", "u16 u32 u64 s16 s32 s64"),
    ("int32", "u32 s32"),
    ("bits", "b16 b32 b64"),
    ("rnd", "rn rz rm rp"),
    ("fp", "f32 f64"),
    ("half", "f16 f16x2 bf16 bf16x2"),
    ("cmp", "eq ne lt le gt ge lo ls hi hs equ neu ltu leu gtu geu num nan"),
    ("bool", "and or xor"),
    ("any", "b16 b32 b64 u16 u32 u64 s16 s32 s64 f16 bf16 f16x2 bf16x2 f32 f64"),
    ("cvt", "u8 u16 u32 u64 s8 s16 s32 s64 f16 bf16 f32 f64"),
    (
        "mma",
        "m8n8k4 m8n8k16 m8n8k32 m8n8k128 m16n8k4 m16n8k8 m16n8k16 m16n8k32 m16n8k64 m16n8k128 m16n8k256 m16n16k16 m32n8k16 \
         m8n32k16 m16n16k8 f16 bf16 tf32 f32 f64 e4m3 e5m2 u8 s8 u4 s4 b1 s32",
    ),
    ("dim", "1d 2d 3d 4d 5d"),
    ("space", "global shared shared::cta shared::cluster local const param"),
    ("sem", "relaxed acquire release acq_rel sc"),
    ("scope", "cta cluster gpu sys"),
    (
        "load",
        "weak volatile relaxed acquire mmio sc cta cluster gpu sys global shared shared::cta shared::cluster local const param \
         param::entry param::func nc ca cg cs lu cv cop L1::evict_normal L1::evict_unchanged L1::evict_first L1::evict_last \
         L1::no_allocate L2::cache_hint L2::64B L2::128B L2::256B L2::evict_last L2::evict_normal L2::evict_first v2 v4 \
         b8 b16 b32 b64 b128 u8 u16 u32 u64 s8 s16 s32 s64 f16 f16x2 bf16 bf16x2 f32 f64 unified",
    ),
    (
        "store",
        "weak volatile relaxed release mmio sc cta cluster gpu sys global shared shared::cta shared::cluster local param \
         param::func wb cg cs wt cop L1::evict_normal L1::evict_unchanged L1::evict_first L1::evict_last L1::no_allocate \
         L2::cache_hint L2::evict_last L2::evict_normal L2::evict_first v2 v4 \
         b8 b16 b32 b64 b128 u8 u16 u32 u64 s8 s16 s32 s64 f16 f16x2 bf16 bf16x2 f32 f64",
    ),
    (
        "atom",
        "relaxed acquire release acq_rel sc cta cluster gpu sys global shared shared::cta shared::cluster noftz \
         L2::cache_hint and or xor cas exch add inc dec min max b16 b32 b64 b128 u32 u64 s32 s64 f16 f16x2 bf16 bf16x2 f32 f64",
    ),
    (
        "vector",
        "relaxed acquire release acq_rel cta cluster gpu sys global noftz L2::cache_hint v2 v4 v8 add min max \
         f16 f16x2 bf16 bf16x2 f32",
    ),
    ("mbarrier", "release relaxed acquire cta cluster gpu sys shared shared::cta shared::cluster expect_tx noComplete parity b64"),
    ("fence", "sc acq_rel acquire release relaxed cta cluster gpu sys gl mbarrier_init proxy alias async async.global async::generic \
      global shared::cta shared::cluster sync_restrict::shared::cta sync_restrict::shared::cluster tensormap tensormap::generic"),
];

fn is_member(class: &str, word: &str) -> bool {
    if class == "m64" {
        return word.starts_with("m64n");
    }
    let row = CLASSES.iter().find(|row| row.0 == class);
    row.is_some_and(|row| row.1.split_whitespace().any(|member| member == word))
}

/// Whether one pattern element (without its dot) allows a modifier.
fn allows(element: &str, word: &str) -> bool {
    if let Some(class) = element.strip_prefix('<').and_then(|e| e.strip_suffix('>')) {
        return is_member(class, word);
    }
    if let Some(list) = element.strip_prefix('(').and_then(|e| e.strip_suffix(')')) {
        return list.split('|').any(|e| e == word);
    }
    element == word
}

/// The first word of a pattern.
pub(crate) fn opcode(pattern: &str) -> &str {
    let end = pattern.find(['.', '{', '/']).unwrap_or(pattern.len());
    &pattern[..end]
}

/// Whether a pattern describes an instruction with these modifiers.
pub(crate) fn matches(pattern: &str, modifiers: &[&str]) -> bool {
    let mut rest = &pattern[opcode(pattern).len()..];
    let mut at = 0;
    while !rest.is_empty() {
        if let Some(class) = rest.strip_prefix("/<").and_then(|r| r.strip_suffix('>')) {
            return modifiers[at..].iter().all(|word| is_member(class, word));
        }
        let optional = rest.starts_with('{');
        let start = if optional { 2 } else { 1 };
        let end = if optional { rest.find('}') } else { element_end(rest) };
        let end = end.unwrap_or(rest.len());
        let element = &rest[start..end];
        rest = &rest[if optional { end + 1 } else { end }..];
        match modifiers.get(at) {
            Some(word) if allows(element, word) => at += 1,
            _ if optional => {}
            _ => return false,
        }
    }
    at == modifiers.len()
}

/// Where an element that begins at a dot ends.
fn element_end(rest: &str) -> Option<usize> {
    if rest.starts_with(".(") {
        return rest.find(')').map(|end| end + 1);
    }
    rest[1..].find(['.', '{', '/']).map(|end| end + 1)
}
