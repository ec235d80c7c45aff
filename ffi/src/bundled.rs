//! The kernels that come with warpbridge: manifests and PTX embedded in the library, loaded on first use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{json, Value};

use crate::error::{Error, Kind, Result};
use crate::manifest::Manifest;
use crate::module::{Files, Module};
use crate::process::{Lazy, PerProcess};

/// File name and text of each embedded file, relative to `kernels/`.
macro_rules! embed {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../kernels/", $name)))),*]
    };
}

const MANIFESTS: &[(&str, &str)] = embed![
    "cross_entropy.toml",
    "deadlock_demo.toml",
    "dequant_matvec.toml",
    "fft_frames.toml",
    "fft_power.toml",
    "field_to_rgba.toml",
    "field_to_rgba_own_range.toml",
    "gather_rows.toml",
    "image_prep.toml",
    "image_resize.toml",
    "layer_norm.toml",
    "layer_norm_long.toml",
    "layer_norm_quantised.toml",
    "layer_norm_residual.toml",
    "layer_norm_residual_quantised.toml",
    "rms_norm.toml",
    "rms_norm_long.toml",
    "rms_norm_quantised.toml",
    "rms_norm_quantised_long.toml",
    "rms_norm_residual.toml",
    "rms_norm_residual_quantised.toml",
    "scale.toml",
    "softmax.toml",
    "softmax_long.toml",
    "spectral_multiply.toml",
    "stencil3d.toml",
];
const PTX: &[(&str, &str)] = embed![
    "ptx/cross_entropy.sm_80.ptx",
    "ptx/cross_entropy.sm_90.ptx",
    "ptx/deadlock_demo.sm_80.ptx",
    "ptx/deadlock_demo.sm_90.ptx",
    "ptx/dequant_matvec.sm_80.ptx",
    "ptx/dequant_matvec.sm_90.ptx",
    "ptx/fft_frames.sm_80.ptx",
    "ptx/fft_frames.sm_90.ptx",
    "ptx/fft_power.sm_80.ptx",
    "ptx/fft_power.sm_90.ptx",
    "ptx/field_to_rgba.sm_80.ptx",
    "ptx/field_to_rgba.sm_90.ptx",
    "ptx/field_to_rgba_own_range.sm_80.ptx",
    "ptx/field_to_rgba_own_range.sm_90.ptx",
    "ptx/gather_rows.sm_80.ptx",
    "ptx/gather_rows.sm_90.ptx",
    "ptx/image_prep.sm_80.ptx",
    "ptx/image_prep.sm_90.ptx",
    "ptx/image_resize.sm_80.ptx",
    "ptx/image_resize.sm_90.ptx",
    "ptx/layer_norm.sm_80.ptx",
    "ptx/layer_norm.sm_90.ptx",
    "ptx/layer_norm_long.sm_80.ptx",
    "ptx/layer_norm_long.sm_90.ptx",
    "ptx/layer_norm_quantised.sm_80.ptx",
    "ptx/layer_norm_quantised.sm_90.ptx",
    "ptx/layer_norm_residual.sm_80.ptx",
    "ptx/layer_norm_residual.sm_90.ptx",
    "ptx/layer_norm_residual_quantised.sm_80.ptx",
    "ptx/layer_norm_residual_quantised.sm_90.ptx",
    "ptx/rms_norm.sm_80.ptx",
    "ptx/rms_norm.sm_90.ptx",
    "ptx/rms_norm_long.sm_80.ptx",
    "ptx/rms_norm_long.sm_90.ptx",
    "ptx/rms_norm_quantised.sm_80.ptx",
    "ptx/rms_norm_quantised.sm_90.ptx",
    "ptx/rms_norm_quantised_long.sm_80.ptx",
    "ptx/rms_norm_quantised_long.sm_90.ptx",
    "ptx/rms_norm_residual.sm_80.ptx",
    "ptx/rms_norm_residual.sm_90.ptx",
    "ptx/rms_norm_residual_quantised.sm_80.ptx",
    "ptx/rms_norm_residual_quantised.sm_90.ptx",
    "ptx/scale.sm_80.ptx",
    "ptx/scale.sm_90.ptx",
    "ptx/softmax.sm_80.ptx",
    "ptx/softmax.sm_90.ptx",
    "ptx/softmax_long.sm_80.ptx",
    "ptx/softmax_long.sm_90.ptx",
    "ptx/spectral_multiply.sm_80.ptx",
    "ptx/spectral_multiply.sm_90.ptx",
    "ptx/stencil3d.sm_80.ptx",
    "ptx/stencil3d.sm_90.ptx",
];

struct Embedded;

impl Files for Embedded {
    fn read(&self, ptx: &str) -> Result<(String, String), String> {
        let found = PTX.iter().find(|(name, _)| *name == ptx);
        let (name, text) = found.ok_or("it is not embedded; add it to ffi/src/bundled.rs")?;
        Ok(((*text).to_owned(), format!("bundled {name}")))
    }
}

struct Listed {
    summary: String,
    hidden: bool,
    origin: String,
    text: &'static str,
}

/// Names and summaries, without reading any PTX.
fn catalogue() -> Result<&'static BTreeMap<String, Listed>> {
    static CATALOGUE: Lazy<Result<BTreeMap<String, Listed>>> = Lazy::new();
    let read = |(file, text): &(&str, &'static str)| {
        let origin = format!("bundled {file}");
        let manifest = Manifest::parse(text, &origin)?;
        Ok((
            manifest.name,
            Listed {
                summary: manifest.summary,
                hidden: manifest.hidden,
                origin,
                text,
            },
        ))
    };
    CATALOGUE
        .get_or_init(|| MANIFESTS.iter().map(read).collect())
        .as_ref()
        .map_err(Clone::clone)
}

/// For `wb_bundled_json`.
pub fn list() -> Result<Value> {
    let item = |(name, k): (&String, &Listed)| json!({"name": name, "summary": k.summary, "hidden": k.hidden});
    Ok(catalogue()?.iter().map(item).collect())
}

/// A bundled module; the same one for every caller.
pub fn load(name: &str) -> Result<Arc<Module>> {
    static LOADED: PerProcess<Mutex<BTreeMap<String, Arc<Module>>>> = PerProcess::new();
    let catalogue = catalogue()?;
    let Some(listed) = catalogue.get(name) else {
        let names: Vec<_> = catalogue
            .iter()
            .filter(|(_, k)| !k.hidden)
            .map(|(name, _)| name.as_str())
            .collect();
        return Err(Error::new(
            Kind::Load,
            format!("no bundled kernel \"{name}\", expected one of {}", names.join(", ")),
        ));
    };
    let loaded = LOADED.get(|_| Mutex::default());
    let lock = || loaded.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = lock().get(name) {
        return Ok(Arc::clone(module));
    }
    let made = Arc::new(Module::from_manifest(listed.text, &listed.origin, &Embedded)?);
    let mut loaded = lock();
    let module = loaded.entry(name.to_owned()).or_insert(made);
    Ok(Arc::clone(module))
}
