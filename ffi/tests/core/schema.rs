//! docs/manifest.schema.json says what the reader of manifests accepts: the bundled manifests pass both, and what either
//! refuses the other refuses. The validator here knows the keywords that the schema uses, and fails on any other.

use std::path::Path;

use serde_json::{json, Value};
use warpbridge::manifest::Manifest;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn schema() -> Value {
    serde_json::from_str(&read("docs/manifest.schema.json")).expect("the schema is JSON")
}

fn manifests() -> Vec<Value> {
    let names = [
        "cross_entropy",
        "deadlock_demo",
        "dequant_matvec",
        "fft_frames",
        "fft_power",
        "field_to_rgba",
        "field_to_rgba_own_range",
        "gather_rows",
        "image_prep",
        "image_resize",
        "layer_norm",
        "layer_norm_long",
        "layer_norm_quantised",
        "layer_norm_residual",
        "layer_norm_residual_quantised",
        "rms_norm",
        "rms_norm_long",
        "rms_norm_quantised",
        "rms_norm_quantised_long",
        "rms_norm_residual",
        "rms_norm_residual_quantised",
        "scale",
        "softmax",
        "softmax_long",
        "spectral_multiply",
        "stencil3d",
    ];
    names
        .map(|name| toml::from_str(&read(&format!("kernels/{name}.toml"))).expect("TOML"))
        .to_vec()
}

/// Whether `value` fits `schema`, a part of `root`.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let rules = schema.as_object().expect("a schema is an object");
    rules.iter().all(|(keyword, rule)| match keyword.as_str() {
        "$schema" | "$id" | "$defs" | "title" | "description" => true,
        "$ref" => {
            let name = rule
                .as_str()
                .and_then(|r| r.strip_prefix("#/$defs/"))
                .expect("a local reference");
            fits(root, &root["$defs"][name], value)
        }
        "type" => match rule {
            Value::Array(types) => types.iter().any(|t| is_type(t, value)),
            one => is_type(one, value),
        },
        "const" => rule == value,
        "enum" => rule.as_array().expect("a list").contains(value),
        "oneOf" => {
            rule.as_array()
                .expect("a list")
                .iter()
                .filter(|s| fits(root, s, value))
                .count()
                == 1
        }
        "pattern" => value
            .as_str()
            .is_none_or(|text| matches_pattern(rule.as_str().expect("text"), text)),
        "minimum" => value.as_i64().is_none_or(|v| v >= rule.as_i64().expect("an integer")),
        "maximum" => value.as_i64().is_none_or(|v| v <= rule.as_i64().expect("an integer")),
        "minItems" => value
            .as_array()
            .is_none_or(|v| v.len() as u64 >= rule.as_u64().expect("a count")),
        "maxItems" => value
            .as_array()
            .is_none_or(|v| v.len() as u64 <= rule.as_u64().expect("a count")),
        "items" => value
            .as_array()
            .is_none_or(|items| items.iter().all(|item| fits(root, rule, item))),
        "required" => rule
            .as_array()
            .expect("a list")
            .iter()
            .all(|name| value.get(name.as_str().expect("text")).is_some()),
        "propertyNames" => members(value).all(|(name, _)| fits(root, rule, &json!(name))),
        "properties" => members(value).all(|(name, item)| rule.get(name).is_none_or(|s| fits(root, s, item))),
        "additionalProperties" => {
            let mut others = members(value).filter(|(name, _)| schema["properties"].get(name).is_none());
            if rule.is_object() {
                others.all(|(_, item)| fits(root, rule, item))
            } else {
                others.next().is_none()
            }
        }
        other => panic!("the validator does not know {other}"),
    })
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn is_type(name: &Value, value: &Value) -> bool {
    match name.as_str().expect("a type's name") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("the validator does not know type {other}"),
    }
}

/// The two patterns of the schema.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match pattern {
        "^[A-Za-z_][A-Za-z0-9_]*$" => {
            text.starts_with(|c: char| is_word(c) && !c.is_ascii_digit()) && text.chars().all(is_word)
        }
        "^sm_[0-9]+[af]?$" => {
            let rest = text.strip_prefix("sm_").unwrap_or("");
            let digits = rest.strip_suffix(['a', 'f']).unwrap_or(rest);
            !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
        }
        other => panic!("the validator does not know pattern {other}"),
    }
}

fn reads(value: &Value) -> bool {
    Manifest::parse(&value.to_string(), "test.json").is_ok()
}

/// Every value that can be reached, as JSON pointers.
fn pointers(value: &Value, here: String, all: &mut Vec<String>) {
    all.push(here.clone());
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(name, item)| pointers(item, format!("{here}/{name}"), all)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(i, item)| pointers(item, format!("{here}/{i}"), all)),
        _ => {}
    }
}

#[test]
fn bundled_manifests_fit_schema_and_reader() {
    let schema = schema();
    for manifest in manifests() {
        assert!(fits(&schema, &schema, &manifest), "{}", manifest["name"]);
        assert!(reads(&manifest), "{}", manifest["name"]);
    }
}

#[test]
fn unknown_key_in_any_table_fails_schema_and_reader() {
    let schema = schema();
    let mut tried = 0;
    for manifest in manifests() {
        let mut all = Vec::new();
        pointers(&manifest, String::new(), &mut all);
        for pointer in all {
            // Keys of these tables are the author's own.
            let is_own = ["/symbols", "/dtypes", "/warps"]
                .iter()
                .any(|key| pointer.ends_with(key));
            let mut spoiled = manifest.clone();
            let Some(Value::Object(table)) = spoiled.pointer_mut(&pointer).filter(|_| !is_own) else {
                continue;
            };
            table.insert("zzz".into(), json!(1));
            assert!(!fits(&schema, &schema, &spoiled), "schema takes zzz in {pointer}");
            assert!(!reads(&spoiled), "reader takes zzz in {pointer}");
            tried += 1;
        }
    }
    assert!(tried > 40, "{tried} tables");
}

#[test]
fn missing_or_mistyped_key_fails_both_or_neither() {
    let schema = schema();
    for manifest in manifests() {
        let mut all = Vec::new();
        pointers(&manifest, String::new(), &mut all);
        for pointer in all.iter().filter(|p| !p.is_empty()) {
            let mut without = manifest.clone();
            let (parent, name) = pointer.rsplit_once('/').expect("not the root");
            if let Some(Value::Object(table)) = without.pointer_mut(parent) {
                table.remove(name);
                // What a missing key breaks elsewhere (an unknown symbol, say) only the reader can know.
                assert!(
                    fits(&schema, &schema, &without) || !reads(&without),
                    "schema alone refuses missing {pointer}"
                );
            }
            let mut mistyped = manifest.clone();
            *mistyped.pointer_mut(pointer).expect("there") = json!([{}]);
            assert!(!fits(&schema, &schema, &mistyped), "schema takes a list for {pointer}");
            assert!(!reads(&mistyped), "reader takes a list for {pointer}");
        }
    }
}
