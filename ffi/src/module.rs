//! Loaded modules: PTX text, its manifest, and the copies that devices have made of it.
//!
//! A [`Module`] is what `wb.load` returns. Devices compile lazily, on the first bind that needs them, and the result
//! stays with the module ([`SharedImage`]).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{json, Value};

use crate::backend::{load_error, Image, Loaded};
use crate::device::{self, Device};
use crate::error::{Error, Kind, Result};
use crate::manifest::{Arch, Manifest, Variant};
use crate::process;

/// One PTX text, and what devices made of it.
pub struct SharedImage {
    image: Arc<Image>,
    loaded: Mutex<HashMap<u32, Arc<dyn Loaded>>>,
}

/// PTX with or without a manifest.
pub struct Module {
    /// What was handed in (with a manifest that names only other files: the first variant's).
    main: Arc<SharedImage>,
    kernel: Option<Arc<Kernel>>,
}

/// A manifest and the PTX of its variants.
pub struct Kernel {
    /// What it is called with.
    pub manifest: Manifest,
    /// PTX of each variant, in manifest order.
    images: Vec<Arc<SharedImage>>,
}

/// Where the PTX files of a manifest come from.
pub trait Files {
    /// The text of one, and what to call it in error texts.
    fn read(&self, ptx: &str) -> Result<(String, String), String>;
}

impl SharedImage {
    /// Parses PTX text. What only the CPU device cannot execute is an error here where it is the only device; elsewhere
    /// that waits for a launch that is to run on it.
    pub fn parse(text: &str, origin: &str) -> Result<Arc<Self>> {
        let module = emulator::Module::parse(text).map_err(|e| load_error(origin, &e))?;
        // In this order: looking for devices starts the driver, which most loads need not.
        if let Some(lacking) = module.unsupported() {
            if device::all().len() == 1 {
                return Err(load_error(origin, lacking));
            }
        }
        let image = Arc::new(Image {
            text: text.to_owned(),
            module,
            origin: origin.to_owned(),
        });
        Ok(Arc::new(Self {
            image,
            loaded: Mutex::default(),
        }))
    }
    /// The PTX.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }
    /// The module on a device; compiled there on first use.
    pub fn on(&self, device: &Device) -> Result<Arc<dyn Loaded>> {
        process::whole(|| self.load_on(device))
    }
    fn load_on(&self, device: &Device) -> Result<Arc<dyn Loaded>> {
        // Held while compiling, so that two threads never compile the same PTX twice.
        let mut loaded = self.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(found) = loaded.get(&device.index) {
            return Ok(Arc::clone(found));
        }
        self.check_device(device)?;
        let made = device.backend.load(&self.image)?;
        loaded.insert(device.index, Arc::clone(&made));
        Ok(made)
    }

    fn check_device(&self, device: &Device) -> Result<()> {
        let (module, info, origin) = (&self.image.module, device.backend.info(), &self.image.origin);
        let (found, most) = (module.version(), info.ptx_version);
        if found > most {
            let text = format!(
                "{origin}: PTX version {}.{}, but {} accepts at most {}.{}; {}",
                found.0,
                found.1,
                device.describe(),
                most.0,
                most.1,
                if info.driver.is_empty() {
                    "build it with an older .version"
                } else {
                    "update the driver, or build it with an older .version"
                },
            );
            let versions = |v: (u32, u32)| json!([v.0, v.1]);
            return Err(Error::new(Kind::Load, text)
                .with("origin", origin.as_str())
                .with("device", device.name())
                .with("ptx_version", versions(found))
                .with("accepted", versions(most)));
        }
        let (target, arch) = (Arch::parse(module.target()), Arch::parse(&info.arch));
        if let (Some(target), Some(arch)) = (target, arch) {
            if !target.runs_on(arch) {
                let only = if target.suffix == Some('a') {
                    ", which runs on that architecture only"
                } else {
                    ""
                };
                let text = format!(
                    "{origin}: .target {target}{only}, but {} is {arch}; expected PTX for {arch} or earlier",
                    device.name()
                );
                return Err(Error::new(Kind::Load, text)
                    .with("origin", origin.as_str())
                    .with("device", device.name())
                    .with("target", target.to_string())
                    .with("arch", arch.to_string()));
            }
        }
        Ok(())
    }
}

