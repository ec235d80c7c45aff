//! What a module needs, as JSON, for `wb_module_survey`: the emulator's survey, and what each device says to loading it.

use serde_json::{json, Value};

use crate::device;
use crate::module::Module;

/// See the module.
#[must_use]
pub fn describe(module: &Module) -> Value {
    let mut value = module.describe();
    let image = &module.image().image().module;
    let surveys = emulator::survey(image);
    if let Some(entries) = value["entries"].as_array_mut() {
        for (entry, survey) in entries.iter_mut().zip(&surveys) {
            extend(entry, survey);
        }
    }
    let devices = device::all().iter().map(|device| {
        let verdict = module.image().on(device).map_err(|e| e.message);
        // It takes the module, but not every entry of it (docs/cpu-device.md).
        let lacking = image.unsupported().filter(|_| device.index == 0);
        let verdict = verdict.and_then(|_| lacking.map_or(Ok(()), |e| Err(e.to_string())));
        json!({"device": device.name(), "loads": verdict.is_ok(), "reason": verdict.err()})
    });
    value["devices"] = devices.collect();
    value
}

fn extend(entry: &mut Value, survey: &emulator::Survey) {
    let feature = |f: &emulator::Feature| json!({"name": f.name, "arch": f.arch, "line": f.line});
    let hazard = |h: &emulator::Hazard| json!({"line": h.line, "text": h.text});
    entry["instructions"] = json!(survey.instructions);
    entry["registers"] = json!(survey.registers);
    entry["barriers"] = json!(survey.barriers);
    entry["mbarrier_inits"] = json!(survey.mbarrier_inits);
    entry["dynamic_shared"] = json!(survey.dynamic_shared);
    entry["features"] = survey.features.iter().map(feature).collect();
    entry["hazards"] = survey.hazards.iter().map(hazard).collect();
}