impl Module {
    /// Loads PTX that was handed over as text, with the manifest beside it where there is one.
    pub fn load(ptx: &str, origin: &str, manifest: Option<(&str, &str)>, base_dir: Option<&str>) -> Result<Self> {
        let main = SharedImage::parse(ptx, origin)?;
        let Some((text, manifest_origin)) = manifest else {
            return Ok(Self { main, kernel: None });
        };
        let manifest = Manifest::parse(text, manifest_origin)?;
        let mut names: Vec<&str> = manifest.variants.iter().map(|v| v.ptx.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let given = Path::new(origin)
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or(origin);
        let is_given = |name: &str| {
            // Whatever it is called, it stands for the one file that the manifest can mean.
            names.len() == 1 || Path::new(name).file_name().and_then(|n| n.to_str()) == Some(given)
        };
        let disk = Directory(base_dir.map(PathBuf::from));
        let mut images = HashMap::new();
        for name in names.iter().copied().filter(|name| is_given(name)) {
            images.insert(name.to_owned(), Arc::clone(&main));
        }
        let kernel = Kernel::new(manifest, images, &disk)?;
        Ok(Self {
            main,
            kernel: Some(Arc::new(kernel)),
        })
    }
    /// Loads a manifest whose PTX comes from `files` alone.
    pub fn from_manifest(text: &str, origin: &str, files: &dyn Files) -> Result<Self> {
        let kernel = Kernel::new(Manifest::parse(text, origin)?, HashMap::new(), files)?;
        Ok(Self {
            main: Arc::clone(&kernel.images[0]),
            kernel: Some(Arc::new(kernel)),
        })
    }
    /// The PTX that entries are looked up in.
    #[must_use]
    pub fn image(&self) -> &Arc<SharedImage> {
        &self.main
    }
    /// The kernel with this name.
    pub fn kernel(&self, name: &str) -> Result<Arc<Kernel>> {
        let origin = &self.main.image.origin;
        let Some(kernel) = &self.kernel else {
            let text = format!("{origin}: no kernel \"{name}\", because it was loaded without a manifest; write one, or use its entries");
            return Err(Error::new(Kind::Load, text).with("origin", origin.as_str()));
        };
        if kernel.manifest.name == name {
            return Ok(Arc::clone(kernel));
        }
        let text = format!(
            "{}: no kernel \"{name}\", expected {}",
            kernel.manifest.origin, kernel.manifest.name
        );
        Err(Error::new(Kind::Load, text).with("origin", origin.as_str()))
    }
    /// For `wb_module_json`.
    #[must_use]
    pub fn describe(&self) -> Value {
        let module = &self.main.image.module;
        let entry = |e: &emulator::Entry| {
            let params: Vec<_> = e
                .params
                .iter()
                .map(|p| json!({"name": p.name, "type": p.type_name, "bytes": p.bytes}))
                .collect();
            json!({
                "name": e.name,
                "params": params,
                "required_block": e.required_block,
                "max_block": e.max_block,
                "required_cluster": e.required_cluster,
                "static_shared_bytes": e.static_shared_bytes,
                "unsupported_on_cpu": module.unsupported_in(&e.name).map(ToString::to_string),
            })
        };
        json!({
            "origin": self.main.image.origin,
            "ptx_version": [module.version().0, module.version().1],
            "target": module.target(),
            "entries": module.entries().iter().map(entry).collect::<Vec<_>>(),
            "kernels": self.kernel.iter().map(|k| k.manifest.name.as_str()).collect::<Vec<_>>(),
        })
    }
}

impl Kernel {
    fn new(manifest: Manifest, mut images: HashMap<String, Arc<SharedImage>>, files: &dyn Files) -> Result<Self> {
        let mut by_variant = Vec::new();
        for variant in &manifest.variants {
            let image = match images.get(&variant.ptx) {
                Some(image) => Arc::clone(image),
                None => {
                    let (text, origin) = files
                        .read(&variant.ptx)
                        .map_err(|why| missing(&manifest, variant, &why))?;
                    let image = SharedImage::parse(&text, &origin)?;
                    images.insert(variant.ptx.clone(), Arc::clone(&image));
                    image
                }
            };
            manifest.check_ptx(variant, image.image())?;
            by_variant.push(image);
        }
        Ok(Self {
            manifest,
            images: by_variant,
        })
    }
    /// The PTX of `manifest.variants[index]`.
    #[must_use]
    pub fn image(&self, index: usize) -> &Arc<SharedImage> {
        &self.images[index]
    }
}

fn missing(manifest: &Manifest, variant: &Variant, why: &str) -> Error {
    let key = format!("{}.ptx", variant.key);
    let text = format!(
        "{}: {key} is \"{}\", which cannot be read: {why}",
        manifest.origin, variant.ptx
    );
    Error::new(Kind::Manifest, text)
        .with("file", manifest.origin.as_str())
        .with("key", key)
}

/// PTX files beside a manifest.
struct Directory(Option<PathBuf>);

impl Files for Directory {
    fn read(&self, ptx: &str) -> Result<(String, String), String> {
        let Some(base) = &self.0 else {
            return Err(
                "the manifest was handed over without a directory; load it from a file, or name only the PTX given"
                    .into(),
            );
        };
        let path = base.join(ptx);
        let text =
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}; put the file there", path.display()))?;
        Ok((text, path.display().to_string()))
    }
}
